"""The cumulated result of a strategy, thinned for a picture; what is said of it is of all trades."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.promoted.trades import Trades


class Equity(NamedTuple):
    """The cumulated result over time.

    Attributes
    ----------
    first, last
        Days since 1970-01-01 of the first and the last trade.
    values
        At the end of each of so many equally long parts of the time between, ascending, shape (n_parts,).
    total, fall
        At the end, and the largest fall from the highest until then, which begins with 0; in the unit of the results.
    """

    first: int
    last: int
    values: NDArray[np.float64]
    total: float
    fall: float


def equity(trades: Trades, parts: int) -> Equity | None:
    """In so many parts; None without a win or a loss."""
    counted = trades.counted
    if not counted.days.size:
        return None
    days = counted.days
    first, last = int(days[0]), int(days[-1])
    ends = first + (last - first) * np.arange(1, parts + 1) / parts
    total = np.concatenate([[0.0], np.cumsum(counted.pnl_r)])
    values = total[np.searchsorted(days, ends, side="right")]
    return Equity(first, last, values, float(total[-1]), deepest_fall(counted.pnl_r))


def deepest_fall(results: NDArray[np.float64]) -> float:
    """The largest fall of the cumulated results from their highest so far, which begins with 0."""
    cumulative = np.concatenate([[0.0], np.cumsum(results)])
    return float((np.maximum.accumulate(cumulative) - cumulative).max())
