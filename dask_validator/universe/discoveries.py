"""Which of all strategies differ from luck one by one, corrected for their number (docs/statistics.md, section 9).

Storey, J. D. (2002), A Direct Approach to False Discovery Rates, J. R. Statist. Soc. B 64, 479-498.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import ALPHA
from dask_validator.rules.fdr import adjusted_p_values

Doubles = NDArray[np.float64]
LAMBDA = 0.5  # p-values above are taken as those of strategies without an edge


class Discoveries(NamedTuple):
    """Counts over all tested strategies."""

    tested: int
    earning: int  # one-sided, Benjamini-Hochberg
    earning_by: int  # one-sided, Benjamini-Yekutieli: valid whatever moves together
    differing: int  # two-sided: losers look like edges
    losing: int  # of these
    without_edge: float | None  # largest share that the one-sided p-values speak for; None where nothing is tested


def discoveries(z: Doubles, alpha: float = ALPHA) -> Discoveries:
    """By the normal deviates of the tested strategies, shape (n_tested,), no NaN."""
    from scipy.special import ndtr

    one_sided, two_sided = ndtr(-z), 2 * ndtr(-np.abs(z))
    differing = adjusted_p_values(two_sided) < alpha
    return Discoveries(
        z.size,
        int((adjusted_p_values(one_sided) < alpha).sum()),
        int((adjusted_p_values(one_sided, "by") < alpha).sum()),
        int(differing.sum()),
        int((differing & (z <= 0)).sum()),
        share_without_edge(one_sided),
    )


def share_without_edge(p_values: Doubles) -> float | None:
    """Storey's pi0 over all that were tested, shape (n_tested,): screened ones alone would bias it; None without any.

    Of two-sided p-values it takes losers for edges.
    """
    if not p_values.size:
        return None
    return min(1.0, float((p_values > LAMBDA).sum() / ((1 - LAMBDA) * p_values.size)))
