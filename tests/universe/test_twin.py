"""The fast worlds against the slow twin, on generated universes: every strategy, gate, null and world."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator.config import RunConfig
from dask_validator.universe import worlds
from dask_validator.universe.evidence import Rows, passing_in_data
from tests.reference import null_worlds as twin
from tests.reference.screening import COSTS
from tests.reference.settings import Settings
from tests.universe.simulated import Simulated
from tests.universe.universes import LARGE, LEAST_POOL, SMALL, USUAL, Case, cases


@pytest.fixture(autouse=True, scope="module")
def _short_eras() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "LEAST_POOL", LEAST_POOL)
        yield


def slow(case: Case) -> list[list[twin.InWorld]]:
    """The twin's worlds, from the twin's nulls."""
    universe, flags = case.universe, [Settings.of(config) for config in case.settings]
    found = [twin.evidence(of, universe.keys[of.key], case.settings[0].min_sample) for of in universe.traders]
    return twin.every_world(universe, flags, case.worlds, [of.mus for of in found], LEAST_POOL)


def passing(case: Case) -> np.ndarray:
    """Who passes in the twin's worlds, by setting, null, strategy and world."""
    found = np.array([[strategy.passed for strategy in world] for world in slow(case)])
    return found.transpose(2, 3, 1, 0)


@settings(max_examples=200)
@given(st.one_of(cases(SMALL), cases(SMALL), cases(USUAL), cases(LARGE)))
def test_every_gate_in_every_world(case: Case) -> None:
    """Whoever passes a world passes the twin's, for each setting and each null, and nobody else does."""
    passed, _ = Simulated(case).worlds()

    assert np.array_equal(passed, passing(case))


@pytest.mark.parametrize(
    ("units", "no_walkforward"),
    [([8, -4, -5, -2, -7, 9], True), ([3, -11, -16, 5, 15, -3, -1, -1, 2, 5], False)],
    ids=["total", "windows"],
)
def test_doubles_are_added_in_order(units: list[int], no_walkforward: bool) -> None:
    """What a losing strategy loses a trade is no whole number: some world's sum is a tie in no other order."""
    outcomes = [(date(2018, 1, 15) + timedelta(31 * i), "win", of / twin.UNITS) for i, of in enumerate(units)]
    trader = twin.Trader("A", outcomes, outcomes, risk_dollars=100.0)
    flags = dict.fromkeys(("wf_test_months", "wf_min_train_months", "wf_min_trades", "wf_min_windows"), 1)
    config = RunConfig(
        min_sample=0,
        stress_multiplier=1.0,
        min_years_positive_pct=0.0,
        no_walkforward=no_walkforward,
        wf_min_pct_positive=0.0,
        **flags,
    )
    universe = twin.Universe({"A": outcomes}, [trader], {}, COSTS["MGC"])
    case = Case(universe, [config], twin.Worlds(40, 1_000_007, 1.0), [])
    passed, _ = Simulated(case).worlds()

    assert np.array_equal(passed, passing(case))


@given(st.one_of(cases(SMALL), cases(USUAL)))
def test_every_deviate_in_every_world(case: Case) -> None:
    """Deviates are those of the twin, to the last digit but one that float32 has."""
    fast = Simulated(case)
    _, z = fast.worlds()

    expected = np.array([[strategy.z for strategy in world] for world in slow(case)]).T.astype(np.float32)
    assert np.array_equal(np.isfinite(z), np.isfinite(expected))
    known = np.isfinite(z)
    assert (np.abs(z[known] - expected[known]) <= np.spacing(np.abs(expected[known]))).all()


@given(st.one_of(cases(SMALL), cases(USUAL)))
def test_the_data(case: Case) -> None:
    """The same gates on the data, and what the nulls make of each strategy, are those of the twin."""
    fast, universe = Simulated(case), case.universe
    columns = dict.fromkeys(Rows._fields, np.full(len(case.stored), np.nan))
    for name in ("sharpe_ratio", "win_rate"):
        columns[name] = np.array([getattr(of, name) for of in case.stored], dtype=np.float64)
    passed = passing_in_data(fast.observed, Rows(**columns), fast.terms, fast.circumstances())

    flags = [Settings.of(config) for config in case.settings]
    for own, (trader, stored) in enumerate(zip(universe.traders, case.stored, strict=True)):
        assert passed[:, own].tolist() == [twin.in_data(trader, stored, of, universe) for of in flags]
        expected = twin.evidence(trader, universe.keys[trader.key], case.settings[0].min_sample)
        z = fast.evidence.z[own]
        assert (None if np.isnan(z) else z) == (expected.z and pytest.approx(expected.z, rel=1e-12))
        assert fast.evidence.mus[:, own].tolist() == list(expected.mus)
        assert fast.evidence.shifts[:, own].tolist() == pytest.approx(list(expected.shifts), rel=1e-12)
        assert fast.evidence.candidates[own] == (expected.z is not None and expected.z > 1.645)
