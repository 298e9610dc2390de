"""What an import of a source would find, without importing it."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

import duckdb

from dask_validator.store.access import Access, settings
from dask_validator.store.connection import draw_no_progress
from dask_validator.trade_files.bad_rows import MOST_UNUSABLE
from dask_validator.trade_files.reading import Reading, ReadOptions, read_trades


class Examination(NamedTuple):
    """A source, read."""

    reading: Reading
    strategies: int
    trades: int
    first_day: datetime.date
    last_day: datetime.date
    days: int  # on which something was traded
    unusable: list[tuple[str, int, int]]  # strategies with too many bad rows: id, bad, all


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
        return Examination(reading, strategies, trades, first, last, days, unusable(connection))


def unusable(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int]]:
    """Of what was read on the connection: strategies of whose rows too many are bad, with how many are, of how many."""
    return connection.execute(
        "SELECT strategy_id, bad, bad + coalesce(good, 0) AS rows FROM "
        "(SELECT strategy_id, count(*) AS bad FROM trades_bad WHERE strategy_id IS NOT NULL GROUP BY ALL) "
        "LEFT JOIN (SELECT strategy_id, count(*) AS good FROM trades_read GROUP BY ALL) USING (strategy_id) "
        "WHERE bad > $1 * rows ORDER BY strategy_id",
        [MOST_UNUSABLE],
    ).fetchall()
