"""All that a run writes to the database: one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd

from dask_validator.errors import InputError, NotCommitted
from dask_validator.model import Status, Verdict
from dask_validator.rules.fdr import Discovery
from dask_validator.rules.promotion import computed_columns
from dask_validator.store.connection import connect, ctrl_c_stays_ctrl_c, first_line
from dask_validator.store.contract import COPIED, OPTIONAL, SPLIT, read_catalogue
from dask_validator.store.reader import WAITING

_COMPUTED = ["years_tested", "all_years_positive", "regime_waivers", "regime_waiver_count"]
_COMPUTED += ["fdr_significant", "fdr_adjusted_p"]
_PROMOTED = ["strategy_id", *_COMPUTED]
KEPT_ON_CONFLICT = {"strategy_id", "promoted_at", "promoted_from"}

_RUNS_TABLE = """
    CREATE TABLE IF NOT EXISTS dask_validator_runs (
        run_id VARCHAR PRIMARY KEY, instrument VARCHAR NOT NULL,
        started_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ NOT NULL,
        parameters VARCHAR NOT NULL, versions VARCHAR NOT NULL, fingerprints VARCHAR NOT NULL,
        summary VARCHAR NOT NULL, task_timings VARCHAR NOT NULL, results BLOB NOT NULL
    )
"""


class RunRecord(NamedTuple):
    """One row of `dask_validator_runs`; texts are JSON, `results` is the zlib-compressed JSONL of the run."""

    run_id: str
    instrument: str
    started_at: datetime
    finished_at: datetime
    parameters: str
    versions: str
    fingerprints: str
    summary: str
    task_timings: str
    results: bytes


class Changes(NamedTuple):
    """Frames with what a run computed; the rest of a promoted row is copied inside SQL.

    A frame turns NaN into NULL, and one NULL in a NOT NULL column would sink the whole transaction.
    """

    verdicts: pd.DataFrame  # strategy_id, status, note
    splits: pd.DataFrame  # strategy_id and the five dst columns, where they were computed
    promoted: pd.DataFrame  # strategy_id, years_tested, all_years_positive, regime_*, fdr_*


class Statement(NamedTuple):
    """One SQL statement of the transaction and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def changes(verdicts: Sequence[Verdict], kept_splits: frozenset[str], fdr: Mapping[str, Discovery]) -> Changes:
    """Frames for a commit; `kept_splits` are the ids whose stored split stays as it is."""
    splits = [
        (v.strategy_id, *v.split)
        for v in verdicts
        if v.split is not None and v.status is not Status.FAILED and v.strategy_id not in kept_splits
    ]
    promoted = [
        {"strategy_id": v.strategy_id, **computed_columns(v, fdr.get(v.strategy_id))}
        for v in verdicts
        if v.status is Status.PASSED
    ]
    return Changes(
        _frame([(v.strategy_id, str(v.status), v.note) for v in verdicts], ["strategy_id", "status", "note"]),
        _frame(splits, ["strategy_id", *SPLIT]),
        _frame([[row[name] for name in _PROMOTED] for row in promoted], _PROMOTED),
    )


def commit(
    path: str | Path,
    record: RunRecord,
    prepared: Changes,
    connect: Callable[..., duckdb.DuckDBPyConnection] = connect,
) -> None:
    """Write everything in one transaction; any failure leaves the database as it was.

    Raises
    ------
    NotCommitted
        Locked, full, read-only, changed meanwhile: the reason is in the text.
    """
    try:
        connection = connect(path, read_only=False)
    except InputError as error:
        raise NotCommitted(f"computed, but not written: {error}") from error
    try:
        with ctrl_c_stays_ctrl_c():
            _transact(connection, record, prepared)
    except (duckdb.Error, InputError) as error:
        raise NotCommitted(f"computed, but not written, {path} is as it was: {first_line(error)}") from error
    finally:
        connection.close()


def _transact(connection: duckdb.DuckDBPyConnection, record: RunRecord, prepared: Changes) -> None:
    for name, frame in prepared._asdict().items():
        connection.register(f"computed_{name}", frame)
    connection.execute("BEGIN TRANSACTION")
    try:
        _refuse_if_changed(connection, len(prepared.verdicts))
        for sql, parameters in _statements(connection, record):
            connection.execute(sql, list(parameters))
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # a failed COMMIT has rolled back already; the first error is the one to report
        connection.execute("ROLLBACK")


