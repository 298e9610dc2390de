"""What a worker reads: outcomes and features as columns, one query for all keys of a task."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import LOSS, WIN, OutcomeKey, Outcomes
from dask_validator.rules.filters import DIRECTION, LONG, SESSIONS, SHORT, Features

_OUTCOMES = f"""
    WITH keys AS (
        SELECT unnest($positions::INTEGER[]) AS position, unnest($minutes::INTEGER[]) AS orb_minutes,
               unnest($labels::VARCHAR[]) AS orb_label, unnest($models::VARCHAR[]) AS entry_model,
               unnest($targets::DOUBLE[]) AS rr_target, unnest($bars::INTEGER[]) AS confirm_bars
    )
    SELECT keys.position, (o.trading_day - DATE '1970-01-01')::BIGINT AS day, o.pnl_r::DOUBLE AS pnl_r,
           CASE o.outcome WHEN 'win' THEN {WIN} WHEN 'loss' THEN {LOSS} ELSE 0 END::UTINYINT AS code
    FROM orb_outcomes o JOIN keys USING (orb_minutes, orb_label, entry_model, rr_target, confirm_bars)
    WHERE o.symbol = $symbol AND o.outcome IS NOT NULL AND list_contains($labels, o.orb_label)
"""


def read_outcomes(connection: duckdb.DuckDBPyConnection, symbol: str, keys: Sequence[OutcomeKey]) -> list[Outcomes]:
    """Outcomes of each key, in the order of `keys`, each by trading day."""
    parameters = {
        "symbol": symbol,
        "positions": list(range(len(keys))),
        "minutes": [key.orb_minutes for key in keys],
        "labels": [key.orb_label for key in keys],
        "models": [key.entry_model for key in keys],
        "targets": [key.rr_target for key in keys],
        "bars": [key.confirm_bars for key in keys],
    }
    columns = connection.execute(_OUTCOMES, parameters).fetchnumpy()
    position, days, code = (np.asarray(columns[name]) for name in ("position", "day", "code"))
    pnl_r = _doubles(columns["pnl_r"])
    # The last two only order several outcomes of one day, which a table without a primary key can hold.
    order = np.lexsort((pnl_r, code, days, position))
    everything = Outcomes(days[order], code[order], pnl_r[order])
    edges = np.searchsorted(position[order], np.arange(len(keys) + 1))
    return [
        Outcomes(everything.days[start:end], everything.code[start:end], everything.pnl_r[start:end])
        for start, end in pairwise(edges.tolist())
    ]


def session_columns(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of the columns of `daily_features`, in lower case."""
    rows = connection.execute("SELECT lower(column_name) FROM (DESCRIBE daily_features)").fetchall()
    return frozenset(name for (name,) in rows)


def read_features(
    connection: duckdb.DuckDBPyConnection,
    symbol: str,
    orb_minutes: int | None,
    label: str,
    wanted: Collection[str],
    available: Collection[str],
) -> Features:
    """Features of the days of one session; of `wanted`, the columns that the table has.

    `label` must be one of SESSIONS: it becomes part of column names.
    """
    if label not in SESSIONS:
        raise ValueError(f"{label!r} is no session")
    parts = sorted(part for part in wanted if f"orb_{label}_{part}".lower() in available)
    selected = ", ".join(_as_number(f'"orb_{label}_{part}"', part) + f" AS {part}" for part in parts)
    columns = connection.execute(
        f"SELECT (trading_day - DATE '1970-01-01')::BIGINT AS day, day_of_week::DOUBLE AS weekday"
        f"{', ' + selected if selected else ''} FROM daily_features "
        "WHERE symbol = ? AND orb_minutes = ? ORDER BY trading_day",
        [symbol, orb_minutes],
    ).fetchnumpy()
    days, weekday = np.asarray(columns["day"]), _doubles(columns["weekday"])
    weekday = np.where(np.isnan(weekday), (days + 3) % 7, weekday)  # 1970-01-01 was a Thursday
    return Features(label, days, weekday, {part: _doubles(columns[part]) for part in parts})


def _as_number(column: str, part: str) -> str:
    if part == DIRECTION:
        return f"CASE lower({column}) WHEN 'long' THEN {LONG} WHEN 'short' THEN {SHORT} END::DOUBLE"
    return f"{column}::DOUBLE"


def _doubles(column: Any) -> NDArray[np.float64]:
    filled: NDArray[np.float64] = np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan)
    return filled
