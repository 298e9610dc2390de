"""How often the strategy that is best by Sharpe ratio in one half of the days is below the middle in the other half.

Probability of backtest overfitting by combinatorially symmetric cross-validation: Bailey, D. H., Borwein, J., Lopez de
Prado, M. and Zhu, Q. J. (2017), The Probability of Backtest Overfitting, Journal of Computational Finance 20(4), 39-69;
docs/statistics.md, section 9. It judges picking that single strategy, not the promotions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.universe import deviates
from dask_validator.universe.panel import parts, with_data

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Doubles = NDArray[np.float64]
Metric = Callable[[Doubles, Doubles, Doubles], Doubles]  # of trades, total and squares
BLOCKS = 16  # of days
LEAST_TRADES = 30  # in each half
AT_ONCE = 800_000  # halves times strategies: 60 MB


class BlockSums(NamedTuple):
    """What the trades of each block of days come to, in units; columns of shape (n_strategies, n_blocks)."""

    trades: Doubles
    total: Doubles
    squares: Doubles


def block_sums(of: csr_matrix, blocks: int = BLOCKS) -> BlockSums:
    """Of a panel (`universe/panel.py`), in blocks of equal numbers of days as far as that is possible."""
    starts = np.linspace(0, of.shape[1], blocks + 1).astype(np.int64)
    block = np.searchsorted(starts, np.arange(of.shape[1]), side="right") - 1
    in_block = (block[:, None] == np.arange(blocks)).astype(np.float64)
    sums = [np.empty((len(BlockSums._fields), 0, blocks))]
    for part in parts(of):
        columns = np.ones_like(part.data), part.data, part.data * part.data
        sums.append(np.array([with_data(part, column) @ in_block for column in columns]))
    return BlockSums(*np.concatenate(sums, axis=1))


def sharpe_ratio(trades: Doubles, total: Doubles, squares: Doubles) -> Doubles:
    """Mean over standard deviation (ddof 1) of a trade; NaN without variance."""
    return deviates.sharpe_ratio(total, deviates.variance(total, squares / deviates.SQUARED, trades), trades)


class Overfitting(NamedTuple):
    """By split with at least two candidates; columns of shape (n_splits,)."""

    candidates: NDArray[np.int64]
    rank: NDArray[np.int64]  # of the chosen one, in the half that did not choose it: 1 is the worst

    @property
    def logits(self) -> Doubles:
        """Log odds of the relative rank: above zero, the chosen one is above the middle."""
        logits: Doubles = np.log(self.rank / (self.candidates + 1 - self.rank))
        return logits

    @property
    def probability(self) -> float | None:
        """The share of splits whose choice is not above the middle; None without a split."""
        return float((2 * self.rank <= self.candidates + 1).mean()) if self.rank.size else None


def overfitting(sums: BlockSums, least: int = LEAST_TRADES, metric: Metric = sharpe_ratio) -> Overfitting:
    """Choose in one half of the blocks, look at the other half, for all splits into halves.

    Parameters
    ----------
    sums
        Of an even number of blocks; rows in order of strategy_id, by which ties are decided.
    least
        Trades that a candidate of a split has in each half. The calendar decides, whatever they pay.
    """
    strategies, blocks = sums.trades.shape
    if not strategies:
        return Overfitting(*np.empty((2, 0), dtype=np.int64))
    first_halves = _first_halves(blocks)
    whole = [column.sum(axis=1) for column in sums]
    found = []
    at_once = max(1, AT_ONCE // strategies)
    for first in range(0, len(first_halves), at_once):
        half = [first_halves[first : first + at_once] @ column.T for column in sums]
        values, enough = metric(*half), half[0] >= least
        for own, both in zip(half, whole, strict=True):
            np.subtract(both, own, out=own)
        others = metric(*half)
        enough &= (half[0] >= least) & np.isfinite(values) & np.isfinite(others)
        found += [_ranked(values, others, enough), _ranked(others, values, enough)]
    candidates, rank = np.concatenate(found, axis=1)
    kept = candidates >= 2
    return Overfitting(candidates[kept], rank[kept])


def _first_halves(blocks: int) -> Doubles:
    """The halves that hold the first block, as ones of shape (n, blocks): the other ones are what they leave."""
    chosen = np.array([(0, *rest) for rest in combinations(range(1, blocks), blocks // 2 - 1)])
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    return halves


def _ranked(chosen_on: Doubles, judged_on: Doubles, candidates: NDArray[np.bool_]) -> NDArray[np.int64]:
    """By split how many candidates there are, and how many of them are no better than the chosen one."""
    chosen = np.where(candidates, chosen_on, -np.inf).argmax(axis=1)
    own = np.take_along_axis(judged_on, chosen[:, None], axis=1)
    with np.errstate(invalid="ignore"):
        no_better = (judged_on <= own) & candidates
    return np.array([candidates.sum(axis=1), no_better.sum(axis=1)])
