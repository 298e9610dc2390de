"""The plainest place where tasks run: this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dask_validator.execution.alone import alone
from dask_validator.execution.executor import ONE_BY_ONE, TASK_TIMEOUT_S, Job

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")


class SerialExecutor:
    """`--workers 1`: a plain loop. It defines the truth that every cluster must equal."""

    in_this_process = True
    workers = 1
    dashboard_link: str | None = None
    start_up_s: float | None = None
    cores: int | None = None

    def __init__(self, task_timeout_s: float = TASK_TIMEOUT_S, warnings: Sequence[str] = ()) -> None:
        self._task_timeout_s = task_timeout_s
        self.warnings = warnings

    def with_dashboard(self, do: Callable[[Client], None]) -> bool:
        """No cluster, no dashboard."""
        return False

    def start(self) -> None:
        """This process runs already."""

    def wait(self) -> None:
        """This process runs already."""

    def blind(self, path: Path) -> list[str]:
        """This process sees the file."""
        return []

    def everywhere(self, function: Callable[[], None]) -> None:
        """Call it here."""
        function()

    def map(self, job: Job[Task, Result]) -> Iterator[Result]:
        """Yield results in the order of the tasks; suspects come last, computed in child processes."""
        yield from map(job.function, job.tasks)
        for task in job.suspects:
            yield from self._apart(job, task)

    def _apart(self, job: Job[Task, Result], task: Task) -> Iterator[Result]:
        """Whole, as mostly the machine or the user has ended whoever began it; else strategy by strategy."""
        [result] = alone(job.function, [task], lambda *_: None, self._task_timeout_s, chances=1)
        if result is not None:
            yield result
            return
        parts = job.handling.parts(task, most=ONE_BY_ONE)
        yield from alone(job.function, parts, job.handling.lost, self._task_timeout_s)


class NoExecutor(SerialExecutor):
    """For a run that only writes what was computed before: whatever is not, stays open."""

    in_this_process = False
    workers = 0
