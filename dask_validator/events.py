"""What a run tells whoever watches it; a new view is a new listener."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Screened(NamedTuple):
    """Phases 1-5 are done."""

    waiting: int
    to_compute: int  # strategies that need their outcomes


class Ready(NamedTuple):
    """The workers are there."""

    workers: int
    tasks: int
    dashboard_link: str | None
    blind: Sequence[str]  # workers that do not see the database: outcomes travel with the tasks


class Said(NamedTuple):
    """Something that the user should know of the course of the run."""

    text: str
    warning: bool = False


class TaskDone(NamedTuple):
    """One task has answered."""

    strategies: int


class Computed(NamedTuple):
    """Every task has answered."""

    wall_s: float


class Committed(NamedTuple):
    """The transaction is in the database."""

    strategies: int


Event = Screened | Said | Ready | TaskDone | Computed | Committed
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener that does nothing."""
