"""All that a run writes to the database: one transaction, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dask_validator.errors import ChangedMeanwhile, DatabaseHeld, InputError, NotCommitted
from dask_validator.model import Status, Verdict
from dask_validator.rules.notes import note
from dask_validator.rules.promotion import computed_columns
from dask_validator.store.connection import connect, ctrl_c_stays_ctrl_c, first_line, with_room
from dask_validator.store.contract import COPIED, KEPT_ON_CONFLICT, OPTIONAL, RUNS, SPLIT, Catalogue, read_catalogue
from dask_validator.store.fingerprints import Fingerprints, Seen, file_state, read_fingerprints
from dask_validator.store.functions import refuse_macros
from dask_validator.store.lock import refuse_if_open_here

_COMPUTED = {
    "years_tested": "INTEGER",
    "all_years_positive": "BOOLEAN",
    "regime_waivers": "VARCHAR",
    "regime_waiver_count": "INTEGER",
    "fdr_significant": "BOOLEAN",
    "fdr_adjusted_p": "DOUBLE",
}
_SPLIT_NUMBERS = {name: kind for name, kind in SPLIT.items() if name != "dst_verdict"}
BATCH = 20_000  # rows

_RUNS_TABLE = (
    "CREATE TABLE IF NOT EXISTS dask_validator_runs ("
    + ", ".join(f"{name} {kind} {'PRIMARY KEY' if name == 'run_id' else 'NOT NULL'}" for name, kind in RUNS.items())
    + ")"
)


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
    results: Callable[[], bytes]  # asked for last: another thread makes the lines while DuckDB writes


# Updated in the order of the table: DuckDB is forty times slower where a million rows come in any other.
_IN_TABLE_ORDER = """
    CREATE TEMP TABLE ordered_verdicts AS
    SELECT e.{row} AS row, v.*, s.* EXCLUDE (strategy_id)
    FROM computed_verdicts v JOIN experimental_strategies e USING (strategy_id)
    LEFT JOIN computed_splits s USING (strategy_id) ORDER BY row
"""


class Patience(NamedTuple):
    """How long to wait for somebody else's lock."""

    seconds: float = 0.0
    ended: Callable[[], object] = lambda: False  # whether to give up before
    passing: Callable[[int], bool] = lambda pid: False  # whether it is worth waiting longer, as that process will end


IMPATIENT = Patience()
LONGEST_PAUSE_S = 5.0


