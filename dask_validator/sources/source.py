"""What a run needs of outcomes, wherever they are: the main process looks at a source, each task reads its part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dask_validator.model import Extent, OutcomeKey, Outcomes, RowRange
from dask_validator.sources.same_file import Identity
from dask_validator.store.kinds import Wanted

if TYPE_CHECKING:
    import duckdb


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

    def fingerprint(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> str:
        """Equal as long as no outcome of the instrument changes."""
        ...

    def layout(self, connection: duckdb.DuckDBPyConnection, instrument: str) -> Mapping[OutcomeKey, Extent]:
        """Where the outcomes of each key lie; a key that is not in it may have some all the same."""
        ...

    def hashes(self, instrument: str) -> tuple[str, Sequence[Any]]:
        """A query, and its parameters, with a row for each key: its five columns and `outcomes_hash`, a UBIGINT."""
        ...

    def part(self, instrument: str, rows: RowRange, identity: Identity | None) -> Part:
        """For a task whose outcomes lie in these rows, of a file that is this one."""
        ...
