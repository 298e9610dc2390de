"""A run taken back: the users' tables as they were before it, in one transaction or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.store.before import HOLDING, SETUPS, STRATEGIES, Kept
from dask_validator.store.connection import connect, ctrl_c_stays_ctrl_c, first_line, with_room
from dask_validator.store.contract import columns_of, foreign_keys, kinds
from dask_validator.store.kinds import quoted
from dask_validator.store.obstacles import Waiting, refuse_pinned
from dask_validator.store.our_tables import CREATE_LATEST, OUR_TABLES, RUNS
from dask_validator.store.patience import IMPATIENT, Patience, open_to_write
from dask_validator.store.selection import EVERY
from dask_validator.store.setups import Statement

MOST_NAMED = 3
Kinds = Mapping[str, Mapping[str, str]]  # by table and column


class Undone(NamedTuple):
    """What was taken back."""

    run_id: str
    instrument: str
    strategies: int
    setups_restored: int  # that were there before the run
    setups_deleted: int  # that it made
    run_log: str | None = None  # the user's own, which keeps its line


def undo(
    path: str | Path,
    run_id: str,
    patience: Patience = IMPATIENT,
    connect: Callable[..., duckdb.DuckDBPyConnection] = connect,
) -> Undone:
    """Put statuses, notes, season columns and setups back to what they were before the latest run of an instrument.

    Raises
    ------
    InputError
        It is no such run, somebody has written since, or the database cannot be written: it is as it was.
    """
    connection = open_to_write(path, patience, connect)
    try:
        with ctrl_c_stays_ctrl_c():
            return with_room(connection, path, lambda: _transact(connection, run_id))
    except (duckdb.Error, InputError) as error:
        raise InputError(f"run {run_id} cannot be undone, nothing is changed: {first_line(error)}") from error
    finally:
        connection.close()


def _transact(connection: duckdb.DuckDBPyConnection, run_id: str) -> Undone:
    connection.execute("BEGIN TRANSACTION")
    try:
        there = kinds(connection, ["dask_validator_runs", STRATEGIES, SETUPS, *HOLDING])
        run = _run(connection, there, run_id)
        _refuse_other_columns(run.kept, there)
        connection.execute(_found(run.kept, there), [run_id])
        undone = _counted(connection, run)
        _refuse_changed(connection)
        _refuse_referred(connection)
        _refuse_pinned(connection, run)
        for sql, parameters in _statements(run.kept, run_id, _row(there)):
            connection.execute(sql, list(parameters))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a failed COMMIT has rolled back already
            connection.execute("ROLLBACK")
        raise
    return undone


class _Run(NamedTuple):
    run_id: str
    instrument: str
    rows: int
    run_log: str | None
    kept: Kept


def _run(connection: duckdb.DuckDBPyConnection, there: Kinds, run_id: str) -> _Run:
    """The record of it. Raises InputError for one that cannot be the next to be taken back."""
    if lacking := [name for name in RUNS if name not in there["dask_validator_runs"]]:
        raise InputError(f"dask_validator_runs has no column {lacking[0]}: no run has kept what was there before it")
    record = "SELECT instrument, finished_at, kept_before, undone, parameters, summary FROM dask_validator_runs"
    rows = connection.execute(f"{record} WHERE run_id = ?", [run_id]).fetchall()
    if not rows:
        raise InputError("the database has no such run")
    [(instrument, finished_at, kept, undone, parameters, summary)] = rows
    if undone:
        raise InputError("it is undone already")
    later = connection.execute(
        "SELECT run_id FROM dask_validator_runs WHERE instrument = ? AND undone IS NOT TRUE "
        "AND (finished_at > ?::TIMESTAMPTZ OR finished_at = ?::TIMESTAMPTZ AND run_id > ?) "
        "ORDER BY finished_at DESC, run_id DESC",
        [instrument, finished_at, finished_at, run_id],
    ).fetchall()
    if later:
        raise InputError(
            f"{_named([name for (name,) in later], 'run')} of {instrument} came later; undo the last first"
        )
    if kept is None:
        raise InputError("it was made by a version that kept nothing of what was there before it")
    try:
        log = (json.loads(parameters).get("promotion") or {}).get("run_log")
        return _Run(run_id, instrument, int(json.loads(summary)["rows"]), log, Kept.from_json(kept))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"its record in dask_validator_runs cannot be read: {error}") from error


def _named(ids: list[str], what: str) -> str:
    """How many, and the first of them."""
    names = ", ".join(ids[:MOST_NAMED]) + ", ..." * (len(ids) > MOST_NAMED)
    return f"{len(ids):,} {what}{'s' * (len(ids) > 1)} ({names})"


def _refuse_other_columns(kept: Kept, there: Kinds) -> None:
    ours = {table: {**OUR_TABLES[table], **kept.columns(table)} for table in HOLDING}
    other = [
        f"{table}.{name} was {kind} and is {there[table].get(name, 'gone')}"
        for table, columns in {**kept.kinds, **ours}.items()
        for name, kind in columns.items()
        if there[table].get(name) != kind
    ]
    if other:
        raise InputError(f"columns have been changed since: {'; '.join(other[:MOST_NAMED])}; put them back first")


def _found(kept: Kept, there: Kinds) -> str:
    """SQL for what the run has found and left, beside what is there now."""
    new = [f"{quoted(name)} IS NOT NULL" for name in there[SETUPS] if name not in kept.kinds[SETUPS]]
    return f"""
        CREATE TEMP TABLE found_before AS
        SELECT b.*, {STRATEGIES}.{_row(there)} AS row, {kept.hashed(STRATEGIES)} AS is_strategy, is_setup, has_more
        FROM dask_validator_before b LEFT JOIN {STRATEGIES} USING (strategy_id) LEFT JOIN
            (SELECT strategy_id, {kept.hashed(SETUPS)} AS is_setup, {" OR ".join(new) or "FALSE"} AS has_more
            FROM {SETUPS}) USING (strategy_id)
        WHERE b.run_id = ? ORDER BY row
    """


def _row(there: Kinds) -> str:
    """What tells the rows of strategies apart; a column of that name hides their numbers."""
    return "strategy_id" if "rowid" in there[STRATEGIES] else "rowid"


def _counted(connection: duckdb.DuckDBPyConnection, run: _Run) -> Undone:
    """Raise InputError when somebody has deleted some of what was kept."""
    [(strategies, restored, made)] = connection.execute(
        "SELECT count(*), count(*) FILTER (had_setup), count(*) FILTER (NOT had_setup AND left_setup IS NOT NULL) "
        "FROM found_before"
    ).fetchall()
    [(setups,)] = connection.execute(
        "SELECT count(*) FROM dask_validator_before_setups WHERE dask_validator_run_id = ?", [run.run_id]
    ).fetchall()
    for table, kept, of in (("before", strategies, run.rows), ("before_setups", setups, restored)):
        if kept != of:
            raise InputError(f"dask_validator_{table} has {kept:,} of its {of:,} rows; needed all of them")
    return Undone(run.run_id, run.instrument, strategies, restored, made, run.run_log)


def _refuse_changed(connection: duckdb.DuckDBPyConnection) -> None:
    """Nobody's work is overwritten: all must be there as the run has left it."""
    changed = {
        STRATEGIES: "row IS NULL OR is_strategy <> left_strategy",
        SETUPS: "is_setup IS DISTINCT FROM left_setup OR NOT had_setup AND has_more",
    }
    found = {
        table: _ids(connection, f"SELECT strategy_id FROM found_before WHERE {of}") for table, of in changed.items()
    }
    if said := [f"{_named(ids, 'row')} of {table}" for table, ids in found.items() if ids]:
        raise InputError(f"{' and '.join(said)} changed since; needed all as the run has left them")


