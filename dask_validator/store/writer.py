"""All that a run writes to the database: one transaction, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.config import Promotion
from dask_validator.errors import ChangedMeanwhile, DatabaseHeld, InputError, NotCommitted
from dask_validator.model import PLAN, OutcomeKey
from dask_validator.rules.counting import STATUSES
from dask_validator.rules.gates import GATES, HELD
from dask_validator.rules.promotion import ruled_names
from dask_validator.rules.verdicts import Verdicts
from dask_validator.store import before, setups
from dask_validator.store.before import Kept
from dask_validator.store.connection import connect, ctrl_c_stays_ctrl_c, first_line, with_room
from dask_validator.store.contract import OPTIONAL, Catalogue, has_table, read_catalogue
from dask_validator.store.file_state import file_state
from dask_validator.store.fingerprints import Seen, read_fingerprints
from dask_validator.store.functions import refuse_macros
from dask_validator.store.kinds import quoted
from dask_validator.store.old_runs import dropped
from dask_validator.store.our_tables import CREATE_LATEST, EARLIER, OUR_TABLES, SPLIT
from dask_validator.store.patience import IMPATIENT, Patience, open_to_write
from dask_validator.store.results import INSERT_WINDOWS, insert_results, numbers, windows
from dask_validator.store.ruled import as_text
from dask_validator.store.setups import COMPUTED, STANDING, Statement

# The array of each type and what stands in it for NULL: an array with None in it has its type guessed from a sample.
_ARRAYS: dict[str, tuple[type, Any]] = {
    "DOUBLE": (np.float64, 0.0),
    "INTEGER": (np.int32, 0),
    "UBIGINT": (np.uint64, 0),
    "BOOLEAN": (np.bool_, False),
    "VARCHAR": (object, ""),
}
_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC)  # that any time zone can tell
_SPLIT_NUMBERS = {name: kind for name, kind in SPLIT.items() if name != "dst_verdict"}


class RunRecord(NamedTuple):
    """One row of `dask_validator_runs`; texts are JSON."""

    run_id: str
    instrument: str
    started_at: datetime
    finished_at: datetime
    parameters: str
    versions: str
    fingerprints: str
    summary: str
    task_timings: str


# Updated in the order of the table: DuckDB is forty times slower where a million rows come in any other.
_IN_TABLE_ORDER = """
    CREATE TEMP TABLE ordered_verdicts AS
    SELECT e.{row} AS row, v.* EXCLUDE (row), s.* EXCLUDE (strategy_id)
    FROM computed_verdicts v JOIN experimental_strategies e USING (strategy_id)
    LEFT JOIN computed_splits s USING (strategy_id) ORDER BY row
