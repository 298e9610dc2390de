"""The database as a run sees it: a few things to read, one commit to make."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from dask_validator.errors import InputError
from dask_validator.store import connection, lock
from dask_validator.store.contract import Catalogue, read_catalogue
from dask_validator.store.families import read_family
from dask_validator.store.file_state import FileState, file_state
from dask_validator.store.filter_days import Reading, read_session_days
from dask_validator.store.fingerprints import Seen
from dask_validator.store.functions import refuse_macros
from dask_validator.store.gated import read_ungated
from dask_validator.store.obstacles import Waiting, refuse_obstacles
from dask_validator.store.past_runs import PastRun, read_past_run
from dask_validator.store.reader import (
    Facts,
    Stored,
    Survey,
    count_selected,
    read_facts,
    read_strategy,
    read_waiting,
    survey,
)
from dask_validator.store.ruled import NOTHING_ASKED
from dask_validator.store.selection import WAITING, Selection, shared_out
from dask_validator.store.symbols import instruments_in, refuse_absent

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from dask_validator.config import GatesOnly, Promotion, RunConfig
    from dask_validator.filters.conditions import Filter
    from dask_validator.model import Session, Strategy
    from dask_validator.rules.day_masks import SessionDays
    from dask_validator.rules.families import Family
    from dask_validator.rules.verdicts import Verdicts
    from dask_validator.sources.source import Source
    from dask_validator.store.patience import Patience
    from dask_validator.store.writer import RunRecord


@dataclass(frozen=True)
class Database:
    """A DuckDB file, by its absolute path: workers have a working directory of their own."""

    path: Path
    source: Source  # of the outcomes
    selection: Selection = WAITING  # the strategies to validate
    promotion: Promotion = NOTHING_ASKED  # what the rules ask of its tables

    @classmethod
    def at(
        cls,
        path: str | Path,
        source: Source,
        *,
        to_write: bool,
        instrument: str | None = None,
        selection: Selection = WAITING,
        promotion: Promotion = NOTHING_ASKED,
        wait_s: float = 0.0,
        say: Callable[[str], None] = lambda text: None,
        passing: lock.Passing = lambda pid: False,
    ) -> Database:
        """The file, checked before any work starts: its tables and, when it is to be written, that nobody holds it.

        Raises
        ------
        InputError
            No such file, not a database, somebody holds it, it does not keep docs/data-contract.md, or, where an
            instrument is given, it has no strategies of it or could not take their verdicts.
        """
        connection.check_is_file(path)
        lock.wait_until_free(path, wait_s, say, passing, to_write=to_write)
        if to_write:
            _refuse_unwritable(path)
        database = cls(Path(path).absolute(), source, selection, promotion)
        look = partial(_look, database=database, path=path, instrument=instrument, to_write=to_write)
        connection.read(path, look)
        return database

    def instruments(self) -> list[str]:
        """Those that it has strategies of, in their order."""
        return connection.read(self.path, instruments_in)

    def selection_of(self, instruments: Sequence[str], selection: Selection) -> dict[str, Selection]:
        """By instrument, which of its strategies are selected. Raises InputError for ids that are of none of them."""
        if selection.ids is None:
            return dict.fromkeys(instruments, selection)
        return connection.read(self.path, lambda opened: shared_out(opened, self.path, instruments, selection))

    def read_facts(self, instrument: str) -> Facts:
        """What a run needs to know beside the strategies to validate."""
        facts = read_facts(self.path, instrument, self.selection, self.promotion)
        return facts._replace(replays_stops=connection.read(self.path, self.source.replays))

    def read_family(self, instrument: str, catalogue: Catalogue, config: RunConfig) -> Family:
        """The strategies whose p-values the rules correct for each other."""
        return connection.read(self.path, lambda opened: read_family(opened, catalogue, instrument, config))

    def read_ungated(self, instrument: str, catalogue: Catalogue, only: GatesOnly | None) -> frozenset[str]:
        """The strategies that the gates of eras and holdout are not for."""
        if only is None:
            return frozenset()
        return connection.read(self.path, lambda opened: read_ungated(opened, catalogue, instrument, only))

    def read_waiting(self, instrument: str, catalogue: Catalogue) -> Generator[list[Strategy]]:
        """The strategies to validate, in no order, many at a time; the database stays open until the last one."""
        return read_waiting(self.path, instrument, self.selection, catalogue)

    def count_waiting(self, instrument: str, ids: Iterable[str]) -> int:
        """How many of these wait, whatever else is selected."""
        waiting = WAITING._replace(ids=tuple(ids))
        return connection.read(self.path, lambda opened: count_selected(opened, instrument, waiting))

    def read_strategy(self, strategy_id: str) -> Stored:
        """One row, waiting or not."""
        return read_strategy(self.path, strategy_id, self.promotion)

    @contextmanager
    def surveyed(
        self, instrument: str, catalogue: Catalogue, *, all_features: bool = False
    ) -> Iterator[Future[Survey]]:
        """Beside the block: where the outcomes lie, and what the data look like as a whole.

        With `all_features`, all that filters of any kind could look at counts, else what names of filters mean.
        A block that is interrupted, or fails, does not wait for the end of the scan.
        """
        with connection.reading(self.path) as opened, ThreadPoolExecutor(1) as background:
            scan = partial(survey, all_features=all_features)
            surveying = background.submit(scan, opened, self.path, instrument, self.source, catalogue)
            try:
                yield surveying
            except BaseException:
                connection.interrupt(opened, surveying)
                raise

    def read_days(self, instrument: str) -> NDArray[np.int32]:
        """Days with an outcome of the instrument, ascending."""
        return connection.read(
            self.path,
            lambda opened: connection.with_room(opened, self.path, lambda: self.source.days(opened, instrument)),
        )

    def read_session_days(
        self, instrument: str, wanted: Mapping[Session, Collection[Filter]], reading: Reading
    ) -> dict[Session, SessionDays]:
        """By session, the days that its filters admit. Raises InputError for a filter that is not allowed."""
        return connection.read(self.path, lambda opened: read_session_days(opened, instrument, wanted, reading))

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Nobody can write meanwhile, and this process opens the file again in no time: DuckDB shares what is open."""
        try:
            with connection.reading(self.path):
                yield
        finally:
            connection.release()

    def file_state(self) -> FileState:
        """Equal states mean that nobody has written in between, to the outcomes neither."""
        return file_state(self.path, self.source.path)

    def past_run(self, instrument: str, run_id: str) -> PastRun | None:
        """A committed run, of whatever instrument; None when there is none of that name."""
        return read_past_run(self.path, instrument, run_id)

    def commit(
        self, record: RunRecord, verdicts: Verdicts, seen: Seen, patience: Patience, *, keep_runs: int | None = None
    ) -> datetime:
        """Write everything in one transaction, unless the instrument's rows are not those that were seen.

        The moment is that at which the run has finished, after all others.
        """
        from dask_validator.store.writer import commit

        return commit(self.path, record, verdicts, seen, patience, keep_runs=keep_runs)


def _look(
    opened: duckdb.DuckDBPyConnection, database: Database, path: str | Path, instrument: str | None, *, to_write: bool
) -> None:
    """Raise InputError for what no run could use; `path` as the user spells it."""
    connection.refuse_truncated(opened, path)
    refuse_macros(opened)
    catalogue = read_catalogue(opened, database.source.tables, database.promotion)
    if instrument is not None:
        refuse_absent(opened, path, instrument)
        shared_out(opened, path, [instrument], database.selection)
        if to_write:
            refuse_obstacles(opened, catalogue, Waiting(instrument, database.selection))


def _refuse_unwritable(path: str | Path) -> None:
    if not os.access(path, os.W_OK):
        raise InputError(f"{path} may not be written by this user; needed write permission, or --dry-run")
    folder = Path(connection.log_of(path)).absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        needed = "write permission, because DuckDB writes its log beside the database, or --dry-run"
        raise InputError(f"{folder} may not be written by this user; needed {needed}")