def _ids(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [name for (name,) in connection.execute(f"{query} ORDER BY strategy_id").fetchall()]


def _refuse_referred(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB deletes no row that another one refers to."""
    said = []
    for table, refers in foreign_keys(connection, SETUPS):
        made = "SELECT strategy_id FROM found_before WHERE NOT had_setup"
        query = f"SELECT DISTINCT t.strategy_id FROM {SETUPS} t JOIN {quoted(table)} c ON {refers}"
        if ids := _ids(connection, f"{query} WHERE t.strategy_id IN ({made})"):
            said.append(f"{table} refers to {_named(ids, 'setup')} that it made")
    if said:
        raise InputError(f"{' and '.join(said)}; take that out first")


def _refuse_pinned(connection: duckdb.DuckDBPyConnection, run: _Run) -> None:
    """As a run refuses indexes that it could not write with: these may have been made since."""
    written = {STRATEGIES: run.kept.kinds[STRATEGIES].keys(), SETUPS: {*run.kept.updated}}
    found = EVERY.where("strategy_id IN (SELECT strategy_id FROM found_before)")
    refuse_pinned(connection, columns_of(connection, written), written, Waiting(run.instrument, found), then="undo")


def _statements(kept: Kept, run_id: str, row: str) -> Iterator[Statement]:
    sets = ", ".join(f"{name} = b.{name}" for name in map(quoted, kept.kinds[STRATEGIES]))
    yield Statement(f"UPDATE {STRATEGIES} SET {sets} FROM found_before b WHERE {STRATEGIES}.{row} = b.row")
    sets = ", ".join(f"{name} = b.{name}" for name in map(quoted, kept.updated))
    yield Statement(
        f"UPDATE {SETUPS} SET {sets} FROM dask_validator_before_setups b "
        f"WHERE b.dask_validator_run_id = ? AND {SETUPS}.strategy_id = b.strategy_id",
        (run_id,),
    )
    yield Statement(
        f"DELETE FROM {SETUPS} WHERE strategy_id IN (SELECT strategy_id FROM found_before WHERE NOT had_setup)"
    )
    yield Statement("UPDATE dask_validator_runs SET undone = TRUE WHERE run_id = ?", (run_id,))
    yield Statement(CREATE_LATEST)
