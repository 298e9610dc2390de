"""The database as a run sees it: a snapshot to read, one commit to make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dask_validator.store import connection, lock
from dask_validator.store.contract import read_catalogue
from dask_validator.store.reader import Snapshot, read_snapshot

if TYPE_CHECKING:
    from dask_validator.store.writer import Changes, RunRecord


@dataclass(frozen=True)
class Database:
    """A DuckDB file, by its absolute path: workers have a working directory of their own."""

    path: Path

    @classmethod
    def at(cls, path: str | Path, *, to_write: bool) -> Database:
        """The file, checked before any work starts: its tables and, when it is to be written, that nobody holds it.

        Raises
        ------
        InputError
            No such file, not a database, somebody holds it, or it does not keep the data contract.
        """
        connection.check_is_file(path)
        lock.refuse_if_held(path, to_write=to_write)
        with connection.reading(path) as opened:
            connection.refuse_truncated(opened, path)
            read_catalogue(opened)
        return cls(Path(path).absolute())

    def read_snapshot(self, instrument: str) -> Snapshot:
        """Waiting strategies and what judging them needs; no connection stays open."""
        return read_snapshot(self.path, instrument)

    def commit(self, record: RunRecord, prepared: Changes) -> None:
        """Write everything in one transaction."""
        from dask_validator.store.writer import commit

        commit(self.path, record, prepared)
