"""The contract: wherever tasks run, whatever they do there, the same answers and the same lost ones."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

from dask_validator.api.executors import open_executor
from dask_validator.errors import InputError, ValidatorError
from dask_validator.execution.dask.forkserver import prepare
from dask_validator.execution.executor import Executor, Job

BOUND_S = 120
TIMEOUT_S = 2.0
pytestmark = pytest.mark.usefixtures("bounded")

Task = tuple[str, ...]  # words, each of which is answered by itself, in capitals
FAULTS: dict[str, Callable[[], object]] = {
    "dies": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(7),
    "hangs": lambda: time.sleep(600),
}
HEALTHY = [(f"a{number}", f"b{number}") for number in range(12)]
ANSWERS = {word.upper() for task in HEALTHY for word in task}


def answered(task: Task) -> Task:
    """The task in capitals, unless a word of it is a fault: that comes to pass."""
    for word in task:
        FAULTS.get(word, str)()
    return tuple(word.upper() for word in task)


def refused(task: Task) -> Task:
    """An error that the package knows."""
    raise InputError(f"no such database as {task[0]}")


def unreadable(task: Task) -> Callable[[], Task]:
    """An answer that cannot travel."""
    return lambda: task


class Words:
    """Tasks can be cut; a lost one has its words, in small letters, for a result."""

    def carried(self, task: Task) -> Task:
        """The task, which needs no file."""
        return task

    def parts(self, task: Task, most: int) -> list[Task]:
        """The task cut into at most so many."""
        size = -(-len(task) // most)
        return [task[start : start + size] for start in range(0, len(task), size)]

    def lost(self, task: Task, reason: str) -> Task:
        """What stands for the answer."""
        assert reason
        return task


_runs = iter(range(1_000_000))


def words(tasks: Sequence[Task], suspects: Sequence[Task] = (), function: Callable[[Task], Any] = answered) -> Any:
    """A job of its own."""
    return Job(kind="words", run=str(next(_runs)), function=function, tasks=tasks, handling=Words(), suspects=suspects)


@pytest.fixture(scope="module")
def others() -> Iterator[LocalCluster]:
    """A cluster that somebody else has started."""
    prepare()  # Dask would have the process from which all workers of this suite are forked import other things
    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",  # which starts faster
        "distributed.scheduler.allowed-failures": 0,
    }
    with dask.config.set(settings):
        options = {"n_workers": 2, "threads_per_worker": 1, "silence_logs": 50, "dashboard_address": "127.0.0.1:0"}
        with LocalCluster(**options) as cluster:
            yield cluster


@pytest.fixture(scope="module", params=["serial", "cluster of its own", "existing client", "existing scheduler"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Each place where a run can compute, opened as a run opens it, once for all tests."""
    with ExitStack() as opened:
        if request.param.startswith("existing"):
            cluster = request.getfixturevalue("others")
            client = opened.enter_context(Client(cluster, set_as_default=False))
            by_client = {"client": client, "dashboard_address": None}
            where = by_client if request.param == "existing client" else {"scheduler": cluster.scheduler_address}
        else:
            where = {"workers": 1 if request.param == "serial" else 2, "dashboard_address": None}
        executor = opened.enter_context(open_executor(**where, task_timeout_s=TIMEOUT_S))  # type: ignore[arg-type]
        executor.start()
        executor.wait()
        yield executor


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order(executor: Executor, seed: int) -> None:
    """Every task has one result, its own, in whatever order tasks come and complete."""
    tasks = random.Random(seed).sample(HEALTHY, len(HEALTHY))

    assert sorted(executor.map(words(tasks))) == sorted(answered(task) for task in HEALTHY)


def test_nothing_to_do(executor: Executor) -> None:
    """No task, no result, and no wait for one."""
    assert list(executor.map(words([]))) == []


def test_suspects_are_innocent(executor: Executor) -> None:
    """What only may kill is computed as everything else, if apart."""
    found = list(executor.map(words(HEALTHY[:6], HEALTHY[6:])))

    assert {word for result in found for word in result} == ANSWERS
    assert sum(map(len, found)) == len(ANSWERS)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_alone_is_lost(executor: Executor, fault: str) -> None:
    """What kills or hangs its process is lost, not what it shared a task with, nor any other; the run goes on."""
    found = list(executor.map(words(HEALTHY[:-1], [(HEALTHY[-1][0], fault, HEALTHY[-1][1])])))

    assert {word for result in found for word in result} == ANSWERS | {fault}
    assert sum(map(len, found)) == len(ANSWERS) + 1


@pytest.mark.parametrize("suspect", [False, True])
def test_errors_end_the_run(executor: Executor, suspect: bool) -> None:
    """An error that is about no single strategy is raised as the error it was, wherever it was met."""
    tasks = [[], HEALTHY[:1]]
    with pytest.raises(InputError, match=r"^no such database as a0$"):
        list(executor.map(words(tasks[not suspect], tasks[suspect], refused)))


def test_unreadable_answers(executor: Executor) -> None:
    """An answer that cannot travel is a defect, said in one line, and no fault of the strategy's."""
    with pytest.raises(ValidatorError, match="a task failed, which is a defect of dask_validator"):
        list(executor.map(words([], HEALTHY[:1], unreadable)))


def press_ctrl_c_after_three(executor: Executor, found: list[Task]) -> None:
    """A long job, interrupted near its start."""
    for result in executor.map(words(HEALTHY * 50)):
        found.append(result)
        if len(found) == 3:
            signal.raise_signal(signal.SIGINT)


def test_interrupted(executor: Executor) -> None:
    """Ctrl-C ends a job in the middle; the next job finds nothing of it, and all that it needs."""
    found: list[Task] = []
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c_after_three(executor, found)

    assert len(found) < 50 * len(HEALTHY)
    assert sorted(executor.map(words(HEALTHY))) == sorted(answered(task) for task in HEALTHY)
