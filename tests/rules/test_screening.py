"""Phases 1-5."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.config import ScreenRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Status, Strategy, Verdict
from dask_validator.rules.costs import KNOWN_COSTS, stressed_expectancy
from dask_validator.rules.notes import note
from dask_validator.rules.screening import screen
from tests.reference import screening as twin
from tests.reference.errors import Unusable
from tests.reference.settings import Settings
from tests.rules.strategies import strategy_rows

EMPTY = Strategy(*[None] * 17, "", *[None] * 5)  # type: ignore[arg-type]
GOOD = EMPTY._replace(
    strategy_id="S",
    sample_size=200,
    expectancy_r=0.4,
    median_risk_points=10.0,
    yearly_results='{"2020": {"trades": 50, "avg_r": 0.4}}',
)
ATR = st.sampled_from([{}, {2017: 12.0, 2018: 19.99, 2019: 20.0, 2020: 31.0}, {2018: math.nan, 2019: 10.0}])
SETTINGS = st.fixed_dictionaries(
    {
        "min_sample": st.sampled_from([0, 30, 100]),
        "stress_multiplier": st.sampled_from([1.0, 1.5, 3.0]),
        "min_sharpe": st.sampled_from([None, 0.1]),
        "max_drawdown": st.sampled_from([None, 20.0]),
        "exclude_years": st.sampled_from([(), (2020,), (2018, 2020)]),
        "min_years_positive_pct": st.sampled_from([0.0, 0.5, 0.8, 1.0]),
        "min_trades_per_year": st.sampled_from([0, 1, 5]),
        "no_regime_waivers": st.booleans(),
    }
)


def rules_of(settings: dict[str, Any]) -> ScreenRules:
    """Our thresholds from the flags."""
    given = dict(settings)
    waivers = not given.pop("no_regime_waivers")
    return ScreenRules(**given | {"exclude_years": frozenset(given["exclude_years"])}, regime_waivers=waivers)


@given(strategy_rows(), SETTINGS, ATR)
def test_equals_the_slow_twin(row: dict[str, Any], settings: dict[str, Any], atr: dict[int, float]) -> None:
    """The rejecting phase, the waived years and what promotion needs equal the twin's, or both refuse the row."""
    costs = KNOWN_COSTS["MGC"]
    strategy = EMPTY._replace(strategy_id="S", **row)
    try:
        expected = twin.screen(row, Settings(**settings), costs._asdict(), atr)
    except Unusable:
        with pytest.raises(UnusableStrategy):
            screen(strategy, rules_of(settings), costs, atr)
        return

    found = screen(strategy, rules_of(settings), costs, atr)

    assert (found.rejected_by.phase if found.rejected_by else None) == expected.phase
    if expected.phase is None:
        assert list(found.regime_waivers) == expected.waived
        assert (found.years_tested, found.all_years_positive) == (expected.years_tested, expected.all_years_positive)
    else:
        assert found.rejected_by
        rejected = Verdict("id", Status.REJECTED, gate=found.rejected_by)
        assert note(rejected).startswith(f"Phase {expected.phase}: ")


@pytest.mark.parametrize(
    ("changed", "phase"),
    [
        ({"sample_size": 29}, 1),
        ({"expectancy_r": 0.0}, 2),
        ({"yearly_results": '{"2020": {"trades": 50, "avg_r": 0.0}}'}, 3),
        ({"expectancy_r": 0.001}, 4),
        ({"sharpe_ratio": 0.09}, 5),
        ({"sharpe_ratio": math.nan}, 5),
        ({"max_drawdown_r": 20.1}, 5),
        ({"max_drawdown_r": math.nan}, 5),
    ],
)
def test_each_gate_rejects(changed: dict[str, Any], phase: int) -> None:
    """One value beyond its threshold rejects in that phase; NaN never passes."""
    rules = ScreenRules(min_sharpe=0.1, max_drawdown=20)
    good = GOOD._replace(sharpe_ratio=0.1)
    assert screen(good, rules, KNOWN_COSTS["MGC"], {}).rejected_by is None

    gate = screen(good._replace(**changed), rules, KNOWN_COSTS["MGC"], {}).rejected_by

    assert gate is not None
    assert gate.phase == phase


def test_stress_keeps_its_order_of_operations() -> None:
    """Published worked example: MGC, risk 10 points: 4.20 dollars more friction on 100 dollars of risk."""
    assert stressed_expectancy(0.0420, 10.0, None, KNOWN_COSTS["MGC"], 1.5) == 0.0420 - (12.6 - 8.4) / 100.0


@pytest.mark.parametrize(
    ("median", "average", "dollars"),
    [
        (2.0, 9.0, 20.0),
        (0.0, 9.0, 90.0),
        (None, 3.0, 30.0),
        (None, None, 10.0),
        (0.1, None, 10.0),
        (math.nan, 4.0, 40.0),
    ],
)
def test_risk_falls_back_from_median_to_average_to_the_floor(
    median: float | None, average: float | None, dollars: float
) -> None:
    """Dollars at risk come from the first known positive risk, and never below ten ticks."""
    costs = KNOWN_COSTS["MGC"]

    assert stressed_expectancy(0.0, median, average, costs, 1.5) == -costs.extra_friction(1.5) / dollars


def test_a_small_sample_passes_with_a_warning() -> None:
    """Between the minimum and a hundred trades a strategy passes, and its note says so."""
    assert screen(GOOD._replace(sample_size=99), ScreenRules(), KNOWN_COSTS["MGC"], {}).warnings
    assert not screen(GOOD._replace(sample_size=100), ScreenRules(), KNOWN_COSTS["MGC"], {}).warnings
