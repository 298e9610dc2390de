"""The walk-forward and the season split of strategies, one task at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from dask_validator.config import RunConfig, WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Filter
from dask_validator.model import Answer, Holdout, Request, SeasonSplit, TaskTiming, Walked
from dask_validator.rules.seasons import season_split
from dask_validator.rules.walkforward import holdout_of, walkforward
from dask_validator.work.piece import GroupDays, Piece, once, timed
from dask_validator.work.work import Where, Work

T = TypeVar("T")


class WalkforwardTask(NamedTuple):
    """The input of one task: small and plain."""

    rules: WindowRules
    of_small: WindowRules  # of small samples
    piece: Piece


class TaskResult(NamedTuple):
    """One answer per strategy of the task, and what it cost."""

    answers: tuple[Answer, ...]
    timing: TaskTiming | None  # None: nobody could compute it


class Walkforwards(Work[WalkforwardTask, TaskResult]):
    """How strategies do in test windows and seasons."""

    kind = "walkforward"

    def __init__(self, where: Where, config: RunConfig) -> None:
        super().__init__(where)
        self._rules = rules_of(config)

    @property
    def function(self) -> Callable[[WalkforwardTask], TaskResult]:
        """What answers a task."""
        return walkforward_task

    def task(self, piece: Piece) -> WalkforwardTask:
        """With the rules of windows."""
        return WalkforwardTask(*self._rules, piece)

    def lost(self, task: WalkforwardTask, reason: str) -> TaskResult:
        """What stands for the result of a task that nobody could compute."""
        return lost(task.piece.asked, reason)


def rules_of(config: RunConfig) -> tuple[WindowRules, WindowRules]:
    """What the facts of walk-forward depend on, of most strategies and of small samples."""
    return config.window_rules, config.of_small_samples.window_rules


def lost(requests: Sequence[Request], reason: str) -> TaskResult:
    """Answers that there are none."""
    answers = [Answer(r.strategy_id, None, None, None, None, 0.0, r.fingerprint, reason, r.asked) for r in requests]
    return TaskResult(tuple(answers), None)


def walkforward_task(task: WalkforwardTask) -> TaskResult:
    """Answer for every strategy of the task; runs on a worker or, serially, in the main process.

    Raises
    ------
    InputError
        The database cannot be read. What is wrong with one strategy is in its own answer.
    """
    answers: list[Answer] = []
    with timed(len(task.piece.asked)) as timing:
        for group, days in task.piece.read():
            of_group = _Answering(days, task.rules, task.of_small)
            answers += [of_group.answer(request) for request in group.requests]
        return TaskResult(tuple(answers), timing())


class _Answering:
    """For the strategies of one group; equal days are computed once."""

    def __init__(self, days: GroupDays, rules: WindowRules, of_small: WindowRules) -> None:
        self._days = days
        self._rules = rules
        self._of_small = of_small
        self._walked: dict[tuple[bytes, bool], Walked] = {}
        self._splits: dict[bytes, SeasonSplit] = {}
        self._holdouts: dict[bytes, Holdout] = {}

    def answer(self, request: Request) -> Answer:
        """Walk forward, split and hold out, as far as asked; what is wrong with one strategy is its own error."""
        started = time.perf_counter()
        walked: Walked | None = None
        split: SeasonSplit | None = None
        holdout: Holdout | None = None
        error = split_error = unheld = None
        if (selecting := request.filter) is not None:
            walked, error = _guarded(lambda: self._walk_forward(request, selecting))
        if (held_out := request.holdout) is not None:
            holdout, unheld = _guarded(lambda: self._hold_out(request.strategy_id, held_out))
        if (of_split := request.split) is not None and (error is None or holdout is not None):
            split, split_error = _guarded(lambda: self._split(of_split))
        return Answer(
            request.strategy_id,
            walked,
            split,
            error or unheld,
            split_error,
            time.perf_counter() - started,
            request.fingerprint,
            asked=request.asked,
            holdout=holdout,
        )

    def _walk_forward(self, request: Request, selecting: Filter) -> Walked:
        taken, outcomes = self._days.taken(request.strategy_id, selecting), self._days.outcomes
        rules = self._of_small if request.is_small else self._rules
        key = taken.tobytes(), request.is_small
        return once(self._walked, key, lambda: walkforward(outcomes.where(taken), rules))

    def _hold_out(self, strategy_id: str, selecting: Filter) -> Holdout:
        taken, outcomes = self._days.taken(strategy_id, selecting), self._days.outcomes
        since = self._rules.holdout_from or 0
        return once(self._holdouts, taken.tobytes(), lambda: holdout_of(outcomes.where(taken), since))

    def _split(self, selecting: Filter) -> SeasonSplit:
        taken, days = self._days.admitted(selecting), self._days
        return once(self._splits, taken.tobytes(), lambda: season_split(days.recorded.where(taken), days.winter[taken]))


def _guarded(compute: Callable[[], T]) -> tuple[T | None, str | None]:
    """One bad strategy is one error: the others of the task go on."""
    try:
        return compute(), None
    except UnusableStrategy as error:
        return None, str(error)
    except Exception as error:
        return None, f"unexpected {type(error).__name__}: {error}"
