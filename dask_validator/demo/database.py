"""The demonstration database as a file, made beside its place and moved there when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np

from dask_validator.demo import schema
from dask_validator.demo.backtest import VARIANTS_PER_KEY, backtest
from dask_validator.demo.features import feature_columns
from dask_validator.demo.market import Columns, Market, make_market
from dask_validator.demo.outcomes import Key, make_outcomes, outcome_keys
from dask_validator.errors import DatabaseHeld, InputError
from dask_validator.events import Listener, Progressed, ignore
from dask_validator.rules.costs import Costs
from dask_validator.run.instruments import costs_of
from dask_validator.store.access import settings
from dask_validator.store.connection import check_place, first_line, log_of, reading

VERSION = 1
KEYS_PER_BATCH = 64  # 160,000 outcomes: memory stays flat however many strategies there are


class _Setting(NamedTuple):
    """What all keys have in common."""

    instrument: str
    costs: Costs
    market: Market
    seed: int


def build_demo(
    path: Path, *, strategies: int = 12_996, seed: int = 0, instrument: str = "MGC", listener: Listener = ignore
) -> None:
    """Make the file anew, with the same content for the same numbers; the listener hears how far it is.

    Prices are gold's whatever the instrument; its costs are its own. A build that is killed leaves the old file.

    Raises
    ------
    InputError
        The file is there and is not a demonstration database, cannot be made, or the instrument is unknown.
    DatabaseHeld
        Somebody has it open for writing.
    """
    if strategies < 1:
        raise InputError(f"a demonstration got {strategies} strategies; needed at least 1")
    costs = costs_of(instrument)
    check_place(path)
    if path.exists() and not is_demo(path):
        raise InputError(f"{path} is there and is no demonstration database; give another file")
    setting = _Setting(instrument, costs, make_market(seed), seed)
    keys = outcome_keys(-(-strategies // VARIANTS_PER_KEY), seed)
    with _replacing(path) as connection:
        _create_tables(connection, setting, keys)
        for start in range(0, len(keys), KEYS_PER_BATCH):
            room = strategies - start * VARIANTS_PER_KEY
            _add_keys(connection, setting, start, keys[start : start + KEYS_PER_BATCH], room)
            done = (start + KEYS_PER_BATCH) * VARIANTS_PER_KEY
            listener(Progressed("Inventing", min(done, strategies), strategies))
        marker = {"seed": seed, "strategies": strategies, "version": VERSION}
        connection.executemany(schema.MARKER, [(name, str(value)) for name, value in marker.items()])


def is_demo(path: Path) -> bool:
    """Whether `build_demo` made the file; False when it is missing or no DuckDB database.

    Raises
    ------
    DatabaseHeld
        Somebody has it open for writing, so nobody can look inside.
    """
    try:
        with reading(path) as connection:
            tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    except DatabaseHeld:
        raise
    except InputError:
        return False
    return ("dask_validator_demo",) in tables


@contextmanager
def _replacing(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a new database that takes the place of `path` once the block has ended well."""
    building = path.with_name(f"{path.name}.{os.getpid()}.building")
    config = settings()
    del config["memory_limit"]  # an index that is being made must fit into memory, and grows with the database
    try:
        with duckdb.connect(str(building.absolute()), config=dict(config)) as connection:
            yield connection
        # A log left beside the old database would be replayed into the new one.
        _remove(log_of(path))
        os.replace(building, path)
    except (duckdb.Error, OSError) as error:
        raise InputError(f"{path} cannot be made: {first_line(error)}") from error
    finally:
        _remove(building)
        _remove(log_of(building))


def _remove(path: str | Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _create_tables(connection: duckdb.DuckDBPyConnection, setting: _Setting, keys: Sequence[Key]) -> None:
    _execute(connection, schema.FEATURES, feature_columns(setting.market, setting.seed), [setting.instrument])
    connection.execute(schema.FEATURES_KEY)
    connection.execute(schema.TABLES)
    columns = {name: np.array([getattr(key, name) for key in keys]) for name in Key._fields}
    _execute(connection, schema.KEYS, {"key_index": np.arange(len(keys)), **columns}, [setting.instrument])


def _add_keys(
    connection: duckdb.DuckDBPyConnection, setting: _Setting, start: int, keys: Sequence[Key], room: int
) -> None:
    """Outcomes and strategies of some keys, at most `room` strategies; `start` is the first key's index."""
    parts = [_one_key(setting, index, key) for index, key in enumerate(keys, start)]
    outcomes, strategies = (_stacked(columns) for columns in zip(*parts, strict=True))
    _execute(connection, schema.OUTCOMES, outcomes)
    strategies = {name: column[:room] for name, column in strategies.items()}
    _execute(connection, schema.STRATEGIES, strategies)
    _execute(connection, schema.TRUTH, strategies)


def _one_key(setting: _Setting, index: int, key: Key) -> tuple[Columns, Columns]:
    instrument, costs, market, seed = setting
    rng = np.random.default_rng([seed, 3, index])
    outcomes = make_outcomes(market, key, costs, rng)
    columns: Columns = {
        "key_index": np.full(outcomes.code.size, index),
        "day": market.days[outcomes.day_index].astype(np.int32),
        "code": outcomes.code.astype(np.int32),
        "pnl_r": outcomes.pnl_r,
    }
    return columns, backtest(instrument, market, outcomes, costs, rng)


def _stacked(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _execute(
    connection: duckdb.DuckDBPyConnection, statement: str, batch: Columns, parameters: Sequence[object] = ()
) -> None:
    """Run a statement that reads the table `batch`."""
    connection.register("batch", batch)
    connection.execute(statement, list(parameters))
    connection.unregister("batch")
