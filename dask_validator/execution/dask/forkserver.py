"""One process that has imported all that a worker needs; workers are forked from it in no time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker, util

from dask_validator.errors import InputError

PRELOADED = [
    "dask_validator.execution.dask.muted",
    "distributed.nanny",
    "dask_validator.work.walkforward",
    "dask_validator.sources.orb_outcomes",
]
LONGEST_PATH = 100  # of a socket; the kernel takes 107 bytes, on some systems 103
SOCKET = "/pymp-12345678/listener-12345678"
SHORT = "/tmp"


def prepare() -> None:
    """Start the process, unless it runs; it imports while we do other things, and ends when this process ends.

    Raises
    ------
    InputError
        It cannot be started.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    try:
        with ctrl_c_is_ours(), _short_paths():
            forkserver.ensure_running()
    except OSError as error:  # no room in the temporary directory, no further process
        raise InputError(f"worker processes cannot be started here ({error}); use --workers 1") from error


@contextmanager
def _short_paths() -> Iterator[None]:
    """The process is reached by a socket, whose path in a deep temporary directory the kernel would not take."""
    before = tempfile.gettempdir()
    if len(os.fsencode(before + SOCKET)) > LONGEST_PATH:
        tempfile.tempdir = SHORT
    try:
        util.get_temp_dir()  # which is made once, and removed when this process ends
        yield
    finally:
        tempfile.tempdir = before


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
