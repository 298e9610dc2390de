"""What a run tells whoever watches it; a new view is a new listener.

The order is Started, Progressed ..., Screened, TakenOver, Ready, TaskDone ..., Computed, Decided, Committing,
Committed, Ended. A run that finds nothing to do leaves some out, one that has to look at the database again goes back
to Started, and Ended always comes. Opened comes in between, from another thread: a cluster starts while
the run screens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from dask_validator.model import Answer, TaskTiming


class Ending(StrEnum):
    """How a run has ended."""

    DONE = "done"
    NOT_COMMITTED = "not committed"
    INCOMPLETE = "incomplete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Started(NamedTuple):
    """A run begins to read the database."""

    run_id: str
    instrument: str
    database: str
    dry_run: bool


Failures = Sequence[tuple[str, str]]  # strategy_id and reason


class SoFar(NamedTuple):
    """What is decided without any answer of a worker."""

    counts: Mapping[str, Any]  # as in the summary, of the strategies that are decided
    failed: Failures


def _nothing() -> SoFar:
    return SoFar({}, [])


class Screened(NamedTuple):
    """Phases 1-5 are done."""

    waiting: int
    to_compute: int  # strategies that need their outcomes
    so_far: Callable[[], SoFar] = _nothing  # counts when called, only until this event has been heard: it takes a while
    only_seasons: int = 0  # of those to compute, for their season split alone


class Asking(NamedTuple):
    """A further kind of question begins, about so many strategies; Ready, TaskDone and Computed are of it."""

    what: str
    strategies: int


class Progressed(NamedTuple):
    """So many strategies have been through a stage that the main process does alone."""

    stage: str
    done: int
    total: int


class TakenOver(NamedTuple):
    """Answers of an earlier run, or of an earlier look at the database, still hold."""

    answers: Sequence[Answer]
    judged: Mapping[str, int] = {}  # walk-forwards that pass and that are rejected


class Opened(NamedTuple):
    """The cluster is up, and its dashboard can be looked at."""

    dashboard_link: str
    page_link: str | None = None  # of this run's page there; None: its scheduler cannot show one


class Ready(NamedTuple):
    """The workers are there."""

    workers: int
    tasks: int
    blind: Sequence[str] = ()  # workers that do not see the database: outcomes travel with the tasks


class Said(NamedTuple):
    """Something that the user should know of the course of the run."""

    text: str
    warning: bool = False


class TaskDone(NamedTuple):
    """One task has answered."""

    strategies: int
    answers: Sequence[Answer] = ()
    timing: TaskTiming | None = None  # None: nobody could compute it
    judged: Mapping[str, int] = {}  # walk-forwards that pass and that are rejected


class Computed(NamedTuple):
    """Every task has answered; seconds since Ready."""

    wall_s: float


class Decided(NamedTuple):
    """Every strategy that has its answer has its verdict."""

    summary: Mapping[str, Any]  # what it says of the commit and the whole time follows later
    failed: Failures


class Committing(NamedTuple):
    """The transaction begins."""

    strategies: int


class Committed(NamedTuple):
    """The transaction is in the database."""

    strategies: int


class Ended(NamedTuple):
    """Nothing follows."""

    ending: Ending
    reason: str = ""


Event = (
    Started
    | Opened
    | Progressed
    | Asking
    | Screened
    | TakenOver
    | Said
    | Ready
    | TaskDone
    | Computed
    | Decided
    | Committing
    | Committed
    | Ended
)
Listener = Callable[[Event], None]


class Listeners:
    """Each hears every event, one after the other, also those that another thread tells; none hears any after Ended."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)
        self._telling = threading.RLock()  # who hears something may have something to tell
        self._ended = False

    def add(self, listener: Listener) -> None:
        """From now on this one hears too."""
        self._listeners.append(listener)

    def __call__(self, event: Event) -> None:
        """Tell all."""
        with self._telling:
            if self._ended:
                return
            self._ended = isinstance(event, Ended)
            for listener in self._listeners:
                listener(event)


def ignore(event: Event) -> None:
    """A listener that does nothing."""
