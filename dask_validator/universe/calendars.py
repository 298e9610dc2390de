"""When strategies trade, and what the trades come to: the same calendar in the data and in every world."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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
            found[self.owner[first]] = np.add.reduceat(plain, first, axis=0, dtype=found.dtype)
        return found


class Calendar(NamedTuple):
    """Numbers of trades of many strategies."""

    trades: NDArray[np.int64]  # of the strategy's own row, shape (n_strategies,)
    years: Segments
    windows: Segments  # test windows with trades

    def of(self, rows: NDArray[np.int64]) -> Calendar:
        """Of the strategies at these positions, ascending."""
        return Calendar(self.trades[rows], _of(self.years, rows), _of(self.windows, rows))


def _of(segments: Segments, rows: NDArray[np.int64]) -> Segments:
    kept = np.isin(segments.owner, rows)
    owner, label, trades = (column[kept] for column in segments)
    return Segments(np.searchsorted(rows, owner), label, trades)


class Sums(NamedTuple):
    """What the trades of a calendar come to, in units, in one world a column."""

    total: NDArray[np.float64]  # shape (n_strategies, n_worlds)
    years: NDArray[np.float64]  # shape (n_years, n_worlds), as the segments
    windows: NDArray[np.float64]  # shape (n_windows, n_worlds)
