"""The table `orb_outcomes` of the users' database (docs/data-contract.md), one query for all keys of a task."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import InputError
from dask_validator.model import LOSS, WIN, Extent, OutcomeKey, Outcomes, RowRange
from dask_validator.sources.same_file import Identity, identity
from dask_validator.store.access import USUAL, Access, grant, granted
from dask_validator.store.connection import reading_again, with_room
from dask_validator.store.fetched import doubles
from dask_validator.store.kinds import DATE, NUMBER, TEXT, Wanted

TABLE = "orb_outcomes"
COLUMNS = {
    "trading_day": DATE,
    "symbol": TEXT,
    "orb_label": TEXT,
    "orb_minutes": NUMBER,
    "rr_target": NUMBER,
    "confirm_bars": NUMBER,
    "entry_model": TEXT,
    "outcome": TEXT,
    "pnl_r": NUMBER,
}
_OUTCOMES = f"""
    WITH keys AS (
        SELECT unnest($positions::INTEGER[]) AS position, unnest($minutes::DOUBLE[]) AS orb_minutes,
               unnest($labels::VARCHAR[]) AS orb_label, unnest($models::VARCHAR[]) AS entry_model,
               unnest($targets::DOUBLE[]) AS rr_target, unnest($bars::DOUBLE[]) AS confirm_bars
    )
    SELECT keys.position, (coalesce(o.trading_day, 'infinity') - DATE '1970-01-01')::INTEGER AS day,
           o.pnl_r::DOUBLE AS pnl_r,
           CASE o.outcome WHEN 'win' THEN {WIN} WHEN 'loss' THEN {LOSS} ELSE 0 END::UTINYINT AS code
    FROM {TABLE} o JOIN keys USING (orb_minutes, orb_label, entry_model, rr_target, confirm_bars)
    WHERE o.symbol = $symbol AND o.outcome IS NOT NULL
"""
_ROWS = " AND o.rowid BETWEEN $first AND $last"  # DuckDB skips the row groups outside
_LAYOUT = f"""
    SELECT orb_minutes, orb_label, entry_model, rr_target::DOUBLE AS rr_target, confirm_bars,
           min(rowid), max(rowid), count(*)
    FROM {TABLE} WHERE symbol = ? GROUP BY ALL
"""
_HASHES = f"""
    SELECT {", ".join(OutcomeKey._fields)}, hash(sum(hash(trading_day, outcome, pnl_r))) AS outcomes_hash
    FROM {TABLE} WHERE symbol = ? GROUP BY {", ".join(OutcomeKey._fields)}
"""


@dataclass(frozen=True)
class OrbOutcomes:
    """The table in the database at an absolute path; a `sources.source.Source`."""

    path: Path
    name: str = TABLE
    tables: Mapping[str, Wanted] = field(default_factory=lambda: {TABLE: COLUMNS})

    @classmethod
    def of(cls, database: str | Path) -> OrbOutcomes:
        """Those of a database at any path."""
        return cls(Path(database).absolute())

    def fingerprint(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> str:
        """Equal as long as no outcome of the instrument changes: a sum of the hashes of its rows."""
        query = f"SELECT sum(hash({', '.join(COLUMNS)})) FROM {TABLE} WHERE symbol = ?"
        [(total,)] = connection.execute(query, [instrument]).fetchall()
        return str(total or 0)

    def layout(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> Mapping[OutcomeKey, Extent]:
        """The extent of each key; empty when the table has no row numbers, as a view or with a column of that name."""
        described = connection.execute(f"SELECT lower(column_name) FROM (DESCRIBE {TABLE})").fetchall()
        if ("rowid",) in described:
            return {}
        try:
            rows = connection.execute(_LAYOUT, [instrument]).fetchall()
        except duckdb.BinderException:
            return {}
        return {OutcomeKey(*row[:5]): Extent(*row[5:]) for row in rows}

    def hashes(self, instrument: str) -> tuple[str, Sequence[str]]:
        """A query, and its parameters, with a row for each key: its five columns and `outcomes_hash`."""
        return _HASHES, [instrument]

    def part(self, instrument: str, rows: RowRange, identity: Identity | None) -> InDatabase:
        """For a task whose outcomes lie in these rows, of a file that is this one."""
        path = str(self.path)
        return InDatabase(path, identity, instrument, rows, granted(path))


class InDatabase(NamedTuple):
    """Outcomes that the worker reads itself."""

    path: str
    identity: Identity | None
    instrument: str
    rows: RowRange  # where the task's outcomes lie; None: anywhere
    access: Access = USUAL

    def read(self, keys: Sequence[OutcomeKey]) -> Sequence[Outcomes]:
        """Outcomes of each key, through a read-only connection.

        Raises
        ------
        InputError
            This process sees no file at that path, or another one: its rows would be other rows.
        """
        if self.identity is None or not self.identity.is_same(identity(self.path)):
            raise InputError(f"{self.path} is not there, or not the same file, on {socket.gethostname()}")
        grant(self.path, self.access)
        with reading_again(self.path) as connection:
            return with_room(connection, self.path, lambda: read_outcomes(connection, self.instrument, keys, self.rows))


def read_outcomes(
    connection: duckdb.DuckDBPyConnection, symbol: str, keys: Sequence[OutcomeKey], rows: RowRange = None
) -> list[Outcomes]:
    """Outcomes of each key, in the order of `keys`, each by trading day."""
    parameters: dict[str, object] = {
        "symbol": symbol,
        "positions": list(range(len(keys))),
        "minutes": [key.orb_minutes for key in keys],
        "labels": [key.orb_label for key in keys],
        "models": [key.entry_model for key in keys],
        "targets": [key.rr_target for key in keys],
        "bars": [key.confirm_bars for key in keys],
    }
    query = _OUTCOMES
    if rows is not None:
        query += _ROWS
        parameters |= {"first": rows[0], "last": rows[1]}
    columns = connection.execute(query, parameters).fetchnumpy()
    position, days, code = (np.asarray(columns[name]) for name in ("position", "day", "code"))
    pnl_r = doubles(columns["pnl_r"])
    if not _in_order(position, days):
        # The first two only order several outcomes of one day, which a table without a primary key can hold.
        order = np.lexsort((pnl_r, code, days, position))
        position, days, code, pnl_r = position[order], days[order], code[order], pnl_r[order]
    edges = np.searchsorted(position, np.arange(len(keys) + 1))
    return [Outcomes(days[start:end], code[start:end], pnl_r[start:end]) for start, end in pairwise(edges.tolist())]


def _in_order(position: NDArray[np.int32], days: NDArray[np.int32]) -> bool:
    """Whether outcomes come by key and, within a key, on ever later days; nearly every table keeps them so."""
    next_key, later = np.diff(position) > 0, np.diff(days) > 0
    return bool((next_key | ((np.diff(position) == 0) & later)).all())
