"""False discovery rate over all canonical strategies of an instrument (rules, section 6).

Benjamini, Y. & Hochberg, Y. (1995), Controlling the False Discovery Rate, J. R. Statist. Soc. B 57, 289-300.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05


class Discovery(NamedTuple):
    """What the correction says of one strategy."""

    significant: bool
    adjusted_p: float  # 6 decimals


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


def discoveries(strategy_ids: Sequence[str], p_values: NDArray[np.float64]) -> dict[str, Discovery]:
    """The correction by strategy_id; significance is judged on the unrounded value."""
    adjusted = adjusted_p_values(p_values).tolist()
    return {
        strategy_id: Discovery(p < ALPHA, round(p, 6)) for strategy_id, p in zip(strategy_ids, adjusted, strict=True)
    }
