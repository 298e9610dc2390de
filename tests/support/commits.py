"""Commits that tests look into: databases that they change in every way, and connections that are watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import validate
from dask_validator.store import writer
from dask_validator.store.connection import connect
from dask_validator.store.contract import OPTIONAL
from dask_validator.views.result import RunResult
from tests.support.tiny import Row, insert, tiny_database

BAD: Row = {"strategy_id": "MGC_BAD", "sample_size": 3}
ALIAS: Row = {"strategy_id": "MGC_ALIAS", "is_canonical": False}
FAILING: Row = {"strategy_id": "MGC_FAILING", "filter_type": None}
OTHER: Row = {"strategy_id": "MES_OTHER", "instrument": "MES"}
KINDS: list[Row] = [{}, BAD, ALIAS, FAILING, OTHER]
OLD = sorted({name for columns in OPTIONAL.values() for name in columns})


class Watched:
    """A connection that remembers its statements and refuses some of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, refused: range = range(0)) -> None:
        self.statements: list[str] = []
        self.closed = False
        self._connection = connection
        self._refused = refused

    def execute(self, sql: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
        """Run, or refuse, one statement."""
        self.statements.append(sql.strip())
        if len(self.statements) - 1 in self._refused:
            raise duckdb.IOException("IO Error: no space left on device\nstack trace")
        return self._connection.execute(sql, *parameters)

    def close(self) -> None:
        """Close for good."""
        self.closed = True
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Opener:
    """Stands in for `connect` and keeps the one connection it made."""

    def __init__(self, refused: range = range(0)) -> None:
        self.connection: Watched | None = None
        self._refused = refused

    def __call__(self, path: Path, **options: Any) -> Any:
        """Open, once."""
        assert self.connection is None, "the commit opens one connection"
        self.connection = Watched(connect(path, **options), self._refused)
        return self.connection

    @property
    def statements(self) -> list[str]:
        """What was run."""
        assert self.connection is not None
        assert self.connection.closed
        return self.connection.statements


@contextmanager
def commit_replaced(replacement: Any) -> Iterator[None]:
    """Runs inside commit through the replacement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "commit", replacement)
        yield


def run(database: Path, **flags: Any) -> RunResult:
    """Validate MGC serially; the JSONL lies beside the database."""
    return validate(database, "MGC", workers=1, progress=False, wf_output=database.parent / "wf.jsonl", **flags)


def refer_to(database: Path, strategy_id: str) -> None:
    """Let the user's other tables point at a setup."""
    family = {"family_hash": "f", "instrument": "MGC", "member_count": 1, "head_strategy_id": strategy_id}
    archived = {"archive_id": "a", "original_strategy_id": strategy_id, "setup_snapshot": "{}"}
    with duckdb.connect(str(database)) as connection:
        insert(connection, "edge_families", family)
        insert(connection, "validated_setups_archive", archived)


def mixed_database(folder: Path) -> Path:
    """A strategy of every kind, all but the good one with an active setup, the bad one's referenced."""
    setups = [{"strategy_id": row["strategy_id"], "filter_type": "ORB_G4"} for row in KINDS if row]
    database = tiny_database(folder / "tiny.duckdb", KINDS, setups=setups)
    refer_to(database, "MGC_BAD")
    return database
