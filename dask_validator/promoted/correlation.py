"""What goes together: the correlation of strategies by day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import Outcomes

Doubles = NDArray[np.float64]


def correlation(counted: Sequence[Outcomes], days: NDArray[np.int32]) -> Doubles:
    """Pearson's correlation of the sums of each day, 0 on days without a trade; shape (n_strategies, n_strategies).

    NaN for a strategy whose days are all alike.

    Parameters
    ----------
    counted
        Wins and losses of each strategy.
    days
        The days that count, ascending; each day with a trade is among them.
    """
    rows = np.zeros((len(counted), days.size))
    for row, outcomes in zip(rows, counted, strict=True):
        np.add.at(row, np.searchsorted(days, outcomes.days), outcomes.pnl_r)
    rows -= rows.mean(axis=1, keepdims=True) if days.size else 0.0
    lengths = np.sqrt(np.square(rows).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        rows /= np.where(lengths > 0, lengths, np.nan)[:, None]
    found: Doubles = np.clip(rows @ rows.T, -1.0, 1.0)
    np.fill_diagonal(found, np.where(lengths > 0, 1.0, np.nan))
    return found
