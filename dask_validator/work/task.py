"""What one worker does with one task: read once, filter, walk forward, split by season."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import (
    Answer,
    OutcomeKey,
    Outcomes,
    Request,
    SeasonSplit,
    Session,
    SplitRule,
    TaskTiming,
    Walked,
)
from dask_validator.rules.day_masks import Selector, SessionDays, bounds_of
from dask_validator.rules.filters import Mask
from dask_validator.rules.seasons import season_of, season_split, winter_days
from dask_validator.rules.walkforward import walkforward
from dask_validator.sources.source import Part

K = TypeVar("K")
T = TypeVar("T")


class Group(NamedTuple):
    """Strategies that share their outcomes, hence one read."""

    key: OutcomeKey
    requests: tuple[Request, ...]


class WalkforwardTask(NamedTuple):
    """The input of one task: small and plain."""

    rules: WindowRules
    strict_filters: bool
    groups: tuple[Group, ...]
    sessions: Mapping[Session, SessionDays]
    part: Part

    @property
    def keys(self) -> list[OutcomeKey]:
        """What selects the outcomes of each group."""
        return [group.key for group in self.groups]


class TaskResult(NamedTuple):
    """One answer per strategy of the task, and what it cost."""

    answers: tuple[Answer, ...]
    timing: TaskTiming | None  # None: nobody could compute it


def walkforward_task(task: WalkforwardTask) -> TaskResult:
    """Answer for every strategy of the task; runs on a worker or, serially, in the main process.

    Raises
    ------
    InputError
        The database cannot be read. What is wrong with one strategy is in its own answer.
    """
    started, wall, cpu = time.time(), time.perf_counter(), time.thread_time()
    answers: list[Answer] = []
    for group, outcomes in zip(task.groups, task.part.read(task.keys), strict=True):
        of_group = _GroupDays(outcomes, task.sessions[group.key.session], task)
        answers += [of_group.answer(request) for request in group.requests]
    timing = TaskTiming(
        started,
        time.perf_counter() - wall,
        time.thread_time() - cpu,
        f"{socket.gethostname()}:{os.getpid()}",
        len(answers),
    )
    return TaskResult(tuple(answers), timing)


class _GroupDays:
    """The outcomes of one group and which of them each strategy takes; equal days are computed once."""

    def __init__(self, outcomes: Outcomes, session: SessionDays, task: WalkforwardTask) -> None:
        self._outcomes = outcomes
        self._session = session
        self._task = task
        self._row, self._has_row = _rows_of(outcomes.days, session.days)
        self._masks: dict[Selector, Mask] = {}
        self._winter: Mask | None = None
        self._walked: dict[bytes, Walked] = {}
        self._splits: dict[bytes, SeasonSplit] = {}

    def answer(self, request: Request) -> Answer:
        """Walk forward and split, as far as asked; what is wrong with one strategy is its own error."""
        started = time.perf_counter()
        walked: Walked | None = None
        split: SeasonSplit | None = None
        error = split_error = None
        if request.walkforward:
            walked, error = _guarded(lambda: self._walk_forward(request))
        if (rule := request.split) is not None and error is None:
            split, split_error = _guarded(lambda: self._split(rule))
        seconds = time.perf_counter() - started
        return Answer(
            request.strategy_id, walked, split, error, split_error, seconds, request.fingerprint, asked=request.asked
        )

    def _walk_forward(self, request: Request) -> Walked:
        taken = self._taken(request.filter_type or "")
        if season := season_of(request.strategy_id, self._session.label):
            taken = taken & (self.winter == (season == "W"))
        return _once(self._walked, taken.tobytes(), lambda: walkforward(self._outcomes.where(taken), self._task.rules))

    def _split(self, rule: SplitRule) -> SeasonSplit:
        taken = self._taken(rule)
        return _once(
            self._splits, taken.tobytes(), lambda: season_split(self._outcomes.where(taken), self.winter[taken])
        )

    def _taken(self, selector: Selector) -> Mask:
        """Outcomes on days that the selector admits, shape (n_outcomes,)."""
        return _once(self._masks, selector, lambda: self._admitted(selector))

    def _admitted(self, selector: Selector) -> Mask:
        if bounds_of(selector, self._task.strict_filters) is None:
            return np.ones(self._outcomes.days.size, dtype=np.bool_)
        admitted = self._session.mask(selector)
        return admitted[self._row] & self._has_row if admitted.size else self._has_row

    @property
    def winter(self) -> Mask:
        """Outcomes on winter days, shape (n_outcomes,)."""
        if self._winter is None:
            self._winter = winter_days(self._session.label, self._outcomes.days)
        return self._winter


def _rows_of(days: NDArray[np.int32], session_days: NDArray[np.int32]) -> tuple[NDArray[np.int64], Mask]:
    """Each outcome's position among the session's days, and whether its day is there at all."""
    if session_days.size == 0:
        return np.zeros(days.size, dtype=np.int64), np.zeros(days.size, dtype=np.bool_)
    row = np.minimum(np.searchsorted(session_days, days), session_days.size - 1)
    return row, session_days[row] == days


def _once(known: dict[K, T], key: K, compute: Callable[[], T]) -> T:
    if key not in known:
        known[key] = compute()
    return known[key]


def _guarded(compute: Callable[[], T]) -> tuple[T | None, str | None]:
    """One bad strategy is one error: the others of the task go on."""
    try:
        return compute(), None
    except UnusableStrategy as error:
        return None, str(error)
    except Exception as error:
        return None, f"unexpected {type(error).__name__}: {error}"
