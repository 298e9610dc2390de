"""Tasks of tests that are not walk-forward tasks."""

from __future__ import annotations

from typing import TypeVar

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
