"""By which a run knows that the data are still the same: order-independent hashes, made by DuckDB.

They may differ between versions of DuckDB, so whoever keeps them keeps its version too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from dask_validator.rules.sessions import SESSIONS
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
    all_features: bool = False  # whether any column of the features could matter, of any symbol


# The columns of a session that names of filters mean.
OF_SESSIONS = ("size", "break_delay_min", "break_bar_continues", "break_dir", "double_break")
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


def read_fingerprints(
    connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str, *, all_features: bool
) -> Fingerprints:
    """By table: everything about the instrument that a verdict depends on beside outcomes, and who has one."""
    columns = {
        "experimental_strategies": [*_strategy_columns(catalogue), "validation_status"],
        "daily_features": _features(catalogue, all_features=all_features),
        "validated_setups": ["strategy_id", "status"],
        LOGS: list(TRADE_TABLES[LOGS]) if catalogue.tables[LOGS] else [],
    }
    found = {"daily_features": "0"}  # also where there are none
    for table, names in columns.items():
        if names:
            also = " OR orb_minutes = 5" if all_features and table == "daily_features" else ""
            query = f"SELECT sum(hash({', '.join(names)})) FROM {table} WHERE {_SYMBOL[table]} = ?{also}"
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


def _features(catalogue: Catalogue, *, all_features: bool) -> list[str]:
    there = catalogue.tables["daily_features"]
    if all_features or not there:
        return [_quoted(name) for name in sorted(there)]
    labels = sorted(SESSIONS | catalogue.sessions)
    names = (f"orb_{label}_{part}".lower() for label in labels for part in OF_SESSIONS)
    return [*TABLES["daily_features"], *(_quoted(name) for name in names if name in there)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
