"""The verdicts of a run as they are compared with those of another one: columns, read without making an object of each.

A run that an earlier version has made has kept its lines only: of the strategies that reached walk-forward what their
windows came to, and no hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import InputError
from dask_validator.model import OutcomeKey, Status
from dask_validator.rules import jsonl
from dask_validator.rules.costs import Costs
from dask_validator.rules.counting import CODE, STATUSES
from dask_validator.rules.differences import Side
from dask_validator.rules.gates import GATES, HELD, OF_WINDOWS
from dask_validator.rules.judging import first_failing
from dask_validator.rules.window_gates import observe
from dask_validator.store.connection import read
from dask_validator.store.contract import read_catalogue
from dask_validator.store.fetched import doubles, plain_values
from dask_validator.store.fingerprints import Seen
from dask_validator.store.past_runs import PastRun
from dask_validator.store.results import hashing
from dask_validator.store.writer import Column, ComputedTable, fill, of_outcomes

_STATUSES = ", ".join(f"'{status}'" for status in STATUSES)
_GATES = ", ".join(f"'{gate.name}'" for gate in GATES)
_WANTED = {
    "strategy_id": "strategy_id",
    "status": f"(list_position([{_STATUSES}], verdict) - 1)::TINYINT",
    "gate": f"(coalesce(list_position([{_GATES}], gate), 0) - 1)::TINYINT",
    "p_value": "p_value",
    "row_hash": "coalesce(row_hash, 0)",
    "outcomes_hash": "coalesce(outcomes_hash, 0)",
    "gated": "coalesce(gated, TRUE)",
    "failed": f"CASE WHEN verdict = '{Status.FAILED}' THEN remark END",
}


def read_side(run: PastRun, costs: Costs | None) -> Side:
    """The verdicts of a run that is recorded, and what they were made of.

    Raises
    ------
    InputError
        The database cannot be read, or somebody has put something else there.
    """
    of_run = {"costs": costs, "features": str(run.fingerprints.get("daily_features", ""))}
    of_run["hashed_by"] = run.versions.get("duckdb", "")
    try:
        if run.lines:
            return _of_lines(run, of_run)
        return read(run.path, lambda connection: _of_tables(connection, run, of_run))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"what run {run.run_id} has left cannot be read: {error}") from error


def _of_tables(connection: duckdb.DuckDBPyConnection, run: PastRun, of_run: Mapping[str, Any]) -> Side:
    there = {name for name, *_ in connection.execute("DESCRIBE dask_validator_results").fetchall()}
    wanted = {gate.name: f"{gate.name}::DOUBLE" for gate in GATES if gate.name in there}
    wanted |= {name: sql for name, sql in _WANTED.items() if name in there or name in ("status", "failed")}
    query = ", ".join(f"{sql} AS {name if name in _WANTED else f'seen_{name}'}" for name, sql in wanted.items())
    found = connection.execute(
        f"SELECT {query} FROM dask_validator_results WHERE run_id = ? ORDER BY strategy_id", [run.run_id]
    ).fetchnumpy()
    ids, status = plain_values(found["strategy_id"]), doubles(found["status"])
    if not (status >= 0).all():
        raise ValueError("dask_validator_results has a verdict that is none")
    _check_ids(ids)
    unseen = np.full(len(ids), np.nan)
    observed = [doubles(found[f"seen_{gate.name}"]) if gate.name in there else unseen for gate in GATES]
    failed = np.flatnonzero(status == CODE[Status.FAILED]).tolist()
    return Side(
        run.terms,
        ids,
        status.astype(np.int8),
        np.asarray(found["gate"], dtype=np.int8),
        np.array(observed).T,
        doubles(found["p_value"]),
        np.asarray(found["row_hash"], dtype=np.uint64),
        np.asarray(found["outcomes_hash"], dtype=np.uint64),
        np.asarray(found["gated"], dtype=np.bool_) if "gated" in found else np.ones(len(ids), dtype=np.bool_),
        failed={str(ids[i]): str(found["failed"][i]) for i in failed},
        **of_run,
    )


def _check_ids(ids: NDArray[np.object_]) -> None:
    """Each a text, and its own."""
    if not all(isinstance(each, str) for each in ids) or len({*ids}) < len(ids):
        raise ValueError("a strategy_id is no text, or there twice")


def with_hashes(path: str | Path, side: Side, seen: Seen) -> Side:
    """The side and what it was made of, of rows that have not changed since they were seen."""
    rows, outcomes = read(path, lambda connection: _hashed(connection, side.ids, seen.hashes))
    features = seen.fingerprints["daily_features"]
    return side._replace(rows=rows, outcomes=outcomes, features=features, hashed_by=version("duckdb"))


def _hashed(
    connection: duckdb.DuckDBPyConnection, ids: NDArray[np.object_], hashes: Mapping[OutcomeKey, int]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    cursor = connection.cursor()  # of its own, so that no table stays behind
    has_stops = read_catalogue(cursor).has("experimental_strategies", "stop_multiplier")
    fill(cursor, of_outcomes(hashes))
    wanted = {"row": Column("INTEGER", range(len(ids))), "strategy_id": Column("VARCHAR", ids.tolist())}
    fill(cursor, ComputedTable("wanted_strategies", wanted))
    found = cursor.execute(f"{hashing('wanted_strategies', has_stops=has_stops)} ORDER BY row").fetchnumpy()
    cursor.close()
    columns = np.zeros((2, len(ids)), dtype=np.uint64)
    for column, name in zip(columns, ("row_hash", "outcomes_hash"), strict=True):
        column[found["row"]] = np.ma.filled(found[name], 0)
    return columns[0], columns[1]


def _of_lines(run: PastRun, of_run: Mapping[str, Any]) -> Side:
    lines = sorted(run.records(), key=lambda line: line["strategy_id"])
    terms, passed = run.terms, np.array([line["passed"] for line in lines], dtype=np.bool_)
    ids = np.array([line["strategy_id"] for line in lines], dtype=np.object_)
    _check_ids(ids)
    observed = np.full((len(lines), len(GATES)), np.nan)
    observe([jsonl.walked_of(line) for line in lines], terms.config, observed, range(len(lines)))
    gate = np.where(passed, HELD, first_failing(observed, terms, OF_WINDOWS)).astype(np.int8)
    return Side(
        terms,
        ids,
        np.where(passed, CODE[Status.PASSED], CODE[Status.REJECTED]).astype(np.int8),
        gate,
        observed,
        np.full(len(lines), np.nan),
        None,
        None,
        np.ones(len(lines), dtype=np.bool_),
        **of_run,
    )


def still_there(path: str | Path, instrument: str, ids: NDArray[np.object_]) -> list[str]:
    """Those that the database still has of the instrument."""
    query = (
        "SELECT strategy_id FROM experimental_strategies WHERE instrument = ? "
        "AND strategy_id IN (SELECT unnest(?::VARCHAR[]))"
    )
    rows = read(path, lambda connection: connection.execute(query, [instrument, ids.tolist()]).fetchall())
    return [strategy_id for (strategy_id,) in rows]
