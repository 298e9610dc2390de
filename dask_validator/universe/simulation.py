"""The strategies of one outcome key in worlds without an edge: who passes, and how far each mean is from zero.

Sums of units are whole numbers, hence the same in any order, in float32 as far as that has them exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.rules.gates import GATES, Terms
from dask_validator.universe import deviates
from dask_validator.universe.calendars import Calendar, Sums
from dask_validator.universe.cells import Cut
from dask_validator.universe.deviates import Doubles
from dask_validator.universe.gates import MOMENTS, Circumstances, Seen, passing
from dask_validator.universe.payoffs import Payoffs, without_edge
from dask_validator.universe.worlds import Design, era_of, source_days

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

EXACT = 2**24  # whole numbers below are those of a float32
AT_ONCE = 256  # worlds


class Draws(NamedTuple):
    """Some of the worlds."""

    first: int
    sources: NDArray[np.intp]  # position in a table of shape (n_eras, n_days), flat; shape (n_days, n_worlds)

    @property
    def worlds(self) -> slice:
        """Their numbers."""
        return slice(self.first, self.first + self.sources.shape[1])


def draws(design: Design, days: int, at_once: int = AT_ONCE) -> Iterator[Draws]:
    """All worlds, so many at a time."""
    offset = era_of(days)[:, None] * days
    drawn = _source_days(design, days)
    for first in range(0, design.worlds, at_once):
        yield Draws(first, offset + drawn[:, first : first + at_once])


@lru_cache(maxsize=1)
def _source_days(design: Design, days: int) -> NDArray[Any]:
    """As small as they can be, because a worker keeps them for all of its tasks."""
    drawn = np.empty((days, design.worlds), dtype=np.min_scalar_type(days))
    for first in range(0, design.worlds, AT_ONCE):
        count = min(AT_ONCE, design.worlds - first)
        drawn[:, first : first + count] = source_days(design, days, first, count)
    return drawn


class Worlds(NamedTuple):
    """The strategies of one key in some worlds."""

    passed: Sequence[Sequence[NDArray[np.bool_]]]  # by setting and null, each of shape (n_strategies, n_worlds)
    z: NDArray[np.float32] | None  # shape (n_strategies, n_worlds), -inf where it is not defined; None: not asked for


class Moments(NamedTuple):
    """What is no sum; arrays of shape (n_strategies, n_worlds)."""

    variance: Doubles  # R^2; NaN where it is none, or so small that the squares' rounding is all of it
    win_rate: Doubles | None  # None: not asked for

    def of(self, strategy: NDArray[np.int64], world: NDArray[np.int64]) -> Moments:
        """Of some pairs, as if each were a strategy of its own in one world."""
        win_rate = None if self.win_rate is None else self.win_rate[strategy, world][:, None]
        return Moments(self.variance[strategy, world][:, None], win_rate)


class Simulation:
    """One key, ready to be put into worlds.

    Parameters
    ----------
    mus
        By null, what is added to each trade of a strategy, in units: zero where it breaks even, never above.
    with_z
        Whether deviates are asked for too, with the least sample of the first of the settings.
    """

    def __init__(
        self,
        cut: Cut,
        of: Payoffs,
        *,
        beside: Circumstances,
        settings: Sequence[Terms],
        mus: Sequence[NDArray[np.float64]],
        with_z: bool,
    ) -> None:
        self._cut, self._beside, self._settings, self._mus = cut, beside, settings, mus
        self._arranged = cut.cells.arranged(cut.strategies)
        self._asked = _moments_of(settings)
        self._rows = cut.rows() if with_z or self._asked else None
        self._with_z = with_z
        tables = without_edge(of)
        self._wins = (tables > 0).astype(np.float32)
        self._pay = _narrow(tables, cut.cells.trades)
        self._squares = _narrow(np.rint(tables * tables / deviates.COARSE), self._arranged.calendar.trades)

    def worlds(self, drawn: Draws) -> Worlds:
        """Put into these worlds."""
        paid, squares = self.products(drawn)
        sums = self._arranged.sums(paid)
        of_squares = None if squares is None or self._rows is None else (self._rows, squares)
        moments = None if of_squares is None else self._moments(*of_squares, sums.total, drawn)
        passed = [self._passed(paid, sums, terms, moments) for terms in self._settings]
        z = self._deviates(sums.total, moments.variance) if moments is not None and self._with_z else None
        return Worlds(passed, z)

    def products(self, drawn: Draws) -> tuple[Doubles, Doubles | None]:
        """Payoffs by cell and their squares by strategy: gathers and sparse products, the least there is to do."""
        paid = self._cut.paid(self._pay.take(drawn.sources))
        if self._rows is None:
            return paid, None
        return paid, np.asarray(self._rows @ self._squares.take(drawn.sources), dtype=np.float64)

    def _moments(self, rows: csr_matrix, squares: Doubles, total: Doubles, drawn: Draws) -> Moments:
        trades = self._arranged.calendar.trades[:, None]
        variance = deviates.variance(total, squares * (deviates.COARSE / deviates.SQUARED), trades)
        win_rate = (rows @ self._wins.take(drawn.sources)) / trades if "win_rate" in self._asked else None
        return Moments(np.where(variance > deviates.LEAST_VARIANCE, variance, np.nan), win_rate)

    def _deviates(self, total: Doubles, variance: Doubles) -> NDArray[np.float32]:
        trades = self._arranged.calendar.trades[:, None]
        defined = ~np.isnan(variance) & (trades >= self._settings[0].config.min_sample)
        z = deviates.normal(deviates.student(total, variance, trades), trades)
        return np.where(defined, z, -np.inf).astype(np.float32)

    def _passed(self, paid: Doubles, sums: Sums, terms: Terms, moments: Moments | None) -> list[NDArray[np.bool_]]:
        """By null: whoever passes where it loses would pass where it breaks even too, so only those are looked at."""
        calendar = self._arranged.calendar
        free = passing(calendar, sums, terms, self._beside, self._quality(calendar, sums, moments))
        found = []
        for mu in self._mus:
            of_null = free.copy()
            strategy, world = np.nonzero(free & (mu < 0)[:, None])
            if strategy.size:
                of_null[strategy, world] = self._pairs(paid, strategy, world, mu, terms, moments)
            found.append(of_null)
        return found

    def _pairs(
        self,
        paid: Doubles,
        strategy: NDArray[np.int64],
        world: NDArray[np.int64],
        mu: Doubles,
        terms: Terms,
        moments: Moments | None,
    ) -> NDArray[np.bool_]:
        """Whether each strategy passes in its world once every trade pays `mu` more."""
        cells, place = self._cut.cells.repeated(strategy)
        shifted = paid[place, world[cells.owner]] + cells.trades * mu[strategy[cells.owner]]
        arranged = cells.arranged(strategy.size)
        calendar, sums = arranged.calendar, arranged.sums(shifted[:, None])
        beside = self._beside._replace(friction=self._beside.friction.of(strategy))
        quality = self._quality(calendar, sums, moments and moments.of(strategy, world))
        return passing(calendar, sums, terms, beside, quality)[:, 0]

    def _quality(self, calendar: Calendar, sums: Sums, moments: Moments | None) -> Seen:
        """What the gates of phase 5 look at, as far as they are on."""
        found: dict[str, Doubles] = {}
        if moments is not None and "sharpe_ratio" in self._asked:
            found["sharpe_ratio"] = deviates.sharpe_ratio(sums.total, moments.variance, calendar.trades[:, None])
        if moments is not None and moments.win_rate is not None:
            found["win_rate"] = moments.win_rate
        return found


def _moments_of(settings: Sequence[Terms]) -> set[str]:
    """What some of the settings ask for beside sums."""
    return {
        gate.name for gate in GATES if gate.name in MOMENTS for terms in settings if gate.threshold(terms) is not None
    }


def _narrow(table: NDArray[np.float64], trades: NDArray[np.int64]) -> NDArray[Any]:
    """Whole numbers as float32 where sums of so many of them are exact, flat."""
    largest = np.abs(table).max() * trades.max(initial=0)
    return table.astype(np.float32 if largest < EXACT else np.float64).ravel()
