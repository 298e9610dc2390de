"""What a run needs of the place where its tasks run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")
Computed = TypeVar("Computed", covariant=True)

TASK_TIMEOUT_S = 600.0
ONE_BY_ONE = 10**9  # more parts than any task has strategies


class Handling(Protocol[Task, Computed]):
    """What an executor may have to do with a task besides computing it."""

    def carried(self, task: Task) -> Task:
        """The task made to need no file, for a worker that cannot read ours; the very task where it needs none."""
        ...

    def parts(self, task: Task, most: int) -> list[Task]:
        """The task cut into at most so many; one that cannot be cut comes back alone."""
        ...

    def lost(self, task: Task, reason: str) -> Computed:
        """What stands for the result of a task that nobody could compute."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job(Generic[Task, Result]):
    """Questions of one kind, and all that must be known to have each answered, or lost, once.

    Parameters
    ----------
    kind
        The name, in letters and `_`, under which the Dask dashboard shows the tasks.
    run
        With the kind, unique to this job among all that a scheduler may know.
    function
        Answers one task, on a worker.
    suspects
        May kill or hang whoever computes them: computed apart from the others.
    """

    kind: str
    run: str
    function: Callable[[Task], Result]
    tasks: Iterable[Task]
    handling: Handling[Task, Result]
    suspects: Iterable[Task] = ()


class Executor(Protocol):
    """Gets jobs done; results come in any order, one for each task."""

    in_this_process: bool  # a task that kills or hangs kills or hangs the run
    dashboard_link: str | None
    start_up_s: float | None  # None: there was nothing to start

    @property
    def workers(self) -> int:
        """How many tasks can run at once."""
        ...

    @property
    def cores(self) -> int | None:
        """That the workers share; None: this machine's, which nobody has counted."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know of the workers; more may come during a run."""
        ...

    def with_dashboard(self, do: Callable[[Client], None]) -> bool:
        """Have it called once the cluster runs and has a dashboard; False when there will be none."""
        ...

    def start(self) -> None:
        """Begin to make the workers ready, without waiting for them."""
        ...

    def wait(self) -> None:
        """Return when workers are ready."""
        ...

    def blind(self, path: Path) -> list[str]:
        """Workers that do not see the file as we do."""
        ...

    def everywhere(self, function: Callable[[], None]) -> None:
        """Call the function once in every worker process that answers."""
        ...

    def map(self, job: Job[Task, Result]) -> Iterator[Result]:
        """Yield the results of all tasks as they complete, suspects last; what kills or hangs even alone is lost.

        Raises
        ------
        ValidatorError
            As the function raised it; any other error of its own is a defect, and raised as a ValidatorError too.
        Incomplete
            The workers were lost.
        """
        ...
