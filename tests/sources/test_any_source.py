"""Outcomes that lie elsewhere than in the database: the same run, and the same answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared
from dask_validator.events import Committing, Event, Listener, Ready, TakenOver, TaskDone, ignore
from dask_validator.execution.executor import Job
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation
from dask_validator.sources.carried import Carried
from dask_validator.work import plan
from tests.support.parquet import ParquetOutcomes, export
from tests.support.runs import TABLES, Serial, answers, config, verdicts

BOUND_S = 120
WRITTEN = [table for table in TABLES if table != "orb_outcomes"]
pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture(scope="module")
def table(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has its outcomes in the usual table."""
    return Path(shutil.copy(small_source, tmp_path_factory.mktemp("table") / "small.duckdb"))


@pytest.fixture(scope="module")
def serial(table: Path) -> Serial:
    """The run on it."""
    return Serial(table)


@pytest.fixture
def file(small: Path) -> Path:
    """The outcomes of `small`, which has none any more."""
    path = small.parent / "outcomes.parquet"
    export(small, path)
    return path


def run(database: Path, file: Path, workers: int = 1, listener: Listener = ignore, **blind: Any) -> Outcome:
    """What `validate` does, with outcomes of a file."""
    with (
        prepared(database, "MGC", config(database), source=ParquetOutcomes(file)) as (order, journal),
        open_executor(workers, dashboard_address=None) as executor,
    ):
        vars(executor).update(blind)
        return run_validation(order, executor, listener, journal)


def written(database: Path) -> dict[str, list[Any]]:
    """All that a run writes into tables that are there, and what it says of the outcomes that it saw."""
    with duckdb.connect(str(database), read_only=True) as connection:
        query = "SELECT strategy_id, outcomes_hash FROM dask_validator_latest ORDER BY strategy_id"
        found = connection.execute(query).fetchall()
    return answers(database, WRITTEN) | {"hashes": found}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_in_place_of_the_table(small: Path, file: Path, table: Path, serial: Serial, workers: int) -> None:
    """Serially and on workers, that read the file themselves: the verdicts and tables of a run on the table."""
    result = run(small, file, workers)

    assert result.summary["committed"]
    assert verdicts(result) == serial.verdicts
    assert written(small) == written(table)


def test_workers_that_do_not_see_the_file(small: Path, file: Path, serial: Serial) -> None:
    """They are asked about the file, not about the database, and its outcomes travel with the tasks."""
    asked, heard = [], []

    def blind(path: Path) -> list[str]:
        asked.append(path)
        return ["a worker"]

    result = run(small, file, listener=heard.append, blind=blind)

    assert asked == [file]
    assert [event.blind for event in heard if isinstance(event, Ready)] == [["a worker"]]
    assert verdicts(result) == serial.verdicts


def test_a_changed_file_sets_the_journal_aside(small: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of an interrupted run hold as long as the file is the same, and not when one outcome has changed."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (2_000, 5_000))
    taken_over: list[int] = []

    def interrupted(event: Event) -> None:
        if isinstance(event, TakenOver):
            taken_over.append(len(event.answers))
        if isinstance(event, TaskDone):
            raise KeyboardInterrupt

    for changed in (False, False, True):
        if changed:
            rewrite(file, "pnl_r + 1")
        with pytest.raises(KeyboardInterrupt):
            run(small, file, listener=interrupted)

    assert len(taken_over) == 1
    assert taken_over[0] > 0


def test_a_file_that_changes_before_the_commit(small: Path, file: Path) -> None:
    """It is looked at again: what is committed holds for the outcomes that are there."""
    other = Path(shutil.copytree(small.parent, small.parent.parent / "other"))
    rewrite(other / file.name, "-pnl_r")
    expected = run(other / small.name, other / file.name)
    looks: list[Event] = []

    def meanwhile(event: Event) -> None:
        if isinstance(event, Committing):
            looks.append(event)
            if len(looks) == 1:
                rewrite(file, "-pnl_r")

    result = run(small, file, listener=meanwhile)

    assert len(looks) == 2
    assert verdicts(result) == verdicts(expected)
    assert written(small) == written(other / small.name)


def test_what_travels_is_cut_with_its_task() -> None:
    """Of a carried task a part has the outcomes of its own keys."""
    assert Carried(("a", "b", "c")).only([2, 0]).outcomes == ("c", "a")  # type: ignore[arg-type]


def test_what_travels_is_read_once(small: Path, file: Path) -> None:
    """A task that carries its outcomes stays itself: who sends it again sees that there is no other way to send it."""
    asked: list[object] = []

    class Looking(SerialExecutor):
        """Asks for every task to be carried, twice."""

        def map(self, job: Job[Any, Any]) -> Iterator[Any]:
            for task in job.tasks:
                carried = job.handling.carried(task)
                asked.append(job.handling.carried(carried) is carried is not task)
            return iter(())

    with prepared(small, "MGC", config(small), source=ParquetOutcomes(file)) as (order, journal):
        run_validation(order, Looking(), ignore, journal)

    assert asked
    assert all(asked)


def rewrite(file: Path, pnl_r: str) -> None:
    """Every R-multiple anew."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * REPLACE ({pnl_r} AS pnl_r) FROM '{file}'")
        connection.execute(f"COPY t TO '{file}' (FORMAT parquet)")
