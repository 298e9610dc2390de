"""Phase 6."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dask_validator.config import RunConfig, WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Outcomes, WalkforwardResult
from dask_validator.rules.gates import GATES, HELD, OF_WINDOWS, POSITION, Terms
from dask_validator.rules.judging import first_failing, judged, why
from dask_validator.rules.walkforward import add_months, walkforwards
from dask_validator.rules.window_gates import observe, result_of
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
MAYBE_DAYS = st.none() | st.dates(date(2015, 6, 1), date(2026, 1, 1))
MAYBE_COUNTS = st.none() | st.integers(1, 8)


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    """Windows by months and by trades, between days, with and without numbers of the training."""
    window_trades = draw(MAYBE_COUNTS)
    return RunConfig(
        wf_test_months=draw(st.integers(1, 8)),
        wf_min_train_months=draw(st.integers(1, 14)),
        wf_min_trades=draw(st.integers(1, 6)),
        wf_min_windows=draw(st.integers(1, 4)),
        wf_min_pct_positive=draw(st.sampled_from([0.0, 0.5, 0.6, 2 / 3, 1.0])),
        wf_first_day=draw(MAYBE_DAYS),
        wf_last_day=draw(MAYBE_DAYS),
        wf_window_trades=window_trades,
        wf_train_trades=draw(MAYBE_COUNTS) if window_trades else None,
        wf_in_sample=draw(st.booleans()),
        wf_in_sample_min=draw(st.sampled_from([1, 3, 15])),
    )


CONFIGS = configs()


def judge(rows: Rows, config: RunConfig) -> WalkforwardResult:
    """Facts, then judgement, of one strategy."""
    return seen(rows, config)[0]


def seen(rows: Rows, config: RunConfig) -> tuple[WalkforwardResult, float]:
    """The same with efficiency; NaN where there is none."""
    [walked], terms = walkforwards([as_outcomes(rows)], config.window_rules), Terms(config, waives=False)
    observed = np.full((1, len(GATES)), np.nan)
    observe([walked], config, observed, [0])
    [gate] = first_failing(observed, terms, OF_WINDOWS).tolist()
    failed = None if gate == HELD else judged(gate, observed[0], terms, why(gate, observed[0], terms, {}))
    return result_of(walked, failed, config.window_trades), float(observed[0, POSITION["wfe"]])


def as_twin(result: WalkforwardResult, wfe: float, config: RunConfig) -> dict[str, object]:
    """Our result in the twin's words."""
    windows = [window._asdict() for window in result.windows]
    ours = result._asdict() | {"windows": windows, "passed": result.passed}
    if config.wf_in_sample:
        ours["wfe"] = None if math.isnan(wfe) else wfe
    else:
        assert [window.pop("is_exp_r") for window in windows] == [None] * len(windows)
        assert math.isnan(wfe)
    ours["rule"] = NAMES_OF_TWIN[None if result.failed is None else result.failed.name]
    del ours["failed"]
    return ours


@given(outcome_rows(), CONFIGS)
@example([], RunConfig())
@example([(date(2020, 2, 29), "win", 1.0)], RunConfig())
def test_equals_the_slow_twin(rows: Rows, config: RunConfig) -> None:
    """Every number of every window equals a plain loop over dates, for any outcomes and settings."""
    assert as_twin(*seen(rows, config), config) == twin.walkforward(rows, Settings.of(config))


@given(st.lists(outcome_rows(most=60), max_size=6), CONFIGS)
def test_columns_are_rows(strategies: list[Rows], config: RunConfig) -> None:
    """Many strategies at once walk and are judged as each alone is, to the last digit of what every gate has seen."""
    walked = walkforwards([as_outcomes(rows) for rows in strategies], config.window_rules)
    for rows, facts in zip(strategies, walked, strict=True):
        [by_itself] = walkforwards([as_outcomes(rows)], config.window_rules)
        assert facts._replace(windows=None) == by_itself._replace(windows=None)
        assert facts.windows.tobytes() == by_itself.windows.tobytes()
    together, alone = (np.full((len(walked), len(GATES)), np.nan) for _ in range(2))
    observe(walked, config, together, range(len(walked)))
    for position, facts in enumerate(walked):
        observe([facts], config, alone, [position])

    np.testing.assert_array_equal(together, alone)


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

    result = judge(rows, RunConfig(wf_min_trades=12))

    assert [window.test_exp_r for window in result.windows] == [0.9643]


def test_windows_are_averaged_left_to_right() -> None:
    """The same twelve numbers as the expectancies of twelve windows give the aggregate of a plain loop."""
    rows: Rows = [(date(2015, 1, 1), "scratch", None)]
    rows += [(add_months(date(2016, 1, 1), 6 * i), "win", r) for i, r in enumerate(UNFAIR)]

    result = judge(rows, RunConfig(wf_min_trades=1))

    assert [window.test_exp_r for window in result.windows] == UNFAIR
    assert result.agg_oos_exp_r == 0.9643


@pytest.mark.parametrize("pnl_r", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("code", [1, 2])
def test_a_trade_without_a_result_cannot_be_judged(code: int, pnl_r: float) -> None:
    """A win or loss without a finite R-multiple is an error of that strategy, never a zero."""
    outcomes = Outcomes(np.array([0, 400]), np.array([1, code], np.uint8), np.array([1.0, pnl_r]))

    with pytest.raises(UnusableStrategy, match="1971-02-05"):
        walkforwards([outcomes], WindowRules())


def test_a_scratch_needs_no_result() -> None:
    """A scratch without R only counts for the first and last day."""
    outcomes = Outcomes(np.array([0, 400]), np.array([0, 0], np.uint8), np.array([math.nan, math.nan]))

    assert walkforwards([outcomes], WindowRules())[0].windows.size == 1
