"""A source of outcomes that lies in no database: a Parquet file with the columns of `orb_outcomes`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np

from dask_validator.errors import InputError
from dask_validator.model import EPOCH, LOSS, OTHER, PLAN, WIN, Extent, OutcomeKey, Outcomes, Outlook
from dask_validator.store.kinds import Wanted
from dask_validator.system.same_file import Identity, identity

CODES = {"win": WIN, "loss": LOSS}
KEY = ", ".join(PLAN)


def export(database: Path, path: Path) -> None:
    """The outcomes of a database as a file, by key and day, and away from the database."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            f"COPY (SELECT * FROM orb_outcomes ORDER BY {KEY}, trading_day) TO '{path}' (FORMAT parquet)"
        )
        connection.execute("DROP TABLE orb_outcomes")


@dataclass(frozen=True)
class ParquetOutcomes:
    """The file at an absolute path; a `sources.source.Source`."""

    path: Path
    name: str = "parquet"
    tables: Mapping[str, Wanted] = field(default_factory=dict)

    def survey(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> Outlook:
        """First and last row of each key; the fingerprint is of the whole file."""
        hashed = "hash(sum(hash(trading_day, outcome, pnl_r)))"
        query = f"SELECT {KEY}, {hashed}, min(file_row_number), max(file_row_number), count(*) FROM {{file}} "
        rows = _query(self.path, f"{query} WHERE symbol = '{instrument}' GROUP BY ALL")
        extents = {OutcomeKey(*row[:5]): Extent(*row[6:]) for row in rows}
        hashes = {OutcomeKey(*row[:5]): row[5] for row in rows}
        return Outlook(hashlib.sha256(self.path.read_bytes()).hexdigest(), extents, hashes)

    def replays(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """It has no excursions."""
        return False

    def read(self, instrument: str, keys: Sequence[OutcomeKey], extents: Sequence[Extent | None]) -> list[Outcomes]:
        """As a task would."""
        return self.part(instrument, extents, identity(str(self.path))).read(keys)

    def part(self, instrument: str, extents: Sequence[Extent | None], identity: Identity | None) -> Rows:
        """Rows of the file."""
        return Rows(str(self.path), identity, instrument, tuple(extents))


class Rows(NamedTuple):
    """What a task reads."""

    path: str
    identity: Identity | None
    instrument: str
    extents: tuple[Extent | None, ...]

    def only(self, positions: Sequence[int]) -> Rows:
        """Of some of the keys."""
        return self._replace(extents=tuple(self.extents[position] for position in positions))

    def read(self, keys: Sequence[OutcomeKey]) -> list[Outcomes]:
        """One key after the other."""
        if self.identity is None or not self.identity.is_same(identity(self.path)):
            raise InputError(f"{self.path} is another file")
        known = [extent for extent in self.extents if extent is not None]
        first, last = (min(e.first for e in known), max(e.last for e in known)) if known else (0, -1)
        query = (
            f"SELECT {KEY}, trading_day, outcome, pnl_r FROM {{file}} WHERE symbol = '{self.instrument}' "
            f"AND outcome IS NOT NULL AND file_row_number BETWEEN {first} AND {last} ORDER BY trading_day"
        )
        found: dict[OutcomeKey, list[tuple[Any, ...]]] = {key: [] for key in keys}
        for row in _query(Path(self.path), query):
            if (key := OutcomeKey(*row[:5])) in found:
                found[key].append(row[5:])
        return [_outcomes(found[key]) for key in keys]


def _outcomes(rows: Sequence[tuple[Any, ...]]) -> Outcomes:
    return Outcomes(
        np.array([(day - EPOCH).days for day, _, _ in rows], dtype=np.int32),
        np.array([CODES.get(outcome, OTHER) for _, outcome, _ in rows], dtype=np.uint8),
        np.array([np.nan if pnl_r is None else pnl_r for _, _, pnl_r in rows], dtype=np.float64),
    )


def _query(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(query.format(file=f"read_parquet('{path}', file_row_number = true)")).fetchall()
