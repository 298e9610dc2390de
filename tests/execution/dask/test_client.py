"""Tasks on the workers of a client."""

from __future__ import annotations

import logging
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client, get_task_stream
from distributed.diagnostics.task_stream import rectangles

from dask_validator import validate
from dask_validator.errors import ValidatorError
from dask_validator.execution.dask import envelope
from dask_validator.execution.dask.client import ClientExecutor, quiet
from dask_validator.execution.dask.in_flight import IN_FLIGHT
from tests.support.clusters import unfinished_tasks
from tests.support.jobs import job
from tests.support.tiny import tiny_database

BOUND_S = 60


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One worker in this process, so that its scheduler can be looked at."""
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        yield client


def slowly(number: int) -> int:
    """A task that leaves time for Ctrl-C."""
    time.sleep(0.05)
    return number


def press_ctrl_c_after_three(executor: ClientExecutor, results: list[int]) -> None:
    """A run of five seconds, interrupted near its start."""
    for result in executor.map(job(slowly, range(100), "ctrl_c")):
        results.append(result)
        if len(results) == 3:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_the_computing_early(client: Client) -> None:
    """Ctrl-C while workers compute is acted on at once, not when the last task is done."""
    results: list[int] = []

    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c_after_three(ClientExecutor(client), results)

    assert 3 <= len(results) < 50


@pytest.mark.parametrize("name", ["distributed.client", "distributed.utils_comm", "distributed.worker"])
def test_what_dask_logs_about_a_lost_cluster_is_not_shown(name: str) -> None:
    """Dask's tracebacks about connections do not reach the terminal, whichever of its modules logs them."""
    logger = logging.getLogger(name)
    shown = logger.isEnabledFor(logging.ERROR)

    with quiet():
        assert not logger.isEnabledFor(logging.ERROR)
    assert shown
    assert logger.isEnabledFor(logging.ERROR)


def bottomless(task: int) -> int:
    """A task whose traceback is longer than Dask can send."""
    return bottomless(task)


def unpicklable(task: int) -> Callable[[], int]:
    """A task whose result cannot travel."""
    return lambda: task


@pytest.mark.parametrize("function", [bottomless, unpicklable])
def test_a_task_that_fails_strangely_ends_the_run(client: Client, function: Callable[[int], object]) -> None:
    """Whatever goes wrong in a worker arrives here as one line; nobody waits for an answer that cannot be read."""
    with pytest.raises(ValidatorError, match="a task failed"):
        list(ClientExecutor(client).map(job(function, range(3), function.__name__)))


@pytest.mark.usefixtures("bounded")
def test_few_tasks_are_known_to_the_scheduler_at_once(client: Client) -> None:
    """A million strategies must not weigh on the scheduler: a window of tasks is topped up as they complete."""
    scheduler = client.cluster.scheduler
    unfinished: list[int] = []
    results: list[int] = []
    for result in ClientExecutor(client).map(job(slowly, range(50), "window")):
        results.append(result)
        unfinished.append(unfinished_tasks(scheduler))
        while len(scheduler.tasks) > IN_FLIGHT:  # what has landed is forgotten, if a little later
            time.sleep(0.01)

    assert sorted(results) == list(range(50))
    assert 1 < max(unfinished) <= IN_FLIGHT


def test_a_run_has_its_name_on_the_dashboard(client: Client, tmp_path: Path) -> None:
    """Dask's dashboard shows a run's tasks by their kind, in its progress bars and in its task stream."""
    before = set(client.cluster.scheduler.task_prefixes)
    with get_task_stream(client) as stream:
        validate(tiny_database(tmp_path / "tiny.duckdb"), client=client, progress=False)

    assert set(client.cluster.scheduler.task_prefixes) - before == {"walkforward"}
    assert set(rectangles(stream.data)["name"]) >= {"walkforward"}
    assert not any("loads" in name for name in rectangles(stream.data)["name"])


def test_a_scheduler_without_our_package_reads_what_is_mapped() -> None:
    """A function of ours bears its own name here; what travels is the standard library's."""
    named = envelope.Named(slowly)
    sent = pickle.dumps(named)

    assert named.__name__ == "slowly"
    assert b"tests" not in sent
    assert b"dask_validator" not in sent
    assert envelope.outcome(pickle.loads(sent)(pickle.dumps(pickle.dumps("answer")))) == "answer"
