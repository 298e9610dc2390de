"""The strategies of one outcome key as rows of days, cut by calendar year and test window.

A cell is a strategy's trades of one year and one window (docs/statistics.md, section 5): the sums of all its cells are
one product of a sparse matrix with the payoffs of as many worlds as there are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import WindowRules
from dask_validator.model import OTHER, Outcomes
from dask_validator.rules.day_masks import Mask
from dask_validator.rules.walkforward import bounds_within
from dask_validator.universe.calendars import Calendar, Segments, Sums, added

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NONE = -1  # in place of a window: training; in place of a year: trades that the strategy's row was not made of


class Taken(NamedTuple):
    """The outcomes that one strategy takes, as masks of shape (n_outcomes,)."""

    row: Mask  # those that its row was made of
    walked: Mask  # those that walk-forward takes: all days, where it does not know the filter


class Runs(NamedTuple):
    """Neighbouring cells that are one sum."""

    starts: NDArray[np.int64]
    kept: NDArray[np.int64]  # of the sums those that count

    def sums(self, paid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cells of shape (n_cells, n_worlds) added up in their order, shape (n_kept, n_worlds)."""
        if not self.kept.size:
            return np.zeros((0, paid.shape[1]))
        summed: NDArray[np.float64] = added(paid, self.starts, np.float64)
        return summed if self.kept.size == self.starts.size else summed[self.kept]


class Cells(NamedTuple):
    """Cells in order of the strategies, then of their years and windows; columns of shape (n_cells,)."""

    owner: NDArray[np.int64]  # position of the strategy
    year: NDArray[np.int64]
    window: NDArray[np.int64]
    trades: NDArray[np.int64]

    def repeated(self, strategies: NDArray[np.int64]) -> tuple[Cells, NDArray[np.int64]]:
        """The cells of these strategies, one after the other, each as if it were another one; and where they stand."""
        first = np.searchsorted(self.owner, strategies)
        count = np.searchsorted(self.owner, strategies, side="right") - first
        owner = np.repeat(np.arange(strategies.size), count)
        place = np.repeat(first - np.cumsum(count) + count, count) + np.arange(owner.size)
        return Cells(owner, self.year[place], self.window[place], self.trades[place]), place

    def arranged(self, strategies: int) -> Arranged:
        """What is to be added up for so many strategies."""
        own = self.year != NONE
        totals, of_totals = self._runs(own, own.astype(np.int64))
        years, of_years = self._runs(own, self.year)
        windows, of_windows = self._runs(self.window != NONE, self.window)
        trades = np.zeros(strategies, dtype=np.int64)
        trades[of_totals.owner] = of_totals.trades
        return Arranged(Calendar(trades, of_years, of_windows), totals, of_totals.owner, years, windows)

    def _runs(self, counts: Mask, label: NDArray[np.int64]) -> tuple[Runs, Segments]:
        """Neighbours of one strategy with one label; those that count."""
        starts = _starts(self.owner, label)
        kept = np.flatnonzero(counts[starts])
        trades = np.add.reduceat(self.trades, starts) if starts.size else self.trades
        return Runs(starts, kept), Segments(self.owner[starts[kept]], label[starts[kept]], trades[kept])


class Arranged(NamedTuple):
    """How cells become the sums of a calendar."""

    calendar: Calendar
    totals: Runs
    owner: NDArray[np.int64]  # of each total: a strategy without trades has none
    years: Runs
    windows: Runs

    def sums(self, paid: NDArray[np.float64]) -> Sums:
        """Of cells of shape (n_cells, n_worlds)."""
        total = np.zeros((self.calendar.trades.size, paid.shape[1]))
        total[self.owner] = self.totals.sums(paid)
        return Sums(total, self.years.sums(paid), self.windows.sums(paid))


class Cut(NamedTuple):
    """The cells of one key, and the days of each as ones of shape (n_cells, n_days)."""

    cells: Cells
    days: csr_matrix
    strategies: int

    def paid(self, payoffs: NDArray[Any]) -> NDArray[np.float64]:
        """Payoffs of shape (n_days, n_worlds), added up by cell."""
        return np.asarray(self.days @ payoffs, dtype=np.float64)

    def rows(self) -> csr_matrix:
        """The days of each strategy's own row, ones of shape (n_strategies, n_days)."""
        from scipy.sparse import csr_matrix

        own = np.flatnonzero(self.cells.year != NONE)
        days = self.days if own.size == self.cells.year.size else self.days[own]
        ends = np.searchsorted(self.cells.owner[own], np.arange(self.strategies + 1))
        shape = (self.strategies, self.days.shape[1])
        return csr_matrix((days.data, days.indices, days.indptr[ends]), shape=shape)


def cut(outcomes: Outcomes, days: NDArray[np.int32], taken: Sequence[Taken], rules: WindowRules) -> Cut:
    """Cut what each strategy takes; `days` are the trading days of the instrument, ascending."""
    traded = np.flatnonzero(outcomes.code != OTHER)
    on = outcomes.days[traded]
    position = np.searchsorted(days, on)
    year = on.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    parts: list[NDArray[np.int64]] = []
    for owner, (row, walked) in enumerate(taken):
        window = _windows(outcomes.days[walked], on, rules)
        own, tested = row[traded], walked[traded]
        if np.array_equal(row, walked):
            parts.append(_part(owner, position[own], year[own], window[own]))
        else:
            parts.append(_part(owner, position[own], year[own], np.full(int(own.sum()), NONE)))
            parts.append(_part(owner, position[tested], np.full(int(tested.sum()), NONE), window[tested]))
    owners, positions, years, windows = np.concatenate([np.empty((4, 0), dtype=np.int64), *parts], axis=1)
    starts = _starts(owners, years, windows)
    trades = np.diff(np.append(starts, owners.size))
    cells = Cells(owners[starts], years[starts], windows[starts], trades)
    return Cut(cells, _matrix(positions, starts, days.size), len(taken))


def _part(owner: int, *columns: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([np.full(columns[0].size, owner), *columns])


def _windows(walked: NDArray[np.int32], on: NDArray[np.int32], rules: WindowRules) -> NDArray[np.int64]:
    """The window of each day, NONE in training; windows reach from the first outcome taken to the last."""
    if not walked.size:
        return np.full(on.size, NONE)
    bounds = bounds_within(int(walked[0]), int(walked[-1]), rules)
    return np.searchsorted(bounds, on, side="right") - 1


def _matrix(position: NDArray[np.int64], cells: NDArray[np.int64], days: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    begins = np.diff(position, prepend=NONE) != 0
    begins[cells] = True
    day = np.flatnonzero(begins)  # several trades of a day are one payoff
    pointers = np.append(np.searchsorted(day, cells), day.size)
    ones = np.ones(day.size, dtype=np.float32)
    return csr_matrix((ones, position[day], pointers), shape=(cells.size, days))


def _starts(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Where any of the columns changes."""
    changes = np.zeros(columns[0].size, dtype=np.bool_)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)
