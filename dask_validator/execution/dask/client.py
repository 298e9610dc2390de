"""Tasks on the workers of a Dask client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from distributed import Client
from distributed.security import Security

from dask_validator.errors import Incomplete, InputError
from dask_validator.execution.dask.asking import asked
from dask_validator.execution.dask.attendance import Attendance
from dask_validator.execution.dask.first_worker import wait_for_a_worker
from dask_validator.execution.dask.in_flight import Flight, answering, threads
from dask_validator.execution.dask.process_wide import configured, in_any_order
from dask_validator.execution.dask.quarantine import quarantined
from dask_validator.execution.dask.worker_checks import blind_workers, check_versions, without_nanny
from dask_validator.execution.executor import TASK_TIMEOUT_S, Job
from dask_validator.system.interrupts import held_back

CONNECT_S = "10 s"
PATIENCE_S = 30.0  # how long to wait for a worker once there is none: what is done is kept, so not for ever

Task = TypeVar("Task")
Result = TypeVar("Result")


def connect(address: str) -> Client:
    """A client of an existing cluster, with the certificate that Dask's configuration names, if any.

    Raises
    ------
    InputError
        Nobody answers there, or nobody without a certificate, or the user's configuration of clients is broken.
    """
    try:
        security = _security(address)
        return asked(lambda: Client(address, security=security, timeout=CONNECT_S, set_as_default=False))
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--scheduler got {address!r}, where no Dask scheduler answers ({reason})") from error
    except Exception as error:  # whatever is configured for clients
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"--scheduler got {address!r}, and Dask can make no client here ({reason})") from error


def _security(address: str) -> Security:
    """Raises what would leave a client half made, which then takes 20 s to be gone."""
    security, encrypted = Security(), address.startswith(("tls://", "wss://"))
    try:
        certificate = security.get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise ValueError(f"the TLS files of Dask's configuration cannot be used: {error}") from error
    if encrypted and certificate is None:
        raise ValueError("it speaks TLS; needed --tls-ca-file and --tls-cert, or Dask's configuration of them")
    if security.require_encryption and not encrypted:
        raise ValueError("Dask's configuration requires encryption; needed tls://HOST:PORT")
    return security


def existing_cluster(
    client: Client, say: Callable[[str], None], task_timeout_s: float, *, dashboard: bool = True
) -> ClientExecutor:
    """Workers of a cluster that somebody else started, checked.

    Raises
    ------
    InputError
        Their versions are not ours.
    Incomplete
        The scheduler has gone.
    """
    with answering():
        wait_for_a_worker(client, say)
        warnings = [*check_versions(client), *without_nanny(client)]
        return ClientExecutor(
            client,
            patience_s=PATIENCE_S,
            task_timeout_s=task_timeout_s,
            warnings=warnings,
            dashboard=dashboard,
            say=say,
        )


class ClientExecutor:
    """Runs tasks on the workers of a client."""

    in_this_process = False

    def __init__(
        self,
        client: Client,
        *,
        patience_s: float = PATIENCE_S,
        task_timeout_s: float = TASK_TIMEOUT_S,
        warnings: Sequence[str] = (),
        dashboard: bool = True,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._client = client
        self._say = say
        self._patience_s = patience_s
        self._task_timeout_s = task_timeout_s
        self.warnings = list(warnings)
        self.dashboard_link: str | None = (client.dashboard_link or None) if dashboard else None
        self._once_started: list[Callable[[Client], None]] = []
        self.start_up_s: float | None = 0.0  # it runs already

    @property
    def workers(self) -> int:
        """Threads of all workers there are now."""
        with answering():
            return max(1, threads(self._client))

    @property
    def cores(self) -> int | None:
        """A cluster gives each thread its core, or should; None when it was lost."""
        with suppress(Incomplete):
            return self.workers
        return None

    def with_dashboard(self, do: Callable[[Client], None]) -> bool:
        """Called when the run starts the workers, were they not there already."""
        if self.dashboard_link is None:
            return False
        self._once_started.append(do)
        return True

    def start(self) -> None:
        """The cluster runs already."""
        while self._once_started:
            do = self._once_started.pop()
            with answering():
                asked(partial(do, self._client))

    def wait(self) -> None:
        """A cluster that scales by itself may have scaled to zero while we did other things. Raises Incomplete."""
        with answering():
            wait_for_a_worker(self._client, self._say, since="left")

    def blind(self, path: Path) -> list[str]:
        """Workers that do not see the file."""
        with answering():
            return blind_workers(self._client, path)

    def everywhere(self, function: Callable[[], None]) -> None:
        """Call it in every worker process; one that cannot is left alone."""
        with suppress(OSError):  # the scheduler has gone, but all results are here
            asked(lambda: self._client.run(function, on_error="ignore"))

    def map(self, job: Job[Task, Result]) -> Iterator[Result]:
        """Yield results in the order of completion.

        Raises
        ------
        Incomplete
            The cluster was lost.
        """
        # Raised in one of Dask's garbage-collection callbacks, a KeyboardInterrupt would be lost.
        with held_back() as interrupts, answering(), _workers_may_die():
            attendance = Attendance(self._client, self._patience_s, self._say)
            flight = Flight(
                self._client,
                job,
                timeout_s=self._task_timeout_s,
                attendance=attendance,
                interrupts=interrupts,
                warnings=self.warnings,
            )
            yield from flight.results(job.tasks)
            suspects = [*job.suspects, *(dead.task for dead in flight.dead())]
            yield from quarantined(flight, suspects, job.handling, self._task_timeout_s)


def _workers_may_die() -> AbstractContextManager[None]:
    """A LocalCluster, the user's too, closes a worker for good that happens to be starting again 15 s after a death."""
    return configured({"distributed.deploy.lost-worker-timeout": "1000 days"})


def quiet() -> AbstractContextManager[None]:
    """Dask logs connections that it closes itself as errors; a user would take them for ours."""
    return in_any_order(_silenced)


@contextmanager
def _silenced() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]  # each has its own level
    speaking: list[logging.Logger | logging.Handler] = [
        *loggers,
        *loggers[0].handlers,
    ]  # whose levels a LocalCluster changes too
    levels = [each.level for each in speaking]
    for each in speaking:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(speaking, levels, strict=True):
            each.setLevel(level)
