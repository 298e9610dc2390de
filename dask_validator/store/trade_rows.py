"""Columns of trades that were read, some strategies at a time: all would not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.store.fetched import doubles

AT_ONCE = 500_000  # trades
_COUNT = """
    SELECT strategy_id, count(*), min(row), max(row) FROM trades_read GROUP BY strategy_id ORDER BY strategy_id
"""
_BLOCK = """
    SELECT (trading_day - DATE '1970-01-01')::INTEGER AS day, result, cost FROM trades_read WHERE row BETWEEN ? AND ?
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
    """The columns of `trades_read`, by strategy."""
    part, trades = list[tuple[str, int, int, int]](), 0
    for counted in connection.execute(_COUNT).fetchall():
        if part and trades + counted[1] > AT_ONCE:
            yield _block(connection, part)
            part, trades = [], 0
        part.append(counted)
        trades += counted[1]
    if part:
        yield _block(connection, part)


def _block(connection: duckdb.DuckDBPyConnection, part: Sequence[tuple[str, int, int, int]]) -> Block:
    ids, counts, first, last = zip(*part, strict=True)
    columns: dict[str, Any] = connection.execute(_BLOCK, [first[0], last[-1]]).fetchnumpy()
    days = np.asarray(columns["day"], dtype=np.int32)
    return Block(ids, np.array(counts), days, doubles(columns["result"]), doubles(columns["cost"]))


def bad_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Bad]]:
    """By strategy, as far as it is known whose they are."""
    found: dict[str, list[Bad]] = {}
    for strategy_id, *bad in connection.execute(_BAD).fetchall():
        found.setdefault(strategy_id, []).append(Bad(*bad))
    return found
