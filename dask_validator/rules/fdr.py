"""False discovery rate over all canonical strategies of an instrument (rules, section 6).

Benjamini, Y. & Hochberg, Y. (1995), Controlling the False Discovery Rate, J. R. Statist. Soc. B 57, 289-300.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    scaled = np.minimum(p_values[ascending] * m / np.arange(1, m + 1), 1.0)
    adjusted = np.empty(m)
    adjusted[ascending] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted


def is_significant(adjusted_p: float) -> bool:
    """Whether an unrounded adjusted p-value is a discovery at 5 %."""
    return adjusted_p < ALPHA
