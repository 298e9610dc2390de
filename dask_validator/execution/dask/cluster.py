"""A LocalCluster of our own, started in the background while the main process screens."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import distributed.utils
from dask.system import CPU_COUNT
from distributed import Client
from distributed.security import Security

from dask_validator.errors import InputError
from dask_validator.execution.dask.client import ClientExecutor, quiet
from dask_validator.execution.dask.dashboard import LOOPBACK, exposed, open_door
from dask_validator.execution.dask.dask_config import STARTING, neutral
from dask_validator.execution.dask.forkserver import ctrl_c_is_ours
from dask_validator.execution.dask.machine import runaway
from dask_validator.execution.dask.process_wide import configured
from dask_validator.execution.dask.visitors import GuardedCluster, pages
from dask_validator.execution.executor import TASK_TIMEOUT_S, Job

INSTEAD = "use fewer, or --workers 1, which needs none"
PATIENCE_S = 30.0  # how long to wait for a worker once there is none

Task = TypeVar("Task")
Result = TypeVar("Result")


class LocalExecutor:
    """Runs tasks on worker processes of this machine, one thread each."""

    in_this_process = False

    def __init__(
        self,
        workers: int,
        dashboard_address: str | None,
        task_timeout_s: float,
        background: ThreadPoolExecutor,
        warnings: Sequence[str] = (),
    ) -> None:
        self.workers = workers
        self._task_timeout_s = task_timeout_s
        self.dashboard_link: str | None = None
        self._door = open_door(dashboard_address) if dashboard_address else None
        seen_by_others = exposed(self._door.address) if self._door else []
        self.warnings: Sequence[str] = [*warnings, *_too_many(workers), *seen_by_others]
        self._background = background
        self._starting: Future[ClientExecutor] | None = None
        self._open = ExitStack()
        if self._door:
            self._open.callback(self._door.close)
        self._nannies: Mapping[Any, Any] = {}
        self._client: Client | None = None
        self._once_started: list[Callable[[Client], None]] = []
        self.start_up_s: float | None = None
        self.cores: int | None = CPU_COUNT

    def with_dashboard(self, do: Callable[[Client], None]) -> bool:
        """Called in the background, when the processes run."""
        if self._door is None:
            return False
        self._once_started.append(do)
        return True

    def start(self) -> None:
        """Begin to start the processes; those of an earlier run are there."""
        if self._starting is None:
            self._starting = self._background.submit(self._start)
        else:
            self._background.submit(self._tell_started)

    def wait(self) -> None:
        """Return when the processes run."""
        self._ready()

    def blind(self, path: Path) -> list[str]:
        """Processes of this machine see what we see."""
        return []

    def everywhere(self, function: Callable[[], None]) -> None:
        """Call it in every worker process."""
        self._ready().everywhere(function)

    def map(self, job: Job[Task, Result]) -> Iterator[Result]:
        """Yield results in the order of completion."""
        return self._ready().map(job)

    def kill(self) -> None:
        """End the processes at once: one that hangs would be waited for."""
        for nanny in self._nannies.values():
            nanny.auto_restart = False
            if nanny.pid:
                os.kill(nanny.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the processes."""
        if self._starting is None:
            self._open.close()
            return
        # After the start, which cannot be ended half way; and to its end, whatever interrupts us here.
        self._background.submit(self._open.close).result()

    def _ready(self) -> ClientExecutor:
        self.start()
        assert self._starting is not None
        return self._starting.result()

    def _start(self) -> ClientExecutor:
        clock = time.perf_counter()
        enter = self._open.enter_context
        # Dask would name what to preload itself, and import pandas and more here to find the names.
        distributed.utils._forkserver_preload_set = True
        enter(quiet())
        try:
            scratch = enter(tempfile.TemporaryDirectory(prefix="dask-validator-", ignore_cleanup_errors=True))
            enter(configured({**neutral(scratch), **pages(self._door and self._door.address)}))
            client = self._connected(scratch)
        except Exception as error:  # whatever this machine lacks
            # What is left half started, Dask ends when this process ends, and would say so below our line.
            logging.getLogger("distributed.process").setLevel(logging.WARNING)
            raise InputError(f"{self.workers} workers cannot be started here ({_reason(error)}); {INSTEAD}") from error
        if self._door is not None:
            self.dashboard_link = client.dashboard_link
        self._client = client
        self._tell_started()
        self.start_up_s = time.perf_counter() - clock
        return ClientExecutor(client, patience_s=PATIENCE_S, task_timeout_s=self._task_timeout_s)

    def _tell_started(self) -> None:
        while self._client is not None and self._once_started:
            self._once_started.pop(0)(self._client)

    def _connected(self, scratch: str) -> Client:
        with ctrl_c_is_ours(), configured(STARTING):
            cluster = self._open.enter_context(
                GuardedCluster(
                    self._door,
                    n_workers=self.workers,
                    threads_per_worker=1,
                    processes=True,
                    host=LOOPBACK,
                    security=Security.temporary(),  # others on this machine could have us run their code
                    local_directory=scratch,
                    env={"TMPDIR": scratch},  # what a worker leaves that is killed goes with the rest
                    memory_limit=runaway(self.workers),
                    silence_logs=logging.CRITICAL,
                )
            )
            self._nannies = cluster.workers
            # Entered as a context, it would have to be left in this thread.
            client = Client(cluster, set_as_default=False)
        self._open.callback(client.close)
        return client


def _reason(error: BaseException) -> str:
    """What began it: Dask wraps each failure to start into one of its own, or stumbles over it."""
    while isinstance(error, RuntimeError | AssertionError) and (inner := error.__cause__ or error.__context__):
        error = inner
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _too_many(workers: int) -> list[str]:
    if workers <= CPU_COUNT:
        return []
    return [f"--workers {workers} is more than the {CPU_COUNT} cores there are: the rest only waits for a core"]


@contextmanager
def local_cluster(
    workers: int,
    dashboard_address: str | None,
    task_timeout_s: float = TASK_TIMEOUT_S,
    warnings: Sequence[str] = (),
) -> Iterator[LocalExecutor]:
    """Worker processes on this machine, ended with the block. Only loopback listens.

    Dask's scratch files go to the system's temporary directory and are removed.

    Raises
    ------
    InputError
        The dashboard's address cannot be used.
    """
    with ThreadPoolExecutor(1) as background:
        executor = LocalExecutor(workers, dashboard_address, task_timeout_s, background, warnings)
        try:
            yield executor
        except KeyboardInterrupt:
            executor.kill()
            raise
        finally:
            executor.close()
