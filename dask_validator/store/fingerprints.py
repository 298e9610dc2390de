"""By which a run knows that the data are still the same: order-independent hashes, made by DuckDB.

They may differ between versions of DuckDB, so whoever keeps them keeps its version too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from dask_validator.rules.filters import CONTINUES, DELAY, DIRECTION, DOUBLE_BREAK, SESSIONS, SIZE
from dask_validator.store.contract import TABLES, Catalogue
from dask_validator.store.file_state import FileState
from dask_validator.store.kinds import quoted
from dask_validator.store.our_tables import SPLIT
from dask_validator.store.trade_tables import LOGS, TRADE_TABLES

if TYPE_CHECKING:
    from dask_validator.model import OutcomeKey
    from dask_validator.sources.source import Source

Fingerprints = dict[str, str]


class Seen(NamedTuple):
    """The database as it was read, and where its outcomes were read from."""

    file: FileState
    fingerprints: Fingerprints
    source: Source
    hashes: Mapping[OutcomeKey, int]  # of the outcomes of each key


_VERDICT = {"validation_status", "validation_notes"}
_SYMBOL = {
    "experimental_strategies": "instrument",
    "daily_features": "symbol",
    "validated_setups": "instrument",
    LOGS: "instrument",
}


def row_fingerprint(catalogue: Catalogue) -> str:
    """SQL for the hash of one row of `experimental_strategies`, without the verdict on it."""
    return f"hash({', '.join(_strategy_columns(catalogue))})"


def read_fingerprints(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str) -> Fingerprints:
    """By table: everything about the instrument that a verdict depends on beside outcomes, and who has one."""
    columns = {
        "experimental_strategies": [*_strategy_columns(catalogue), "validation_status"],
        "daily_features": _feature_columns(catalogue),
        "validated_setups": ["strategy_id", "status"],
        LOGS: list(TRADE_TABLES[LOGS]) if catalogue.tables[LOGS] else [],
    }
    found = {"daily_features": "0"}  # also where there are none
    for table, names in columns.items():
        if names:
            query = f"SELECT sum(hash({', '.join(names)})) FROM {table} WHERE {_SYMBOL[table]} = ?"
            [(total,)] = connection.execute(query, [instrument]).fetchall()
            found[table] = str(total or 0)
    return found


def _strategy_columns(catalogue: Catalogue) -> list[str]:
    there = catalogue.tables["experimental_strategies"]
    return (
        [name for name in TABLES["experimental_strategies"] if name not in _VERDICT]
        + [
            name if name in there else f"NULL::{kind}"
            for name, kind in SPLIT.items()  # another run may add them meanwhile
        ]
        + [quoted(name) for name in dict.fromkeys([*catalogue.read_where_there(), *catalogue.promotion.copy])]
    )


def _feature_columns(catalogue: Catalogue) -> list[str]:
    if not catalogue.tables["daily_features"]:
        return []
    parts = (SIZE, DELAY, CONTINUES, DIRECTION, DOUBLE_BREAK)
    names = (f"orb_{label}_{part}".lower() for label in sorted(SESSIONS) for part in parts)
    of_sessions = [f'"{name}"' for name in names if name in catalogue.tables["daily_features"]]
    return [*TABLES["daily_features"], *of_sessions]
