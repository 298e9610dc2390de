"""What a run needs of outcomes, wherever they are: the main process looks at a source, each task reads its part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dask_validator.model import Extent, OutcomeKey, Outcomes, Outlook
from dask_validator.store.kinds import Wanted
from dask_validator.system.same_file import Identity

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray


class Part(Protocol):
    """The outcomes of one task; small and plain, as it travels with the task."""

    def read(self, keys: Sequence[OutcomeKey]) -> Sequence[Outcomes]:
        """Outcomes of each key, in the order of `keys`, each by trading day.

        Raises
        ------
        InputError
            They are not there for this process, or are no longer those that the run has begun to read.
        """
        ...

    def only(self, positions: Sequence[int]) -> Part:
        """The part for a task that has only the keys at these positions."""
        ...


class Source(Protocol):
    """Outcomes of any instrument.

    The main process has the database open when it asks, and lends the connection to sources that lie in it.
    """

    @property
    def name(self) -> str:
        """What people know it by, and what its fingerprint is kept under."""
        ...

    @property
    def tables(self) -> Mapping[str, Wanted]:
        """By table that the database must have for it."""
        ...

    @property
    def path(self) -> Path:
        """The file that a worker must see, by its absolute path; where it does not, outcomes travel with the task."""
        ...

    def survey(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> Outlook:
        """Where the outcomes of the instrument lie, and by what it will be seen that they have changed."""
        ...

    def replays(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether outcomes have what it takes to be replayed under a tighter stop."""
        ...

    def days(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> NDArray[np.int32]:
        """Days with an outcome of the instrument, of whatever key, ascending, since 1970-01-01."""
        ...

    def read(self, instrument: str, keys: Sequence[OutcomeKey], extents: Sequence[Extent | None]) -> Sequence[Outcomes]:
        """Outcomes of each key, in the order of `keys`, read by the main process, which has the database open."""
        ...

    def part(self, instrument: str, extents: Sequence[Extent | None], identity: Identity | None) -> Part:
        """For a task, by key where its outcomes lie, as far as that is known, in a file that is this one."""
        ...
