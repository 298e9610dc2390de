"""What worlds say of promotions, by hand and against the slow twin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.universe.luck import Pairs, best, bounds, count, q_values, step_down
from tests.reference import luck as twin

NOBODY = -np.inf
LEVELS = st.sampled_from([-1.5, 0.0, 0.5, 0.5, 1.0, 1.75, 2.5, 2.5, 4.0])  # so that many are equal
WORLDS = st.lists(st.lists(LEVELS, max_size=4), min_size=1, max_size=25)


def pairs(worlds: Sequence[Sequence[float]]) -> Pairs:
    """The promotions of each world."""
    world = [number for number, of_world in enumerate(worlds) for _ in of_world]
    return Pairs(
        np.array(world, dtype=np.int32), np.array([z for of_world in worlds for z in of_world], dtype=np.float32)
    )


def float32(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Deviates in worlds."""
    return np.array(rows, dtype=np.float32)


def named(z: Sequence[float]) -> dict[str, float]:
    """Strategies in this order."""
    return {str(number): value for number, value in enumerate(z)}


def test_step_down_by_hand() -> None:
    """Each is held against the maximum of itself and all weaker ones; the plain maximum against that of all."""
    rows = float32([(0, 1, 2, 3.5), (1, 0, 2.5, 0), (2, 2, 0, 0)])
    step, single = step_down(np.array([3.0, 2.0, 1.0]), rows, np.full(4, NOBODY, dtype=np.float32))

    assert step.tolist() == [0.4, 0.8, 0.8]
    assert single.tolist() == [0.4, 1.0, 1.0]


def test_q_values_by_hand() -> None:
    """Promotions of all worlds that are as strong, over those of the data; never falling towards the weakest."""
    found = q_values(np.array([4.0, 2.5, 0.5]), pairs([[2.0, 1.0], [3.0]]), 2)

    assert found.tolist() == [1 / 3, 1 / 3, 4 / 9]


def test_bounds_by_hand() -> None:
    """The upper quantile over worlds allows for promotions that come together."""
    found = bounds(np.array([4.0, 2.5, 0.5]), pairs([[1.0, 0.5], [3.0]]), 2)

    assert found.round(6).tolist() == [0.0, 0.5, 0.666667]


def test_worlds_that_promote_nobody_count() -> None:
    """A world without promotions is a world: 1 of 40 with one such promotion bounds nothing at 95 %."""
    worlds: list[list[float]] = [[3.0], *[[]] * 39]

    assert bounds(np.array([2.0]), pairs(worlds), 40).tolist() == [0.0]
    assert bounds(np.array([2.0]), pairs(worlds[:10]), 10).tolist() == [1.0]
    assert q_values(np.array([2.0]), pairs(worlds), 40).tolist() == [2 / 41]


def test_count_by_hand() -> None:
    """Promotions beside those of the worlds, by the numbers that the JSON has."""
    found = count(4, np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 2 + [4]))

    assert found.null_mean == pytest.approx(94 / 21, rel=1e-15)
    assert (found.null_q05, found.null_q50, found.null_q95) == (0, 4, 9)
    assert found.p_value == 14 / 22
    assert (found.false_share, found.false_share_low, found.false_share_high) == (1.0, 0.0, 1.0)


def test_nothing_promoted() -> None:
    """There is no share of nothing, and nothing is no evidence."""
    found = count(0, np.array([0, 2]))

    assert found.p_value == 1
    assert (found.false_share, found.false_share_low, found.false_share_high) == (None, None, None)


@given(st.integers(0, 12), st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_counts_are_those_of_the_twin(promoted: int, worlds: list[int]) -> None:
    """Mean, quantiles, p-value and shares."""
    mean, low, middle, high, sd, p_value, shares = twin.counted(promoted, worlds)
    found = count(promoted, np.array(worlds))

    assert found[:6] == pytest.approx((promoted, mean, low, middle, high, sd), rel=1e-12, abs=1e-12)
    assert found.p_value == p_value
    assert found[7:] == (shares if shares[0] is None else pytest.approx(shares, rel=1e-12))


@given(st.lists(LEVELS, max_size=6), WORLDS)
def test_shares_of_luck_are_those_of_the_twin(z: list[float], worlds: list[list[float]]) -> None:
    """Whatever ties there are, among promotions and between data and worlds."""
    observed, promoted = np.array(z), pairs(worlds)

    assert q_values(observed, promoted, len(worlds)).tolist() == list(twin.luck_q(named(z), worlds).values())
    assert bounds(observed, promoted, len(worlds)).tolist() == list(twin.luck_bound(named(z), worlds).values())


@given(st.data(), st.integers(0, 5), st.integers(0, 3), st.integers(1, 8))
def test_step_downs_are_those_of_the_twin(data: st.DataObject, candidates: int, others: int, worlds: int) -> None:
    """However many can be rejected, and others enter the maxima only."""
    levels = st.lists(LEVELS | st.just(NOBODY), min_size=worlds, max_size=worlds)
    z = data.draw(st.lists(LEVELS, min_size=candidates, max_size=candidates))
    rows = [data.draw(levels) for _ in range(candidates)]
    rest = [data.draw(levels) for _ in range(others)]
    highest = [max([NOBODY, *(row[world] for row in rest)]) for world in range(worlds)]
    step, single = step_down(np.array(z), float32(rows).reshape(candidates, worlds), float32([highest])[0])

    of_world = [named([row[world] for row in rows + rest]) for world in range(worlds)]
    expected, of_maximum = twin.step_down(named(z), of_world), twin.of_the_maximum(named(z), of_world)
    assert step.tolist() == [expected[name] for name in named(z)]
    assert single.tolist() == [of_maximum[name] for name in named(z)]


@given(st.lists(LEVELS, max_size=5), st.lists(st.lists(LEVELS, min_size=5, max_size=5), min_size=1, max_size=9))
def test_the_best_is_that_of_the_twin(z: list[float], worlds: list[list[float]]) -> None:
    """The statistic is never below zero, in the data and in the worlds."""
    of_world = [named(world) for world in worlds]
    for by in (0.0, -1.25):
        expected = twin.best(named(z), dict.fromkeys(of_world[0], by), of_world)
        assert best(np.array(z), float32([[max(world) + by for world in worlds]])) == [expected]
