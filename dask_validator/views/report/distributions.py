"""Values counted between round edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Histogram(NamedTuple):
    """Counts of shape (n_bins,) between edges of shape (n_bins + 1,); a bin holds its lower edge."""

    edges: list[float]
    counts: list[int]
    outside: int = 0  # of the values in the first and the last bin, those that lie beyond


def share_histogram(shares: NDArray[np.float64]) -> Histogram:
    """In tenths; 1.0 lies in the last bin."""
    bins = np.minimum((shares * 10).astype(np.int64), 9)
    return Histogram([i / 10 for i in range(11)], np.bincount(bins, minlength=10).tolist())


def shared_edges(values: NDArray[np.float64], about: int = 24) -> list[float]:
    """Round edges, zero among their multiples, around the middle 98 % of the values that are finite."""
    values = values[np.isfinite(values)]
    if not values.size:
        return [0.0, 1.0]
    low, high = (float(edge) for edge in np.percentile(values, [1, 99]))
    step = round_step((high - low) / about)
    first = math.floor(round(low / step, 6))
    last = math.floor(round(high / step, 6)) + 1
    return [round(i * step, 10) for i in range(first, last + 1)]


def histogram(values: NDArray[np.float64], edges: Sequence[float]) -> Histogram:
    """Values beyond the edges are counted in the first and last bin, what is no number nowhere."""
    values = values[~np.isnan(values)]
    step = (edges[-1] - edges[0]) / (len(edges) - 1)
    bins = np.floor(np.round((values - edges[0]) / step, 6))
    outside = int(((bins < 0) | (bins > len(edges) - 2)).sum())
    inside = np.clip(bins, 0, len(edges) - 2).astype(np.int64)
    return Histogram(list(edges), np.bincount(inside, minlength=len(edges) - 1).tolist(), outside)


def round_step(least: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is at least this."""
    if not (math.isfinite(least) and least > 0):
        return 0.01
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
