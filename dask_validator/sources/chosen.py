"""Which source the outcomes of a strategy come from: imported trades by its `entry_model`, else the users' table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import Extent, OutcomeKey, Outcomes, Outlook
from dask_validator.sources import trade_log
from dask_validator.sources.in_database import InDatabase
from dask_validator.sources.orb_outcomes import TABLE, OrbOutcomes, read_outcomes
from dask_validator.sources.source import Source
from dask_validator.store.access import granted
from dask_validator.store.connection import read
from dask_validator.store.contract import has_table
from dask_validator.store.kinds import Wanted
from dask_validator.system.same_file import Identity


def source_of(database: str | Path) -> Source:
    """The one of a database at any path: its table of outcomes and, beside it, imported trades."""
    return TablesOf(Path(database).absolute())


@dataclass(frozen=True)
class TablesOf:
    """Both tables of the database at an absolute path, as far as they are there; a `sources.source.Source`."""

    path: Path
    name: str = TABLE

    @property
    def tables(self) -> Mapping[str, Wanted]:
        """The users' own; only imported trades alone can do without."""
        return self._users.tables

    @property
    def _users(self) -> OrbOutcomes:
        return OrbOutcomes(self.path)

    def survey(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> Outlook:
        """A scan of each."""
        logs = trade_log.survey(connection, instrument)
        if not has_table(connection, TABLE):
            return logs or Outlook("0", {}, {})
        users = self._users.survey(connection, instrument)
        if logs is None:
            return users
        fingerprint = f"{users.fingerprint} and {logs.fingerprint}"
        return Outlook(fingerprint, {**users.extents, **logs.extents}, {**users.hashes, **logs.hashes})

    def replays(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether the users' own table has the columns of excursions; of imported trades nobody asks it."""
        return has_table(connection, TABLE) and self._users.replays(connection)

    def days(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> NDArray[np.int32]:
        """Days with an outcome of the instrument in either, ascending."""
        logs = trade_log.days(connection, instrument)
        if not has_table(connection, TABLE):
            return logs
        return np.union1d(self._users.days(connection, instrument), logs).astype(np.int32)

    def read(self, instrument: str, keys: Sequence[OutcomeKey], extents: Sequence[Extent | None]) -> Sequence[Outcomes]:
        """Outcomes of each key, in the order of `keys`, read by the main process, which has the database open."""
        return read(self.path, lambda connection: read_either(connection, instrument, keys, extents))

    def part(self, instrument: str, extents: Sequence[Extent | None], identity: Identity | None) -> InDatabase:
        """For a task, by key where its outcomes lie, as far as that is known, in a file that is this one."""
        path = str(self.path)
        return InDatabase(path, identity, instrument, tuple(extents), read_either, granted(path))


def read_either(
    connection: duckdb.DuckDBPyConnection,
    instrument: str,
    keys: Sequence[OutcomeKey],
    extents: Sequence[Extent | None],
) -> Sequence[Outcomes]:
    """Outcomes of each key, from the table that has them."""
    found: dict[int, Outcomes] = {}
    for reader, own in (
        (read_outcomes, [i for i, key in enumerate(keys) if key.strategy_id is None]),
        (trade_log.read_trades, [i for i, key in enumerate(keys) if key.strategy_id is not None]),
    ):
        if own:
            outcomes = reader(connection, instrument, [keys[i] for i in own], [extents[i] for i in own])
            found |= dict(zip(own, outcomes, strict=True))
    return [found[i] for i in range(len(keys))]
