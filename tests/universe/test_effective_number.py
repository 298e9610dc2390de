"""How many independent strategies a universe is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import norm

from dask_validator.universe import effective_number, panel
from dask_validator.universe.effective_number import (
    by_average,
    by_eigenvalues,
    independent_tests,
    leaders,
    squared_correlations,
)
from tests.support.panels import dense

THREE = dense([[1, 0], [1, 0], [0, 1]])


def random_panel(seed: int) -> NDArray[np.float64]:
    """Rows of whole units, of which some copy most days of others, with days without a trade."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-3, 4, (30, 12)) * (rng.random((30, 12)) < rng.random((30, 1)))
    rows[:, 0] += 1 - np.abs(np.sign(rows)).max(axis=1)  # none without a payoff
    for follower in range(10, 30):
        rows[follower] = np.where(rng.random(12) < 0.7, rows[rng.integers(0, 10)], rows[follower])
    return rows[np.abs(rows).max(axis=1) > 0].astype(np.float64)


def slow_leaders(rows: NDArray[np.float64]) -> list[int]:
    """One after the other, by section 9; whole numbers, hence exact."""
    whole = [[int(pay) for pay in row] for row in rows]
    found: list[int] = []
    for i in sorted(range(len(whole)), key=lambda i: (-sum(pay != 0 for pay in whole[i]), i)):
        for j in found:
            together = sum(a * b for a, b in zip(whole[i], whole[j], strict=True))
            squares = sum(a * a for a in whole[i]) * sum(b * b for b in whole[j])
            if together > 0 and 4 * together**2 >= squares:  # cosine 1/2 or more
                break
        else:
            found.append(i)
    return found


def test_three_rows_by_hand() -> None:
    """Two equal rows and another one: 9/5 by eigenvalues before chance is taken off, 7/3 on average, two leaders."""
    assert 9 / squared_correlations(THREE) == pytest.approx(9 / 5, rel=1e-15)
    assert by_average(THREE) == pytest.approx(7 / 3, rel=1e-15)
    assert leaders(THREE) == 2


def test_chance_correlations_are_taken_off() -> None:
    """500 independent rows of 1,000 days look like 333.9 and are 500."""
    rows = dense(np.random.default_rng(1).normal(size=(500, 1000)))

    assert f"{500**2 / squared_correlations(rows):.1f}" == "333.9"
    assert f"{by_eigenvalues(rows):.1f}" == "500.0"


def test_copies_count_once() -> None:
    """A hundred copies of one row are worth little more than it, whichever way one counts, the average aside."""
    rows = dense(np.tile(np.random.default_rng(3).normal(size=500), (100, 1)))

    assert by_eigenvalues(rows) == pytest.approx(1, rel=1e-9)
    assert leaders(rows) == 1


@pytest.mark.parametrize("at_once", [1, 7, 512])
@pytest.mark.parametrize("seed", range(8))
def test_equal_the_slow_twins(seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs one by one, for any number of strategies at a time; a cosine of exactly 1/2 follows."""
    for module in (panel, effective_number):
        monkeypatch.setattr(module, "AT_ONCE", at_once)
    rows = random_panel(seed)
    n, days = rows.shape
    cosine = [[float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) for b in rows] for a in rows]
    squares = sum(rho**2 for of_row in cosine for rho in of_row)
    mean = sum(cosine[i][j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    less_chance = n + max(0.0, (squares - n - n * (n - 1) / days) / (1 - 1 / days))

    assert squared_correlations(csr_matrix(rows)) == pytest.approx(squares, rel=1e-12)
    assert by_eigenvalues(csr_matrix(rows)) == pytest.approx(n**2 / less_chance, rel=1e-12)
    assert by_average(csr_matrix(rows)) == pytest.approx(mean + (1 - mean) * n, rel=1e-12)
    assert leaders(csr_matrix(rows)) == len(slow_leaders(rows))


def test_half_is_alike_and_the_opposite_is_not() -> None:
    """A cosine of exactly 1/2 follows, in whole numbers whatever their size; one of -1 leads."""
    assert leaders(dense([[7, 7, 0], [7, 0, 7]])) == 1
    assert leaders(dense([[9_999_999, 9_999_999, 0], [9_999_999, 0, 9_999_998]])) == 1
    assert leaders(dense([[9_999_999, 9_999_999, 0], [9_999_999, 0, 10_000_000]])) == 2
    assert leaders(dense([[1, 2], [-1, -2]])) == 2


def test_the_most_trades_lead() -> None:
    """Who leads decides how many do: with the most trades first, one that joins two others leaves one leader."""
    between = csr_matrix(np.array([[1.0, 0, 0], [0, 0, 1], [1, 0, 1]]))
    with_stored_zeros = csr_matrix((np.array([1.0, 0, 0, 1, 1, 1]), [0, 1, 1, 2, 0, 2], [0, 2, 4, 6]), shape=(3, 3))

    assert leaders(between) == 1
    assert leaders(with_stored_zeros) == 2  # two trades each, one of which pays 0: then the first in order leads


def test_independent_tests_have_that_maximum() -> None:
    """The 0.95 quantile of the maximum of N normal deviates gives N back; there are never more than strategies."""
    critical = norm.ppf(0.95 ** (1 / 200))

    assert independent_tests(np.full(20, critical), 10_000) == pytest.approx(200, rel=1e-9)
    assert independent_tests(np.full(20, critical, dtype=np.float32), 10_000) == pytest.approx(200, rel=1e-4)
    assert independent_tests(np.full(20, critical), 150) == 150
    between = math.log(0.95) / norm.logcdf(2.9)  # the quantile is linear: of 1, 1.2, ..., 3
    assert independent_tests(np.linspace(1, 3, 11), 10_000) == pytest.approx(between, rel=1e-9)
    assert independent_tests(np.linspace(1, 3, 11), 10_000, alpha=0.5) == pytest.approx(
        math.log(0.5) / norm.logcdf(2), rel=1e-9
    )


def test_independent_tests_of_drawn_maxima() -> None:
    """Maxima of 50 deviates in 20,000 worlds say 50, within what the quantile can be off by (four standard errors)."""
    maxima = np.random.default_rng(2).normal(size=(20_000, 50)).max(axis=1)
    # se of ln N by the delta method: sqrt(alpha / (1 - alpha) / worlds) / -ln(1 - alpha)
    error = math.sqrt(0.05 / 0.95 / 20_000) / -math.log(0.95)

    assert abs(math.log(independent_tests(maxima, 10_000) / 50)) < 4 * error


def test_nothing_is_worth_nothing() -> None:
    """No strategies: none; a single one is one."""
    nothing = csr_matrix((0, 5))

    assert (by_eigenvalues(nothing), by_average(nothing), leaders(nothing)) == (0, 0, 0)
    one = dense([[1, 2, 3]])
    assert (by_eigenvalues(one), by_average(one), leaders(one)) == (pytest.approx(1), 1, 1)