def _refuse_if_changed(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Somebody may have validated, or removed, strategies while we computed."""
    found = connection.execute(
        f"SELECT count(*) FROM experimental_strategies JOIN computed_verdicts v USING (strategy_id) WHERE {WAITING}"
    ).fetchone()
    if found is None or found[0] != rows:
        waiting = found[0] if found else 0
        raise NotCommitted(
            f"computed, but not written: of {rows} strategies only {waiting} are still waiting, somebody else "
            "validated or removed the others meanwhile; run again"
        )


def _statements(connection: duckdb.DuckDBPyConnection, record: RunRecord) -> Iterator[Statement]:
    yield from _missing_columns(connection)
    yield Statement(_RUNS_TABLE)
    yield Statement(
        "UPDATE experimental_strategies SET validation_status = v.status, validation_notes = v.note "
        "FROM computed_verdicts v WHERE experimental_strategies.strategy_id = v.strategy_id"
    )
    yield Statement(
        f"UPDATE experimental_strategies SET {', '.join(f'{name} = s.{name}' for name in SPLIT)} "
        "FROM computed_splits s WHERE experimental_strategies.strategy_id = s.strategy_id"
    )
    yield _promotion(record)
    yield Statement(
        "UPDATE validated_setups SET status = 'retired', retired_at = ?::TIMESTAMPTZ, retirement_reason = v.note "
        "FROM computed_verdicts v WHERE validated_setups.strategy_id = v.strategy_id "
        f"AND validated_setups.status = 'active' AND v.status IN ('{Status.REJECTED}', '{Status.SKIPPED}')",
        (record.finished_at.isoformat(),),
    )
    marks = ", ".join("?::TIMESTAMPTZ" if name.endswith("_at") else "?" for name in RunRecord._fields)
    values = tuple(value.isoformat() if isinstance(value, datetime) else value for value in record)
    yield Statement(f"INSERT INTO dask_validator_runs ({', '.join(RunRecord._fields)}) VALUES ({marks})", values)


def _missing_columns(connection: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    catalogue = read_catalogue(connection)
    for table in OPTIONAL:
        for name, kind in catalogue.lacking(table).items():
            default = " DEFAULT 0" if name == "regime_waiver_count" else ""
            yield Statement(f"ALTER TABLE {table} ADD COLUMN {name} {kind}{default}")


def _promotion(record: RunRecord) -> Statement:
    """The upsert. A referenced row survives it: no key and no foreign key is updated."""
    sources = {
        "strategy_id": "e.strategy_id",
        "promoted_at": "?::TIMESTAMPTZ",
        "promoted_from": "e.strategy_id",
        **{name: f"e.{name}" for name in (*COPIED, *SPLIT)},
        **{name: f"p.{name}" for name in _COMPUTED},
        "stress_test_passed": "TRUE",
        "status": "'active'",
        "retired_at": "NULL",
        "retirement_reason": "NULL",
    }
    updates = ", ".join(f"{name} = excluded.{name}" for name in sources if name not in KEPT_ON_CONFLICT)
    return Statement(
        f"INSERT INTO validated_setups ({', '.join(sources)}) SELECT {', '.join(sources.values())} "
        "FROM computed_promoted p JOIN experimental_strategies e USING (strategy_id) "
        f"ON CONFLICT (strategy_id) DO UPDATE SET {updates}",
        (record.finished_at.isoformat(),),
    )


_DTYPES = {
    "dst_winter_n": "Int64",
    "dst_summer_n": "Int64",
    "dst_winter_avg_r": "float64",
    "dst_summer_avg_r": "float64",
    "years_tested": "Int64",
    "regime_waiver_count": "Int64",
    "all_years_positive": "boolean",
    "fdr_significant": "boolean",
    "fdr_adjusted_p": "float64",
}


def _frame(rows: Sequence[Sequence[object]], columns: list[str]) -> pd.DataFrame:
    """Explicit types: an empty or all-NULL column must not be guessed."""
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    return frame.astype({name: _DTYPES[name] for name in columns if name in _DTYPES})
