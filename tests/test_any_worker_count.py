"""However many workers, in whatever order they answer: the same tables, the same lines."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from distributed import Client

from dask_validator import validate
from dask_validator.api.preparing import prepared
from dask_validator.events import ignore
from dask_validator.execution.executor import Job
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run.run import run_validation
from dask_validator.work import plan
from tests.support.runs import Serial, answers, config, verdicts

Task = TypeVar("Task")
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def serial(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Serial:
    """The answers of `--workers 1` to the recorded input."""
    found = Serial(Path(shutil.copy(small_source, tmp_path_factory.mktemp("serial") / "small.duckdb")))
    assert len(found.answers["lines"]) > 50
    assert len(found.answers["validated_setups"]) > 40
    return found


@pytest.fixture(autouse=True)
def many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts the small input finely, or a handful of tasks would show little."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (2_000, 5_000))


class Shuffled(SerialExecutor):
    """An executor whose tasks complete in any order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def map(self, job: Job[Task, Result]) -> Iterator[Result]:
        """Yield results in random order, every other task with its outcomes."""
        ordered = list(job.tasks)
        assert len(ordered) > 10
        mixed = [job.handling.carried(task) if i % 2 else task for i, task in enumerate(ordered)]
        return map(job.function, self._random.sample(mixed, len(mixed)))


@pytest.mark.parametrize("workers", [2, 3])
def test_workers(small: Path, serial: Serial, workers: int) -> None:
    """More workers make a run faster, never different."""
    result = validate(small, "MGC", config(small), workers=workers, progress=False)

    assert result.summary["walkforward"]["workers"] == workers
    assert result.summary["walkforward"]["tasks"] > workers
    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order(small: Path, serial: Serial, seed: int) -> None:
    """The order in which tasks complete is chance and must not show."""
    with prepared(small, "MGC", config(small)) as (order, journal):
        result = run_validation(order, Shuffled(seed), ignore, journal)

    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster that the user already has."""
    with Client(processes=True, n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as found:
        yield found


def test_the_users_own_client(small: Path, serial: Serial, client: Client) -> None:
    """A run is a guest on a user's client: same answers, and afterwards it is open, empty and usable."""
    result = validate(small, "MGC", config(small), client=client, progress=False)

    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers
    assert client.status == "running"
    assert not client.futures
    assert client.submit(sum, [1, 2]).result(timeout=30) == 3


def test_threads_of_this_process(small: Path, serial: Serial) -> None:
    """Some clients run their tasks in threads of the very process: same answers, and the commit finds no lock."""
    with Client(processes=False, n_workers=1, threads_per_worker=3, dashboard_address="127.0.0.1:0") as threads:
        result = validate(small, "MGC", config(small), client=threads, progress=False)

    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


def test_every_lock_is_released(small: Path, client: Client) -> None:
    """While the user's workers live on, the database is free: another process may write to it."""
    validate(small, "MGC", config(small), client=client, progress=False)
    write = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE mine AS SELECT 1 AS one')"
    done = subprocess.run([sys.executable, "-c", write, str(small)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert len(client.nthreads()) == 2
