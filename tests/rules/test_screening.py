"""Phases 1-5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.config import RunConfig
from dask_validator.model import Strategy
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.rules.gates import GATES, HELD, POSITION
from dask_validator.rules.screening import Market, Screened, screen, warnings
from tests.reference import screening as twin
from tests.reference.errors import Unusable
from tests.reference.settings import Settings
from tests.rules.strategies import strategy_rows

EMPTY = Strategy(*[None] * 18, "", *[None] * 5)  # type: ignore[arg-type]
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
        "waived_years": st.sampled_from(["excuse", "positive"]),
        "small_sample": st.sampled_from([0, 100, 300]),
        "small_min_trades_per_year": st.sampled_from([None, 1, 7]),
    }
)


def phase_of(screened: Screened) -> int | None:
    """Which phase rejects the only strategy."""
    [gate] = screened.gate.tolist()
    return None if gate == HELD else GATES[gate].phase


def screen_one(strategy: Strategy, config: RunConfig, atr: Mapping[int, float], *, all_years: bool = False) -> Screened:
    """Phases 1-5 of one strategy with the costs of MGC."""
    market = Market(KNOWN_COSTS["MGC"], atr)
    return screen([strategy], market.terms(config), market, all_years=all_years)


@given(strategy_rows(), SETTINGS, ATR)
def test_equals_the_slow_twin(row: dict[str, Any], settings: dict[str, Any], atr: dict[int, float]) -> None:
    """The rejecting phase, the waived years and what promotion needs equal the twin's, or both refuse the row."""
    config = RunConfig(**settings)
    strategy = EMPTY._replace(strategy_id="S", **row)
    found = screen_one(strategy, config, atr)
    try:
        expected = twin.screen(row, Settings(**settings), KNOWN_COSTS["MGC"]._asdict(), atr)
    except Unusable:
        assert found.unusable
        return

    assert not found.unusable
    assert phase_of(found) == expected.phase
    if expected.phase is None:
        years = found.years[0]
        assert [year.year for year in years.waived] == expected.waived
        assert (years.tested, years.all_positive) == (expected.years_tested, expected.all_years_positive)


@given(st.lists(strategy_rows(), max_size=8), SETTINGS, ATR)
def test_columns_are_rows(rows: list[dict[str, Any]], settings: dict[str, Any], atr: dict[int, float]) -> None:
    """Many strategies at once are judged as each alone is, to the last digit of what every gate has seen."""
    market = Market(KNOWN_COSTS["MGC"], atr)
    terms = market.terms(RunConfig(**settings))
    strategies = [EMPTY._replace(strategy_id="S", **row) for row in rows]
    together = screen(strategies, terms, market)

    for position, strategy in enumerate(strategies):
        alone = screen([strategy], terms, market)
        assert alone.gate[0] == together.gate[position]
        np.testing.assert_array_equal(alone.observed[0], together.observed[position])
        assert alone.years.get(0) == together.years.get(position)


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
        ({"win_rate": 0.29}, 5),
        ({"win_rate": None}, 5),
    ],
)
def test_each_gate_rejects(changed: dict[str, Any], phase: int) -> None:
    """One value beyond its threshold rejects in that phase; NaN never passes."""
    config = RunConfig(min_sharpe=0.1, max_drawdown=20, min_win_rate=0.3)
    good = GOOD._replace(sharpe_ratio=0.1, win_rate=0.3)

    assert phase_of(screen_one(good, config, {})) is None
    assert phase_of(screen_one(good._replace(**changed), config, {})) == phase


def test_stress_keeps_its_order_of_operations() -> None:
    """Published worked example: MGC, risk 10 points: 4.20 dollars more friction on 100 dollars of risk."""
    assert stressed(0.0420, 10.0, None) == 0.0420 - (12.6 - 8.4) / 100.0


def stressed(expectancy_r: float, median: float | None, average: float | None) -> float:
    """With the costs of MGC, by half."""
    row = GOOD._replace(expectancy_r=expectancy_r, median_risk_points=median, avg_risk_points=average)
    market = Market(KNOWN_COSTS["MGC"], {})
    screened = screen([row], market.terms(RunConfig(stress_multiplier=1.5)), market)
    return float(screened.observed[0, POSITION["stressed_expectancy_r"]])


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

    assert stressed(0.0, median, average) == -costs.extra_friction(1.5) / dollars


def test_a_small_sample_passes_with_a_warning() -> None:
    """Between the minimum and a hundred trades a strategy passes, and its note says so."""
    years = screen_one(GOOD, RunConfig(), {}).years[0]

    assert warnings(99, years, {}) == ["Phase 1 WARN: sample 99 is below 100"]
    assert not warnings(100, years, {})


def test_without_waivers_a_losing_year_is_no_waived_one() -> None:
    """With `--no-regime-waivers` a dormant year counts against the share, and the setup names no waiver."""
    years = '{"2019": {"trades": 3, "avg_r": -0.1}, "2020": {"trades": 50, "avg_r": 0.4}}'
    config = RunConfig(no_regime_waivers=True, min_years_positive_pct=0.5)
    found = screen_one(GOOD._replace(yearly_results=years), config, {2019: 10.0})

    assert phase_of(found) is None
    assert (found.years[0].waived, found.years[0].negative) == ((), (2019,))
    assert found.observed[0, POSITION["years_positive"]] == 0.5
