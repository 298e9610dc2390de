"""Outcomes and features as columns, one query for all keys of a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import LOSS, WIN, Extent, OutcomeKey, Outcomes, RowRange
from dask_validator.rules.filters import DIRECTION, LONG, SESSIONS, SHORT, Features

_OUTCOMES = f"""
    WITH keys AS (
        SELECT unnest($positions::INTEGER[]) AS position, unnest($minutes::DOUBLE[]) AS orb_minutes,
               unnest($labels::VARCHAR[]) AS orb_label, unnest($models::VARCHAR[]) AS entry_model,
               unnest($targets::DOUBLE[]) AS rr_target, unnest($bars::DOUBLE[]) AS confirm_bars
    )
    SELECT keys.position, (coalesce(o.trading_day, 'infinity') - DATE '1970-01-01')::INTEGER AS day,
           o.pnl_r::DOUBLE AS pnl_r,
           CASE o.outcome WHEN 'win' THEN {WIN} WHEN 'loss' THEN {LOSS} ELSE 0 END::UTINYINT AS code
    FROM orb_outcomes o JOIN keys USING (orb_minutes, orb_label, entry_model, rr_target, confirm_bars)
    WHERE o.symbol = $symbol AND o.outcome IS NOT NULL
"""
_ROWS = " AND o.rowid BETWEEN $first AND $last"  # DuckDB skips the row groups outside
_LAYOUT = """
    SELECT orb_minutes, orb_label, entry_model, rr_target::DOUBLE AS rr_target, confirm_bars,
           min(rowid), max(rowid), count(*)
    FROM orb_outcomes WHERE symbol = ? GROUP BY ALL
"""


def read_layout(connection: duckdb.DuckDBPyConnection, symbol: str) -> dict[OutcomeKey, Extent]:
    """The extent of every key; empty when the table has no row numbers, as a view or with a column of that name."""
    if ("rowid",) in _columns(connection, "orb_outcomes"):
        return {}
    try:
        rows = connection.execute(_LAYOUT, [symbol]).fetchall()
    except duckdb.BinderException:
        return {}
    return {OutcomeKey(*row[:5]): Extent(*row[5:]) for row in rows}


def read_outcomes(
    connection: duckdb.DuckDBPyConnection, symbol: str, keys: Sequence[OutcomeKey], rows: RowRange = None
) -> list[Outcomes]:
    """Outcomes of each key, in the order of `keys`, each by trading day."""
    parameters: dict[str, object] = {
        "symbol": symbol,
        "positions": list(range(len(keys))),
        "minutes": [key.orb_minutes for key in keys],
        "labels": [key.orb_label for key in keys],
        "models": [key.entry_model for key in keys],
        "targets": [key.rr_target for key in keys],
        "bars": [key.confirm_bars for key in keys],
    }
    query = _OUTCOMES
    if rows is not None:
        query += _ROWS
        parameters |= {"first": rows[0], "last": rows[1]}
    columns = connection.execute(query, parameters).fetchnumpy()
    position, days, code = (np.asarray(columns[name]) for name in ("position", "day", "code"))
    pnl_r = _doubles(columns["pnl_r"])
    if not _in_order(position, days):
        # The first two only order several outcomes of one day, which a table without a primary key can hold.
        order = np.lexsort((pnl_r, code, days, position))
        position, days, code, pnl_r = position[order], days[order], code[order], pnl_r[order]
    edges = np.searchsorted(position, np.arange(len(keys) + 1))
    return [Outcomes(days[start:end], code[start:end], pnl_r[start:end]) for start, end in pairwise(edges.tolist())]


def _in_order(position: NDArray[np.int32], days: NDArray[np.int32]) -> bool:
    """Whether outcomes come by key and, within a key, on ever later days; nearly every table keeps them so."""
    next_key, later = np.diff(position) > 0, np.diff(days) > 0
    return bool((next_key | ((np.diff(position) == 0) & later)).all())


def read_features(
    connection: duckdb.DuckDBPyConnection, symbol: str, orb_minutes: int | None, wanted: Mapping[str, Collection[str]]
) -> dict[str, Features]:
    """Features of the sessions with these opening-range minutes; of the columns wanted, those that the table has.

    `wanted` has the columns by label; labels must be of SESSIONS: they become part of column names.
    """
    if unknown := set(wanted) - SESSIONS:
        raise ValueError(f"{unknown} are no sessions")
    rows = _columns(connection, "daily_features")
    there = [
        (label, part)
        for label, parts in wanted.items()
        for part in sorted(parts)
        if (f"orb_{label}_{part}".lower(),) in rows
    ]
    columns = connection.execute(
        "SELECT (trading_day - DATE '1970-01-01')::INTEGER AS day, day_of_week::DOUBLE AS weekday"
        + "".join(f", {_as_number(label, part)} AS c{i}" for i, (label, part) in enumerate(there))
        + " FROM daily_features WHERE symbol = ? AND orb_minutes = ? AND trading_day IS NOT NULL ORDER BY trading_day",
        [symbol, orb_minutes],
    ).fetchnumpy()
    days, weekday = np.asarray(columns["day"]), _doubles(columns["weekday"])
    weekday = np.where(np.isnan(weekday), (days + 3) % 7, weekday)  # 1970-01-01 was a Thursday
    return {
        label: Features(
            label,
            days,
            weekday,
            {part: _doubles(columns[f"c{i}"]) for i, (owner, part) in enumerate(there) if owner == label},
        )
        for label in wanted
    }


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str]]:
    return connection.execute(f"SELECT lower(column_name) FROM (DESCRIBE {table})").fetchall()


def _as_number(label: str, part: str) -> str:
    column = f'"orb_{label}_{part}"'
    if part == DIRECTION:
        return f"CASE lower({column}) WHEN 'long' THEN {LONG} WHEN 'short' THEN {SHORT} END::DOUBLE"
    return f"{column}::DOUBLE"


def _doubles(column: Any) -> NDArray[np.float64]:
    filled: NDArray[np.float64] = np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan)
    return filled
