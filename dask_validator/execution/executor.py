"""What a run needs of the place where its tasks run, and the plainest such place: this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Maps a function over tasks; results come in any order, one for each task."""

    dashboard_link: str | None
    start_up_s: float | None  # None: there was nothing to start

    @property
    def workers(self) -> int:
        """How many tasks can run at once."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know of the workers; more may come during a run."""
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

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: str, carry: Callable[[Task], Task]
    ) -> Iterator[Result]:
        """Yield the result of every task as it completes.

        `name` must be unique to the run; `carry` makes a task that needs no file, for a worker that cannot read ours.
        """
        ...


class SerialExecutor:
    """`--workers 1`: a plain loop. It defines the truth that every cluster must equal."""

    workers = 1
    dashboard_link: str | None = None
    warnings: Sequence[str] = ()
    start_up_s: float | None = None

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

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: str, carry: Callable[[Task], Task]
    ) -> Iterator[Result]:
        """Yield results in the order of the tasks."""
        return map(function, tasks)
