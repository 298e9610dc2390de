"""The features of days as columns: what filters and season splits look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import duckdb
import numpy as np

from dask_validator.rules.filters import DIRECTION, LONG, SESSIONS, SHORT, Features
from dask_validator.store.fetched import doubles

_COLUMNS = "SELECT lower(column_name) FROM (DESCRIBE daily_features)"


def read_features(
    connection: duckdb.DuckDBPyConnection, symbol: str, orb_minutes: int | None, wanted: Mapping[str, Collection[str]]
) -> dict[str, Features]:
    """Features of the sessions with these opening-range minutes; of the columns wanted, those that the table has.

    `wanted` has the columns by label; labels must be of SESSIONS: they become part of column names.
    """
    if unknown := set(wanted) - SESSIONS:
        raise ValueError(f"{unknown} are no sessions")
    there = {row[0] for row in connection.execute(_COLUMNS).fetchall()}
    read = [
        (label, part)
        for label, parts in wanted.items()
        for part in sorted(parts)
        if f"orb_{label}_{part}".lower() in there
    ]
    columns = connection.execute(
        "SELECT (trading_day - DATE '1970-01-01')::INTEGER AS day, day_of_week::DOUBLE AS weekday"
        + "".join(f", {_as_number(label, part)} AS c{i}" for i, (label, part) in enumerate(read))
        + " FROM daily_features WHERE symbol = ? AND orb_minutes = ? AND trading_day IS NOT NULL ORDER BY trading_day",
        [symbol, orb_minutes],
    ).fetchnumpy()
    days, weekday = np.asarray(columns["day"]), doubles(columns["weekday"])
    weekday = np.where(np.isnan(weekday), (days + 3) % 7, weekday)  # 1970-01-01 was a Thursday
    return {
        label: Features(
            label,
            days,
            weekday,
            {part: doubles(columns[f"c{i}"]) for i, (owner, part) in enumerate(read) if owner == label},
        )
        for label in wanted
    }


def _as_number(label: str, part: str) -> str:
    column = f'"orb_{label}_{part}"'
    if part == DIRECTION:
        return f"CASE lower({column}) WHEN 'long' THEN {LONG} WHEN 'short' THEN {SHORT} END::DOUBLE"
    return f"{column}::DOUBLE"
