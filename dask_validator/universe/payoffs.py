"""What the days of one outcome key pay, in a world as in the data (docs/statistics.md, sections 2, 3.2 and 3.3).

R is held as whole numbers of 1/10,000 R, so that sums are exact in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import OTHER, Outcomes
from dask_validator.rules.day_masks import Mask
from dask_validator.universe.worlds import era_starts

UNITS = 10_000  # in one R
LARGEST = 1e11  # units in one trade: so many days of them stay whole numbers of a double


class Payoffs(NamedTuple):
    """One key by trading day; arrays of shape (n_days,)."""

    pay: NDArray[np.float64]  # whole units, summed over the trades of the day; 0 without a trade
    traded: NDArray[np.bool_]  # a win or a loss
    seen: NDArray[np.bool_]  # any outcome


def units(pnl_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """R as whole units."""
    with np.errstate(over="ignore"):
        return np.rint(pnl_r * UNITS)


def unusable(outcomes: Outcomes, days: NDArray[np.int32]) -> Mask:
    """Outcomes of days on which one cannot be added up, or that are no trading days, shape (n_outcomes,)."""
    bad = ~np.isin(outcomes.days, days)
    bad |= (outcomes.code != OTHER) & ~(np.abs(units(outcomes.pnl_r)) <= LARGEST)
    return np.isin(outcomes.days, outcomes.days[bad])


def payoffs(outcomes: Outcomes, days: NDArray[np.int32]) -> Payoffs:
    """The outcomes of one key on the trading days of the instrument; an unusable day was seen, but not traded."""
    count = days.size
    known = np.isin(outcomes.days, days)
    seen, traded = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    seen[np.searchsorted(days, outcomes.days[known])] = True
    taken = (outcomes.code != OTHER) & ~unusable(outcomes, days)
    on = np.searchsorted(days, outcomes.days[taken])
    traded[on] = True
    pay = np.bincount(on, weights=units(outcomes.pnl_r[taken]), minlength=count)
    return Payoffs(pay.astype(np.float64), traded, seen)


def stand_ins(traded: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Whose payoff the key has on each source day, shape (n_days,): its own where it traded.

    Within the days that it was seen on, a day without a trade takes the traded day nearest to half of them later: a
    neighbour's payoff would go twice into one block.
    """
    first, last = np.flatnonzero(seen)[[0, -1]]
    length = last - first + 1
    own = first + (np.arange(seen.size) - first) % length
    other = first + (own - first + length // 2) % length
    with_trades = np.flatnonzero(traded)
    following = with_trades[np.searchsorted(with_trades, other) % with_trades.size]
    sources: NDArray[np.int64] = np.where(traded[own], own, following)
    return sources


def without_edge(of: Payoffs) -> NDArray[np.float64]:
    """Units paid by source day, shape (n_eras, n_days), less their mean over the days that the era draws from."""
    paid = of.pay[stand_ins(of.traded, of.seen)]
    return np.stack([paid - np.rint(paid[start:].mean()) for start in era_starts(paid.size)])
