"""Tasks on the workers of a Dask client: a bounded window of them is in flight, topped up as they complete."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Future, as_completed

from dask_validator.errors import Incomplete, InputError, ValidatorError
from dask_validator.execution import remote
from dask_validator.execution.fitness import blind_workers, check_versions, unfit_workers
from dask_validator.execution.remote import NEXT
from dask_validator.interrupts import held_back

POLL_S, ASK_S, CONNECT_S = 0.01, 1.0, "10 s"
BLIND = "a worker that joined late does not see the database: the outcomes travelled with its tasks"
MOST_IN_FLIGHT, SLICE = 2_000, 100  # with their outcomes, tasks weigh 0.8 MB each
IN_FLIGHT = 4  # tasks per thread of the cluster: enough that none waits for us, few enough to forget quickly

Task = TypeVar("Task")
Result = TypeVar("Result")
Carry = Callable[[Task], Task]


def connect(address: str) -> Client:
    """A client of an existing cluster.

    Raises
    ------
    InputError
        Nobody answers there.
    """
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--scheduler got {address!r}, where no Dask scheduler answers ({reason})") from error


def existing_cluster(client: Client, say: Callable[[str], None]) -> ClientExecutor:
    """Workers of a cluster that somebody else started, checked.

    Raises
    ------
    InputError
        Their versions are not ours.
    Incomplete
        The scheduler has gone.
    """
    with _answering():
        if not client.nthreads():
            say("The cluster has no workers yet; waiting for the first")
            client.wait_for_workers(1)
        return ClientExecutor(client, warnings=check_versions(client))


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Incomplete(f"the scheduler does not answer ({error}); {NEXT}") from error


class ClientExecutor:
    """Runs tasks on the workers of a client."""

    def __init__(self, client: Client, patience_s: float = math.inf, warnings: Sequence[str] = ()) -> None:
        self._client = client
        self._patience_s = patience_s  # how long to wait for a worker once there is none
        self.warnings = list(warnings)
        self.dashboard_link: str | None = client.dashboard_link or None
        self.start_up_s: float | None = 0.0  # it runs already

    @property
    def workers(self) -> int:
        """Threads of all workers there are now."""
        return max(1, _threads(self._client))

    def start(self) -> None:
        """The cluster runs already."""

    def wait(self) -> None:
        """The cluster runs already."""

    def blind(self, path: Path) -> list[str]:
        """Workers that do not see the file."""
        with _answering():
            return blind_workers(self._client, path)

    def everywhere(self, function: Callable[[], None]) -> None:
        """Call it in every worker process; one that cannot is left alone."""
        self._client.run(function, on_error="ignore")

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: str, carry: Carry[Task]
    ) -> Iterator[Result]:
        """Yield results in the order of completion.

        Raises
        ------
        Incomplete
            The cluster, or every worker that tried a task, was lost.
        """
        flight = _Flight(self._client, function, tasks, name, carry, self._patience_s, self.warnings)
        # Raised in one of Dask's garbage-collection callbacks, a KeyboardInterrupt would be lost.
        with held_back() as interrupts:
            yield from flight.results(interrupts)


def _threads(client: Client) -> int:
    return sum(client.nthreads().values())


class _Flight:
    """One map: what waits, what is in flight, which workers are not asked again."""

    def __init__(
        self,
        client: Client,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        name: str,
        carry: Carry[Any],
        patience_s: float,
        warnings: list[str],
    ) -> None:
        self._client = client
        self._function = function
        self._waiting = iter(tasks)
        # Keys of our own: equal inputs would share one future, also with an earlier run on a long-lived cluster.
        self._keys = (f"{name}-{position}" for position in count())
        self._carry = carry
        self._patience_s = patience_s
        self._flying: dict[Future, Any] = {}
        self._completed = as_completed(loop=client.loop)
        self._warnings = warnings
        self._unfit: set[str] = set()

    def results(self, interrupts: list[int]) -> Iterator[Any]:
        """Results in the order of completion; ends early once an interrupt has come, which `held_back` then raises."""
        try:
            with _answering():
                self._top_up()
                for batch in self._batches(interrupts):
                    for future in batch:
                        yield from self._landed(future)
                    self._top_up()
        finally:
            with suppress(Exception):  # a client that has lost its scheduler must not hide why
                self._client.cancel(list(self._flying))

    def _top_up(self) -> None:
        """The window grows and shrinks with the cluster; filled when half empty, as each filling costs."""
        window = min(max(1, IN_FLIGHT * _threads(self._client)), MOST_IN_FLIGHT)
        room = window - len(self._flying)
        if 2 * room < window:
            return
        while room > 0 and (tasks := list(islice(self._waiting, min(room, SLICE)))):
            self._submit(tasks)
            room -= len(tasks)

    def _submit(self, tasks: list[Any]) -> None:
        if not tasks:
            return
        futures = self._client.map(
            pickle.loads,
            [remote.packed(self._function, task) for task in tasks],
            key=list(islice(self._keys, len(tasks))),
            workers=self._fit_workers() if self._unfit else None,
            allow_other_workers=bool(self._unfit),  # those may die, and others come
            pure=False,
            retries=0,
        )
        self._flying.update(zip(futures, tasks, strict=True))
        self._completed.update(futures)

    def _landed(self, future: Future) -> Iterator[Any]:
        if future.status in ("pending", "lost"):  # its worker died between the result and our asking
            self._completed.add(future)
            return
        task = self._flying.pop(future)
        try:
            result = remote.outcome(future.result())
        except InputError:  # this worker cannot read the database; if we cannot either, carrying raises that
            carried = self._carry(task)
            if carried is task:
                raise
            if BLIND not in self._warnings:
                self._warnings.append(BLIND)
            self._submit([carried])
        except ValidatorError:
            raise
        except (ImportError, AttributeError) as error:  # a worker without our package, or with one of long ago
            self._leave_out(unfit_workers(self._client), error)
            self._submit([task])
        except Exception as error:
            raise Incomplete(f"task {future.key} was lost ({type(error).__name__}: {error}); {NEXT}") from error
        else:
            if isinstance(result, remote.Unfit):
                self._leave_out({result.worker: result.versions})
                self._submit([task])
            else:
                yield result

    def _leave_out(self, workers: Mapping[str, remote.Versions], error: Exception | None = None) -> None:
        """Workers that joined with other versions than ours."""
        for worker in sorted(set(workers) - self._unfit):
            names = remote.differences(remote.versions(), workers[worker])[0]
            apart = ", ".join(f"{name} {workers[worker][name]} (here {remote.versions()[name]})" for name in names)
            self._warnings.append(f"worker {worker} joined with {apart} and was left out")
        self._unfit |= set(workers)
        if not self._unfit:
            raise Incomplete(f"a task was lost ({type(error).__name__}: {error}); {NEXT}") from error

    def _fit_workers(self) -> list[str]:
        fit = sorted(set(self._client.nthreads()) - self._unfit)
        if not fit:
            raise Incomplete(f"no worker is left whose versions are ours; {NEXT}")
        return fit

    def _batches(self, interrupts: list[int]) -> Iterator[list[Future]]:
        """Futures as they complete; as_completed itself would wait for ever when the last worker has gone."""
        asked = last_seen = time.monotonic()
        while self._flying:
            if interrupts:
                return
            if self._completed.has_ready():
                yield self._completed.next_batch(block=False)
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
