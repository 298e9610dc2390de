"""One process that has imported all that a worker needs; workers are forked from it in no time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker

PRELOADED = ["distributed.nanny", "dask_validator.task"]


def prepare() -> None:
    """Start the process, unless it runs; it imports while we do other things, and ends when this process ends."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    with ctrl_c_is_ours():
        forkserver.ensure_running()


@contextmanager
def ctrl_c_is_ours() -> Iterator[None]:
    """Threads and processes started inside never see what a terminal sends to all: Ctrl-C, and that it closes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        # Started later, by whoever starts the first process, it would unblock Ctrl-C there.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
