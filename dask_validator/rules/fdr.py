"""False discovery rate over all canonical strategies of an instrument (rules.md, section 6).

Benjamini, Y. & Hochberg, Y. (1995), Controlling the False Discovery Rate, J. R. Statist. Soc. B 57, 289-300.
Benjamini, Y. & Yekutieli, D. (2001), The Control of the False Discovery Rate in Multiple Testing under Dependency,
Annals of Statistics 29, 1165-1188.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import ALPHA, FdrMethod
from dask_validator.model import Discovery


def adjusted_p_values(
    p_values: NDArray[np.float64], method: FdrMethod = "bh", tests: int | None = None
) -> NDArray[np.float64]:
    """Adjusted p-values, unrounded, in the order given.

    Parameters
    ----------
    p_values
        Shape (n_strategies,), no NaN.
    method
        `bh`, valid where tests are independent or go together; `by`, valid whatever they do; `raw`, none.
    tests
        How many there were, m, when that is more than there are p-values.

    Returns
    -------
    Shape (n_strategies,): the running minimum, from the largest p down, of `min(p * m / rank, 1)`; for `by`, of that
    with p times `1 + 1/2 + ... + 1/m`.
    """
    if method == "raw":
        return p_values.copy()
    m = p_values.size if tests is None else tests
    if m == 0:
        return p_values.copy()
    penalty = float(np.cumsum(1 / np.arange(1, m + 1))[-1]) if method == "by" else 1.0
    ascending = np.argsort(p_values, kind="stable")
    with np.errstate(over="ignore"):
        scaled = np.minimum(p_values[ascending] * m / np.arange(1, p_values.size + 1) * penalty, 1.0)
    adjusted = np.empty(p_values.size)
    adjusted[ascending] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted


def one_sided(p_values: NDArray[np.float64], expectancy_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """From two-sided p-values those against "the mean R is not above zero": half for who earns, else what that leaves.

    Both of shape (n_strategies,); an unknown expectancy (NaN) earns nothing.
    """
    half = np.minimum(p_values, 1.0) / 2
    return np.where(expectancy_r > 0, half, 1 - half)


class Correction(NamedTuple):
    """All tested strategies of an instrument: two ascending columns of shape (n_strategies,), and where they point."""

    p_values: NDArray[np.float64]  # as given; two-sided, where expectancies come along
    adjusted: NDArray[np.float64]  # unrounded
    earning: int = 0  # earn significantly, one-sided
    losing: int = 0  # of the discoveries, which are two-sided, those that lose
    earns_up_to: float = -np.inf  # the largest one-sided p-value of who earns significantly

    @classmethod
    def over(
        cls,
        p_values: NDArray[np.float64],
        expectancy_r: NDArray[np.float64] | None = None,
        method: FdrMethod = "bh",
        tests: int | None = None,
    ) -> Correction:
        """Correct these p-values (no NaN, any order) for each other; expectancies (R) say which way."""
        adjust = partial(adjusted_p_values, method=method, tests=tests)
        ascending = np.sort(p_values)
        correction = cls(ascending, adjust(ascending))
        if expectancy_r is None:
            return correction
        earns = one_sided(p_values, expectancy_r)
        found = earns[adjust(earns) < ALPHA]
        losing = p_values[expectancy_r < 0]
        discovered = correction.adjusted[np.searchsorted(ascending, losing)] < ALPHA
        return correction._replace(
            earning=found.size, losing=int(discovered.sum()), earns_up_to=float(found.max(initial=-np.inf))
        )

    @property
    def tested(self) -> int:
        """How many strategies were corrected for each other."""
        return self.p_values.size

    @property
    def significant(self) -> int:
        """How many of them are discoveries."""
        return int((self.adjusted < ALPHA).sum())

    def of(self, p_value: float) -> Discovery:
        """What the correction says of one of them: ties share their adjusted value. Judged unrounded."""
        [adjusted] = self.adjusted_of(np.array([p_value])).tolist()
        return Discovery(adjusted < ALPHA, round(adjusted, 6))

    def adjusted_of(self, p_values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The adjusted values of some of them, unrounded; shape (n,), NaN for NaN."""
        adjusted = np.full(len(p_values), np.nan)
        known = ~np.isnan(p_values)
        adjusted[known] = self.adjusted[np.searchsorted(self.p_values, p_values[known])]
        return adjusted

    def earns(self, p_values: NDArray[np.float64], expectancy_r: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which strategies earn significantly, one-sided, by their two-sided p-values; shape (n,), NaN does not."""
        return (np.minimum(p_values, 1.0) / 2 <= self.earns_up_to) & (expectancy_r > 0)
