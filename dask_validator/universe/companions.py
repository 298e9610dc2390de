"""Statistics that go with a calibration in its report, and decide nothing (docs/statistics.md, section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.universe import effective_number, sharpe
from dask_validator.universe.discoveries import Discoveries, discoveries
from dask_validator.universe.overfitting import block_sums, overfitting

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_TRADES = 50_000_000  # that the main process holds at once
Doubles = NDArray[np.float64]


class Companions(NamedTuple):
    """Over all tested strategies; columns of shape (n_tested,) in order of strategy_id, NaN where undefined."""

    discoveries: Discoveries
    by_eigenvalues: float  # effective number of strategies, by the correlations of all pairs
    leaders: int  # strategies of which no two are correlated by half or more
    independent_tests: float  # how many independent ones have the maximum that the worlds have
    overfitting: float | None  # probability that the best by Sharpe ratio in one half is below the middle in the other
    splits: int
    probabilistic: Doubles  # PSR against 0
    track_record: Doubles  # MinTRL, trades
    deflated_t: Doubles  # dsr_t


def companions(of: csr_matrix, z: Doubles, maxima: NDArray[np.float32]) -> Companions:
    """Of the tested strategies.

    Parameters
    ----------
    of
        Whole units by trading day, shape (n_tested, n_days), in order of strategy_id; see `panel`.
    z
        Their normal deviates in the data, shape (n_tested,).
    maxima
        The largest deviate by world, shape (n_worlds,).
    """
    trials = effective_number.independent_tests(maxima, z.size)
    moments, chosen = sharpe.moments(of), overfitting(block_sums(of))
    return Companions(
        discoveries(z),
        effective_number.by_eigenvalues(of),
        effective_number.leaders(of),
        trials,
        chosen.probability,
        len(chosen.logits),
        sharpe.probabilistic(moments),
        sharpe.track_record(moments),
        sharpe.deflated_t(moments, trials),
    )
