"""What a run leaves of every strategy, as tables for SQL and for us (docs/tables.md): written and read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from importlib.metadata import version
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import InputError
from dask_validator.model import (
    EPOCH,
    PLAN,
    TRADE_LOG,
    WINDOW_TABLE,
    SeasonSplit,
    Status,
    Walked,
    check_days,
    check_windows,
)
from dask_validator.rules.counting import CODE
from dask_validator.rules.gates import GATES, HELD, POSITION, Terms
from dask_validator.rules.of_all import SHOWN
from dask_validator.rules.promotion import Standing, pathway
from dask_validator.rules.verdicts import Verdicts
from dask_validator.store.contract import TABLES, has_table
from dask_validator.store.fetched import doubles, plain_values
from dask_validator.store.our_tables import GATE_NUMBERS, RESULTS, SPLIT, WINDOWS


def numbers(verdicts: Verdicts) -> dict[str, NDArray[Any]]:
    """The numeric columns of `dask_validator_results`, each of shape (n_strategies,), and the row they belong to."""
    gates = {gate.name: verdicts.observed[:, position] for position, gate in enumerate(GATES)}
    unknown = np.full(len(verdicts), np.nan)
    return {
        "row": np.arange(len(verdicts)),
        **gates,
        **{name: verdicts.shown.get(name, unknown) for name in SHOWN},
        "p_value": verdicts.p_value,
        "adjusted_p": verdicts.adjusted_p,
        "significant": verdicts.significant,
        "earns": verdicts.earns,
        "keeps_split": verdicts.keeps_split,
        "gated": ~np.isin(np.arange(len(verdicts)), list(verdicts.ungated)),
        **_trade_days(verdicts),
        "every_day": np.isin(np.arange(len(verdicts)), list(verdicts.every_day)),
    }


def _trade_days(verdicts: Verdicts) -> dict[str, NDArray[np.float64]]:
    """NaN where there is none."""
    found = np.full((3, len(verdicts)), np.nan)
    for i, facts in verdicts.windowed():
        if facts.trade_days > 0:
            found[:, i] = facts.trade_days, facts.first_day, facts.last_day
    return dict(zip(_TRADE_DAYS, found, strict=True))


def windows(verdicts: Verdicts) -> dict[str, NDArray[Any]]:
    """The columns of `dask_validator_windows`, each of shape (n_windows,), and the row of the strategy."""
    windowed = verdicts.windowed()
    tables = [facts.windows for _, facts in windowed]
    table = np.concatenate([np.empty(0, dtype=WINDOW_TABLE), *tables])
    owner = np.repeat(np.array([i for i, _ in windowed], dtype=np.int64), [len(windows) for windows in tables])
    return {"row": owner, **{name: np.ascontiguousarray(table[name]) for name in WINDOW_TABLE.names or ()}}


_TRADE_DAYS = ("trade_days", "first_trade_day", "last_trade_day")
_OF_PASSED = ("years_tested", "all_years_positive", "regime_waivers", "year_share", "mode", "family")
_ROW = [name for name in TABLES["experimental_strategies"] if not name.startswith("validation_")]


def hashing(of: str, *, has_stops: bool) -> str:
    """SQL for the hashes of rows and outcomes, of the strategies in a table with `row` and `strategy_id`.

    The outcomes' are those in the table `hashed_outcomes`. A tight stop is part of the row, and what it reads of the
    outcomes part of these.

    Parameters
    ----------
    has_stops
        Whether the users' strategies have the column.
    """
    row = ", ".join(f"e.{name}" for name in _ROW)
    imported = f"e.entry_model IS NOT DISTINCT FROM '{TRADE_LOG}'"
    tight = f"coalesce(e.stop_multiplier < 1 AND NOT {imported}, FALSE)" if has_stops else "FALSE"
    row_hash = (
        f"CASE WHEN {tight} THEN hash({row}, e.stop_multiplier) ELSE hash({row}) END" if has_stops else f"hash({row})"
    )
    return f"""
        SELECT v.row AS row, {row_hash} AS row_hash, outcomes_hash
        FROM {of} v JOIN experimental_strategies e USING (strategy_id)
        LEFT JOIN hashed_outcomes o ON {" AND ".join(f"e.{name} IS NOT DISTINCT FROM o.{name}" for name in PLAN)}
            AND CASE WHEN {imported} THEN e.strategy_id END IS NOT DISTINCT FROM o.strategy_id AND o.tight = {tight}
    """


def insert_results(run_id: str, *, has_stops: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """SQL and its parameters, from the computed tables; before any row of the user's is changed."""
    columns = {name: f"n.{name}" for name in (*GATE_NUMBERS, *SHOWN, "p_value", "adjusted_p")}
    columns = {name: f"CASE WHEN NOT isnan({source}) THEN {source} END" for name, source in columns.items()}
    columns |= {name: f"CASE WHEN NOT isnan(n.p_value) THEN n.{name} END" for name in ("significant", "earns")}
    columns |= {name: f"s.{name}" for name in SPLIT}
    columns |= {name: f"n.{name}" for name in ("keeps_split", "every_day", "gated")}
    columns |= {name: f"CASE WHEN NOT isnan(n.{name}) THEN n.{name}::INTEGER END" for name in _TRADE_DAYS}
    columns |= {name: f"DATE '{EPOCH}' + ({columns[name]})" for name in _TRADE_DAYS[1:]}
    columns |= {name: f"p.{name}" for name in _OF_PASSED}
    of_all = ("strategy_id", "phase", "gate", "reason", "remark", "holdout", "dst_verdict")
    columns |= {name: f"v.{name}" for name in of_all}
    columns |= {"run_id": "?", "verdict": "v.status", "row_hash": "h.row_hash", "outcomes_hash": "h.outcomes_hash"}
    yield f"CREATE TEMP TABLE hashed_rows AS {hashing('computed_verdicts', has_stops=has_stops)}", ()
    query = f"""
        INSERT INTO dask_validator_results ({", ".join(RESULTS)})
        SELECT {", ".join(columns[name] for name in RESULTS)}
        FROM computed_verdicts v JOIN computed_numbers n USING (row) JOIN hashed_rows h USING (row)
        LEFT JOIN computed_splits s USING (strategy_id) LEFT JOIN computed_promoted p USING (strategy_id)
    """
    yield query, (run_id,)


