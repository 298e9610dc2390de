"""Trades of any backtester made strategies of a database: read, added up, written (docs/trades.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.rules.notes import left_out
from dask_validator.run.track_records import Trades, track_records
from dask_validator.store.access import IMPORT_MEMORY, Access, settings
from dask_validator.store.connection import check_is_file, check_place, ctrl_c_stays_ctrl_c, draw_no_progress
from dask_validator.store.lock import wait_until_free
from dask_validator.store.trade_import import MADE, Batch, Changes, target, write
from dask_validator.store.trade_rows import Bad, bad_rows, blocks
from dask_validator.store.trade_tables import UNITS
from dask_validator.trade_files.bad_rows import NO_TRADES, BadRows, refusal
from dask_validator.trade_files.reading import Reading, ReadOptions, read_trades


class Imported(NamedTuple):
    """What an import has read and written.

    Attributes
    ----------
    unit
        As results are shown: R, %, or money.
    refused
        By strategy_id, why it is FAILED.
    without_costs
        Strategies whose phase 4 is not judged.
    """

    db: Path
    instrument: str
    unit: str
    reading: Reading
    strategies: int
    trades: int
    days: tuple[date, date] | None
    changes: Changes
    refused: Mapping[str, str]
    without_costs: int


def run_import(
    source: Any,
    db: str | Path,
    instrument: str,
    options: ReadOptions,
    *,
    replaces: bool = False,
    access: Access | None = None,
    wait_s: float = 0.0,
    say: Callable[[str], None] = lambda text: None,
) -> Imported:
    """Read the source, and write its trades and strategies in one transaction.

    Raises
    ------
    InputError
        Nothing can be read, something must be said, or the database cannot take it; nothing was written.
    """
    path = Path(db).absolute()
    check_place(path)
    if not instrument:
        raise InputError("--instrument got an empty name; needed one for the strategies of this source")
    if os.path.lexists(path):
        check_is_file(path)
        wait_until_free(path, wait_s, say, passing=lambda pid: False, to_write=True)
    config = settings((access or Access())._replace(external_views=True), usual=IMPORT_MEMORY)
    with ctrl_c_stays_ctrl_c(), duckdb.connect(config={**config}) as connection:
        draw_no_progress(connection)
        reading = read_trades(connection, source, options)
        rows = _rows(connection)
        unit = UNITS[reading.unit]
        with target(connection, path):
            changes = write(connection, Batch(instrument, unit, rows, replaces))
        return _imported(connection, Imported(path, instrument, unit, reading, 0, 0, None, changes, {}, 0), rows)


def _imported(connection: duckdb.DuckDBPyConnection, of: Imported, rows: Mapping[str, Sequence[Any]]) -> Imported:
    [(trades, first, last)] = connection.execute(
        "SELECT count(*), min(trading_day), max(trading_day) FROM trades_read"
    ).fetchall()
    told = zip(rows["strategy_id"], rows["refused"], strict=True)
    return of._replace(
        strategies=len(rows["strategy_id"]),
        trades=trades,
        days=(first, last) if trades else None,
        refused={name: reason for name, reason in told if reason},
        without_costs=sum(cost is None for cost in rows["mean_cost"]),
    )


def _rows(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """What is said of every strategy, by the names of MADE: the one without a trade that can be used has no numbers."""
    bad = bad_rows(connection)
    rows: dict[str, list[Any]] = {name: [] for name in MADE}
    for block in blocks(connection):
        numbers = track_records(Trades(block.counts, block.days, block.result, block.cost))
        counts, costs = block.counts.tolist(), numbers.pop("costs")
        said = [
            _said(bad.pop(name, []), trades, known, tested)
            for name, trades, known, tested in zip(block.ids, counts, costs, numbers["sample_size"], strict=True)
        ]
        columns = numbers | {"strategy_id": block.ids, "refused": [s[0] for s in said], "remark": [s[1] for s in said]}
        for name, column in rows.items():
            column += columns[name]
    for name, of_strategy in bad.items():
        refused, _ = _said(of_strategy, 0, 0, 0)
        told: dict[str, Any] = {"strategy_id": name, "sample_size": 0, "refused": refused, "trades_hash": ""}
        for column_name, column in rows.items():
            column.append(told.get(column_name))
    return rows


def _said(bad: Sequence[Bad], trades: int, costs: int, tested: int) -> tuple[str | None, str | None]:
    """Why it is FAILED, and what its note says otherwise."""
    unusable = [of for of in bad if of.reason not in NO_TRADES]
    if why := refusal(sum(of.rows for of in unusable), trades):
        return f"{why}: {_kinds(unusable or bad)}", None
    return None, left_out(sum(of.rows for of in bad), trades, _kinds(bad), costs, tested)


def _kinds(bad: Sequence[Bad]) -> str:
    return "; ".join(f"{of.reason}: {of.rows:,} (first: {BadRows(*of).first})" for of in bad)
