"""How far a Sharpe ratio can be trusted, and how high the best of many is by chance (docs/statistics.md, section 9).

Ratios are per trade and kurtosis is raw, 3 of the normal distribution. What is not defined is NaN.

Bailey, D. H. and Lopez de Prado, M. (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2), 3-44; (2014),
The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), 94-107. Bailey, D. H., Borwein, J., Lopez de Prado, M.
and Zhu, Q. J. (2014), Pseudo-Mathematics and Financial Charlatanism, Notices of the AMS 61, 458-471.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import ALPHA
from dask_validator.universe.panel import parts
from dask_validator.universe.payoffs import UNITS

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Doubles = NDArray[np.float64]
LEAST_TRADES = 3  # that have a skewness


class Moments(NamedTuple):
    """Of the trades of strategies, with n in the denominators; columns of shape (n_strategies,)."""

    trades: Doubles
    mean: Doubles  # R
    sd: Doubles  # R
    skewness: Doubles
    kurtosis: Doubles

    @property
    def sharpe(self) -> Doubles:
        """Mean over standard deviation, NaN below three trades or where all pay the same."""
        with np.errstate(divide="ignore", invalid="ignore"):
            known = (self.trades >= LEAST_TRADES) & (self.sd > 0)
            return np.where(known, np.divide(self.mean, self.sd), np.nan)

    @property
    def spread(self) -> Doubles:
        """Standard deviation of the Sharpe ratio's estimate times the root of `trades - 1`; NaN where there is none."""
        ratio = self.sharpe
        variance = 1 - self.skewness * ratio + (self.kurtosis - 1) / 4 * ratio**2
        return np.sqrt(np.where(variance > 0, variance, np.nan))


def moments(of: csr_matrix) -> Moments:
    """Of each row of a panel (`universe/panel.py`), a day with trades counted as one trade."""
    found = [np.empty((len(Moments._fields), 0)), *(_moments(part) for part in parts(of))]
    return Moments(*np.concatenate(found, axis=1))


def _moments(of: csr_matrix) -> Doubles:
    strategies, trades = of.shape[0], np.diff(of.indptr).astype(np.float64)
    owner = np.repeat(np.arange(strategies), np.diff(of.indptr))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(owner, weights=of.data, minlength=strategies) / trades
        off = of.data - mean[owner]
        power, central = off, []
        for _ in range(3):
            power = power * off
            central.append(np.bincount(owner, weights=power, minlength=strategies) / trades)
        second, third, fourth = central
        sd = np.sqrt(second)
        return np.array([trades, mean / UNITS, sd / UNITS, third / sd**3, fourth / second**2])


def probabilistic(of: Moments, benchmark: float = 0.0) -> Doubles:
    """PSR: how sure it is that the true Sharpe ratio is above the benchmark, looked at alone."""
    return _below(_deviate(of, benchmark))


def track_record(of: Moments, benchmark: float = 0.0, alpha: float = ALPHA) -> Doubles:
    """MinTRL: trades after which PSR is 1 - alpha; NaN where the ratio is not above the benchmark."""
    from scipy.special import ndtri

    above = of.sharpe - benchmark
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = 1 + (of.spread * ndtri(1 - alpha) / above) ** 2
    return np.where(above > 0, needed, np.nan)


def expected_maximum(trials: float) -> float:
    """E_N: about the largest of so many independent standard normal deviates; NaN below two trials."""
    from scipy.special import ndtri

    if not trials >= 2:
        return math.nan
    return -float((1 - np.euler_gamma) * ndtri(1 / trials) + np.euler_gamma * ndtri(1 / (trials * math.e)))


def backtest_years(trials: float, sharpe: float) -> float:
    """MinBTL: years below which the best of so many worthless trials is expected to reach this annual Sharpe ratio."""
    return (expected_maximum(trials) / sharpe) ** 2


def deflated(of: Moments, trials: float, spread: float) -> Doubles:
    """DSR as published: PSR against the best expected of so many trials whose ratios have this standard deviation.

    Not to be shown where trials differ in length, or where edges are among them: both inflate the deviation.
    """
    return probabilistic(of, spread * expected_maximum(trials))


def deflated_t(of: Moments, trials: float) -> Doubles:
    """The same by deviates of zero, which have one standard deviation whatever the length: `dsr_t`.

    Parameters
    ----------
    trials
        How many independent ones there were (`effective_number.independent_tests`).
    """
    return _below(_deviate(of, 0.0) - expected_maximum(trials))


def _deviate(of: Moments, benchmark: float) -> Doubles:
    with np.errstate(invalid="ignore"):
        deviate: Doubles = (of.sharpe - benchmark) * np.sqrt(of.trades - 1) / of.spread
    return deviate


def _below(deviate: Doubles) -> Doubles:
    from scipy.special import ndtr

    share: Doubles = ndtr(deviate)
    return share
