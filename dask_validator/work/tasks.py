"""From questions about strategies to tasks: the days that the groups of a task take, and nothing else, go along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dask_validator.model import Answer, Extent, OutcomeKey, Request, Session
from dask_validator.rules.day_masks import Selector, SessionDays, bounds_of, session_days
from dask_validator.rules.filters import Features
from dask_validator.rules.gates import Terms
from dask_validator.rules.verdicts import provisional
from dask_validator.sources.carried import Carried
from dask_validator.sources.source import Source
from dask_validator.system.same_file import Identity
from dask_validator.work.plan import plan
from dask_validator.work.task import Group, TaskResult, WalkforwardTask

Selectors = Mapping[Session, set[Selector]]


def selectors(groups: Iterable[Group], strict_filters: bool) -> Selectors:
    """What picks days for these groups, by session; a filter that admits every day picks none."""
    used: dict[Session, set[Selector]] = {}
    for group in groups:
        of_session = used.setdefault(group.key.session, set())
        for request in group.requests:
            of_session.update(_selectors(request, strict_filters))
    return used


def _selectors(request: Request, strict_filters: bool) -> Iterator[Selector]:
    if request.split is not None:
        yield request.split
    if request.walkforward and bounds_of(request.filter_type or "", strict_filters) is not None:
        yield request.filter_type or ""


def columns(used: Selectors, strict_filters: bool) -> dict[Session, set[str]]:
    """The columns of `daily_features` that the selectors look at."""
    return {
        session: {bound.column for selector in of_session for bound in bounds_of(selector, strict_filters) or ()}
        - {"weekday"}
        for session, of_session in used.items()
    }


def days_by_session(
    used: Selectors, features: Mapping[Session, Features], strict_filters: bool
) -> dict[Session, SessionDays]:
    """Every selector applied once to the days of its session."""
    return {session: session_days(features[session], used[session], strict_filters) for session in used}


class Work(NamedTuple):
    """What makes tasks of groups: where their outcomes lie, which days count, and the rules."""

    layout: Mapping[OutcomeKey, Extent]
    sessions: Mapping[Session, SessionDays]
    terms: Terms
    source: Source
    instrument: str
    identity: Identity | None  # of the file that the run has begun to read: tasks read no other one

    def judged(self, answers: Sequence[Answer]) -> dict[str, int]:
        """How the answers look so far."""
        return provisional(answers, self.terms)

    def tasks(self, groups: Sequence[Group], workers: int, *, carried: bool) -> Tasks:
        """The groups cut into tasks, which carry their outcomes or read them."""
        return Tasks(self, plan(groups, self.layout, workers, carried=carried), carried)

    def task(self, groups: tuple[Group, ...]) -> WalkforwardTask:
        """The task for these groups."""
        config = self.terms.config
        used = selectors(groups, config.strict_filters)
        days = {session: self.sessions[session].only(used[session]) for session in used}
        extents = [self.layout.get(group.key) for group in groups]
        part = self.source.part(self.instrument, extents, self.identity)
        return WalkforwardTask(config.window_rules, config.strict_filters, groups, days, part)

    def carried(self, task: WalkforwardTask) -> WalkforwardTask:
        """The task with its outcomes, for workers that do not see where they lie."""
        if isinstance(task.part, Carried):
            return task
        extents = [self.layout.get(key) for key in task.keys]
        return task._replace(part=Carried(tuple(self.source.read(self.instrument, task.keys, extents))))

    def parts(self, task: WalkforwardTask, most: int) -> list[WalkforwardTask]:
        """The task cut into at most so many of nearly equal size, none with less than one strategy."""
        asked = [(i, request) for i, group in enumerate(task.groups) for request in group.requests]
        size = -(-len(asked) // most)
        return [_part(task, asked[start : start + size]) for start in range(0, len(asked), size)]

    def lost(self, task: WalkforwardTask, reason: str) -> TaskResult:
        """What stands for the result of a task that nobody could compute."""
        requests = [request for group in task.groups for request in group.requests]
        answers = [Answer(r.strategy_id, None, None, None, None, 0.0, r.fingerprint, reason, r.asked) for r in requests]
        return TaskResult(tuple(answers), None)


def _part(task: WalkforwardTask, asked: Sequence[tuple[int, Request]]) -> WalkforwardTask:
    """The task for some of its strategies, each given with the position of its group."""
    requests: dict[int, list[Request]] = {}
    for position, request in asked:
        requests.setdefault(position, []).append(request)
    groups = tuple(Group(task.groups[position].key, tuple(of_group)) for position, of_group in requests.items())
    return task._replace(groups=groups, part=task.part.only(list(requests)))


@dataclass(frozen=True)
class Tasks:
    """Made one by one: a million strategies would not fit into memory beside all their tasks."""

    work: Work
    pieces: Sequence[tuple[Group, ...]]
    carried: bool

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[WalkforwardTask]:
        tasks = map(self.work.task, self.pieces)
        return map(self.work.carried, tasks) if self.carried else tasks
