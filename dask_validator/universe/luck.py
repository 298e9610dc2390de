"""What the worlds say of a run's promotions (docs/statistics.md, section 6): how many, and which, luck would make.

Romano, J. P. and Wolf, M. (2005), Stepwise Multiple Testing as Formalized Data Snooping, Econometrica 73, 1237-1282,
and (2016), Efficient Computation of Adjusted P-values for Resampling-Based Stepdown Multiple Testing, Statistics and
Probability Letters 113, 38-40. Hansen, P. R. (2005), A Test for Superior Predictive Ability, Journal of Business and
Economic Statistics 23, 365-380. Tusher, V. G., Tibshirani, R. and Chu, G. (2001), Significance Analysis of Microarrays,
PNAS 98, 5116-5121, count false discoveries by resampling.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
CONFIDENCE = 0.95  # of the bound, one-sided
REJECTABLE = 1.645  # the normal 0.95 quantile: no deviate below it can be rejected at 5 %


class Count(NamedTuple):
    """Promotions of a run beside those of its worlds; the names are those of the JSON."""

    promoted: int
    null_mean: float
    null_q05: float
    null_q50: float
    null_q95: float
    null_sd: float
    p_value: float
    false_share: float | None  # None without promotions
    false_share_low: float | None
    false_share_high: float | None


def count(promoted: int, worlds: NDArray[np.int64]) -> Count:
    """Promotions of the data, and by world, shape (n_worlds,)."""
    low, middle, high = np.quantile(worlds, [0.05, 0.5, 0.95]).tolist()
    mean = float(worlds.mean())
    shares = [min(1.0, number / promoted) if promoted else None for number in (mean, low, high)]
    p_value = (1 + int((worlds >= promoted).sum())) / (1 + worlds.size)
    return Count(promoted, mean, low, middle, high, float(worlds.std()), p_value, *shares)


class Pairs(NamedTuple):
    """Strategies that some world promotes, with their deviates there; arrays of shape (n_pairs,)."""

    world: NDArray[Any]
    z: NDArray[np.float32]


def q_values(z: Doubles, pairs: Pairs, worlds: int) -> Doubles:
    """Of each promoted strategy, the share of the promotions at least as strong that luck makes on average.

    Parameters
    ----------
    z
        Deviates of the promoted strategies in the data, shape (n,).
    """
    weaker = np.sort(pairs.z)
    expected = (1 + weaker.size - np.searchsorted(weaker, z.astype(np.float32))) / (1 + worlds)
    return _from_the_weakest(z, expected)


def bounds(z: Doubles, pairs: Pairs, worlds: int) -> Doubles:
    """The same share, not exceeded with 95 % confidence: it allows for promotions that come in clusters."""
    levels = np.sort(np.unique(z.astype(np.float32)))[::-1]
    counts = np.zeros((worlds, levels.size + 1), dtype=np.int32)
    reached = np.searchsorted(-levels, -pairs.z)  # the strongest level that the pair reaches
    np.add.at(counts, (pairs.world.astype(np.int64), reached), 1)
    at_least = counts[:, :-1].cumsum(axis=1)
    high = np.quantile(at_least, CONFIDENCE, axis=0, method="higher")
    return _from_the_weakest(z, high[np.searchsorted(-levels, -z.astype(np.float32))])


def _from_the_weakest(z: Doubles, false: Doubles) -> Doubles:
    """False ones over rank, never falling towards the weakest; ties take the largest rank."""
    order = np.argsort(-z, kind="stable")
    rank = np.searchsorted(-z[order], -z, side="right")
    share = np.minimum(1.0, false / rank)[order]
    found = np.empty(z.size)
    found[order] = np.minimum.accumulate(share[::-1])[::-1]
    return found


def step_down(z: Doubles, worlds: NDArray[np.float32], rest: NDArray[np.float32]) -> tuple[Doubles, Doubles]:
    """Adjusted p-values that hold whatever moves together: step-down (StepM), and of the maximum of all.

    Parameters
    ----------
    z
        Deviates in the data, shape (n,).
    worlds
        The same strategies in worlds, shape (n, n_worlds).
    rest
        The maximum of all others by world, shape (n_worlds,).
    """
    order = np.argsort(-z, kind="stable")
    step, exceeding = np.empty(z.size), np.empty(z.size)
    size, maximum = rest.size, rest.copy()
    for place in range(z.size - 1, -1, -1):
        maximum = np.maximum(maximum, worlds[order[place]])
        exceeding[place] = (1 + int((maximum >= np.float32(z[order[place]])).sum())) / (1 + size)
    step[order] = np.maximum.accumulate(exceeding)
    highest = np.sort(maximum)
    single = (1 + size - np.searchsorted(highest, z.astype(np.float32))) / (1 + size)
    return step, single


def best(z: Doubles, maxima: NDArray[np.float32]) -> list[float]:
    """p-values of the best strategy under each null of `maxima`, shape (n_nulls, n_worlds): the last of SPA is l."""
    observed = np.float32(max(0.0, z.max(initial=-np.inf)))
    exceeding = (np.maximum(maxima, 0.0) >= observed).sum(axis=1)
    p_values: list[float] = ((1 + exceeding) / (1 + maxima.shape[1])).tolist()
    return p_values


def hansen_threshold(trades: NDArray[Any]) -> Doubles:
    """Deviates below are of strategies that lose for sure, shape (n,): -sqrt(2 ln ln n); NaN below three trades."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Doubles = -np.sqrt(2 * np.log(np.log(trades.astype(np.float64))))
    return found
