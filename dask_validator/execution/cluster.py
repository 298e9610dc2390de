"""Tasks on Dask: a LocalCluster of our own, or a client that the user already has."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import dask
from distributed import Client, Future, LocalCluster, as_completed

from dask_validator.errors import Incomplete, ValidatorError

Task = TypeVar("Task")
Result = TypeVar("Result")

LOOPBACK = "127.0.0.1"
DEFAULT_DASHBOARD = f"{LOOPBACK}:8787"


class DaskExecutor:
    """Runs tasks on the workers of a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
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
            yield from self._collect(futures)
        finally:
            self._client.cancel(futures)

    def _collect(self, futures: list[Future]) -> Iterator[Result]:
        completed = as_completed(futures)
        for batch in completed.batches():
            for future in batch:
                if future.status in ("pending", "lost"):  # its worker died between the result and our asking
                    completed.add(future)
                    continue
                try:
                    yield future.result()
                except ValidatorError:
                    raise
                except Exception as error:
                    raise Incomplete(
                        f"the cluster lost task {future.key} ({type(error).__name__}: {error}); nothing was written, "
                        "run again, or with --workers 1"
                    ) from error


@contextmanager
def local_cluster(workers: int, dashboard_address: str | None = DEFAULT_DASHBOARD) -> Iterator[DaskExecutor]:
    """A cluster of single-threaded worker processes on this machine, closed at the end.

    Only loopback listens. Dask's scratch files go to the system's temporary directory and are removed.
    """
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-validator-", ignore_cleanup_errors=True))
        stack.enter_context(dask.config.set({"temporary-directory": scratch}))
        stack.enter_context(_quiet_shutdown())
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host=LOOPBACK,
                dashboard_address=dashboard_address,
                worker_dashboard_address=None,
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
            )
        )
        client = stack.enter_context(Client(cluster))
        yield DaskExecutor(client)


@contextmanager
def _quiet_shutdown() -> Iterator[None]:
    """Dask logs closed connections as errors while it shuts down; a user would take them for ours."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
