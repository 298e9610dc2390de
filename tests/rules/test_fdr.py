"""Benjamini-Hochberg."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from dask_validator.config import FdrMethod
from dask_validator.rules.fdr import Correction, adjusted_p_values, one_sided
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


@pytest.mark.parametrize(
    ("method", "tests", "rejected", "published"),
    [
        ("bh", None, 4, ".0015 .003 .0095 .035625 .0603 .063857 .063857 .0645"),
        ("by", None, 3, ".004977 .009955 .031523 .118212"),
        ("bh", 100, 2, ".01 .02 .063333"),
        ("raw", None, 9, ".0001 .0004 .0019"),
    ],
)
def test_published_methods(method: FdrMethod, tests: int | None, rejected: int, published: str) -> None:
    """The same fifteen p-values: valid for any dependence, among a hundred tests, and not corrected at all."""
    adjusted = adjusted_p_values(np.array(PUBLISHED), method, tests)

    digits = published.split()
    assert [f"{p:.{len(text) - 1}f}"[1:] for p, text in zip(adjusted, digits, strict=False)] == digits
    assert (adjusted < 0.05).sum() == rejected
    correction = Correction.over(np.array(PUBLISHED[::-1]), method=method, tests=tests)
    assert correction.adjusted.tolist() == adjusted.tolist()
    assert correction.significant == rejected


def test_published_penalty_of_dependence() -> None:
    """c(15): what every one of the fifteen costs more where anything may move together."""
    by, bh = (adjusted_p_values(np.array(PUBLISHED), method)[0] for method in ("by", "bh"))

    assert f"{by / bh:.10f}" == "3.3182289932"


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=60), st.sampled_from(["bh", "by"]))
def test_methods_equal_statsmodels(p_values: list[float], method: FdrMethod) -> None:
    """Both corrections, ties included, equal another library's to rounding error."""
    _, expected, *_ = multipletests(p_values, method=f"fdr_{method}")

    np.testing.assert_allclose(adjusted_p_values(np.array(p_values), method), expected, rtol=1e-12)


def test_as_many_tests_as_there_were() -> None:
    """Tests beyond those with a p-value count as if all of theirs were 1; adjusted values stay below 1."""
    p_values = np.array([0.2, 0.001, 0.04])
    with_others = np.concatenate([p_values, np.ones(7)])

    for method in ("bh", "by"):
        assert adjusted_p_values(p_values, method, 10).tolist() == adjusted_p_values(with_others, method)[:3].tolist()
    assert adjusted_p_values(p_values, "raw", 10).tolist() == p_values.tolist()


def test_one_sided_families_are_corrected_as_such() -> None:
    """Of two of equal evidence the loser has no edge, whatever the method; its adjusted value is 1."""
    sided = one_sided(np.array([0.01, 0.01, 0.9]), np.array([0.3, -0.3, 0.1]))

    found = Correction.over(sided, method="by").adjusted_of(np.append(sided, np.nan))

    assert found[0] == pytest.approx(0.005 * 3 * (1 + 1 / 2 + 1 / 3))
    assert (found[1], bool(np.isnan(found[3]))) == (1.0, True)


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
