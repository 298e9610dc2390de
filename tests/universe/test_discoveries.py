"""Which strategies differ from luck, corrected for their number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from dask_validator.rules.fdr import adjusted_p_values
from dask_validator.universe.discoveries import discoveries, share_without_edge
from tests.rules.test_fdr import PUBLISHED


def test_published_share_without_edge() -> None:
    """Storey's pi0 and q-values on the fifteen p-values of 1995."""
    p_values = np.array(PUBLISHED)
    share = share_without_edge(p_values)
    assert share is not None
    q_values = share * adjusted_p_values(p_values)

    assert f"{share:.6f}" == "0.533333"
    published = [
        "0.0008",
        "0.0016",
        "0.005067",
        "0.019",
        "0.03216",
        "0.034057",
        "0.034057",
        "0.0344",
        "0.0408",
        "0.2592",
    ]
    assert [f"{q:.{len(text) - 2}f}" for q, text in zip(q_values, published, strict=False)] == published


def test_the_share_is_a_share() -> None:
    """More p-values above one half than luck makes: all of them; none: nobody knows; one half itself is not above."""
    assert share_without_edge(np.array([0.9, 0.8, 0.7, 0.1])) == 1.0
    assert share_without_edge(np.array([0.5, 0.01])) == 0.0
    assert share_without_edge(np.array([])) is None


def test_counts_by_hand() -> None:
    """Two earn, one loses as clearly, one does neither: two-sided, the loser looks like a discovery."""
    found = discoveries(np.array([4.0, 3.0, -4.0, 0.9]))

    assert (found.tested, found.earning, found.earning_by) == (4, 2, 2)
    assert (found.differing, found.losing) == (3, 1)
    assert found.without_edge == 0.5  # one p of four, the loser's, is above one half; two-sided it is the smallest


def test_dependence_costs_discoveries() -> None:
    """Benjamini-Yekutieli, valid for any dependence, finds one where Benjamini-Hochberg finds two."""
    p_values = np.array([0.001, 0.02, 0.9, 0.9])  # BY: times 25/12, hence 0.0083 and 0.083

    found = discoveries(norm.isf(p_values))

    assert (found.earning, found.earning_by) == (2, 1)


@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_the_level_is_asked_for(alpha: float) -> None:
    """A single p just below the level is found, one just above is not."""
    assert discoveries(norm.isf([alpha * 0.999]), alpha).earning == 1
    assert discoveries(norm.isf([alpha * 1.001]), alpha).earning == 0


def test_nothing_tested() -> None:
    """No strategy has a deviate."""
    assert discoveries(np.array([])) == (0, 0, 0, 0, 0, None)
