"""What an import of a source would find, without importing it."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

import duckdb

from dask_validator.store.access import Access, settings
from dask_validator.store.connection import draw_no_progress
from dask_validator.trade_files.bad_rows import NO_TRADES, refusal
from dask_validator.trade_files.reading import Reading, ReadOptions, read_trades


class Examination(NamedTuple):
    """A source, read."""

    reading: Reading
    strategies: int
    trades: int
    first_day: datetime.date
    last_day: datetime.date
    days: int  # on which something was traded
    refused: dict[str, str]  # by strategy that an import would make FAILED, why


def examine(source: Any, options: ReadOptions, memory_limit: str | None = None) -> Examination:
    """Read all of it, into memory that DuckDB spills from.

    Raises
    ------
    InputError
        What would stop an import, in one line.
    """
    config = settings(Access(memory_limit, external_views=True))
    with duckdb.connect(config={**config}) as connection:
        draw_no_progress(connection)
        reading = read_trades(connection, source, options)
        [(strategies, trades, first, last, days)] = connection.execute(
            "SELECT count(DISTINCT strategy_id), count(*), min(trading_day), max(trading_day), "
            "count(DISTINCT trading_day) FROM trades_read"
        ).fetchall()
        return Examination(reading, strategies, trades, first, last, days, refused(connection))


def refused(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Of what was read on the connection: strategies that are not judged, and why."""
    rows = connection.execute(
        "SELECT strategy_id, unusable, coalesce(trades, 0) FROM "
        "(SELECT strategy_id, count(*) FILTER (NOT list_contains($1, reason)) AS unusable FROM trades_bad "
        "WHERE strategy_id IS NOT NULL GROUP BY strategy_id) "
        "LEFT JOIN (SELECT strategy_id, count(*) AS trades FROM trades_read GROUP BY strategy_id) USING (strategy_id) "
        "ORDER BY strategy_id",
        [sorted(NO_TRADES)],
    ).fetchall()
    return {strategy_id: why for strategy_id, *counts in rows if (why := refusal(*counts))}
