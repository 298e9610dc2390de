"""The walk-forward and the season split of strategies, one task at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from dask_validator.config import RunConfig, WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Filter
from dask_validator.model import Answer, Holdout, Request, SeasonSplit, TaskTiming, Walked
from dask_validator.rules.day_masks import Mask
from dask_validator.rules.seasons import season_splits
from dask_validator.rules.walkforward import holdout_of, walkforwards
from dask_validator.work.piece import GroupDays, Piece, timed
from dask_validator.work.work import Where, Work

T = TypeVar("T")
Found = dict[str, tuple[T | None, str | None]]  # by strategy_id, what was computed, or why not
NOTHING = None, None
AT_ONCE = 250  # strategies: more are no faster, and take memory


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
            for start in range(0, len(group.requests), AT_ONCE):
                answers += _Answering(days, task.rules, task.of_small).answers(group.requests[start : start + AT_ONCE])
        return TaskResult(tuple(answers), timing())


class _Answering:
    """For strategies of one group, all at once; equal days are computed once."""

    def __init__(self, days: GroupDays, rules: WindowRules, of_small: WindowRules) -> None:
        self._days = days
        self._rules = {False: rules, True: of_small}

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """Walk forward, hold out and split, as far as asked; what is wrong with one strategy is its own error."""
        started = time.perf_counter()
        walked: Found[Walked] = {}
        for is_small, rules in self._rules.items():
            asked = {r.strategy_id: r.filter for r in requests if r.filter is not None and r.is_small is is_small}
            walked |= _guarded(partial(self._walked, rules), asked)
        held_out = _guarded(self._held_out, {r.strategy_id: r.holdout for r in requests if r.holdout is not None})
        fallen = {name for name, (_, error) in walked.items() if error and held_out.get(name, NOTHING)[0] is None}
        wanted = {r.strategy_id: r.split for r in requests if r.split is not None and r.strategy_id not in fallen}
        splits = _guarded(self._splits, wanted)
        seconds = (time.perf_counter() - started) / len(requests)
        of_each = zip(
            *([of.get(r.strategy_id, NOTHING) for r in requests] for of in (walked, splits, held_out)), strict=True
        )
        return [
            Answer(
                r.strategy_id, walk, split, error or unheld, split_error, seconds, r.fingerprint, None, r.asked, holdout
            )
            for r, ((walk, error), (split, split_error), (holdout, unheld)) in zip(requests, of_each, strict=True)
        ]

    def _walked(self, rules: WindowRules, asked: Mapping[str, Filter]) -> list[Walked]:
        taken = [self._days.taken(name, selecting) for name, selecting in asked.items()]
        return _once(taken, lambda masks: walkforwards([*map(self._days.outcomes.where, masks)], rules))

    def _held_out(self, asked: Mapping[str, Filter]) -> list[Holdout]:
        since = self._rules[False].holdout_from or 0
        taken = [self._days.taken(name, selecting) for name, selecting in asked.items()]
        return _once(taken, lambda masks: [holdout_of(self._days.outcomes.where(mask), since) for mask in masks])

    def _splits(self, asked: Mapping[str, Filter]) -> list[SeasonSplit]:
        taken = [self._days.admitted(selecting) for selecting in asked.values()]
        return _once(taken, partial(season_splits, self._days.recorded, self._days.winter))


def _once(taken: Sequence[Mask], compute: Callable[[Sequence[Mask]], Sequence[T]]) -> list[T]:
    """What comes of these days, computed once where they are the same."""
    keys = [mask.tobytes() for mask in taken]
    distinct = dict(zip(keys, taken, strict=True))
    found = dict(zip(distinct, compute([*distinct.values()]), strict=True))
    return [found[key] for key in keys]


def _guarded(compute: Callable[[Mapping[str, Filter]], Sequence[T]], asked: Mapping[str, Filter]) -> Found[T]:
    """All at once; where one is bad, each half by itself, down to that one, so that the others go on."""
    try:
        return {name: (value, None) for name, value in zip(asked, compute(asked), strict=True)} if asked else {}
    except Exception as error:
        if len(asked) == 1:
            known = isinstance(error, UnusableStrategy)
            return dict.fromkeys(asked, (None, str(error) if known else f"unexpected {type(error).__name__}: {error}"))
    both, half = [*asked.items()], len(asked) // 2
    return _guarded(compute, dict(both[:half])) | _guarded(compute, dict(both[half:]))
