"""How many independent strategies a universe is worth (docs/statistics.md, section 9).

Rows are R by day, 0 without a trade, not centred; the correlation of two is the cosine between them. Each needs a
payoff that is not 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import ALPHA
from dask_validator.universe.panel import AT_ONCE, parts, squared_lengths, with_data

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Doubles = NDArray[np.float64]
ALIKE = 0.5  # correlation from which on a strategy follows another one


def by_eigenvalues(of: csr_matrix) -> float:
    """The square of their number over the sum of squared correlations, less what chance adds to that.

    Two independent rows of D days have a squared correlation of about 1/D.

    Parameters
    ----------
    of
        Shape (n_strategies, n_days), at least two days.
    """
    strategies, days = of.shape
    if not strategies:
        return 0.0
    by_chance = strategies * (strategies - 1) / days
    above = (squared_correlations(of) - strategies - by_chance) / (1 - 1 / days)
    return float(strategies**2 / (strategies + max(0.0, above)))


def squared_correlations(of: csr_matrix) -> float:
    """Their sum over all pairs in both orders, each strategy with itself included.

    The days' products with each other have the same sum of squares as the strategies', and there are fewer of them.
    """
    gram = np.zeros((of.shape[1], of.shape[1]))
    for part in parts(of):
        rows = _dense(_scaled(part))
        gram += rows.T @ rows
    return float(np.square(gram, out=gram).sum())


def by_average(of: csr_matrix) -> float:
    """r + (1 - r) n with the average correlation r of pairs (Bailey and Lopez de Prado 2014).

    Not to be shown: it is nearly n as soon as most pairs have nothing in common.
    """
    strategies: int = of.shape[0]
    if strategies < 2:
        return float(strategies)
    together = np.asarray(np.sum([_scaled(part).sum(axis=0) for part in parts(of)], axis=0))
    average = float((np.square(together).sum() - strategies) / (strategies * (strategies - 1)))
    return average + (1 - average) * strategies


def leaders(of: csr_matrix) -> int:
    """Strategies that no leader before them is like, from the most trades down, ties in order of the rows."""
    by_trades = np.argsort(-np.diff(of.indptr), kind="stable")
    found = np.empty(0, dtype=np.int64)
    for first in range(0, by_trades.size, AT_ONCE):
        rows = by_trades[first : first + AT_ONCE]
        for leading in parts(of, found):
            rows = rows[~_alike(of[rows], leading).any(axis=1)]
        own = of[rows]
        found = np.append(found, rows[_leading(_alike(own, own))])
    return found.size


def _leading(alike: NDArray[np.bool_]) -> list[int]:
    """Which rows lead, when each follows a leader before it that it is like."""
    found: list[int] = []
    for row in range(len(alike)):
        if not alike[row, found].any():
            found.append(row)
    return found


def _alike(some: csr_matrix, others: csr_matrix) -> NDArray[np.bool_]:
    """Whether correlations are large; products of whole units are exact, hence the same on every machine."""
    rows, columns = _dense(some), _dense(others)
    squares = np.outer(np.square(rows).sum(axis=1), np.square(columns).sum(axis=1))
    alike: NDArray[np.bool_] = rows @ columns.T >= ALIKE * np.sqrt(squares)
    return alike


def independent_tests(maxima: NDArray[Any], strategies: int, alpha: float = ALPHA) -> float:
    """N_max: so many independent deviates have a maximum like that of the worlds; never more than there are strategies.

    Payoffs with fat tails could need more.

    Parameters
    ----------
    maxima
        The largest deviate of each world, shape (n_worlds,).
    """
    from scipy.special import log_ndtr

    critical = float(np.quantile(maxima.astype(np.float64), 1 - alpha))
    return float(min(strategies, np.log1p(-alpha) / log_ndtr(critical)))


def _scaled(part: csr_matrix) -> csr_matrix:
    """Rows of length 1."""
    return with_data(part, part.data / np.repeat(np.sqrt(squared_lengths(part)), np.diff(part.indptr)))


def _dense(rows: csr_matrix) -> Doubles:
    dense: Doubles = rows.astype(np.float64).toarray()
    return dense
