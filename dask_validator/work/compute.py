"""Getting the questions of a run answered, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dask_validator.errors import Incomplete
from dask_validator.events import Computed, Listener, Ready
from dask_validator.execution.executor import Job
from dask_validator.model import TaskTiming
from dask_validator.store.connection import release
from dask_validator.work.piece import Group, Task
from dask_validator.work.stopwatch import Stopwatch
from dask_validator.work.work import Work

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor


class Timed(Protocol):
    """The result of a task of any kind."""

    @property
    def timing(self) -> TaskTiming | None:
        """What it took; None: nobody could compute it."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)
Result = TypeVar("Result", bound=Timed)
Opens = Callable[[Sequence[Any]], None]


class Computer:
    """Computes for one run, and remembers what that cost."""

    def __init__(self, executor: Executor, listener: Listener, watch: Stopwatch, run_id: str) -> None:
        self.timings: list[TaskTiming] = []
        self.reused = 0
        self.rounds = 0
        self.ended_early: Incomplete | None = None
        self.workers = executor.workers
        self._executor = executor
        self._listener = listener
        self._watch = watch
        self._run_id = run_id

    @property
    def wall_s(self) -> float:
        """From the first submission to the last result."""
        return self._watch.stages.get("computing", 0.0)

    def results(
        self,
        work: Work[AnyTask, Result],
        groups: Sequence[Group],
        suspects: Sequence[Group] = (),
        opens: Opens = lambda requests: None,
    ) -> Iterator[Result]:
        """The results of all tasks as they complete, unless `ended_early` says why not.

        Parameters
        ----------
        suspects
            Groups that may kill or hang whoever computes them.
        opens
            Called with the requests of a task before it begins, when this process itself may die of it.
        """
        self.rounds += 1
        if (groups or suspects) and self.workers:
            try:
                yield from self._results(work, groups, suspects, opens)
            except Incomplete as error:
                self.ended_early = error

    def _results(
        self, work: Work[AnyTask, Result], groups: Sequence[Group], suspects: Sequence[Group], opens: Opens
    ) -> Iterator[Result]:
        executor = self._executor
        with self._watch.stage("waiting for workers"):
            executor.wait()
            blind = executor.blind(work.where.source.path)
        self.workers = executor.workers  # batch systems give workers later
        tasks = work.tasks(groups, executor.workers, carried=bool(blind))
        apart = work.tasks(suspects, executor.workers, carried=bool(blind))
        self._listener(Ready(executor.workers, len(tasks) + len(apart), blind))
        job = Job(
            kind=work.kind,
            run=f"{self._run_id}-{self.rounds}",
            function=work.function,
            tasks=_opened(tasks, opens) if executor.in_this_process else tasks,
            handling=work,
            suspects=apart,
        )
        before_s = self.wall_s
        with self._watch.stage("computing"):
            for result in executor.map(job):
                if result.timing is not None:
                    self.timings.append(result.timing)
                yield result
        executor.everywhere(release)
        self._listener(Computed(self.wall_s - before_s))


def _opened(tasks: Iterable[AnyTask], opens: Opens) -> Iterator[AnyTask]:
    for task in tasks:
        opens(task.piece.asked)
        yield task
