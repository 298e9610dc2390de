"""Outcomes that the worker reads itself, from a table of the users' database."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.model import Extent, OutcomeKey, Outcomes
from dask_validator.store.access import USUAL, Access, grant
from dask_validator.store.connection import reading_again, with_room
from dask_validator.system.same_file import Identity, identity

# A function of a module, as it travels with the task: instrument, keys and where each lies, as far as that is known.
Reader = Callable[[duckdb.DuckDBPyConnection, str, Sequence[OutcomeKey], Sequence[Extent | None]], Sequence[Outcomes]]


class InDatabase(NamedTuple):
    """The part of one task."""

    path: str
    identity: Identity | None
    instrument: str
    extents: tuple[Extent | None, ...]  # by key; None: anywhere
    reader: Reader
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
                connection, self.path, lambda: self.reader(connection, self.instrument, keys, self.extents)
            )
