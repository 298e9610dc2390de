"""Strategies in worlds, by hand: where float32 ends, and what phase 5 sees."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.universe import simulation
from dask_validator.universe.cells import Cut
from dask_validator.universe.worlds import Design, source_days
from tests.reference import null_worlds as twin
from tests.reference.screening import COSTS
from tests.reference.settings import Settings
from tests.universe.simulated import Simulated
from tests.universe.universes import Case

FIRST = date(2021, 1, 4)
U, C, L = range(3)  # nulls
ALL_GATES_OPEN: dict[str, Any] = {"min_sample": 1, "stress_multiplier": 1.0, "no_walkforward": True}


def case(units: Sequence[int], *, worlds: int = 4, block_days: float = 1e12, apart: int = 1, **flags: Any) -> Case:
    """One strategy that takes all trades of one key, so many days apart."""
    outcomes = [(FIRST + timedelta(apart * i), "win", of / twin.UNITS) for i, of in enumerate(units)]
    universe = twin.Universe({"A": outcomes}, [twin.Trader("A", outcomes, outcomes, 100.0)], {}, COSTS["MGC"])
    return Case(universe, [RunConfig(**ALL_GATES_OPEN | flags)], twin.Worlds(worlds, 7, block_days), [])


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> list[np.dtype[Any]]:
    """The kinds of numbers that sums were asked of."""
    asked: list[np.dtype[Any]] = []
    add = Cut.paid

    def paid(self: Cut, payoffs: NDArray[Any]) -> NDArray[np.float64]:
        asked.append(payoffs.dtype)
        return add(self, payoffs)

    monkeypatch.setattr(Cut, "paid", paid)
    return asked


@pytest.mark.parametrize(("unit", "kind"), [(2**23 - 1, np.float32), (2**23, np.float64)])
def test_float32_as_far_as_it_is_exact(unit: int, kind: type, narrow: list[np.dtype[Any]]) -> None:
    """Two trades of 2^23 units could come to 2^24, beyond which float32 has no odd numbers."""
    of_case = case([unit, -unit])
    simulated = Simulated(of_case)
    narrow.clear()
    simulated.worlds()

    assert {*narrow} == {np.dtype(kind)}


def test_sums_beyond_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean of half a unit is not positive, of however large payoffs; float32 would make it one unit."""
    of_case = case([2**24 + 3, -(2**24) - 2])
    passed, _ = Simulated(of_case).worlds()
    monkeypatch.setattr(simulation, "EXACT", np.inf)
    rounded, _ = Simulated(of_case).worlds()

    assert not passed.any()
    assert rounded[0, U].all()


def test_squares_beyond_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares of one strategy are added exactly too, over all its years: where all are equal, rounding is all there is.

    Each of the three is a float32, their sum is none.
    """
    of_case = case([3_500_776, -3_500_776, 0], worlds=60, block_days=1, apart=400)
    _, z = Simulated(of_case).worlds()
    monkeypatch.setattr(simulation, "EXACT", np.inf)
    _, rounded = Simulated(of_case).worlds()

    settings = [Settings.of(config) for config in of_case.settings]
    worlds = twin.every_world(of_case.universe, settings, of_case.worlds, [(0.0, 0.0, 0.0)])
    expected = np.array([[strategy.z for strategy in world] for world in worlds], dtype=np.float32).T
    assert np.array_equal(z, expected)
    assert not np.array_equal(rounded, expected)


def test_a_loser_has_the_sharpe_ratio_of_a_loser() -> None:
    """Where every trade pays less, the ratio of phase 5 falls with the mean; how far trades scatter stays."""
    units = [-30_000, 9_000, 15_000]  # a mean of -0.2 R; recentred -2.8, 1.1 and 1.7 R
    of_case = case(units, worlds=200, block_days=1, min_sharpe=3.5)
    passed, _ = Simulated(of_case).worlds()

    drawn = np.sort(source_days(Design(200, 1.0, 7), 3, 0, 200), axis=0).T.tolist()
    assert passed[0, U, 0].tolist() == [days in ([1, 1, 2], [1, 2, 2]) for days in drawn]  # ratios of 3.75 and 4.33
    assert passed[0, L, 0].tolist() == [days == [1, 2, 2] for days in drawn]  # of 3.18 and 3.75
    assert {(1, 1, 2), (1, 2, 2)} <= {*map(tuple, drawn)}


def test_no_scatter_is_no_sharpe_ratio() -> None:
    """Where all trades of a world are equal nobody knows a ratio, and what is unknown passes no gate."""
    units = [43_000, -43_000]  # whose squares are whole hundredths of R^2: what is left is a rounding of doubles
    open_gates, z = Simulated(case(units, worlds=40, block_days=1)).worlds()
    passed, _ = Simulated(case(units, worlds=40, block_days=1, min_sharpe=5.0)).worlds()

    equal = (source_days(Design(40, 1.0, 7), 2, 0, 40) == 0).all(axis=0)
    assert equal.any()
    assert open_gates[0, U, 0].tolist() == equal.tolist()
    assert np.isneginf(z[0][equal]).all()
    assert not passed.any()
