"""Where the tasks of a call run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any

from dask_validator.errors import Incomplete, InputError
from dask_validator.execution.dask.dask_config import links_that_can_be_formed, readable
from dask_validator.execution.dask.machine import check_children, threads_may_be_refused
from dask_validator.execution.executor import TASK_TIMEOUT_S, Executor
from dask_validator.execution.serial import SerialExecutor
from dask_validator.store.connection import release
from dask_validator.system.cores import usable_cores
from dask_validator.system.interrupts import held_back

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def open_executor(
    workers: int | None = None,
    client: Client | None = None,
    scheduler: str | None = None,
    dashboard_address: str | None = "127.0.0.1:8787",
    say: Callable[[str], None] = lambda text: None,
    task_timeout_s: float = TASK_TIMEOUT_S,
) -> Iterator[Executor]:
    """Where the tasks run: this process, a LocalCluster of our own, the user's client, or a scheduler's address.

    Raises
    ------
    InputError
        `workers` below 1 or together with a cluster, a cluster that cannot be used, or a script without the
        `__main__` guard.
    """
    with threads_may_be_refused():
        if client is not None or scheduler is not None:
            if workers is not None:
                raise InputError("got both workers and a cluster (--scheduler, client=); needed one of them")
            cluster, dashboard = client or str(scheduler), dashboard_address is not None
            with _others_cluster(cluster, say, task_timeout_s, dashboard=dashboard) as existing:
                yield existing
            return
        with held_back():
            count = default_workers() if workers is None else workers
        if not isinstance(count, int) or count < 1:
            raise InputError(f"workers got {count!r}; needed a whole number, at least 1")
        if count == 1:
            yield SerialExecutor(task_timeout_s)
            return
        with _own_cluster(count, dashboard_address, task_timeout_s) as executor:
            yield executor


@contextmanager
def _others_cluster(
    cluster: Client | str, say: Callable[[str], None], task_timeout_s: float, *, dashboard: bool
) -> Iterator[Executor]:
    with held_back(), readable():  # half an import would break every later run of a notebook's kernel
        from dask_validator.execution.dask.client import connect, existing_cluster, quiet
        from dask_validator.execution.dask.interrupt_shield import shielded

    with ExitStack() as opened:
        opened.enter_context(links_that_can_be_formed())
        if isinstance(cluster, str):
            opened.enter_context(quiet())
            client = opened.enter_context(closing(connect(cluster)))
        else:
            client = cluster
        existing = existing_cluster(client, say, task_timeout_s, dashboard=dashboard)
        opened.enter_context(shielded(client, release))  # a reader would lock others out
        yield existing


@contextmanager
def _own_cluster(workers: int, dashboard_address: str | None, task_timeout_s: float) -> Iterator[Executor]:
    from dask_validator.execution.dask.forkserver import prepare
    from dask_validator.execution.dask.machine import fitting
    from dask_validator.execution.dask.main_guard import require_main_guard

    require_main_guard()
    check_children(workers)
    with held_back(), readable():
        import dask  # noqa: F401  # the process that is started next would say at length what it cannot read
    prepare()  # before the rest of Dask is imported, which takes as long here as there
    with held_back(), readable():
        from dask_validator.execution.dask.cluster import local_cluster
    fits, warnings = fitting(workers)
    if fits == 1:
        yield SerialExecutor(task_timeout_s, warnings)
        return
    with local_cluster(fits, dashboard_address, task_timeout_s, warnings) as executor:
        yield executor


class Kept:
    """One place for the tasks of several runs; after a run that has lost its workers the next gets another."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Executor]]) -> None:
        self._opened = opened
        self._open = ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._open.__exit__(*error)

    @property
    def dashboard_link(self) -> str | None:
        """Of the cluster that is open now, if it has one."""
        return self._executor.dashboard_link if self._executor else None

    @contextmanager
    def lent(self) -> Iterator[Executor]:
        """For one run."""
        if self._executor is None:
            self._executor = self._open.enter_context(self._opened())
        try:
            yield self._executor
        except Incomplete:
            self._executor = None
            self._open.close()
            raise


def default_workers() -> int:
    """One core is left to the user; a daemonic process may have no children."""
    return 1 if current_process().daemon else max(1, min(8, usable_cores() - 1))
