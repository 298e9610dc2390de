"""A bounded window of tasks in flight on a Dask cluster, topped up as they complete."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
from typing import Any, NamedTuple

from distributed import Client, Future, as_completed
from distributed.scheduler import KilledWorker

from dask_validator.errors import Incomplete, InputError, ValidatorError
from dask_validator.execution.dask import envelope
from dask_validator.execution.dask.asking import asked, tried
from dask_validator.execution.dask.attendance import Attendance
from dask_validator.execution.dask.worker_checks import unfit_workers
from dask_validator.execution.executor import Job

POLL_S, FETCH_S = 0.01, 5.0
BLIND = "a worker that joined late does not see the database: the outcomes travelled with its tasks"
MOST_IN_FLIGHT, SLICE = 2_000, 100  # with their outcomes, tasks weigh 0.8 MB each
IN_FLIGHT = 4  # tasks per thread of the cluster: enough that none waits for us, few enough to forget quickly


class Dead(NamedTuple):
    """A task that was on a worker when the worker died."""

    task: Any
    deaths: int  # Dask itself tries again, as often as the cluster is told to


@contextmanager
def answering() -> Iterator[None]:
    """What a scheduler that has gone raises, in one line. Raises Incomplete."""
    try:
        yield
    except OSError as error:
        raise Incomplete(f"the scheduler does not answer ({error})") from error


def threads(client: Client) -> int:
    """Of all workers there are now."""
    return sum(asked(client.nthreads).values())


class Flight:
    """The tasks of one run: what is in flight, which workers are not asked again, which tasks died with theirs."""

    def __init__(
        self,
        client: Client,
        job: Job[Any, Any],
        *,
        timeout_s: float,
        attendance: Attendance,
        interrupts: list[int],
        warnings: list[str],
    ) -> None:
        self._client = client
        self._function = envelope.Named(job.function)
        self._sealed = partial(envelope.sealed, job.function, timeout_s=timeout_s)
        # Keys of our own: equal inputs would share one future, also with an earlier run on a long-lived cluster.
        # Dask calls tasks on its dashboard by the letters that their keys begin with.
        self._keys = (f"{job.kind}-{job.run}-{position}" for position in count())
        self._handling = job.handling
        self._attendance = attendance
        self._waiting: Iterator[Any] = iter(())
        self._flying: dict[Future, Any] = {}
        self._completed = as_completed(loop=client.loop)
        self._dead: list[Dead] = []
        self._warnings = warnings
        self._unfit: set[str] = set()
        self.interrupts = interrupts

    def results(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of completion, but for `dead` tasks; ends early once an interrupt has come.

        Raises
        ------
        Incomplete
            The cluster was lost.
        """
        self._waiting = iter(tasks)
        try:
            self._top_up()
            for batch in self._batches():
                for future in batch:
                    if self.interrupts:
                        return
                    yield from self._landed(future)
                self._top_up()
        finally:
            tried(partial(self._client.cancel, list(self._flying)))

    def dead(self) -> list[Dead]:
        """Tasks whose workers died since this was last asked."""
        found, self._dead = self._dead, []
        return found

    def _top_up(self) -> None:
        """The window grows and shrinks with the cluster; filled when half empty, as each filling costs."""
        window = min(max(1, IN_FLIGHT * threads(self._client)), MOST_IN_FLIGHT)
        room = window - len(self._flying)
        if 2 * room < window:
            return
        while room > 0 and (tasks := list(islice(self._waiting, min(room, SLICE)))):
            self._submit(tasks)
            room -= len(tasks)

    def _submit(self, tasks: list[Any]) -> None:
        if not tasks:
            return
        futures = self._client.map(  # (walkforward_task, tasks), in envelopes
            self._function,
            [self._sealed(task) for task in tasks],
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
            result = envelope.outcome(asked(partial(future.result, timeout=FETCH_S)))
        except TimeoutError:  # its worker hangs in its next task, and cannot hand over the result of this one
            asked(self._client.nthreads)  # unless it is the scheduler that hangs
            self._flying[future] = task
            self._completed.add(future)
        except InputError:  # this worker cannot read the database; if we cannot either, carrying raises that
            carried = self._handling.carried(task)
            if carried is task:
                raise
            if BLIND not in self._warnings:
                self._warnings.append(BLIND)
            self._submit([carried])
        except ValidatorError:
            raise
        except KilledWorker as error:
            self._attendance.check_blame(error)
            self._dead.append(Dead(task, error.allowed_failures + 1))
        except (ImportError, AttributeError) as error:  # a worker without our package, or with one of long ago
            self._leave_out(unfit_workers(self._client), error)
            self._submit([task])
        except Exception as error:
            raise Incomplete(f"task {future.key} was lost ({type(error).__name__}: {error})") from error
        else:
            if isinstance(result, envelope.Unfit):
                self._leave_out({result.worker: result.versions})
                self._submit([task])
            else:
                yield result

    def _leave_out(self, workers: Mapping[str, envelope.Versions], error: Exception | None = None) -> None:
        """Workers that joined with other versions than ours."""
        for worker in sorted(set(workers) - self._unfit):
            names = envelope.differences(envelope.versions(), workers[worker])[0]
            apart = ", ".join(f"{name} {workers[worker][name]} (here {envelope.versions()[name]})" for name in names)
            self._warnings.append(f"worker {worker} joined with {apart} and was left out")
        self._unfit |= set(workers)
        if not self._unfit:
            raise Incomplete(f"a task was lost ({type(error).__name__}: {error})") from error

    def _fit_workers(self) -> list[str]:
        fit = sorted(set(asked(self._client.nthreads)) - self._unfit)
        if not fit:
            raise Incomplete("no worker is left whose versions are ours")
        return fit

    def _batches(self) -> Iterator[list[Future]]:
        """Futures as they complete; as_completed itself would wait for ever when the last worker has gone."""
        self._attendance.note_progress()
        while self._flying:
            if self.interrupts:
                return
            if self._completed.has_ready():
                yield self._completed.next_batch(block=False)
                self._attendance.note_progress()
                continue
            time.sleep(POLL_S)
            self._attendance.check()
