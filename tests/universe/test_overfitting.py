"""Probability of backtest overfitting by combinatorially symmetric cross-validation."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dask_validator.universe import overfitting as module
from dask_validator.universe.overfitting import BlockSums, Doubles, block_sums, overfitting
from tests.support.panels import dense

MIRROR = np.array([1, 2, 1, 2, -1, -2, -1, -2])  # hundredths


def mean(trades: Doubles, total: Doubles, squares: Doubles) -> Doubles:
    """The metric of the published examples."""
    with np.errstate(invalid="ignore"):
        return total / trades


def units(returns: NDArray[np.float64]) -> csr_matrix:
    """Strategies in columns, as they are published, as a panel."""
    return dense(returns.T * 10_000)


def slow(sums: BlockSums, least: int) -> list[tuple[int, int]]:
    """Candidates and rank of each split, in exact fractions: signed squares of Sharpe ratios have their order."""
    strategies, blocks = sums.trades.shape

    def half(i: int, chosen: tuple[int, ...]) -> Fraction | None:
        n, total, squares = (sum(int(column[i, b]) for b in chosen) for column in sums)
        if n < max(least, 2) or n * squares == total**2:
            return None
        return Fraction(total * abs(total) * (n - 1), n * (n * squares - total**2))

    found = []
    for chosen in combinations(range(blocks), blocks // 2):
        others = tuple(sorted(set(range(blocks)) - set(chosen)))
        pairs = [(half(i, chosen), half(i, others)) for i in range(strategies)]
        candidates = [(first, second) for first, second in pairs if first is not None and second is not None]
        if len(candidates) >= 2:
            best = max(range(len(candidates)), key=lambda i: candidates[i][0])
            found.append((len(candidates), sum(second <= candidates[best][1] for _, second in candidates)))
    return found


@pytest.mark.parametrize(("blocks", "published"), [(2, 1), (4, 1 / 3)])
def test_a_mirror(blocks: int, published: float) -> None:
    """A strategy and its opposite: what wins in one half loses in the other; with four blocks a third of the time."""
    sums = block_sums(dense(100 * np.array([MIRROR, -MIRROR])), blocks)

    assert overfitting(sums, least=0, metric=mean).probability == published


def test_the_calendar_says_who_is_a_candidate() -> None:
    """The best of three lacks a trade in every split, hence is never chosen, and never counted."""
    trades = np.array([[5, 0, 5, 5], [5] * 4, [5] * 4], dtype=np.float64)
    total = np.array([[9, 0, 9, 9], [1] * 4, [0] * 4], dtype=np.float64)

    found = overfitting(BlockSums(trades, total, total), least=6, metric=mean)

    assert (found.candidates.tolist(), found.rank.tolist()) == ([2] * 6, [2] * 6)  # w = 2/3
    assert found.logits == pytest.approx([math.log(2)] * 6)
    assert found.probability == 0
    assert set(overfitting(BlockSums(trades, total, total), least=5, metric=mean).candidates.tolist()) == {3}


def test_one_that_is_always_best() -> None:
    """Best of three in all halves: all six logits are ln 3."""
    sums = block_sums(dense([[300, 500] * 8, [100, -100] * 8, [-300, -500] * 8]), 4)

    found = overfitting(sums, least=2)

    assert found.logits == pytest.approx([math.log(3)] * 6)
    assert found.probability == 0


def test_what_comes_to_nothing_is_overfit() -> None:
    """Columns without their mean: the best of one half is the worst of the other, always."""
    returns = np.random.default_rng(4).normal(0, 0.01, (160, 12))
    sums = block_sums(units(returns - returns.mean(axis=0)), 8)

    assert overfitting(sums, metric=mean).probability == 1


def test_published_noise_and_edge() -> None:
    """A hundred columns of noise: 0.60; with an edge on one of them: 0."""
    returns = np.random.default_rng(0).normal(0, 0.01, (1600, 100))
    assert f"{overfitting(block_sums(units(returns), 8)).probability:.2f}" == "0.60"

    returns[:, 0] += 0.01
    assert overfitting(block_sums(units(returns), 8)).probability == 0


def test_published_scatter() -> None:
    """Forty samples of noise: one half on average, and no single one of them says so."""
    noise = [np.random.default_rng(seed).normal(0, 0.01, (800, 50)) for seed in range(40)]
    found = [overfitting(block_sums(units(returns), 8)).probability for returns in noise]

    assert (f"{np.mean(found):.3f}", f"{np.std(found):.3f}") == ("0.498", "0.169")


@pytest.mark.parametrize("at_once", [1, 27, 1_000_000])
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_slow_twin(seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every split in exact fractions, for any number at a time: few trades, equal payoffs and equal rows included."""
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    rng = np.random.default_rng(seed)
    pay = rng.integers(-50_000, 50_000, (9, 60)) * (rng.random((9, 60)) < rng.random((9, 1)))
    pay[3], pay[4] = pay[2], 3_333  # an equal, and one whose payoffs never differ; two that do in one half only
    pay[5, :30], pay[6, 30:] = 1_000, -1_000
    sums = block_sums(csr_matrix(pay), 6)

    found = overfitting(sums, least=4)

    expected = slow(sums, least=4)
    assert sorted(zip(found.candidates.tolist(), found.rank.tolist(), strict=True)) == sorted(expected)
    assert found.probability == sum(2 * rank <= n + 1 for n, rank in expected) / len(expected)


