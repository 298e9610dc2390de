"""How far a mean is from zero: t, and the normal deviate that is as rare (docs/statistics.md, section 6.3).

Wallace, D. L. (1959), Bounds on Normal Approximations to Student's and the Chi-Square Distributions, Annals of
Mathematical Statistics 30, 1121-1130.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dask_validator.universe.payoffs import UNITS

Doubles = NDArray[np.float64]
COARSE = 1e6  # squared units in 1/100 R^2, in which the worlds hold squares
SQUARED = UNITS * UNITS  # squared units in one R^2
LEAST_VARIANCE = 1e-6  # R^2, in a world


def variance(total: Doubles, squares: Doubles, trades: NDArray[Any]) -> Doubles:
    """Sample variance (ddof 1) in R^2, of sums in units and sums of squares in R^2; NaN below two trades."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(trades > 1, (squares - total * total / (trades * float(SQUARED))) / (trades - 1), np.nan)


def sharpe_ratio(total: Doubles, variance: Doubles, trades: NDArray[Any]) -> Doubles:
    """Mean over standard deviation of a trade's R; NaN without variance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, total / (trades * float(UNITS)) / np.sqrt(variance), np.nan)


def student(total: Doubles, variance: Doubles, trades: NDArray[Any]) -> Doubles:
    """Student's t of the mean; NaN without variance."""
    t: Doubles = sharpe_ratio(total, variance, trades) * np.sqrt(trades)
    return t


def normal(t: Doubles, trades: NDArray[Any]) -> Doubles:
    """The normal deviate of t with one degree of freedom less than there are trades."""
    freedom = trades - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        size = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t * t / freedom))
    z: Doubles = np.sign(t) * size
    return z
