"""Tasks that may kill or hang whoever computes them, one after the other in a child process."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple, TypeVar

from dask_validator.errors import ValidatorError

PR_SET_PDEATHSIG, WATCH_S = 1, 1.0
CHANCES = 2  # a death that somebody else has caused is not repeated

Task = TypeVar("Task")
Result = TypeVar("Result")
Lost = TypeVar("Lost")


def alone(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    lost: Callable[[Task, str], Lost],
    timeout_s: float,
    chances: int = CHANCES,
) -> Iterator[Result | Lost]:
    """Yield the result of every task in order; one whose child dies that often, or does not answer in time, is lost."""
    done = deaths = 0
    while done < len(tasks):
        for result in _from_child(function, tasks[done:], timeout_s):
            if isinstance(result, _Death):
                deaths += 1
                if deaths == chances or result.late:
                    yield lost(tasks[done], result.reason)
                    done, deaths = done + 1, 0
            else:
                yield result
                done, deaths = done + 1, 0


class _Death(NamedTuple):
    reason: str
    late: bool = False  # it will not be otherwise the next time


def _from_child(
    function: Callable[[Task], Result], tasks: Sequence[Task], timeout_s: float
) -> Iterator[Result | _Death]:
    """Results as long as there are any; then, unless all are there, a death."""
    # Forked, it has what this process has, and needs no guard in the user's script.
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_compute, args=(function, tasks, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        for _ in tasks:
            if not ours.poll(timeout_s):
                yield _Death(f"no result within {timeout_s:g} s (--task-timeout)", late=True)
                return
            try:
                answer = pickle.loads(ours.recv_bytes())
            except (EOFError, OSError):  # between two results, or in the middle of one
                child.join()
                yield _Death(f"killed the process that computed it alone, which {_end(child.exitcode)}")
                return
            if isinstance(answer, ValidatorError):
                raise answer
            yield answer
    finally:
        child.kill()
        child.join()
        ours.close()


def _compute(function: Callable[[Task], Result], tasks: Sequence[Task], results: Connection) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all: the parent ends us
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _end_with_our_parent()
    for task in tasks:
        try:
            answer = pickle.dumps(function(task))
        except ValidatorError as error:
            answer = pickle.dumps(error)
        except Exception as error:
            what = f"a task failed, which is a defect of dask_validator ({type(error).__name__}: {error})"
            answer = pickle.dumps(ValidatorError(what))
        results.send_bytes(answer)
    os._exit(0)


def _end_with_our_parent() -> None:
    """A task that hangs would outlive a parent that is killed, and keep its journal locked."""
    parent = os.getppid()
    if sys.platform == "linux":  # the kernel does it, even when the task holds Python's lock for ever
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _end(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