class Statement(NamedTuple):
    """One SQL statement of the transaction and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def _verdict(verdict: Verdict) -> Sequence[object]:
    writes_split = verdict.split is not None and not verdict.keeps_split
    season = verdict.split.verdict if verdict.split else None
    return verdict.strategy_id, verdict.status.value, note(verdict), writes_split, season


def _split_numbers(verdict: Verdict) -> Sequence[object] | None:
    """Few have numbers: most sessions have no seasons."""
    split = verdict.split
    return (verdict.strategy_id, *split[:4]) if split and split.winter_n is not None else None


def _promoted(verdict: Verdict) -> Sequence[object] | None:
    if verdict.status is not Status.PASSED:
        return None
    columns = computed_columns(verdict)
    return verdict.strategy_id, *(columns[name] for name in _COMPUTED)


class ComputedTable(NamedTuple):
    """A temporary table with what a run computed; the rest of a promoted row is copied inside SQL."""

    name: str
    columns: Mapping[str, str]  # name and type, which an empty or all-NULL column must not be left to guess
    row: Callable[[Verdict], Sequence[object] | None]  # None: the verdict has no row


_COMPUTED_TABLES = (
    ComputedTable(
        "computed_verdicts",
        {
            "strategy_id": "VARCHAR",
            "status": "VARCHAR",
            "note": "VARCHAR",
            "writes_split": "BOOLEAN",
            "dst_verdict": "VARCHAR",
        },
        _verdict,
    ),
    ComputedTable("computed_splits", {"strategy_id": "VARCHAR", **_SPLIT_NUMBERS}, _split_numbers),
    ComputedTable("computed_promoted", {"strategy_id": "VARCHAR", **_COMPUTED}, _promoted),
)


def commit(
    path: str | Path,
    record: RunRecord,
    verdicts: Sequence[Verdict],
    seen: Seen,
    patience: Patience = IMPATIENT,
    connect: Callable[..., duckdb.DuckDBPyConnection] = connect,
) -> None:
    """Write everything in one transaction; any failure leaves the database as it was.

    Raises
    ------
    NotCommitted
        Locked, full, read-only: the reason is in the text.
    ChangedMeanwhile
        The instrument's rows are not those that were seen.
    """
    connection = _open(path, patience, connect)
    try:
        with ctrl_c_stays_ctrl_c():
            if file_state(path) != seen.file:  # that nobody has written since is cheaper to see than that it matters
                with_room(
                    connection, path, lambda: _refuse_if_changed(connection, record.instrument, seen.fingerprints)
                )
            with_room(connection, path, lambda: _transact(connection, record, verdicts))
    except (duckdb.Error, InputError) as error:
        raise NotCommitted(f"computed, but not written, {path} is as it was: {first_line(error)}") from error
    finally:
        connection.close()


def _open(path: str | Path, patience: Patience, connect: Callable[..., Any]) -> duckdb.DuckDBPyConnection:
    """For writing; while somebody else has the file, again and again with growing pauses."""
    deadline, pause = time.monotonic() + patience.seconds, 0.1
    while True:
        try:
            refuse_if_open_here(path)
            return connect(path, read_only=False)  # type: ignore[no-any-return]
        except DatabaseHeld as error:
            left_s = deadline - time.monotonic()
            late = left_s <= 0
            if patience.ended() or (late and not (error.pid and patience.passing(error.pid))):
                raise NotCommitted(f"computed, but not written: {str(error).split('; close it')[0]}") from error
        except InputError as error:
            raise NotCommitted(f"computed, but not written: {error}") from error
        time.sleep(pause if late else min(pause, left_s))
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _transact(connection: duckdb.DuckDBPyConnection, record: RunRecord, verdicts: Sequence[Verdict]) -> None:
    connection.execute("BEGIN TRANSACTION")
    try:
        for computed in _COMPUTED_TABLES:
            _fill(connection, computed, verdicts)
        for sql, parameters in _statements(connection, record):
            connection.execute(sql, list(parameters))
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _fill(connection: duckdb.DuckDBPyConnection, computed: ComputedTable, verdicts: Sequence[Verdict]) -> None:
    connection.execute(
        f"CREATE TEMP TABLE {computed.name} ({', '.join(f'{c} {t}' for c, t in computed.columns.items())})"
    )
    values = ", ".join(f"unnest(?::{kind}[])" for kind in computed.columns.values())
    rows = (row for verdict in verdicts if (row := computed.row(verdict)) is not None)
    while batch := list(islice(rows, BATCH)):
        columns = [list(column) for column in zip(*batch, strict=True)]
        connection.execute(f"INSERT INTO {computed.name} SELECT {values}", columns)


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # a failed COMMIT has rolled back already; the first error is the one to report
        connection.execute("ROLLBACK")


def _refuse_if_changed(connection: duckdb.DuckDBPyConnection, instrument: str, fingerprints: Fingerprints) -> None:
    refuse_macros(connection)
    found = read_fingerprints(connection, read_catalogue(connection), instrument)
    if changed := [table for table in fingerprints if found[table] != fingerprints[table]]:
        raise ChangedMeanwhile(
            f"computed, but not written: somebody else has changed {', '.join(changed)} meanwhile; run again"
        )


def _statements(connection: duckdb.DuckDBPyConnection, record: RunRecord) -> Iterator[Statement]:
    catalogue = read_catalogue(connection)
    row = "strategy_id" if "rowid" in catalogue.tables["experimental_strategies"] else "rowid"  # a column hides numbers
    yield from _missing_columns(catalogue)
    yield Statement(_RUNS_TABLE)
    yield Statement(_IN_TABLE_ORDER.format(row=row))
    yield _update({"validation_status": "status", "validation_notes": "note"}, row)
    yield _update({name: name for name in SPLIT}, row, "AND v.writes_split")
    yield _promotion(record)
    yield Statement(
        "UPDATE validated_setups SET status = 'retired', retired_at = ?::TIMESTAMPTZ, retirement_reason = v.note "
        "FROM computed_verdicts v WHERE validated_setups.strategy_id = v.strategy_id "
        f"AND validated_setups.status = 'active' AND v.status IN ('{Status.REJECTED}', '{Status.SKIPPED}')",
        (record.finished_at.isoformat(),),
    )
    marks = ", ".join("?::TIMESTAMPTZ" if name.endswith("_at") else "?" for name in RunRecord._fields)
    values = tuple(v.isoformat() if isinstance(v, datetime) else v() if callable(v) else v for v in record)
    yield Statement(f"INSERT INTO dask_validator_runs ({', '.join(RunRecord._fields)}) VALUES ({marks})", values)


def _update(columns: Mapping[str, str], row: str, where: str = "") -> Statement:
    assignments = ", ".join(f"{column} = v.{value}" for column, value in columns.items())
    return Statement(
        f"UPDATE experimental_strategies SET {assignments} FROM ordered_verdicts v "
        f"WHERE experimental_strategies.{row} = v.row {where}"
    )


def _missing_columns(catalogue: Catalogue) -> Iterator[Statement]:
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
