"""What a run changes for this whole process is given back, in whatever way the run ends."""

from __future__ import annotations

import copy
import logging
import os
import signal
from contextlib import ExitStack
from multiprocessing import active_children
from threading import Event, Thread
from typing import Any

import dask
import pytest

from dask_validator.api.executors import open_executor
from dask_validator.execution.dask.client import quiet
from dask_validator.execution.dask.cluster import LocalExecutor
from dask_validator.execution.dask.dask_config import OURS
from dask_validator.execution.dask.process_wide import configured

BOUND_S = 60
FAILURES = "distributed.scheduler.allowed-failures"


def in_common() -> list[Any]:
    """What all that runs in this process shares."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "bokeh")]
    levels = [each.level for logger in loggers for each in (logger, *logger.handlers)]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    return [copy.deepcopy(dask.config.config), levels, handlers]


@pytest.fixture
def shared() -> list[Any]:
    """As it was before the test."""
    return in_common()


@pytest.mark.parametrize("first", [0, 1])
def test_runs_that_overlap(shared: list[Any], first: int) -> None:
    """The run that began first may end first: the other goes on as configured, and after both nothing is changed."""
    runs = [ExitStack(), ExitStack()]
    for failures, run in enumerate(runs):
        run.enter_context(quiet())
        run.enter_context(configured({"distributed": {**dask.config.get("distributed")}, FAILURES: failures}))
    runs[first].close()

    assert dask.config.get(FAILURES) == 1 - first
    assert not logging.getLogger("distributed").isEnabledFor(logging.ERROR)
    runs[1 - first].close()
    assert in_common() == shared


def test_clusters_that_overlap(shared: list[Any]) -> None:
    """The same with clusters of our own, in the order in which no `with` would end them."""
    runs = [ExitStack(), ExitStack()]
    for run in runs:
        run.enter_context(open_executor(2, dashboard_address=None)).wait()
    for run in runs:
        assert dask.config.get(FAILURES) == OURS[FAILURES]
        run.close()

    assert in_common() == shared


def start_and_interrupt() -> None:
    """A run that hears Ctrl-C as soon as its cluster starts."""
    with open_executor(2, dashboard_address=None) as executor:
        executor.start()
        raise KeyboardInterrupt


@pytest.mark.usefixtures("bounded")
def test_interrupted_while_it_ends(shared: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C twice, the second while the cluster, still starting, is to be ended: it is ended, nothing is changed."""
    closing, interrupted = Event(), Event()
    start, close = LocalExecutor._start, LocalExecutor.close

    def start_late(executor: LocalExecutor) -> object:
        interrupted.wait()
        return start(executor)

    def close_noted(executor: LocalExecutor) -> None:
        closing.set()
        close(executor)

    def insist() -> None:
        closing.wait()
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.set()

    monkeypatch.setattr(LocalExecutor, "_start", start_late)
    monkeypatch.setattr(LocalExecutor, "close", close_noted)
    insisting = Thread(target=insist)
    insisting.start()
    with pytest.raises(KeyboardInterrupt):
        start_and_interrupt()
    insisting.join()

    assert in_common() == shared
    assert not [child for child in active_children() if "Nanny" in child.name]
