"""When strategies trade, and what the trades come to: the same calendar in the data and in every world."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Segments(NamedTuple):
    """Years, or test windows, of many strategies, in order of the strategies; columns of shape (n,)."""

    owner: NDArray[np.int64]  # position of the strategy
    label: NDArray[np.int64]  # the year, or the number of the window
    trades: NDArray[np.int64]

    def per_strategy(self, values: NDArray[Any], strategies: int) -> NDArray[Any]:
        """Values of shape (n, ...) added up by strategy, shape (strategies, ...); flags are counted."""
        flags = values.dtype == np.bool_
        found = np.zeros((strategies, *values.shape[1:]), dtype=np.int32 if flags else values.dtype)
        if self.owner.size:
            first = np.flatnonzero(np.diff(self.owner, prepend=-1))
            plain = values.view(np.int8) if flags else values
            found[self.owner[first]] = added(plain, first, found.dtype)
        return found

    def places(self, rows: NDArray[np.int64], strategies: int) -> tuple[Segments, NDArray[np.int64]]:
        """Those of the strategies at these positions, in that order; and where they stand."""
        to = np.full(strategies, -1)
        to[rows] = np.arange(rows.size)
        owner = to[self.owner]
        order = np.argsort(owner, kind="stable")
        place = order[owner[order] >= 0]
        return Segments(owner[place], self.label[place], self.trades[place]), place


def added(values: NDArray[Any], starts: NDArray[np.int64], kind: DTypeLike) -> NDArray[Any]:
    """Runs of rows that begin at `starts` added up, shape (n_runs, ...): one column left to right, more in any order.

    Parameters
    ----------
    values
        Shape (n_rows, ...); what is no whole number must stand in one column, because `reduceat` adds in pairs.
    """
    if values.dtype == np.float64 and values.shape[1:] == (1,):
        run = np.repeat(np.arange(starts.size), np.diff(starts, append=len(values)))
        return np.bincount(run, weights=values[:, 0])[:, None]
    found: NDArray[Any] = np.add.reduceat(values, starts, axis=0, dtype=kind)
    return found


class Calendar(NamedTuple):
    """Numbers of trades of many strategies."""

    trades: NDArray[np.int64]  # of the strategy's own row, shape (n_strategies,)
    years: Segments
    windows: Segments  # test windows with trades


class Sums(NamedTuple):
    """What the trades of a calendar come to, in units, in one world a column."""

    total: NDArray[np.float64]  # shape (n_strategies, n_worlds)
    years: NDArray[np.float64]  # shape (n_years, n_worlds), as the segments
    windows: NDArray[np.float64]  # shape (n_windows, n_worlds)


class Observed(NamedTuple):
    """Strategies in the data, as the worlds see them: facts that no threshold decides."""

    ids: Sequence[str]
    calendar: Calendar
    sums: Sums  # of one world, the data
    squares: NDArray[np.float64]  # of the units that each trading day pays, shape (n_strategies,)
    window_squares: NDArray[np.float64]  # the same, shape (n_windows,)

    def of(self, rows: NDArray[np.int64]) -> Observed:
        """The strategies at these positions, in that order."""
        calendar, sums, count = self.calendar, self.sums, len(self.ids)
        years, of_years = calendar.years.places(rows, count)
        windows, of_windows = calendar.windows.places(rows, count)
        return Observed(
            [self.ids[row] for row in rows.tolist()],
            Calendar(calendar.trades[rows], years, windows),
            Sums(sums.total[rows], sums.years[of_years], sums.windows[of_windows]),
            self.squares[rows],
            self.window_squares[of_windows],
        )


def joined(parts: Sequence[Observed]) -> Observed:
    """All of them, one after the other."""
    offsets = list(accumulate((len(part.ids) for part in parts), initial=0))
    calendars, sums = [part.calendar for part in parts], [part.sums for part in parts]
    return Observed(
        [strategy_id for part in parts for strategy_id in part.ids],
        Calendar(
            _stacked([calendar.trades for calendar in calendars], np.int64),
            _shifted([calendar.years for calendar in calendars], offsets),
            _shifted([calendar.windows for calendar in calendars], offsets),
        ),
        Sums(*(np.concatenate([np.zeros((0, 1)), *columns]) for columns in zip(*sums, strict=True)))
        if sums
        else Sums(*np.zeros((3, 0, 1))),
        _stacked([part.squares for part in parts], np.float64),
        _stacked([part.window_squares for part in parts], np.float64),
    )


def _stacked(columns: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *columns])


def _shifted(segments: Sequence[Segments], offsets: Sequence[int]) -> Segments:
    owners = [of.owner + offset for of, offset in zip(segments, offsets, strict=False)]
    return Segments(
        _stacked(owners, np.int64),
        _stacked([of.label for of in segments], np.int64),
        _stacked([of.trades for of in segments], np.int64),
    )
