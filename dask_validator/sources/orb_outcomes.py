"""The table `orb_outcomes` of the users' database (docs/data-contract.md): where its keys lie, and their outcomes."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import InputError
from dask_validator.model import LOSS, WIN, Extent, OutcomeKey, Outcomes, Outlook
from dask_validator.store.access import USUAL, Access, grant, granted
from dask_validator.store.connection import read, reading_again, with_room
from dask_validator.store.fetched import doubles
from dask_validator.store.kinds import DATE, NUMBER, TEXT, Wanted
from dask_validator.system.same_file import Identity, identity

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
_WANTED = f"""
    (coalesce(o.trading_day, 'infinity') - DATE '1970-01-01')::INTEGER AS day, o.pnl_r::DOUBLE AS pnl_r,
    CASE o.outcome WHEN 'win' THEN {WIN} WHEN 'loss' THEN {LOSS} ELSE 0 END::UTINYINT AS code
"""
# DuckDB skips the row groups outside.
_SPAN = f"""
    SELECT o.rowid AS row, {_WANTED} FROM {TABLE} o
    WHERE o.rowid BETWEEN ? AND ? AND o.outcome IS NOT NULL
"""
_DAYS = f"""
    SELECT DISTINCT (trading_day - DATE '1970-01-01')::INTEGER AS day FROM {TABLE}
    WHERE symbol = ? AND outcome IS NOT NULL AND isfinite(trading_day) ORDER BY day
"""
MOST_BETWEEN, MOST_AT_ONCE = 50_000, 1_000_000  # rows: read in vain rather than with another query; in one query
_OUTCOMES = f"""
    WITH keys AS (
        SELECT unnest($positions::INTEGER[]) AS position, unnest($minutes::DOUBLE[]) AS orb_minutes,
               unnest($labels::VARCHAR[]) AS orb_label, unnest($models::VARCHAR[]) AS entry_model,
               unnest($targets::DOUBLE[]) AS rr_target, unnest($bars::DOUBLE[]) AS confirm_bars
    )
    SELECT keys.position, {_WANTED}
    FROM {TABLE} o JOIN keys USING (orb_minutes, orb_label, entry_model, rr_target, confirm_bars)
    WHERE o.symbol = $symbol AND o.outcome IS NOT NULL
