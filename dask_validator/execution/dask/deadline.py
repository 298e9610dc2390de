"""A task that never returns takes its worker process with it; the worker's nanny starts another."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import get_worker

_running: list[float] = []  # when the tasks of this process must have ended
_changing = threading.Lock()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End this process when the block takes longer.

    The kernel does it, as a task that hangs in C code may hold Python's lock for ever. Without a nanny nothing is
    done: the process may be the user's own.
    """
    if get_worker().nanny is None:
        yield
        return
    until = time.monotonic() + seconds
    with _changing:
        _running.append(until)
        _set_alarm()
    try:
        yield
    finally:
        with _changing:
            _running.remove(until)
            _set_alarm()


def _set_alarm() -> None:
    """Nobody handles the alarm, so it ends the process."""
    signal.setitimer(signal.ITIMER_REAL, max(min(_running) - time.monotonic(), 0.001) if _running else 0.0)
