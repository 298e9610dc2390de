"""What the tasks of all kinds have: strategies, the days that their filters admit, and where their outcomes are."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dask_validator.filters.conditions import Days, Filter
from dask_validator.model import OTHER, OutcomeKey, Outcomes, Session, TaskTiming
from dask_validator.rules.costs import Costs
from dask_validator.rules.day_masks import Mask, SessionDays
from dask_validator.rules.seasons import season_of, winter_days
from dask_validator.rules.stops import replayed
from dask_validator.sources.source import Part

K = TypeVar("K")
T = TypeVar("T")


class Asked(Protocol):
    """What is asked about one strategy; more with each kind of question."""

    @property
    def strategy_id(self) -> str:
        """Which strategy."""
        ...

    def filters(self) -> Iterator[Filter]:
        """What picks the days that matter to it."""
        ...


class Group(NamedTuple):
    """Strategies that share their outcomes, hence one read."""

    key: OutcomeKey
    requests: tuple[Any, ...]  # of one kind of question, each an `Asked`


class Piece(NamedTuple):
    """What one task is about: small and plain."""

    groups: tuple[Group, ...]
    sessions: Mapping[Session, SessionDays]
    part: Part
    costs: Costs

    @property
    def keys(self) -> list[OutcomeKey]:
        """What selects the outcomes of each group."""
        return [group.key for group in self.groups]

    @property
    def asked(self) -> list[Any]:
        """All requests, group by group."""
        return [request for group in self.groups for request in group.requests]

    def only(self, asked: Sequence[tuple[int, Any]]) -> Piece:
        """The piece for some of its requests, each given with the position of its group."""
        requests: dict[int, list[Any]] = {}
        for position, request in asked:
            requests.setdefault(position, []).append(request)
        groups = tuple(Group(self.groups[position].key, tuple(of_group)) for position, of_group in requests.items())
        return self._replace(groups=groups, part=self.part.only(list(requests)))

    def read(self) -> Iterator[tuple[Group, GroupDays]]:
        """Each group with its outcomes. Raises InputError where the source cannot be read."""
        for group, outcomes in zip(self.groups, self.part.read(self.keys), strict=True):
            yield group, GroupDays(outcomes, self.sessions[group.key.session], group.key.stop, self.costs)


class Task(Protocol):
    """The input of one task of any kind."""

    @property
    def piece(self) -> Piece:
        """What it is about."""
        ...

    def _replace(self, *, piece: Piece) -> Self: ...


@contextmanager
def timed(strategies: int) -> Iterator[Callable[[], TaskTiming]]:
    """Count the block as one task; what it took is known at its end."""
    started, wall, cpu = time.time(), time.perf_counter(), time.thread_time()

    def timing() -> TaskTiming:
        worker = f"{socket.gethostname()}:{os.getpid()}"
        return TaskTiming(started, time.perf_counter() - wall, time.thread_time() - cpu, worker, strategies)

    yield timing


class GroupDays:
    """The outcomes of one group and which of them each strategy takes; equal days are computed once.

    Attributes
    ----------
    recorded
        As they were made.
    outcomes
        Under the stop of the group.
    """

    def __init__(self, recorded: Outcomes, session: SessionDays, stop: float, costs: Costs) -> None:
        self.recorded = recorded
        self.outcomes = replayed(recorded, stop, costs)
        self._session = session
        self._row, self._has_row = _rows_of(recorded.days, session.days)
        self._masks: dict[Filter, Mask] = {}
        self._winter: Mask | None = None

    def taken(self, strategy_id: str, selecting: Filter) -> Mask:
        """Outcomes on days that the strategy trades, shape (n_outcomes,). Raises UnusableStrategy."""
        taken = self.admitted(selecting)
        if season := season_of(strategy_id, self._session.zone):
            taken = taken & (self.winter == (season == "W"))
        return taken

    def trades(self, taken: Mask) -> int:
        """Wins and losses among the outcomes taken."""
        return int((taken & (self.outcomes.code != OTHER)).sum())

    def admitted(self, selecting: Filter) -> Mask:
        """Outcomes on days that the filter admits, shape (n_outcomes,). Raises UnusableStrategy."""
        return once(self._masks, selecting, lambda: self._admitted(selecting))

    def _admitted(self, selecting: Filter) -> Mask:
        if selecting in (Days.ALL, Days.NONE):
            return np.full(self.outcomes.days.size, selecting is Days.ALL)
        admitted = self._session.mask(selecting)
        return admitted[self._row] & self._has_row if admitted.size else self._has_row

    @property
    def winter(self) -> Mask:
        """Outcomes on winter days, shape (n_outcomes,)."""
        if self._winter is None:
            self._winter = winter_days(self._session.zone or "UTC", self.outcomes.days)
        return self._winter


def _rows_of(days: NDArray[np.int32], session_days: NDArray[np.int32]) -> tuple[NDArray[np.int64], Mask]:
    """Each outcome's position among the session's days, and whether its day is there at all."""
    if session_days.size == 0:
        return np.zeros(days.size, dtype=np.int64), np.zeros(days.size, dtype=np.bool_)
    row = np.minimum(np.searchsorted(session_days, days), session_days.size - 1)
    return row, session_days[row] == days


def once(known: dict[K, T], key: K, compute: Callable[[], T]) -> T:
    """What is known under the key, computed the first time."""
    if key not in known:
        known[key] = compute()
    return known[key]
