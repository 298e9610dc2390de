"""Imported trades (docs/tables.md), a strategy one key: where they lie, and what they came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import LOSS, TRADE_LOG, WIN, Extent, OutcomeKey, Outcomes, Outlook
from dask_validator.sources.spans import as_outcomes, read_span, spans
from dask_validator.store.contract import has_table
from dask_validator.store.trade_tables import TRADES

_WANTED = f"""
    rowid AS row, (trading_day - DATE '1970-01-01')::INTEGER AS day, result AS pnl_r,
    CASE WHEN result > 0 THEN {WIN} WHEN result < 0 THEN {LOSS} ELSE 0 END::UTINYINT AS code
"""
_SPAN = f"SELECT {_WANTED} FROM {TRADES} WHERE rowid BETWEEN ? AND ?"
_OF_INSTRUMENT = f"""
    strategy_id IN (SELECT strategy_id FROM experimental_strategies
                    WHERE instrument = ? AND entry_model = '{TRADE_LOG}')
"""
_SURVEY = f"""
    SELECT e.orb_minutes, e.orb_label, e.entry_model, e.rr_target::DOUBLE, e.confirm_bars,
           strategy_id, first, last, outcomes, hashed, row_hashes
    FROM experimental_strategies e JOIN (
        SELECT strategy_id, min(rowid) AS first, max(rowid) AS last, count(*) AS outcomes,
               hash(sum(hash(trading_day, exit_time, result))) AS hashed,
               sum(hash(strategy_id, trading_day, exit_time, result)) AS row_hashes
        FROM {TRADES} GROUP BY strategy_id
    ) USING (strategy_id)
    WHERE e.instrument = ? AND e.entry_model = '{TRADE_LOG}'
"""
_DAYS = f"""
    SELECT DISTINCT (trading_day - DATE '1970-01-01')::INTEGER AS day FROM {TRADES}
    WHERE {_OF_INSTRUMENT} ORDER BY day
"""
_WHERE = f"""
    SELECT strategy_id, min(rowid), max(rowid), count(*) FROM {TRADES}
    WHERE strategy_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY strategy_id
"""
_SCATTERED = f"SELECT {_WANTED} FROM {TRADES} WHERE strategy_id = ? ORDER BY row"
_TOLD = "side, symbol, entry_time, exit_time"
NOTHING = Outcomes(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.uint8), np.empty(0))


def survey(connection: duckdb.DuckDBPyConnection, instrument: str) -> Outlook | None:
    """Where the trades of each strategy lie; None where none of the instrument were imported."""
    if not has_table(connection, TRADES):
        return None
    extents, hashes, total = {}, {}, 0
    rows = connection.execute(_SURVEY, [instrument]).fetchall()
    for *plan, strategy_id, first, last, count, hashed, row_hashes in rows:
        key = OutcomeKey(*(*plan, strategy_id))
        extents[key], hashes[key] = Extent(first, last, count), hashed
        total += row_hashes
    return Outlook(str(total), extents, hashes) if hashes else None


def days(connection: duckdb.DuckDBPyConnection, instrument: str) -> NDArray[np.int32]:
    """Days with a trade of the instrument, ascending."""
    if not has_table(connection, TRADES):
        return NOTHING.days
    return np.asarray(connection.execute(_DAYS, [instrument]).fetchnumpy()["day"], dtype=np.int32)


def read_trades(
    connection: duckdb.DuckDBPyConnection,
    instrument: str,
    keys: Sequence[OutcomeKey],
    extents: Sequence[Extent | None],
) -> list[Outcomes]:
    """Trades of each key, in the order of `keys`, each by day; of a day, in the order of the table."""
    if None in extents:
        found = connection.execute(_WHERE, [[key.strategy_id for key in keys]]).fetchall()
        known = {strategy_id: Extent(*extent) for strategy_id, *extent in found}
        extents = [known.get(str(key.strategy_id)) for key in keys]
    by_key = dict.fromkeys(range(len(keys)), NOTHING)
    for span in spans({i: extent for i, extent in enumerate(extents) if extent and extent.is_alone}):
        by_key |= read_span(connection, _SPAN, span, as_they_lie)
    for i, extent in enumerate(extents):
        if extent and not extent.is_alone:
            columns = connection.execute(_SCATTERED, [keys[i].strategy_id]).fetchnumpy()
            by_key[i] = as_they_lie(as_outcomes(columns))
    return [by_key[i] for i in range(len(keys))]


def as_they_lie(trades: Outcomes) -> Outcomes:
    """Trades of one day stay in the order of their exits, which the table has them in."""
    if (np.diff(trades.days) >= 0).all():
        return trades
    return trades.take(np.argsort(trades.days, kind="stable"))


def read_told(connection: duckdb.DuckDBPyConnection, strategy_id: str) -> dict[str, NDArray[Any]]:
    """What the log says of each trade beside its result, in the order of `read_trades`; no column for other strategies.

    None or NaT where the log says nothing.
    """
    if not has_table(connection, TRADES):
        return {}
    day = f"SELECT (trading_day - DATE '1970-01-01')::INTEGER AS day, {_TOLD} FROM {TRADES}"
    columns = connection.execute(f"{day} WHERE strategy_id = ? ORDER BY rowid", [strategy_id]).fetchnumpy()
    by_day = np.argsort(columns.pop("day"), kind="stable")
    return {name: _plain(column)[by_day] for name, column in columns.items()} if by_day.size else {}


def _plain(column: Any) -> NDArray[Any]:
    if np.issubdtype(column.dtype, np.datetime64):
        return np.ma.filled(column, np.datetime64("NaT"))
    return np.ma.filled(np.ma.asarray(column, dtype=object), None)
