"""Benjamini-Hochberg."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from dask_validator.rules.fdr import Correction, adjusted_p_values
from tests.reference.fdr import benjamini_hochberg

# Benjamini & Hochberg (1995), section 4: fifteen endpoints of a study of thrombolytic therapy.
PUBLISHED = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719]
PUBLISHED += [0.6528, 0.7590, 1.0000]


def test_published_example() -> None:
    """The paper rejects the four hypotheses with the smallest p-values at 5 %."""
    adjusted = adjusted_p_values(np.array(PUBLISHED))

    correction = Correction.over(np.array(PUBLISHED[::-1]))
    assert [correction.of(p).significant for p in PUBLISHED] == [True] * 4 + [False] * 11
    assert (correction.tested, correction.significant) == (15, 4)
    assert adjusted[3] == pytest.approx(0.0095 * 15 / 4)


@given(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), max_size=60))
def test_equals_the_slow_twin_and_scipy(p_values: list[float]) -> None:
    """Adjusted values, ties included, equal a plain loop exactly and SciPy's to rounding error."""
    adjusted = adjusted_p_values(np.array(p_values))

    expected = benjamini_hochberg({str(i): p for i, p in enumerate(p_values)})
    assert adjusted.tolist() == [expected[str(i)] for i in range(len(p_values))]
    correction = Correction.over(np.array(p_values))
    assert [correction.of(p).adjusted_p for p in p_values] == [round(p, 6) for p in adjusted.tolist()]
    if p_values:
        np.testing.assert_allclose(adjusted, false_discovery_control(p_values), rtol=1e-12)


def test_significance_is_judged_unrounded() -> None:
    """0.04999999 is a discovery although it is stored as 0.05; 0.05 itself is not."""
    assert Correction.over(np.array([0.04999999])).of(0.04999999) == (True, 0.05)
    assert Correction.over(np.array([0.05])).of(0.05) == (False, 0.05)