INSERT_WINDOWS = f"""
    INSERT INTO dask_validator_windows ({", ".join(WINDOWS)})
    SELECT ?, v.strategy_id, DATE '{EPOCH}' + w."start", DATE '{EPOCH}' + w."end", w.test_n,
        {", ".join(f"CASE WHEN NOT isnan(w.{name}) THEN w.{name} END" for name in list(WINDOWS)[-4:])}
    FROM computed_windows w JOIN computed_verdicts v USING (row)
"""


def read_verdicts(connection: duckdb.DuckDBPyConnection, run_id: str, terms: Terms, strategy_id: str = "") -> Verdicts:
    """The verdicts of a run as they were made; of one strategy, where one is named.

    A gate that the run's version did not know has seen nothing.

    Raises
    ------
    InputError
        Somebody has put something else there.
    """
    try:
        return _read(connection, run_id, terms, strategy_id)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"the rows of run {run_id} in dask_validator_results cannot be read: {error}") from error


def _read(connection: duckdb.DuckDBPyConnection, run_id: str, terms: Terms, strategy_id: str) -> Verdicts:
    there = _columns_there(connection, "dask_validator_results")
    one, parameters = ("AND strategy_id = ?", [run_id, strategy_id]) if strategy_id else ("", [run_id])
    known = ", ".join(
        _read_as(name, kind) if name in there else f"NULL::{kind} AS {name}" for name, kind in RESULTS.items()
    )
    found = connection.execute(
        f"SELECT {known} FROM dask_validator_results WHERE run_id = ? {one} ORDER BY strategy_id", parameters
    ).fetchnumpy()
    columns = {name: plain_values(column) for name, column in found.items()}
    count, ids = len(columns["strategy_id"]), _texts(columns["strategy_id"])
    status = np.array([CODE[Status(name)] for name in columns["verdict"]], dtype=np.int8)
    observed = np.array([doubles(found[gate.name]) for gate in GATES]).T.reshape(count, len(GATES))
    decided = [code in (CODE[Status.PASSED], CODE[Status.REJECTED]) for code in status]
    splits = [SeasonSplit(*row) for row in zip(*(columns[name].tolist() for name in SPLIT), strict=True)]
    windows = _read_windows(connection, parameters, one)
    ungated = {i for i, value in enumerate(columns["gated"].tolist()) if value is False}
    walked = _walked(columns, observed[:, POSITION["outcomes"]], windows)
    return Verdicts(
        terms,
        ids,
        status,
        np.array([HELD if name is None else POSITION[name] for name in columns["gate"]], dtype=np.int8),
        observed,
        _texts(columns["reason"]),
        _texts(columns["remark"]),
        [split if has else None for split, has in zip(splits, decided, strict=True)],
        columns["keeps_split"].astype(np.bool_),
        walked,
        doubles(found["p_value"]),
        doubles(found["adjusted_p"]),
        np.array([bool(value) for value in columns["significant"]], dtype=np.bool_),
        np.array([bool(value) for value in columns["earns"]], dtype=np.bool_),
        _standings(columns, status, terms, ungated),
        set(np.flatnonzero(columns["every_day"].astype(np.bool_)).tolist()),
        {} if all(_is_empty(found[name]) for name in SHOWN) else {name: doubles(found[name]) for name in SHOWN},
        ungated,
        {i: word for i, word in enumerate(columns["holdout"].tolist()) if word is not None},
    )