"""
_ROWS = " AND o.rowid BETWEEN $first AND $last"


def _survey(extent: str) -> str:
    """By key: first and last row, how many there are, a hash of what they say, and the sum of hashes of all of it."""
    return f"""
        SELECT orb_minutes, orb_label, entry_model, rr_target::DOUBLE AS rr_target, confirm_bars, {extent}, count(*),
               hash(sum(hash(trading_day, outcome, pnl_r))), sum(hash({", ".join(COLUMNS)}))
        FROM {TABLE} WHERE symbol = ? GROUP BY ALL
    """


@dataclass(frozen=True)
class OrbOutcomes:
    """The table in the database at an absolute path; a `sources.source.Source`."""

    name: ClassVar[str] = TABLE
    tables: ClassVar[Mapping[str, Wanted]] = {TABLE: COLUMNS}
    path: Path

    def survey(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> Outlook:
        """One scan; nobody knows where rows lie in a view, or in a table with a column `rowid`."""
        described = connection.execute(f"SELECT lower(column_name) FROM (DESCRIBE {TABLE})").fetchall()
        rows: list[tuple[Any, ...]] | None = None
        if ("rowid",) not in described:
            with suppress(duckdb.BinderException):
                rows = connection.execute(_survey("min(rowid), max(rowid)"), [instrument]).fetchall()
        if rows is None:
            rows = connection.execute(_survey("NULL, NULL"), [instrument]).fetchall()
        extents, hashes, total = {}, {}, 0
        for *parts, first, last, count, key_hash, row_hashes in rows:
            key = OutcomeKey(*parts)
            hashes[key] = key_hash
            total += row_hashes
            if first is not None:
                extents[key] = Extent(first, last, count)
        return Outlook(str(total), extents, hashes)

    def days(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> NDArray[np.int32]:
        """Days with an outcome of the instrument, ascending."""
        found = connection.execute(_DAYS, [instrument]).fetchnumpy()
        return np.asarray(found["day"], dtype=np.int32)

    def read(self, instrument: str, keys: Sequence[OutcomeKey], extents: Sequence[Extent | None]) -> Sequence[Outcomes]:
        """Outcomes of each key, in the order of `keys`, read by the main process, which has the database open."""
        return read(self.path, lambda connection: read_outcomes(connection, instrument, keys, extents))

    def part(self, instrument: str, extents: Sequence[Extent | None], identity: Identity | None) -> InDatabase:
        """For a task, by key where its outcomes lie, as far as that is known, in a file that is this one."""
        path = str(self.path)
        return InDatabase(path, identity, instrument, tuple(extents), granted(path))


class InDatabase(NamedTuple):
    """Outcomes that the worker reads itself."""

    path: str
    identity: Identity | None
    instrument: str
    extents: tuple[Extent | None, ...]  # by key; None: anywhere
    access: Access = USUAL

    def only(self, positions: Sequence[int]) -> InDatabase:
        """The same for the keys at these positions."""
        return self._replace(extents=tuple(self.extents[position] for position in positions))

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
            return with_room(
                connection, self.path, lambda: read_outcomes(connection, self.instrument, keys, self.extents)
            )


def read_outcomes(
    connection: duckdb.DuckDBPyConnection,
    symbol: str,
    keys: Sequence[OutcomeKey],
    extents: Sequence[Extent | None],
) -> list[Outcomes]:
    """Outcomes of each key, in the order of `keys`, each by trading day.

    Rows that follow one another are read as they are; where others lie between them, or nobody knows where they lie,
    they are looked for, which takes several times as long.
    """
    found: dict[int, Outcomes] = {}
    alone = {i: extent for i, extent in enumerate(extents) if extent and extent.is_alone and None not in keys[i]}
    for span in _spans(alone):
        found |= _read_span(connection, span)
    scattered = [i for i in range(len(keys)) if i not in alone]
    if scattered:
        outcomes = _look_for(connection, symbol, [keys[i] for i in scattered], [extents[i] for i in scattered])
        found |= dict(zip(scattered, outcomes, strict=True))
    return [found[i] for i in range(len(keys))]


def _spans(extents: Mapping[int, Extent]) -> Iterator[dict[int, Extent]]:
    """Cut where more rows lie in between than are worth another query."""
    span: dict[int, Extent] = {}
    first = end = 0
    for i, extent in sorted(extents.items(), key=lambda item: item[1].first):
        if span and (extent.first - end > MOST_BETWEEN or extent.last - first > MOST_AT_ONCE):
            yield span
            span = {}
        first = first if span else extent.first
        span[i], end = extent, extent.last
    if span:
        yield span


def _read_span(connection: duckdb.DuckDBPyConnection, span: Mapping[int, Extent]) -> dict[int, Outcomes]:
    first, last = min(extent.first for extent in span.values()), max(extent.last for extent in span.values())
    columns = connection.execute(_SPAN, [first, last]).fetchnumpy()
    row, days, code = (np.asarray(columns[name]) for name in ("row", "day", "code"))
    pnl_r = doubles(columns["pnl_r"])
    if not (np.diff(row) > 0).all():
        order = np.argsort(row)
        row, days, code, pnl_r = row[order], days[order], code[order], pnl_r[order]
    starts = np.searchsorted(row, [extent.first for extent in span.values()]).tolist()
    ends = np.searchsorted(row, [extent.last for extent in span.values()], side="right").tolist()
    edges = zip(span, starts, ends, strict=True)
    # Copied, so that what was read in vain does not stay in memory.
    return {i: _by_day(days[s:e].copy(), code[s:e].copy(), pnl_r[s:e].copy()) for i, s, e in edges}


def _look_for(
    connection: duckdb.DuckDBPyConnection, symbol: str, keys: Sequence[OutcomeKey], extents: Sequence[Extent | None]
) -> list[Outcomes]:
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
    known = [extent for extent in extents if extent is not None]
    if len(known) == len(extents):
        query += _ROWS
        parameters |= {"first": min(e.first for e in known), "last": max(e.last for e in known)}
    columns = connection.execute(query, parameters).fetchnumpy()
    position, days, code = (np.asarray(columns[name]) for name in ("position", "day", "code"))
    pnl_r = doubles(columns["pnl_r"])
    if not (np.diff(position) >= 0).all():
        order = np.argsort(position, kind="stable")
        position, days, code, pnl_r = position[order], days[order], code[order], pnl_r[order]
    edges = np.searchsorted(position, np.arange(len(keys) + 1)).tolist()
    return [_by_day(days[start:end], code[start:end], pnl_r[start:end]) for start, end in pairwise(edges)]


def _by_day(days: NDArray[np.int32], code: NDArray[np.uint8], pnl_r: NDArray[np.float64]) -> Outcomes:
    """Nearly every table keeps them so."""
    if not (np.diff(days) > 0).all():
        # The first two only order several outcomes of one day, which a table without a primary key can hold.
        order = np.lexsort((pnl_r, code, days))
        days, code, pnl_r = days[order], code[order], pnl_r[order]
    return Outcomes(days, code, pnl_r)
