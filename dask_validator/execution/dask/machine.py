"""What this machine lets a cluster of our own have, found out before anything is started."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from dask_validator.errors import InputError
from dask_validator.system import memory

MAIN, WORKER = 400 * 10**6, 200 * 10**6  # bytes; measured: 190 and 110 MB with 13,000 strategies
HEALTHY = 512 * 2**20  # bytes: a process and DuckDB's limit; more is taken only for a strategy that fills memory
FILES, FILES_OF_WORKER = 16, 12  # open in this process; measured: 10 and 11


@contextmanager
def threads_may_be_refused() -> Iterator[None]:
    """Raise InputError when the block wants one thread more than this user may have; nothing is written by then."""
    try:
        yield
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise InputError(
            "this user may start no further thread here (ulimit -u, or the process limit of a container); end other "
            "processes or raise it, then run again"
        ) from error


def check_children(workers: int) -> None:
    """Raise InputError where this process must not have children, or not open as many files as they need."""
    if multiprocessing.current_process().daemon:
        raise InputError(
            f"got workers={workers} inside a daemonic process, such as one of a multiprocessing.Pool, which may start "
            "no other; needed workers=1 there"
        )
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    others, of_workers = psutil.Process().num_fds() + FILES, FILES_OF_WORKER * workers
    if allowed != resource.RLIM_INFINITY and others + of_workers > allowed:
        fewer = max(1, (allowed - others) // FILES_OF_WORKER)
        raise InputError(
            f"got --workers {workers} where {allowed} files may be open (ulimit -n); needed {others + of_workers}, or "
            f"--workers {fewer}"
        )


def fitting(workers: int) -> tuple[int, list[str]]:
    """So many workers, or as many as there is memory for; and what to say where these are fewer."""
    limit = _memory()
    fits = max(1, min(workers, (limit - MAIN) // WORKER))
    if fits == workers:
        return workers, []
    return fits, [
        f"--workers {workers} need about {megabytes(MAIN + workers * WORKER)} of memory, and {megabytes(limit)} may be "
        f"taken here (machine, cgroup, ulimit -m): {fits} used"
    ]


def runaway(workers: int) -> int:
    """Bytes that a worker takes only for a strategy that fills memory: more than its share, and than it ever needs."""
    return max(_memory() // workers, HEALTHY)


def megabytes(size: int) -> str:
    """As it is said to a user."""
    return f"{size / 10**6:,.0f} MB"


def _memory() -> int:
    import distributed.system  # takes longer to import than all that comes before it

    return min(memory.limit(), distributed.system.MEMORY_LIMIT)  # which knows of ulimit -m
