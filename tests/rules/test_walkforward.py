"""Phase 6."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dask_validator.config import WalkforwardRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Outcomes, WalkforwardResult
from dask_validator.rules.walkforward import add_months, walkforward
from tests.reference import walkforward as twin
from tests.reference.settings import Settings
from tests.rules.strategies import UNFAIR, Rows, as_outcomes, outcome_rows

NAMES_OF_TWIN = {
    None: None,
    "outcomes": "no_outcomes",
    "windows": "no_windows",
    "valid_windows": "min_windows",
    "pct_positive": "pct_positive",
    "agg_oos_exp_r": "expectancy",
    "total_oos_trades": "total_trades",
}
RULES = st.builds(
    WalkforwardRules,
    test_months=st.integers(1, 8),
    min_train_months=st.integers(1, 14),
    min_trades=st.integers(1, 6),
    min_windows=st.integers(1, 4),
    min_pct_positive=st.sampled_from([0.0, 0.5, 0.6, 2 / 3, 1.0]),
)


def settings_of(rules: WalkforwardRules) -> Settings:
    """The twin's settings."""
    return Settings(
        wf_test_months=rules.test_months,
        wf_min_train_months=rules.min_train_months,
        wf_min_trades=rules.min_trades,
        wf_min_windows=rules.min_windows,
        wf_min_pct_positive=rules.min_pct_positive,
    )


def as_twin(result: WalkforwardResult) -> dict[str, object]:
    """Our result in the twin's words."""
    ours = result._asdict() | {"windows": [window._asdict() for window in result.windows], "passed": result.passed}
    ours["rule"] = NAMES_OF_TWIN[None if result.failed is None else result.failed.name]
    del ours["failed"], ours["window_table"]
    return ours


@given(outcome_rows(), RULES)
@example([], WalkforwardRules())
@example([(date(2020, 2, 29), "win", 1.0)], WalkforwardRules())
def test_equals_the_slow_twin(rows: Rows, rules: WalkforwardRules) -> None:
    """Every number of every window equals a plain loop over dates, for any outcomes and settings."""
    expected = twin.walkforward(rows, settings_of(rules))

    assert as_twin(walkforward(as_outcomes(rows), rules)) == expected


@given(st.dates(date(1900, 1, 1), date(2200, 12, 31)), st.integers(0, 600))
def test_months_are_added_as_the_twin_does(day: date, months: int) -> None:
    """A month later is the same day, or the month's last."""
    assert add_months(day, months) == twin.add_months(day, months)


def test_clamped_steps_go_on_from_the_clamped_date() -> None:
    """31 August, half a year, half a year: 28 February and 28 August, not 31 August."""
    assert add_months(date(2022, 8, 31), 6) == date(2023, 2, 28)
    assert add_months(date(2023, 2, 28), 6) == date(2023, 8, 28)


def test_sums_run_left_to_right() -> None:
    """Twelve wins of one window are added in day order: Python 3.12's `sum` would change the fourth decimal."""
    assert round(math.fsum(UNFAIR) / 12, 4) == 0.9642
    rows: Rows = [(date(2020, 1, 1), "scratch", None)]
    rows += [(date(2021, 1, 1) + timedelta(days=i), "win", r) for i, r in enumerate(UNFAIR)]

    result = walkforward(as_outcomes(rows), WalkforwardRules(min_trades=12))

    assert [window.test_exp_r for window in result.windows] == [0.9643]


def test_windows_are_averaged_left_to_right() -> None:
    """The same twelve numbers as the expectancies of twelve windows give the aggregate of a plain loop."""
    rows: Rows = [(date(2015, 1, 1), "scratch", None)]
    rows += [(add_months(date(2016, 1, 1), 6 * i), "win", r) for i, r in enumerate(UNFAIR)]

    result = walkforward(as_outcomes(rows), WalkforwardRules(min_trades=1))

    assert [window.test_exp_r for window in result.windows] == UNFAIR
    assert result.agg_oos_exp_r == 0.9643


@pytest.mark.parametrize("pnl_r", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("code", [1, 2])
def test_a_trade_without_a_result_cannot_be_judged(code: int, pnl_r: float) -> None:
    """A win or loss without a finite R-multiple is an error of that strategy, never a zero."""
    outcomes = Outcomes(np.array([0, 400]), np.array([1, code], np.uint8), np.array([1.0, pnl_r]))

    with pytest.raises(UnusableStrategy, match="1971-02-05"):
        walkforward(outcomes, WalkforwardRules())


def test_a_scratch_needs_no_result() -> None:
    """A scratch without R only counts for the first and last day."""
    outcomes = Outcomes(np.array([0, 400]), np.array([0, 0], np.uint8), np.array([math.nan, math.nan]))

    assert walkforward(outcomes, WalkforwardRules()).n_total_windows == 1
