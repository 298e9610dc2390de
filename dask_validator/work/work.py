"""Questions about strategies made tasks, of any kind: the days that their groups take, and nothing else, go along."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from dask_validator.filters.conditions import Days, Filter
from dask_validator.model import Extent, OutcomeKey, Session
from dask_validator.rules.costs import Costs
from dask_validator.rules.day_masks import SessionDays
from dask_validator.sources.carried import Carried
from dask_validator.sources.source import Source
from dask_validator.system.same_file import Identity
from dask_validator.work.piece import Group, Piece, Task
from dask_validator.work.plan import plan

Filters = Mapping[Session, set[Filter]]
AnyTask = TypeVar("AnyTask", bound=Task)
Result = TypeVar("Result")


def filters_of(groups: Iterable[Group]) -> Filters:
    """What picks days for these groups, by session; a filter that needs no row of features picks none."""
    used: dict[Session, set[Filter]] = {}
    for group in groups:
        of_session = used.setdefault(group.key.session, set())
        for request in group.requests:
            of_session.update(each for each in request.filters() if each not in (Days.ALL, Days.NONE))
    return used


class Where(NamedTuple):
    """Where the outcomes of an instrument lie, and which days count."""

    layout: Mapping[OutcomeKey, Extent]
    sessions: Mapping[Session, SessionDays]
    source: Source
    instrument: str
    identity: Identity | None  # of the file that the run has begun to read: tasks read no other one
    costs: Costs  # of a round trip: stops are replayed with them


class Work(ABC, Generic[AnyTask, Result]):
    """One kind of question: what answers it, and what makes tasks of groups."""

    kind: ClassVar[str]  # what the Dask dashboard calls its tasks

    def __init__(self, where: Where) -> None:
        self.where = where

    @property
    @abstractmethod
    def function(self) -> Callable[[AnyTask], Result]:
        """What answers a task, on a worker."""

    @abstractmethod
    def task(self, piece: Piece) -> AnyTask:
        """What is asked about this piece."""

    @abstractmethod
    def lost(self, task: AnyTask, reason: str) -> Result:
        """What stands for the result of a task that nobody could compute."""

    def tasks(self, groups: Sequence[Group], workers: int, *, carried: bool) -> Tasks[AnyTask]:
        """The groups cut into tasks, which carry their outcomes or read them."""
        return Tasks(self, plan(groups, self.where.layout, workers, carried=carried), carried)

    def of_groups(self, groups: tuple[Group, ...]) -> AnyTask:
        """The task for these groups."""
        where = self.where
        used = filters_of(groups)
        days = {session: where.sessions[session].only(used[session]) for session in used}
        extents = [where.layout.get(group.key.stored) for group in groups]
        part = where.source.part(where.instrument, extents, where.identity)
        return self.task(Piece(groups, days, part, where.costs))

    def carried(self, task: AnyTask) -> AnyTask:
        """The task with its outcomes, for workers that do not see where they lie."""
        piece, where = task.piece, self.where
        if isinstance(piece.part, Carried):
            return task
        extents = [where.layout.get(key.stored) for key in piece.keys]
        outcomes = where.source.read(where.instrument, piece.keys, extents)
        return task._replace(piece=piece._replace(part=Carried(tuple(outcomes))))

    def parts(self, task: AnyTask, most: int) -> list[AnyTask]:
        """The task cut into at most so many of nearly equal size, none with less than one strategy."""
        asked = [(i, request) for i, group in enumerate(task.piece.groups) for request in group.requests]
        size = -(-len(asked) // most)
        cuts = [asked[start : start + size] for start in range(0, len(asked), size)]
        return [task._replace(piece=task.piece.only(cut)) for cut in cuts]


@dataclass(frozen=True)
class Tasks(Generic[AnyTask]):
    """Made one by one: a million strategies would not fit into memory beside all their tasks."""

    work: Work[AnyTask, Any]
    pieces: Sequence[tuple[Group, ...]]
    carried: bool

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[AnyTask]:
        tasks = map(self.work.of_groups, self.pieces)
        return map(self.work.carried, tasks) if self.carried else tasks
