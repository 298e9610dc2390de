"""Strategies by day: what each was paid, in whole units, stored for the days on which it traded and for no others.

Several trades of a day are one payoff (docs/statistics.md, section 2); one that pays nothing is stored as 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

AT_ONCE = 512  # strategies, so that their days fit into the memory of a worker


def panel(rows: csr_matrix, pay: NDArray[np.float64]) -> csr_matrix:
    """The strategies of one key with what their days paid, shape (n_strategies, n_days).

    Parameters
    ----------
    rows
        Their days, of that shape; only where something is stored counts.
    pay
        Units of the key by day, shape (n_days,).
    """
    return with_data(rows, pay[rows.indices])


def stacked(panels: Sequence[csr_matrix]) -> csr_matrix:
    """One below the other."""
    from scipy.sparse import vstack

    found: csr_matrix = vstack(panels, format="csr")
    return found


def with_data(rows: csr_matrix, data: NDArray[Any]) -> csr_matrix:
    """Something else on the same days."""
    from scipy.sparse import csr_matrix

    return csr_matrix((data, rows.indices, rows.indptr), shape=rows.shape)


def parts(of: csr_matrix, rows: NDArray[np.int64] | None = None) -> Iterator[csr_matrix]:
    """Some strategies at a time, or some of these rows: sums and products of whole units are exact in any order."""
    count = of.shape[0] if rows is None else rows.size
    for first in range(0, count, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        yield of[some if rows is None else rows[some]].astype(np.float64)


def squared_lengths(of: csr_matrix) -> NDArray[np.float64]:
    """Sum of squares of each strategy of a part, shape (n_strategies,)."""
    return np.asarray(with_data(of, of.data * of.data).sum(axis=1), dtype=np.float64).ravel()
