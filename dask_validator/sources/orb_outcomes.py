"""The table `orb_outcomes` of the users' database (docs/data-contract.md): where its keys lie, and their outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import LOSS, PLAN, WIN, Excursions, Extent, OutcomeKey, Outcomes, Outlook
from dask_validator.sources.in_database import InDatabase
from dask_validator.sources.spans import as_outcomes, by_day, read_span, spans
from dask_validator.store.access import granted
from dask_validator.store.connection import read
from dask_validator.store.kinds import DATE, NUMBER, TEXT, Wanted
from dask_validator.system.same_file import Identity

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
EXCURSIONS = dict.fromkeys(Excursions._fields, NUMBER)  # columns that only tighter stops need
_EXCURSIONS = "".join(f", o.{name}::DOUBLE AS {name}" for name in EXCURSIONS)
# DuckDB skips the row groups outside.
_SPAN = f"""
    SELECT o.rowid AS row, {_WANTED}{{excursions}} FROM {TABLE} o
    WHERE o.rowid BETWEEN ? AND ? AND o.outcome IS NOT NULL
"""
_DAYS = f"""
    SELECT DISTINCT (trading_day - DATE '1970-01-01')::INTEGER AS day FROM {TABLE}
    WHERE symbol = ? AND outcome IS NOT NULL AND isfinite(trading_day) ORDER BY day
"""
_OUTCOMES = f"""
    WITH keys AS (
        SELECT unnest($positions::INTEGER[]) AS position, unnest($minutes::DOUBLE[]) AS orb_minutes,
               unnest($labels::VARCHAR[]) AS orb_label, unnest($models::VARCHAR[]) AS entry_model,
               unnest($targets::DOUBLE[]) AS rr_target, unnest($bars::DOUBLE[]) AS confirm_bars
    )
    SELECT keys.position, {_WANTED}{{excursions}}
    FROM {TABLE} o JOIN keys USING (orb_minutes, orb_label, entry_model, rr_target, confirm_bars)
    WHERE o.symbol = $symbol AND o.outcome IS NOT NULL
"""
_ROWS = " AND o.rowid BETWEEN $first AND $last"


def _columns(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name.lower() for name, *_ in connection.execute(f"DESCRIBE {TABLE}").fetchall()}


def _survey(extent: str, columns: Sequence[str]) -> str:
    """By key: first and last row, how many there are, hashes of what they say, and of all that tight stops read too."""
    return f"""
        SELECT orb_minutes, orb_label, entry_model, rr_target::DOUBLE AS rr_target, confirm_bars, {extent}, count(*),
               hash(sum(hash(trading_day, outcome, pnl_r))), sum(hash({", ".join(columns)})) AS rows, hash(rows)
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
        described = _columns(connection)
        columns = [*COLUMNS, *(name for name in EXCURSIONS if name in described)]
        rows: list[tuple[Any, ...]] | None = None
        if "rowid" not in described:
            with suppress(duckdb.BinderException):
                rows = connection.execute(_survey("min(rowid), max(rowid)", columns), [instrument]).fetchall()
        if rows is None:
            rows = connection.execute(_survey("NULL, NULL", columns), [instrument]).fetchall()
        extents, hashes, total = {}, {}, 0
        replays = EXCURSIONS.keys() <= described
        for *parts, first, last, count, key_hash, row_hashes, replayed_hash in rows:
            key = OutcomeKey(*parts)
            hashes[key] = key_hash
            hashes |= {key.tightest: replayed_hash} if replays else {}
            total += row_hashes
            if first is not None:
                extents[key] = Extent(first, last, count)
        return Outlook(str(total), extents, hashes)

    def replays(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether the table has the columns of excursions."""
        return EXCURSIONS.keys() <= _columns(connection)

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
        return InDatabase(path, identity, instrument, tuple(extents), read_outcomes, granted(path))


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
    planned = [None not in key[: len(PLAN)] for key in keys]
    alone = {i: extent for i, extent in enumerate(extents) if extent and extent.is_alone and planned[i]}
    wanted = _EXCURSIONS if any(key.is_tight for key in keys) else ""
    for span in spans(alone):
        found |= read_span(connection, _SPAN.format(excursions=wanted), span)
    scattered = [i for i in range(len(keys)) if i not in alone]
    if scattered:
        outcomes = _look_for(connection, symbol, [keys[i] for i in scattered], [extents[i] for i in scattered])
        found |= dict(zip(scattered, outcomes, strict=True))
    return [found[i] for i in range(len(keys))]


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
    query = _OUTCOMES.format(excursions=_EXCURSIONS if any(key.is_tight for key in keys) else "")
    known = [extent for extent in extents if extent is not None]
    if len(known) == len(extents):
        query += _ROWS
        parameters |= {"first": min(e.first for e in known), "last": max(e.last for e in known)}
    columns = connection.execute(query, parameters).fetchnumpy()
    position, outcomes = np.asarray(columns["position"]), as_outcomes(columns)
    if not (np.diff(position) >= 0).all():
        order = np.argsort(position, kind="stable")
        position, outcomes = position[order], outcomes.take(order)
    edges = np.searchsorted(position, np.arange(len(keys) + 1)).tolist()
    return [by_day(outcomes.take(np.arange(start, end))) for start, end in pairwise(edges)]
