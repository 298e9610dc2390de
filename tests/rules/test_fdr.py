"""Benjamini-Hochberg."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from dask_validator.rules.fdr import Correction, adjusted_p_values
from tests.reference.fdr import benjamini_hochberg, earning_and_losing

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


TESTED = st.tuples(
    st.one_of(st.floats(0, 1), st.floats(0, 0.05), st.sampled_from([0.0, 0.01, 0.05, 1.0])),
    st.one_of(st.floats(-2, 2), st.just(None)),
)


@given(st.lists(TESTED, max_size=60))
def test_earning_and_losing_equal_the_slow_twin(tested: list[tuple[float, float | None]]) -> None:
    """One-sided, who earns; of the two-sided discoveries, who loses: counted as a plain loop does, and one by one."""
    p_values = np.array([p for p, _ in tested])
    expectancies = np.array([np.nan if r is None else r for _, r in tested])
    earning, losing = earning_and_losing({str(i): pair for i, pair in enumerate(tested)})

    correction = Correction.over(p_values, expectancies)
    assert (correction.earning, correction.losing) == (len(earning), len(losing))
    found = set(map(str, np.flatnonzero(correction.earns(p_values, expectancies))))
    assert found == {name for name in earning if (tested[int(name)][1] or 0) > 0}


def test_losers_are_no_discoveries_of_edges() -> None:
    """Two strategies of equal evidence: both differ from zero, one earns."""
    p_values, expectancies = np.array([0.001, 0.001, 0.9]), np.array([0.3, -0.3, 0.0])
    correction = Correction.over(p_values, expectancies)

    assert (correction.tested, correction.significant) == (3, 2)
    assert (correction.earning, correction.losing) == (1, 1)
    assert correction.earns(p_values, expectancies).tolist() == [True, False, False]


@pytest.mark.parametrize("p_value", [np.inf, 1e308, 1.5])
def test_a_p_value_that_is_none_makes_no_loser_an_earner(p_value: float) -> None:
    """Values above 1 count as 1."""
    correction = Correction.over(np.array([p_value]), np.array([-0.3]))

    assert (correction.earning, correction.losing) == (0, 0)
