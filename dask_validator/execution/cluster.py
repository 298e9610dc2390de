"""Tasks on Dask: a LocalCluster of our own, or a client that the user already has."""

from __future__ import annotations

import logging
import math
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import TypeVar

import dask
from distributed import Client, Future, LocalCluster, as_completed

from dask_validator.errors import Incomplete, ValidatorError
from dask_validator.execution.dashboard import LOOPBACK, free_address
from dask_validator.interrupts import held_back

POLL_S, ASK_S, PATIENCE_S = 0.005, 1.0, 10.0
NEXT = "nothing was written; run again, or with --workers 1"

Task = TypeVar("Task")
Result = TypeVar("Result")


class DaskExecutor:
    """Runs tasks on the workers of a client."""

    def __init__(self, client: Client, patience_s: float = math.inf) -> None:
        self._client = client
        self._patience_s = patience_s  # how long to wait for a worker once there is none
        self.workers = max(1, sum(client.nthreads().values()))
        self.dashboard_link: str | None = client.dashboard_link or None

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task], name: str) -> Iterator[Result]:
        """Yield results in the order of completion.

        Raises
        ------
        Incomplete
            The cluster, or every worker that tried a task, was lost.
        """
        # Keys of our own: equal inputs would share one future, also with an earlier run on a long-lived cluster.
        keys = [f"{name}-{position}" for position in range(len(tasks))]
        futures = self._client.map(function, tasks, key=keys, pure=False, retries=0)
        try:
            # Raised in one of Dask's garbage-collection callbacks, a KeyboardInterrupt would be lost.
            with held_back() as interrupts:
                yield from self._collect(futures, interrupts)
        finally:
            self._client.cancel(futures)

    def _collect(self, futures: list[Future], interrupts: list[int]) -> Iterator[Result]:
        completed = as_completed(futures)
        for batch in self._batches(completed, interrupts):
            for future in batch:
                if future.status in ("pending", "lost"):  # its worker died between the result and our asking
                    completed.add(future)
                    continue
                try:
                    yield future.result()
                except ValidatorError:
                    raise
                except Exception as error:
                    raise Incomplete(f"task {future.key} was lost ({type(error).__name__}: {error}); {NEXT}") from error

    def _batches(self, completed: as_completed, interrupts: list[int]) -> Iterator[list[Future]]:
        """Futures as they complete; as_completed itself would wait for ever when the last worker has gone."""
        asked = last_seen = time.monotonic()
        while not completed.is_empty():
            if interrupts:
                return  # held_back raises it
            if completed.has_ready():
                yield completed.next_batch(block=False)
                asked = last_seen = time.monotonic()
                continue
            time.sleep(POLL_S)
            if time.monotonic() - asked < ASK_S:
                continue
            asked = time.monotonic()
            if self._client.nthreads():
                last_seen = asked
            elif asked - last_seen > self._patience_s:
                raise Incomplete(f"every worker has gone; {NEXT}")


@contextmanager
def local_cluster(workers: int, dashboard_address: str | None) -> Iterator[DaskExecutor]:
    """A cluster of single-threaded worker processes on this machine, closed at the end.

    Only loopback listens. Dask's scratch files go to the system's temporary directory and are removed.
    """
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-validator-", ignore_cleanup_errors=True))
        stack.enter_context(dask.config.set({"temporary-directory": scratch}))
        stack.enter_context(_quiet())
        with held_back(), _ctrl_c_is_ours():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host=LOOPBACK,
                    dashboard_address=dashboard_address and free_address(dashboard_address),
                    worker_dashboard_address=f"{LOOPBACK}:0",
                    local_directory=scratch,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
        executor = DaskExecutor(client, PATIENCE_S)
        if dashboard_address is None:
            executor.dashboard_link = None  # Dask serves its health pages all the same
        yield executor


@contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Threads and processes started inside never see Ctrl-C, which a terminal sends to all of them."""
    resource_tracker.ensure_running()  # started later, by whoever starts the first process, it would unblock there
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask logs connections that it closes itself as errors; a user would take them for ours."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
