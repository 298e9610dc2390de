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
from dask_validator.model import Answer, OutcomeKey, Outcomes, Request, SeasonSplit, TaskTiming, WalkforwardResult
from dask_validator.rules.filters import SESSIONS, Features, Filter, resolve, select_days
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
        _answer(task, group.key, request, of_key, sessions.get((group.key.orb_minutes, group.key.orb_label)))
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


Session = tuple[int | None, str | None]


def _read_sessions(connection: duckdb.DuckDBPyConnection, task: WalkforwardTask) -> dict[Session, Features]:
    """Features of every session of the task, with the columns that its filters and splits look at."""
    available = session_columns(connection)
    wanted: dict[Session, set[str]] = {}
    for group in task.groups:
        if group.key.orb_label in SESSIONS:
            columns = wanted.setdefault((group.key.orb_minutes, group.key.orb_label), set())
            columns.update(bound.column for bounds in _filters(task, group) for bound in bounds)
    return {
        (minutes, label): read_features(
            connection, task.instrument, minutes, str(label), columns - {"weekday"}, available
        )
        for (minutes, label), columns in wanted.items()
    }


def _filters(task: WalkforwardTask, group: Group) -> list[Filter]:
    splits = [split_bounds(request.split) for request in group.requests if request.split]
    names = {request.filter_type for request in group.requests if request.walkforward and request.filter_type}
    return splits + [resolve(name, task.strict_filters) or () for name in names]


def _answer(
    task: WalkforwardTask, key: OutcomeKey, request: Request, outcomes: Outcomes, features: Features | None
) -> Answer:
    started = time.perf_counter()
    judged: WalkforwardResult | None = None
    split: SeasonSplit | None = None
    error = split_error = None
    if request.walkforward:
        judged, error = _guarded(lambda: _walk_forward(task, key, request, outcomes, features))
    if request.split is not None and error is None:
        split, split_error = _guarded(lambda: _split(key, request, outcomes, features))
    return Answer(request.strategy_id, judged, split, error, split_error, time.perf_counter() - started)


def _guarded(compute: Callable[[], T]) -> tuple[T | None, str | None]:
    """One bad strategy is one error: the others of the task go on."""
    try:
        return compute(), None
    except UnusableStrategy as error:
        return None, str(error)
    except Exception as error:
        return None, f"unexpected {type(error).__name__}: {error}"


def _walk_forward(
    task: WalkforwardTask, key: OutcomeKey, request: Request, outcomes: Outcomes, features: Features | None
) -> WalkforwardResult:
    label = _session_label(key)
    bounds = resolve(request.filter_type or "", task.strict_filters)
    if bounds is not None:
        outcomes = _on_days(outcomes, features, bounds)
    if season := season_of(request.strategy_id, label):
        outcomes = outcomes.where(winter_days(label, outcomes.days) == (season == "W"))
    return walkforward(outcomes, task.rules)


def _split(key: OutcomeKey, request: Request, outcomes: Outcomes, features: Features | None) -> SeasonSplit:
    label = _session_label(key)
    assert request.split is not None
    counted = _on_days(outcomes, features, split_bounds(request.split))
    return season_split(counted, winter_days(label, counted.days))


def _session_label(key: OutcomeKey) -> str:
    if key.orb_label not in SESSIONS:
        raise UnusableStrategy(f"orb_label {key.orb_label!r} is no known session; known: {', '.join(sorted(SESSIONS))}")
    return key.orb_label


def _on_days(outcomes: Outcomes, features: Features | None, bounds: Filter) -> Outcomes:
    """Outcomes of the days that have a features row and pass the bounds."""
    assert features is not None  # every session label of a task has been read
    eligible = features.days[select_days(bounds, features)]
    return outcomes.where(np.isin(outcomes.days, eligible, kind="sort"))
