"""False discovery rate over all canonical strategies of an instrument (rules, section 6).

Benjamini, Y. & Hochberg, Y. (1995), Controlling the False Discovery Rate, J. R. Statist. Soc. B 57, 289-300.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import Discovery

ALPHA = 0.05


def adjusted_p_values(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values, unrounded, in the order given.

    Parameters
    ----------
    p_values
        Shape (n_strategies,), no NaN.

    Returns
    -------
    Shape (n_strategies,): the running minimum, from the largest p down, of `min(p * m / rank, 1)`.
    """
    m = p_values.size
    ascending = np.argsort(p_values, kind="stable")
    with np.errstate(over="ignore"):
        scaled = np.minimum(p_values[ascending] * m / np.arange(1, m + 1), 1.0)
    adjusted = np.empty(m)
    adjusted[ascending] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted


class Correction(NamedTuple):
    """All tested strategies of an instrument; two ascending columns of shape (n_strategies,)."""

    p_values: NDArray[np.float64]
    adjusted: NDArray[np.float64]  # unrounded

    @classmethod
    def over(cls, p_values: NDArray[np.float64]) -> Correction:
        """Correct these p-values (no NaN, any order) for each other."""
        ascending = np.sort(p_values)
        return cls(ascending, adjusted_p_values(ascending))

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
        adjusted = float(self.adjusted[np.searchsorted(self.p_values, p_value)])
        return Discovery(adjusted < ALPHA, round(adjusted, 6))
