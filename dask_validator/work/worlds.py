"""Strategies in worlds without an edge, a few outcome keys a task: how many each world promotes, and how strong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import WindowRules
from dask_validator.filters.conditions import Filter
from dask_validator.model import TaskTiming
from dask_validator.rules.costs import Costs, Friction
from dask_validator.rules.gates import Terms
from dask_validator.universe.cells import Taken, cut
from dask_validator.universe.evidence import NULLS
from dask_validator.universe.gates import Circumstances
from dask_validator.universe.payoffs import payoffs
from dask_validator.universe.simulation import Draws, Simulation, Worlds, draws
from dask_validator.universe.worlds import Design
from dask_validator.work.piece import Group, GroupDays, Piece, timed
from dask_validator.work.work import Where, Work


class Entrant(NamedTuple):
    """One strategy that is put into worlds."""

    strategy_id: str
    filter: Filter  # of its walk-forward
    row: Filter  # what selects the trades that its row was made of
    position: int  # among all that are put into worlds
    risk_dollars: float  # as `costs.Friction` has them
    mean_cost: float
    mus: tuple[float, ...]  # by null, units a trade, never above zero
    shifts: tuple[float, ...]  # by null, what its deviate is moved by
    is_candidate: bool  # whether its deviates are wanted world by world

    def filters(self) -> Iterator[Filter]:
        """Of its row, and of walk-forward."""
        yield self.filter
        yield self.row


class Terrain(NamedTuple):
    """What is the same for all tasks."""

    design: Design
    days: NDArray[np.int32]  # trading days of the instrument, ascending
    rules: WindowRules
    settings: tuple[Terms, ...]
    costs: Costs
    dormant: frozenset[int]
    floor: float | None  # the smallest deviate of a promoted strategy; None: no deviates are wanted


class WorldsTask(NamedTuple):
    """The input of one task."""

    terrain: Terrain
    piece: Piece


class Block(NamedTuple):
    """Some strategies in all worlds; made to be added up in any order."""

    positions: NDArray[np.int32]  # of the strategies, shape (n,)
    promoted: NDArray[np.int32]  # how many, shape (n_settings, n_nulls, n_worlds)
    lucky: NDArray[np.int32]  # worlds that promote each strategy, shape (n_settings, n)
    world: NDArray[np.int32]  # of each promotion, under the first setting, that is no weaker than the floor
    z: NDArray[np.float32]  # and its deviate there
    maxima: NDArray[np.float32]  # of all deviates, moved as each null says, shape (n_nulls, n_worlds)
    rest: NDArray[np.float32]  # of those that are no candidates, shape (n_worlds,)
    candidates: NDArray[np.int32]  # positions, shape (n_candidates,)
    candidate_z: NDArray[np.float32]  # shape (n_candidates, n_worlds)
    timing: TaskTiming | None = None
    lost: str | None = None  # why there is nothing of these strategies


class Simulating(Work[WorldsTask, Block]):
    """How strategies do without an edge."""

    kind = "worlds"

    def __init__(self, where: Where, terrain: Terrain) -> None:
        super().__init__(where)
        self._terrain = terrain

    @property
    def function(self) -> Callable[[WorldsTask], Block]:
        """What answers a task."""
        return worlds_task

    def task(self, piece: Piece) -> WorldsTask:
        """With the worlds and the gates."""
        return WorldsTask(self._terrain, piece)

    def lost(self, task: WorldsTask, reason: str) -> Block:
        """What stands for the result of a task that nobody could compute."""
        entrants = task.piece.asked
        return _Tally(task.terrain, entrants).block(None)._replace(candidates=_NOBODY, lost=reason)


_NOBODY = np.empty(0, dtype=np.int32)


def worlds_task(task: WorldsTask) -> Block:
    """Put the strategies of a task into all worlds, some worlds at a time. Raises InputError, as reading does."""
    terrain = task.terrain
    with timed(len(task.piece.asked)) as timing:
        keys = [(group.requests, simulation_of(group, days, terrain)) for group, days in task.piece.read()]
        tally = _Tally(terrain, [entrant for entrants, _ in keys for entrant in entrants])
        for drawn in draws(terrain.design, terrain.days.size):
            first = 0
            for entrants, simulation in keys:
                tally.add(first, drawn, simulation.worlds(drawn))
                first += len(entrants)
        return tally.block(timing())


def simulation_of(group: Group, days: GroupDays, terrain: Terrain) -> Simulation:
    """The strategies of one key, ready to be put into worlds."""
    entrants: Sequence[Entrant] = group.requests
    taken = [Taken(days.taken(of.strategy_id, of.row), days.taken(of.strategy_id, of.filter)) for of in entrants]
    return Simulation(
        cut(days.outcomes, terrain.days, taken, terrain.rules),
        payoffs(days.outcomes, terrain.days),
        beside=Circumstances(terrain.costs, _friction(entrants), terrain.dormant),
        settings=terrain.settings,
        mus=list(np.array([of.mus for of in entrants]).T),
        with_z=terrain.floor is not None,
    )


def _friction(entrants: Sequence[Entrant]) -> Friction:
    return Friction(np.array([of.risk_dollars for of in entrants]), np.array([of.mean_cost for of in entrants]))


class _Tally:
    """What the strategies of one task come to."""

    def __init__(self, terrain: Terrain, entrants: Sequence[Entrant]) -> None:
        worlds, settings = terrain.design.worlds, len(terrain.settings)
        self._floor = np.float32(np.inf if terrain.floor is None else terrain.floor)
        self._positions = np.array([of.position for of in entrants], dtype=np.int32)
        self._shifts = np.array([of.shifts for of in entrants], dtype=np.float64).reshape(len(entrants), len(NULLS)).T
        self._candidates = np.array([of.is_candidate for of in entrants], dtype=np.bool_)
        self._row = np.cumsum(self._candidates) - 1
        self._promoted = np.zeros((settings, len(NULLS), worlds), dtype=np.int32)
        self._lucky = np.zeros((settings, len(entrants)), dtype=np.int32)
        self._pairs: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        self._maxima = np.full((len(NULLS), worlds), -np.inf, dtype=np.float32)
        self._rest = np.full(worlds, -np.inf, dtype=np.float32)
        self._candidate_z = np.full((int(self._candidates.sum()), worlds), -np.inf, dtype=np.float32)

    def add(self, first: int, drawn: Draws, found: Worlds) -> None:
        """Some worlds of one key, whose strategies begin at `first`."""
        own = slice(first, first + found.passed[0][0].shape[0])
        for setting, by_null in enumerate(found.passed):
            for null, passed in enumerate(by_null):
                self._promoted[setting, null, drawn.worlds] += passed.sum(axis=0, dtype=np.int32)
            self._lucky[setting, own] += by_null[0].sum(axis=1, dtype=np.int32)
        if found.z is None:
            return
        strategy, world = np.nonzero(found.passed[0][0] & (found.z >= self._floor))
        self._pairs.append(((world + drawn.first).astype(np.int32), found.z[strategy, world]))
        for null, shift in enumerate(self._shifts[:, own]):
            moved = (found.z + shift[:, None]).max(axis=0).astype(np.float32)
            np.maximum(self._maxima[null, drawn.worlds], moved, out=self._maxima[null, drawn.worlds])
        candidates = self._candidates[own]
        self._candidate_z[self._row[own][candidates], drawn.worlds] = found.z[candidates]
        others = found.z[~candidates].max(axis=0, initial=-np.inf)
        np.maximum(self._rest[drawn.worlds], others, out=self._rest[drawn.worlds])

    def block(self, timing: TaskTiming | None) -> Block:
        """All of it."""
        world, z = zip(*self._pairs, strict=True) if self._pairs else ((), ())
        return Block(
            self._positions,
            self._promoted,
            self._lucky,
            np.concatenate([_NOBODY, *world]),
            np.concatenate([np.empty(0, dtype=np.float32), *z]),
            self._maxima,
            self._rest,
            self._positions[self._candidates],
            self._candidate_z,
            timing,
        )
