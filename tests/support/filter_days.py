"""Filters applied to rows written out by hand, or recorded: each row as a run would see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np

from dask_validator.config import RunConfig
from dask_validator.filters.conditions import Days, Filter
from dask_validator.rules.costs import KNOWN_COSTS, Costs
from dask_validator.store.contract import Catalogue, _sessions, columns_of
from dask_validator.store.filter_days import Reading, read_session_days, vocabulary_of

FIRST = date(2024, 1, 1)  # a Monday
PARAMS = RunConfig(filters="params")
TYPES = {"break_dir": "VARCHAR", "bar_continues": "BOOLEAN", "double_break": "BOOLEAN", "day_of_week": "INTEGER"}


def features(connection: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """`daily_features` with a row a day from FIRST on, of the columns that any row has."""
    names = dict.fromkeys(["day_of_week", "atr_20", *(name for row in rows for name in row)])
    declared = ", ".join(f'"{name}" {_type(name)}' for name in names)
    connection.execute(
        f"CREATE TABLE daily_features (trading_day DATE, symbol VARCHAR, orb_minutes INTEGER, {declared})"
    )
    for i, row in enumerate(rows):
        put(connection, {"trading_day": FIRST + timedelta(days=i), "symbol": "MGC", "orb_minutes": 5, **row})


def _type(column: str) -> str:
    return next((kind for end, kind in TYPES.items() if column.endswith(end)), "DOUBLE")


def put(connection: duckdb.DuckDBPyConnection, row: Mapping[str, Any]) -> None:
    """One more row."""
    quoted = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO daily_features ({quoted}) VALUES ({marks})", list(row.values()))


def reading(
    connection: duckdb.DuckDBPyConnection, config: RunConfig = PARAMS, costs: Costs = KNOWN_COSTS["MGC"]
) -> Reading:
    """What conditions are evaluated by, on this table of features."""
    catalogue = Catalogue(columns_of(connection, ["daily_features"]), sessions=_sessions(connection))
    return Reading(vocabulary_of(config, catalogue), catalogue, costs, {})


def admitted(connection: duckdb.DuckDBPyConnection, selecting: Filter, by: Reading, label: str = "L") -> Any:
    """Of each row of MGC with 5 minutes, whether the filter admits its day."""
    session = (5, label)
    days = read_session_days(connection, "MGC", {session: [selecting]}, by)[session]
    return np.full(days.days.size, True) if selecting is Days.ALL else days.mask(selecting)


def eligible(
    rows: Sequence[Mapping[str, Any]],
    filter_type: str,
    filter_params: str | None = None,
    config: RunConfig = PARAMS,
    *,
    label: str = "L",
) -> list[bool]:
    """Of each row, whether a strategy with this filter may trade that day. Raises UnusableStrategy, InputError."""
    with duckdb.connect() as connection:
        features(connection, rows)
        by = reading(connection, config)
        chosen = by.vocabulary.chosen(filter_type, filter_params)
        assert not chosen.unknown, chosen.unknown
        return list(map(bool, admitted(connection, chosen.filter, by, label)))
