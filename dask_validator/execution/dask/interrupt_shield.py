"""Jupyter's interrupt, as Ctrl-C, goes to a group of processes: the user's own LocalCluster would lose its workers.

They end well then, so their nannies do not start them again, and the client is of no use any more.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator.execution.dask.asking import asked, tried
from dask_validator.execution.dask.in_flight import answering

if TYPE_CHECKING:
    from distributed import Client


class Caller(NamedTuple):
    """The process that is interrupted, as its workers can recognise it."""

    host: str
    group: int
    pid: int

    @classmethod
    def here(cls) -> Caller:
        """This process."""
        return cls(socket.gethostname(), os.getpgrp(), os.getpid())


_handlers: list[Any] = []  # in a worker: one for each run that it is shielded for


@contextmanager
def shielded(client: Client, when_interrupted: Callable[[], None]) -> Iterator[None]:
    """Interrupts do not reach the workers that are there now; what they did about them before, they do afterwards.

    Interrupted ourselves, we have each worker call a function.

    Raises
    ------
    Incomplete
        The scheduler has gone.
    """
    caller = Caller.here()
    try:
        with answering():
            asked(lambda: client.run(_shield, caller, on_error="ignore"))
        yield
    except KeyboardInterrupt:
        tried(lambda: client.run(when_interrupted, on_error="ignore"))
        raise
    finally:
        tried(lambda: client.run(_unshield, caller, on_error="ignore"))


def _shield(caller: Caller) -> None:
    """Runs on a worker, in its main thread."""
    if _is_hit_too(caller):
        _handlers.append(signal.signal(signal.SIGINT, signal.SIG_IGN))


def _unshield(caller: Caller) -> None:
    if _is_hit_too(caller) and _handlers:
        signal.signal(signal.SIGINT, _handlers.pop())


def _is_hit_too(caller: Caller) -> bool:
    here = Caller.here()
    return here[:2] == caller[:2] and here.pid != caller.pid
