"""Strategies as their rows are now, for whoever looks at a run afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import TRADE_LOG, SeasonSplit
from dask_validator.store.connection import read
from dask_validator.store.contract import has_table, read_catalogue
from dask_validator.store.fetched import plain_values
from dask_validator.store.our_tables import SPLIT
from dask_validator.store.trade_tables import TRADES

_OF_STRATEGY = "WHERE strategy_id = e.strategy_id"
# What a strategy trades: the names under which it is told, and whether they are text or numbers.
PARAMETERS = {
    **dict.fromkeys(("instrument", "session"), "VARCHAR"),
    "orb_minutes": "BIGINT",
    "rr_target": "DOUBLE",
    "confirm_bars": "BIGINT",
    **dict.fromkeys(("entry_model", "filter", "filter_params"), "VARCHAR"),
    "stop_multiplier": "DOUBLE",
    **dict.fromkeys(("symbol", "side"), "VARCHAR"),  # of imported trades, which have no more of these than instrument
}
_COLUMN = {"session": "orb_label", "filter": "filter_type"}


class Present(NamedTuple):
    """One row of `experimental_strategies`, as far as a report shows it."""

    strategy_id: str
    orb_label: str | None
    orb_minutes: int | None
    rr_target: float | None
    confirm_bars: int | None
    entry_model: str | None
    filter_type: str | None
    sample_size: int | None
    expectancy_r: float | None
    p_value: float | None  # None also where it does not count: not canonical, or NaN
    status: str | None
    note: str | None
    split: SeasonSplit
    symbols: str = ""  # of imported trades
    sides: str = ""

    @property
    def imported(self) -> bool:
        """Whether its trades were imported."""
        return self.entry_model == TRADE_LOG


class SeasonCount(NamedTuple):
    """How many canonical strategies have that status and that season verdict."""

    status: str | None
    verdict: str | None
    strategies: int


def read_present(path: str | Path, strategy_ids: Sequence[str]) -> dict[str, Present]:
    """The rows of these strategies, as far as they are still there, by `strategy_id`."""
    names = (
        f"strategy_id, orb_label, {_whole('orb_minutes')}, rr_target::DOUBLE, {_whole('confirm_bars')}, entry_model, "
        f"filter_type, {_whole('sample_size')}, "
        "expectancy_r::DOUBLE, CASE WHEN is_canonical AND NOT isnan(p_value::DOUBLE) THEN p_value::DOUBLE END, "
        "validation_status, validation_notes"
    )
    rows = read(
        path,
        lambda connection: connection.execute(
            f"SELECT {names}, {', '.join(_traded(connection))}, {_split(connection)} FROM experimental_strategies e "
            "WHERE strategy_id IN (SELECT unnest(?::VARCHAR[]))",
            [list(strategy_ids)],
        ).fetchall(),
    )
    own = Present._fields.index("split")
    return {row[0]: Present(*(*row[:own], SeasonSplit(*row[own + 2 :]), *row[own : own + 2])) for row in rows}


def read_parameters(path: str | Path, instrument: str) -> dict[str, NDArray[np.object_]]:
    """What the strategies of an instrument trade, as their rows say it now; None where they say nothing.

    Columns by `strategy_id` and the names of PARAMETERS, each of shape (n_strategies,), in no order.
    """
    return read(path, lambda connection: _parameters(connection, instrument))


def _parameters(connection: duckdb.DuckDBPyConnection, instrument: str) -> dict[str, NDArray[np.object_]]:
    traded = dict(zip(("symbol", "side"), _traded(connection), strict=True))
    there = read_catalogue(connection).tables["experimental_strategies"]
    columns = {name: _COLUMN.get(name, name) for name in PARAMETERS}
    plain = {name: f"TRY_CAST({of} AS {PARAMETERS[name]})" for name, of in columns.items() if of in there}
    own = {name: f"CASE WHEN entry_model IS DISTINCT FROM '{TRADE_LOG}' THEN {sql} END" for name, sql in plain.items()}
    wanted = dict.fromkeys(PARAMETERS, "NULL") | own | {name: f"nullif({sql}, '')" for name, sql in traded.items()}
    wanted |= {"instrument": "instrument", "strategy_id": "strategy_id"}
    found = connection.execute(
        f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in wanted.items())} FROM experimental_strategies e "
        "WHERE instrument = ?",
        [instrument],
    ).fetchnumpy()
    return {name: plain_values(column) for name, column in found.items()}


def count_seasons(path: str | Path, instrument: str) -> list[SeasonCount]:
    """All canonical strategies of the instrument that have a verdict, counted by status and season verdict."""
    rows = read(
        path,
        lambda connection: connection.execute(
            f"SELECT status, dst_verdict, count(*) FROM (SELECT validation_status AS status, {_split(connection)} "
            "FROM experimental_strategies WHERE instrument = ? AND is_canonical IS NOT FALSE) "
            "WHERE status IN ('PASSED', 'REJECTED') GROUP BY ALL ORDER BY ALL",
            [instrument],
        ).fetchall(),
    )
    return [SeasonCount(*row) for row in rows]


def _traded(connection: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """Symbols and sides of the imported trades of a strategy, in SQL."""
    if not has_table(connection, TRADES):
        return "''", "''"
    one = f"(SELECT coalesce(string_agg(DISTINCT {{0}}, ', ' ORDER BY {{0}}), '') FROM {TRADES} {_OF_STRATEGY})"
    return one.format("symbol"), one.format("side")


def _split(connection: duckdb.DuckDBPyConnection) -> str:
    """The columns of the season split, of which older databases lack some."""
    lacking = read_catalogue(connection).lacking("experimental_strategies")
    there = {name: _whole(name) if kind == "INTEGER" else f"{name}::{kind} AS {name}" for name, kind in SPLIT.items()}
    return ", ".join(f"NULL::{lacking[name]}" if name in lacking else column for name, column in there.items())


def _whole(name: str) -> str:
    """A count, which some databases store as a float."""
    return f"TRY_CAST({name} AS BIGINT)"


def count_statuses(path: str | Path, instrument: str) -> dict[str | None, int]:
    """How many strategies of the instrument have which status."""
    query = "SELECT validation_status, count(*) FROM experimental_strategies WHERE instrument = ? GROUP BY ALL"
    return dict(read(path, lambda connection: connection.execute(query, [instrument]).fetchall()))
