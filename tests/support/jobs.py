"""Jobs of tests that are not walk-forward tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dask_validator.execution.executor import Job

Task = TypeVar("Task")


class Whole:
    """Tasks that need no file, cannot be cut, and when they are lost are their own result, with the reason."""

    def carried(self, task: Task) -> Task:
        """The task, which needs no file."""
        return task

    def parts(self, task: Task, most: int) -> list[Task]:
        """The task, which cannot be cut."""
        return [task]

    def lost(self, task: Task, reason: str) -> tuple[Task, str]:
        """What stands for the result."""
        return task, reason


def job(
    function: Callable[[Any], Any], tasks: Iterable[Any], kind: str = "test", suspects: Iterable[Any] = ()
) -> Job[Any, Any]:
    """Tasks that are whole; the kind must be the test's own where a scheduler is shared."""
    return Job(kind=kind, run="1", function=function, tasks=tasks, handling=Whole(), suspects=suspects)