"""


class Column(NamedTuple):
    """One column; an empty or all-NULL one must not be left to guess its type."""

    kind: str
    values: Sequence[object]


class ComputedTable(NamedTuple):
    """A temporary table with what a run computed; the rest of a promoted row is copied inside SQL."""

    name: str
    columns: Mapping[str, Column]


class Computed(NamedTuple):
    """Everything that the transaction takes from memory, made before it begins."""

    tables: Sequence[ComputedTable]
    columns: Mapping[str, Mapping[str, NDArray[Any]]]  # by name, tables of numbers alone


def computed(verdicts: Verdicts, hashes: Mapping[OutcomeKey, int]) -> Computed:
    """All that was computed, and what it was computed from."""
    columns = {"computed_numbers": numbers(verdicts), "computed_windows": windows(verdicts)}
    return Computed([_of_all(verdicts), _of_seasons(verdicts), _of_promoted(verdicts), of_outcomes(hashes)], columns)


def _of_all(verdicts: Verdicts) -> ComputedTable:
    rows, splits, statuses = range(len(verdicts)), verdicts.splits, [str(status) for status in STATUSES]
    gates = [None if gate == HELD else GATES[gate] for gate in verdicts.gate.tolist()]
    columns = {
        "row": Column("INTEGER", rows),
        "strategy_id": Column("VARCHAR", verdicts.ids),
        "status": Column("VARCHAR", [statuses[code] for code in verdicts.status.tolist()]),
        "note": Column("VARCHAR", [verdicts.note(i) for i in rows]),
        "phase": Column("INTEGER", [gate and gate.phase for gate in gates]),
        "gate": Column("VARCHAR", [gate and gate.name for gate in gates]),
        "reason": Column("VARCHAR", verdicts.reasons),
        "remark": Column("VARCHAR", verdicts.remarks),
        "pathway": Column("VARCHAR", verdicts.pathways),
        "holdout": Column("VARCHAR", [verdicts.holdout.get(i) for i in rows]),
        "writes_split": Column("BOOLEAN", verdicts.writes_split.tolist()),
        "dst_verdict": Column("VARCHAR", [split and split.verdict for split in splits]),
    }
    return ComputedTable("computed_verdicts", columns)


def _of_seasons(verdicts: Verdicts) -> ComputedTable:
    """Few have numbers: most sessions have no seasons."""
    found = [(i, split) for i, split in enumerate(verdicts.splits) if split and split.winter_n is not None]
    columns = {"strategy_id": Column("VARCHAR", [verdicts.ids[i] for i, _ in found])}
    for position, (name, kind) in enumerate(_SPLIT_NUMBERS.items()):
        columns[name] = Column(kind, [split[position] for _, split in found])
    return ComputedTable("computed_splits", columns)


def _of_promoted(verdicts: Verdicts) -> ComputedTable:
    """What the rules say comes as text: it is cast where it is written."""
    columns = {"strategy_id": Column("VARCHAR", [verdicts.ids[i] for i in verdicts.standings])}
    for name, kind in STANDING.items():
        columns[name] = Column(kind, [getattr(of, name) for of in verdicts.standings.values()])
    computed = [verdicts.computed(i) for i in verdicts.standings]
    for name, kind in COMPUTED.items():
        columns[name] = Column(kind, [of[name] for of in computed])
    ruled = [verdicts.ruled(i) for i in verdicts.standings]
    for position, name in enumerate(ruled_names(verdicts.terms.config.promotion)):
        columns[f"ruled_{position}"] = Column("VARCHAR", [as_text(of[name]) for of in ruled])
    return ComputedTable("computed_promoted", columns)


def of_outcomes(hashes: Mapping[OutcomeKey, int]) -> ComputedTable:
    """What outcomes are known by."""
    kinds = ("DOUBLE", "VARCHAR", "VARCHAR", "DOUBLE", "DOUBLE", "VARCHAR")
    columns = {
        name: Column(kind, [key[i] for key in hashes])
        for i, (name, kind) in enumerate(zip((*PLAN, "strategy_id"), kinds, strict=True))
    }
    columns["tight"] = Column("BOOLEAN", [key.is_tight for key in hashes])
    return ComputedTable("hashed_outcomes", {**columns, "outcomes_hash": Column("UBIGINT", list(hashes.values()))})


def commit(
    path: str | Path,
    record: RunRecord,
    verdicts: Verdicts,
    seen: Seen,
    patience: Patience = IMPATIENT,
    connect: Callable[..., duckdb.DuckDBPyConnection] = connect,
    *,
    keep_runs: int | None = None,
) -> datetime:
    """Write everything in one transaction; any failure leaves the database as it was.

    Parameters
    ----------
    keep_runs
        How many of the instrument stay on record, this one among them; None: all.

    Returns
    -------
    datetime
        When the run has finished as it is recorded: `finished_at`, or later where the last run did not end before it.

    Raises
    ------
    NotCommitted
        Locked, full, read-only: the reason is in the text.
    ChangedMeanwhile
        The instrument's rows are not those that were seen.
    """
    made, asked = computed(verdicts, seen.hashes), verdicts.terms.config.promotion
    statements = partial(_statements, verdicts=verdicts, keep_runs=keep_runs)
    connection = _open(path, patience, connect)
    try:
        with ctrl_c_stays_ctrl_c():
            # That nobody has written since is cheaper to see than that it matters.
            if file_state(path, seen.source.path) != seen.file:
                with_room(connection, path, lambda: _refuse_if_changed(connection, record.instrument, seen, asked))
            return with_room(connection, path, lambda: _transact(connection, made, record, statements))
    except (duckdb.Error, InputError) as error:
        raise NotCommitted(f"computed, but not written, {path} is as it was: {first_line(error)}") from error
    finally:
        connection.close()


def _open(path: str | Path, patience: Patience, connect: Callable[..., Any]) -> duckdb.DuckDBPyConnection:
    try:
        return open_to_write(path, patience, connect)
    except DatabaseHeld as error:
        raise NotCommitted(f"computed, but not written: {str(error).split('; close it')[0]}") from error
    except InputError as error:
        raise NotCommitted(f"computed, but not written: {error}") from error


def _transact(
    connection: duckdb.DuckDBPyConnection,
    made: Computed,
    record: RunRecord,
    statements: Callable[[duckdb.DuckDBPyConnection, RunRecord], Iterator[Statement]],
) -> datetime:
    connection.execute("BEGIN TRANSACTION")
    try:
        record = record._replace(finished_at=_after_all_others(connection, record.finished_at))
        for table in made.tables:
            fill(connection, table)
        for name, columns in made.columns.items():
            connection.register(name, dict(columns))
        for sql, parameters in statements(connection, record):
            connection.execute(sql, list(parameters))
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise
    return record.finished_at


def _after_all_others(connection: duckdb.DuckDBPyConnection, finished_at: datetime) -> datetime:
    """Runs are ordered by it, and clocks go back: what has come from another calendar does not count."""
    if not has_table(connection, "dask_validator_runs"):
        return finished_at
    [(last,)] = connection.execute(
        "SELECT max(finished_at) FROM dask_validator_runs WHERE finished_at BETWEEN ?::TIMESTAMPTZ AND ?::TIMESTAMPTZ",
        [finished_at.isoformat(), _LAST_DAY.isoformat()],
    ).fetchall()
    return finished_at if last is None else last.astimezone(UTC) + timedelta(microseconds=1)


def fill(connection: duckdb.DuckDBPyConnection, table: ComputedTable) -> None:
    """Handed over as arrays: lists of parameters take many times as long."""
    arrays: dict[str, NDArray[Any]] = {}
    wanted = []
    for name, (kind, values) in table.columns.items():
        dtype, nothing = _ARRAYS[kind]
        arrays[f"{name}_known"] = np.array([value is not None for value in values], dtype=np.bool_)
        arrays[name] = np.array([nothing if value is None else value for value in values], dtype=dtype)
        value = f"coalesce({name}, 'NaN')" if kind == "DOUBLE" else name  # of numpy, DuckDB takes NaN for NULL
        wanted.append(f"CASE WHEN {name}_known THEN {value} END AS {name}")
    connection.register(f"made_{table.name}", arrays)
    connection.execute(f"CREATE TEMP TABLE {table.name} AS SELECT {', '.join(wanted)} FROM made_{table.name}")
    connection.unregister(f"made_{table.name}")


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # a failed COMMIT has rolled back already; the first error is the one to report
        connection.execute("ROLLBACK")


def _refuse_if_changed(
    connection: duckdb.DuckDBPyConnection, instrument: str, seen: Seen, promotion: Promotion
) -> None:
    refuse_macros(connection)
    catalogue = read_catalogue(connection, seen.source.tables, promotion)
    found = read_fingerprints(connection, catalogue, instrument, all_features=seen.all_features)
    found[seen.source.name] = seen.source.survey(connection, instrument).fingerprint
    if changed := [name for name, fingerprint in seen.fingerprints.items() if found[name] != fingerprint]:
        raise ChangedMeanwhile(
            f"computed, but not written: somebody else has changed {', '.join(changed)} meanwhile; run again"
        )


def _statements(
    connection: duckdb.DuckDBPyConnection, record: RunRecord, verdicts: Verdicts, keep_runs: int | None
) -> Iterator[Statement]:
    catalogue = read_catalogue(connection, promotion=verdicts.terms.config.promotion)
    row = "strategy_id" if "rowid" in catalogue.tables["experimental_strategies"] else "rowid"  # a column hides numbers
    yield from _missing_columns(catalogue)
    kept = before.kept_of(catalogue)
    for table, columns in OUR_TABLES.items():
        of_users = kept.columns(table)
        yield from _our_table(table, {**columns, **of_users}, catalogue.tables[table])
        yield from before.other_kinds(table, of_users, catalogue.tables[table])
    has_stops = catalogue.has("experimental_strategies", "stop_multiplier")
    for sql, parameters in insert_results(record.run_id, has_stops=has_stops):
        yield Statement(sql, parameters)
    yield Statement(INSERT_WINDOWS, (record.run_id,))
    yield from before.found(kept, record.run_id)
    yield Statement(_IN_TABLE_ORDER.format(row=row))
    yield _update({"validation_status": "status", "validation_notes": "note"}, row)
    yield _update({name: name for name in SPLIT}, row, "AND v.writes_split")
    yield from setups.of_strategies(catalogue, row, verdicts.terms.config)
    run = setups.Run(
        record.run_id,
        record.instrument,
        record.finished_at,
        f"dask_validator {json.loads(record.versions)['dask_validator']}",
    )
    yield setups.promotion(catalogue, run, verdicts.terms.config)
    yield setups.retirement(run)
    yield from setups.logged(catalogue, run, verdicts)
    yield before.insert(kept, record.run_id)
    yield _recorded(record, kept, catalogue.tables["dask_validator_runs"])
    yield from dropped(record.instrument, record.run_id, keep_runs)
    yield Statement(CREATE_LATEST)


def _our_table(table: str, columns: Mapping[str, str], there: Collection[str]) -> Iterator[Statement]:
    """Made, or given the columns that it lacks."""
    if not there:
        key = " PRIMARY KEY" if table == "dask_validator_runs" else ""  # others grow by millions of rows
        kinds = ", ".join(f"{quoted(name)} {kind}{key if name == 'run_id' else ''}" for name, kind in columns.items())
        yield Statement(f"CREATE TABLE {table} ({kinds})")
        return
    for name, kind in columns.items():
        if name not in there:
            yield Statement(f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {kind}")


def _recorded(record: RunRecord, kept: Kept, there: Collection[str]) -> Statement:
    """The run's own row; where an earlier version has made the table, it demands lines, of which there are none."""
    values = {n: v.isoformat() if isinstance(v, datetime) else v for n, v in record._asdict().items()}
    values |= {"kept_before": kept.as_json(), "undone": False}
    values |= {name: b"" for name in EARLIER["dask_validator_runs"] if name in there}
    marks = ", ".join("?::TIMESTAMPTZ" if name.endswith("_at") else "?" for name in values)
    return Statement(f"INSERT INTO dask_validator_runs ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


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