def test_thirty_trades_in_each_half() -> None:
    """As many are needed, unless something else is asked for: with 29 there is one candidate less."""
    pay = np.random.default_rng(0).integers(-9, 9, (3, 62))
    stored = dense(pay)
    stored = csr_matrix(
        (stored.data[2:], stored.indices[2:], np.array([0, 60, 122, 184])), shape=stored.shape
    )  # the first strategy has 29 trades in the first half

    assert overfitting(block_sums(stored, 2)).candidates.tolist() == [2, 2]
    assert overfitting(block_sums(stored, 2), least=29).candidates.tolist() == [3, 3]
    assert overfitting(block_sums(dense(pay[:, 2:]), 2)).candidates.tolist() == [3, 3]  # 30 and 30


def test_of_equals_the_first_is_chosen() -> None:
    """Equal in one half, and the first worse in the other: the order of the ids decides, not who turns out better."""
    total = np.array([[5.0, -1.0], [5.0, 1.0], [-9.0, 0.0]])
    found = overfitting(BlockSums(np.ones((3, 2)), total, total), least=1, metric=mean)

    assert found.rank.tolist() == [1, 3]  # of -1 among -1, 1, 0; then of 5 among 5, 5, -9
    swapped = overfitting(BlockSums(np.ones((3, 2)), total[[1, 0, 2]], total), least=1, metric=mean)
    assert swapped.rank.tolist() == [3, 3]


def test_nothing_to_choose_from() -> None:
    """No split has two candidates: there is no probability."""
    sums = block_sums(dense([[1, 2] * 40]))

    assert overfitting(sums).probability is None
    assert overfitting(block_sums(csr_matrix((0, 5)), 4)).probability is None


def test_blocks_of_days() -> None:
    """Days are cut as `linspace` cuts them; a trade that pays 0 is counted; sums are those of the days."""
    pay = np.array([[5, 0, -7, 2, 3, 0, 4]])
    stored = csr_matrix((np.array([5, 0, -7, 2, 3, 4]), [0, 1, 2, 3, 4, 6], [0, 6]), shape=(1, 7))

    sums = block_sums(stored, 3)

    cuts = np.linspace(0, 7, 4).astype(int)
    assert cuts.tolist() == [0, 2, 4, 7]
    assert sums.trades.tolist() == [[2, 2, 2]]
    assert sums.total.tolist() == [np.add.reduceat(pay[0], cuts[:-1]).tolist()]
    assert sums.squares.tolist() == [[25, 53, 25]]


def test_thirteen_thousand_strategies_need_little_memory() -> None:
    """5 MB of sums in 16 blocks, and 80 MB while splits are looked at, however many there are."""
    rng = np.random.default_rng(0)
    trades = rng.integers(20, 90, (13_000, 12)).astype(np.float64)
    sums = BlockSums(trades, rng.integers(-(10**6), 10**6, trades.shape).astype(np.float64), trades * 1e9)
    assert 3 * 13_000 * module.BLOCKS * trades.itemsize <= 5_000_000

    tracemalloc.start()
    try:
        overfitting(sums)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert math.comb(12, 6) / 2 * 13_000 > 5 * module.AT_ONCE  # hence more than five rounds
    assert peak <= 80_000_000
