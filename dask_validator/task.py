"""What one worker does with one task: read once, filter, walk forward, split by season."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import duckdb
import numpy as np

from dask_validator.config import WalkforwardRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import (
    Answer,
    OutcomeKey,
    Outcomes,
    Request,
    SeasonSplit,
    SplitRule,
    TaskTiming,
    WalkforwardResult,
)
from dask_validator.rules.filters import Features, Filter, resolve, select_days
from dask_validator.rules.seasons import season_of, season_split, split_bounds, winter_days
from dask_validator.rules.walkforward import walkforward
from dask_validator.store.connection import reading
from dask_validator.store.outcomes import read_features, read_outcomes, session_columns

T = TypeVar("T")


class Group(NamedTuple):
    """Strategies that share their outcomes, hence one read."""

    key: OutcomeKey
    requests: tuple[Request, ...]


class WalkforwardTask(NamedTuple):
    """The input of one task: small and plain, the database as a path."""

    path: str
    instrument: str
    rules: WalkforwardRules
    strict_filters: bool
    groups: tuple[Group, ...]

    @property
    def strategies(self) -> int:
        """How many strategies the task answers for."""
        return sum(len(group.requests) for group in self.groups)


class TaskResult(NamedTuple):
    """One answer per strategy of the task, and what it cost."""

    answers: tuple[Answer, ...]
    timing: TaskTiming


def walkforward_task(task: WalkforwardTask) -> TaskResult:
    """Answer for every strategy of the task; runs on a worker or, serially, in the main process.

    Raises
    ------
    InputError
        The database cannot be read. What is wrong with one strategy is in its own answer.
    """
    started, wall, cpu = time.time(), time.perf_counter(), time.process_time()
    with reading(task.path, worker=True) as connection:
        outcomes = read_outcomes(connection, task.instrument, [group.key for group in task.groups])
        sessions = _read_sessions(connection, task)
    answers = [
        _answer(task, request, of_key, sessions[_session(group.key)])
        for group, of_key in zip(task.groups, outcomes, strict=True)
        for request in group.requests
    ]
    timing = TaskTiming(
        started,
        time.perf_counter() - wall,
        time.process_time() - cpu,
        f"{socket.gethostname()}:{os.getpid()}",
        len(answers),
    )
    return TaskResult(tuple(answers), timing)


Session = tuple[int | None, str]  # orb_minutes and label


def _read_sessions(connection: duckdb.DuckDBPyConnection, task: WalkforwardTask) -> dict[Session, Features]:
    """Features of every session of the task, with the columns that its filters and splits look at."""
    available = session_columns(connection)
    wanted: dict[Session, set[str]] = {}
    for group in task.groups:
        columns = wanted.setdefault(_session(group.key), set())
        columns.update(bound.column for bounds in _filters(task, group) for bound in bounds)
    return {
        session: read_features(connection, task.instrument, *session, columns - {"weekday"}, available)
        for session, columns in wanted.items()
    }


def _session(key: OutcomeKey) -> Session:
    return key.orb_minutes, str(key.orb_label)


def _filters(task: WalkforwardTask, group: Group) -> list[Filter]:
    splits = [split_bounds(request.split) for request in group.requests if request.split]
    names = {request.filter_type for request in group.requests if request.walkforward and request.filter_type}
    return splits + [resolve(name, task.strict_filters) or () for name in names]


def _answer(task: WalkforwardTask, request: Request, outcomes: Outcomes, features: Features) -> Answer:
    started = time.perf_counter()
    judged: WalkforwardResult | None = None
    split: SeasonSplit | None = None
    error = split_error = None
    if request.walkforward:
        judged, error = _guarded(lambda: _walk_forward(task, request, outcomes, features))
    if (rule := request.split) is not None and error is None:
        split, split_error = _guarded(lambda: _split(rule, outcomes, features))
    return Answer(request.strategy_id, judged, split, error, split_error, time.perf_counter() - started)


def _guarded(compute: Callable[[], T]) -> tuple[T | None, str | None]:
    """One bad strategy is one error: the others of the task go on."""
    try:
        return compute(), None
    except UnusableStrategy as error:
        return None, str(error)
    except Exception as error:
        return None, f"unexpected {type(error).__name__}: {error}"


def _walk_forward(task: WalkforwardTask, request: Request, outcomes: Outcomes, features: Features) -> WalkforwardResult:
    bounds = resolve(request.filter_type or "", task.strict_filters)
    if bounds is not None:
        outcomes = _on_days(outcomes, features, bounds)
    if season := season_of(request.strategy_id, features.label):
        outcomes = outcomes.where(winter_days(features.label, outcomes.days) == (season == "W"))
    return walkforward(outcomes, task.rules)


def _split(rule: SplitRule, outcomes: Outcomes, features: Features) -> SeasonSplit:
    counted = _on_days(outcomes, features, split_bounds(rule))
    return season_split(counted, winter_days(features.label, counted.days))


def _on_days(outcomes: Outcomes, features: Features, bounds: Filter) -> Outcomes:
    """Outcomes of the days that have a features row and pass the bounds."""
    eligible = features.days[select_days(bounds, features)]
    return outcomes.where(np.isin(outcomes.days, eligible, kind="sort"))
