"""Trades that were read, put in order, and their columns, some strategies at a time: all would not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.store.fetched import doubles
from dask_validator.store.trade_tables import TRADE_TABLES, TRADES

AT_ONCE = 500_000  # trades
# -0.0 and 0.0 are one result; of equal exit times the order of the source counts.
_ORDER = f"""
    CREATE OR REPLACE TEMP TABLE trades_in_order AS
    SELECT {", ".join("result + 0.0 AS result" if name == "result" else name for name in TRADE_TABLES[TRADES])}
    FROM trades_read ORDER BY strategy_id, trading_day, exit_time NULLS FIRST, position
"""
_COUNT = "SELECT strategy_id, count(*) FROM trades_in_order GROUP BY strategy_id ORDER BY strategy_id"
_BLOCK = """
    SELECT (trading_day - DATE '1970-01-01')::INTEGER AS day, result, cost FROM trades_in_order
    WHERE rowid BETWEEN ? AND ? ORDER BY rowid
"""
_BAD = """
    SELECT strategy_id, reason, count(*), first(source ORDER BY rowid), first(line ORDER BY rowid)
    FROM trades_bad WHERE strategy_id IS NOT NULL GROUP BY ALL ORDER BY strategy_id, min(rowid)
"""


class Block(NamedTuple):
    """The trades of some strategies, those of each together and in order; costs NaN where they are unknown."""

    ids: Sequence[str]
    counts: NDArray[np.int64]
    days: NDArray[np.int32]
    result: NDArray[np.float64]
    cost: NDArray[np.float64]


class Bad(NamedTuple):
    """Rows of one strategy that cannot be used, for one reason, and the first of them."""

    reason: str
    rows: int
    source: str
    line: int


def blocks(connection: duckdb.DuckDBPyConnection) -> Iterator[Block]:
    """Put what is in `trades_read` in order; then its columns, by strategy."""
    connection.execute(_ORDER)
    start, part = 0, list[tuple[str, int]]()
    for counted in connection.execute(_COUNT).fetchall():
        if part and sum(count for _, count in part) + counted[1] > AT_ONCE:
            yield _block(connection, part, start)
            start, part = start + sum(count for _, count in part), []
        part.append(counted)
    if part:
        yield _block(connection, part, start)


def _block(connection: duckdb.DuckDBPyConnection, part: Sequence[tuple[str, int]], start: int) -> Block:
    counts = np.array([count for _, count in part], dtype=np.int64)
    columns: dict[str, Any] = connection.execute(_BLOCK, [start, start + int(counts.sum()) - 1]).fetchnumpy()
    days = np.asarray(columns["day"], dtype=np.int32)
    return Block([name for name, _ in part], counts, days, doubles(columns["result"]), doubles(columns["cost"]))


def bad_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Bad]]:
    """By strategy, as far as it is known whose they are."""
    found: dict[str, list[Bad]] = {}
    for strategy_id, *bad in connection.execute(_BAD).fetchall():
        found.setdefault(strategy_id, []).append(Bad(*bad))
    return found