def _read_as(name: str, kind: str) -> str:
    """Days as numbers, since 1970-01-01."""
    return f"{name} - DATE '{EPOCH}' AS {name}" if kind == "DATE" else name


def _is_empty(column: Any) -> bool:
    return bool(np.isnan(doubles(column)).all())


def _columns_there(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    return {name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()}


def _texts(column: NDArray[Any]) -> list[str]:
    if any(not isinstance(text, str) for text in column):
        raise ValueError("it lacks a text")
    return column.tolist()  # type: ignore[no-any-return]


def _walked(
    columns: Mapping[str, NDArray[Any]], outcomes: NDArray[np.float64], windows: Mapping[str, NDArray[np.void]]
) -> list[Walked | None]:
    nothing = np.empty(0, dtype=WINDOW_TABLE)
    found: list[Walked | None] = []
    for i, (strategy_id, n) in enumerate(zip(columns["strategy_id"], outcomes.tolist(), strict=True)):
        if np.isnan(n):
            found.append(None)
            continue
        count, *days = (columns[name][i] for name in _TRADE_DAYS)
        known = () if count is None else (int(count), *map(int, days))
        check_days(known[1:])
        facts = Walked(int(n), windows.get(strategy_id, nothing), *known)
        found.append(facts if known or n else facts._replace(trade_days=0))
    return found


def _standings(
    columns: Mapping[str, NDArray[Any]], status: NDArray[np.int8], terms: Terms, ungated: Set[int]
) -> dict[int, Standing]:
    found = {}
    for i in np.flatnonzero(status == CODE[Status.PASSED]).tolist():
        tested, positive, waivers, share, mode, family = (columns[name][i] for name in _OF_PASSED)
        way = pathway(terms.config, asked=family is not None or i not in ungated)
        waived = tuple(map(int, json.loads(waivers or "[]")))
        found[i] = Standing(tested, positive, waived, share, mode, family, way, columns["holdout"][i])
    return found


def _read_windows(
    connection: duckdb.DuckDBPyConnection, parameters: list[str], one: str
) -> dict[str, NDArray[np.void]]:
    """By `strategy_id`; dtype WINDOW_TABLE, in time order."""
    names = {"start": f"window_start - DATE '{EPOCH}'", "end": f"window_end - DATE '{EPOCH}'"}
    names |= {"is_exp_r": "is_exp_r" if "is_exp_r" in _columns_there(connection, "dask_validator_windows") else "NULL"}
    wanted = ", ".join(f'{names.get(name, name)} AS "{name}"' for name in WINDOW_TABLE.names or ())
    found = connection.execute(
        f"SELECT strategy_id, {wanted} FROM dask_validator_windows WHERE run_id = ? {one} "
        "ORDER BY strategy_id, window_start",
        parameters,
    ).fetchnumpy()
    table = np.empty(len(found["strategy_id"]), dtype=WINDOW_TABLE)
    with np.errstate(invalid="ignore"):  # NULL and what is no day become numbers that are refused
        for name in WINDOW_TABLE.names or ():
            table[name] = doubles(found[name])
    check_windows([table])
    ids = plain_values(found["strategy_id"])
    if not len(ids):
        return {}
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    return {ids[start]: part for start, part in zip(starts.tolist(), np.split(table, starts[1:]), strict=True)}


def read_outcomes_hashes(connection: duckdb.DuckDBPyConnection, run_id: str, ids: Sequence[str]) -> dict[str, int]:
    """Of the outcomes of each strategy, by `strategy_id`; of a run that another DuckDB has hashed, nothing."""
    if not has_table(connection, "dask_validator_results"):
        return {}
    rows = connection.execute(
        "SELECT strategy_id, outcomes_hash FROM dask_validator_results JOIN dask_validator_runs USING (run_id) "
        "WHERE run_id = ? AND outcomes_hash IS NOT NULL AND json_extract_string(versions, '$.duckdb') = ? "
        "AND strategy_id IN (SELECT unnest(?::VARCHAR[]))",
        [run_id, version("duckdb"), list(ids)],
    ).fetchall()
    return dict(rows)
