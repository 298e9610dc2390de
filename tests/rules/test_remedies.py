"""What would have to change: applied, it changes the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.config import RunConfig
from dask_validator.model import WINDOW_TABLE, Strategy, Walked
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.rules.gates import GATES, HELD, OF_HOLDOUT, OF_UNIVERSE, OF_WINDOWS, POSITION, Terms
from dask_validator.rules.judging import first_failing
from dask_validator.rules.remedies import Remedy, screening_remedy, thresholds_remedy, walkforward_remedy
from dask_validator.rules.screening import Market, screen
from dask_validator.rules.window_gates import observe

GOOD: dict[str, Any] = {
    **dict.fromkeys(Strategy._fields),
    "strategy_id": "s",
    "sample_size": 200,
    "expectancy_r": 0.5,
    "sharpe_ratio": 1.0,
    "max_drawdown_r": 5.0,
    "median_risk_points": 3.0,
    "missing": "",
}


def row(years: dict[int, tuple[int, float]], **columns: Any) -> Strategy:
    """A strategy with `year: (trades, mean R)`."""
    text = json.dumps({str(year): {"trades": n, "avg_r": r} for year, (n, r) in years.items()})
    return Strategy(**{**GOOD, "yearly_results": text, **columns})


GOOD_YEARS = {2020: (50, 0.4), 2021: (60, 0.2)}
MARKET = Market(KNOWN_COSTS["MGC"], {2017: 12.0, 2020: 30.0, 2021: 31.0})


@pytest.mark.parametrize(
    ("strategy", "flags", "config"),
    [
        (row(GOOD_YEARS, sample_size=28), "--min-sample 28", {}),
        (row({**GOOD_YEARS, 2019: (9, -0.1), 2022: (7, 0.0)}), "--exclude-years 2019 2022", {}),
        (row({**GOOD_YEARS, 2019: (9, -0.1)}), "--min-years-positive-pct 0.6666", {"no_regime_waivers": True}),
        (row({2020: (50, -0.4)}), "--no-regime-waivers --min-years-positive-pct 0.0", {}),
        (row({2017: (3, -0.4)}), "--no-regime-waivers --min-years-positive-pct 0.0", {}),
        (
            row({2020: (40, -0.1), 2021: (5, 0.2)}),
            "--min-trades-per-year 5 --exclude-years 2020",
            {"min_trades_per_year": 10},
        ),
        (row({2020: (5, 0.4)}), "--min-trades-per-year 5", {"min_trades_per_year": 20}),
        (row({2020: (50, 0.4)}), "(without --exclude-years)", {"exclude_years": (2020,)}),
        (row(GOOD_YEARS, expectancy_r=0.05), "--stress-multiplier 1.1784", {}),
        (row(GOOD_YEARS), "--min-sharpe 1.0", {"min_sharpe": 1.5}),
        (row(GOOD_YEARS, sharpe_ratio=None), "(without --min-sharpe)", {"min_sharpe": 1.5}),
        (row(GOOD_YEARS), "--max-drawdown 5.0", {"max_drawdown": 4.0}),
        (row(GOOD_YEARS, win_rate=0.41), "--min-win-rate 0.41", {"min_win_rate": 0.5}),
        (
            row({**GOOD_YEARS, 2019: (9, -0.1)}, sample_size=28),
            "--min-sample 28 --exclude-years 2019 --max-drawdown 5.0",
            {"max_drawdown": 4.0},
        ),
    ],
)  # fmt: skip
def test_the_flags_are_named(strategy: Strategy, flags: str, config: dict[str, Any]) -> None:
    """A strategy that flags would let pass is told the nearest ones, and with them it passes."""
    before = RunConfig(**config)
    remedy = screening_remedy(strategy, before, MARKET)

    assert not _passes(strategy, before)
    assert remedy.flags == flags
    assert remedy.helps
    assert _passes(strategy, replace(before, **remedy.changes))


def _passes(strategy: Strategy, config: RunConfig) -> bool:
    return screen([strategy], MARKET.terms(config), MARKET).gate[0] == HELD


@pytest.mark.parametrize(
    ("strategy", "lacking"),
    [
        (row(GOOD_YEARS, expectancy_r=-0.2), "expectancy after costs must be above 0 R per trade; it is -0.2000 R"),
        (row(GOOD_YEARS, expectancy_r=None), "expectancy after costs must be above 0 R per trade; it is unknown"),
        (row({}), "there must be yearly results of a year with trades; there are none"),
        (row(GOOD_YEARS, sample_size=-3), "no value of --min-sample helps"),
    ],
)
def test_what_no_flag_changes_is_said(strategy: Strategy, lacking: str) -> None:
    """Where no flag helps, what is lacking is said instead."""
    remedy = screening_remedy(strategy, RunConfig(), MARKET)

    assert lacking in remedy.lacking
    assert not remedy.helps


rows = st.builds(
    row,
    years=st.dictionaries(st.integers(2016, 2022), st.tuples(st.integers(0, 12), st.floats(-1, 1)), max_size=5),
    sample_size=st.none() | st.integers(-2, 60),
    expectancy_r=st.none() | st.floats(-0.3, 0.3) | st.just(float("nan")),
    sharpe_ratio=st.none() | st.floats(-1, 3),
    max_drawdown_r=st.none() | st.floats(0, 30),
    win_rate=st.none() | st.floats(0, 1),
    median_risk_points=st.none() | st.floats(0, 5),
)
configs = st.builds(
    RunConfig,
    min_sharpe=st.none() | st.floats(0, 2),
    max_drawdown=st.none() | st.floats(0, 20),
    min_win_rate=st.none() | st.floats(0, 1),
    exclude_years=st.sets(st.integers(2016, 2022), max_size=3).map(tuple),
    min_trades_per_year=st.integers(0, 8),
    no_regime_waivers=st.booleans(),
    min_years_positive_pct=st.floats(0, 1),
    stress_multiplier=st.floats(0, 3),
)


LENIENT = RunConfig(  # if these do not let a strategy pass, none do
    min_sample=0, min_trades_per_year=0, no_regime_waivers=True, min_years_positive_pct=0.0, stress_multiplier=0.0
)


@given(rows, configs)
def test_a_remedy_keeps_its_word(strategy: Strategy, config: RunConfig) -> None:
    """With the flags a row passes; what is lacking is so with all flags; one that passes needs nothing."""
    remedy = screening_remedy(strategy, config, MARKET)

    if _passes(strategy, config):
        assert remedy == Remedy({}, ())
    else:
        assert remedy.changes or remedy.lacking
        assert _passes(strategy, LENIENT) is not bool(remedy.lacking)
        assert _passes(strategy, replace(config, **remedy.changes)) is not bool(remedy.lacking)


def walked(windows: Sequence[tuple[int, float | None]]) -> Walked:
    """Facts with these windows: trades and mean R; seven outcomes more lie before them."""
    table = np.zeros(len(windows), dtype=WINDOW_TABLE)
    table["test_n"] = [n for n, _ in windows]
    table["test_exp_r"] = [math.nan if exp_r is None else exp_r for _, exp_r in windows]
    return Walked(7 + int(table["test_n"].sum()), table)


@pytest.mark.parametrize(
    ("windows", "flags"),
    [
        ([(20, 0.3), (18, 0.2), (12, 0.1), (3, -0.5)], "--wf-min-trades 12"),
        ([(20, 0.3), (18, 0.2), (0, None)], "--wf-min-windows 2"),
        ([(20, 0.9), (21, -0.2), (22, -0.1)], "--wf-min-pct-positive 0.3333"),
        ([(15, -0.4), (16, -0.1), (30, 0.3), (31, 0.2), (32, 0.1)], ""),
        ([(15, -0.9), (15, -0.9), (15, -0.9), (30, 0.3), (31, 0.2), (32, 0.1)], "--wf-min-trades 16"),
        ([(15, -0.9), (16, -0.8), (30, 0.3), (31, 0.2), (32, 0.1), (15, -0.5)], "--wf-min-trades 16"),
    ],
)
def test_walk_forward_flags_are_named(windows: list[tuple[int, float | None]], flags: str) -> None:
    """The fewest and nearest flags that let the windows pass; a pass needs none."""
    remedy = walkforward_remedy(walked(windows), RunConfig())

    assert remedy.flags == flags
    assert not remedy.lacking


@pytest.mark.parametrize(
    ("windows", "lacking"),
    [
        ([], "there must be outcomes after the training period; all 7 lie in it"),
        ([(0, None)], "there must be test windows with trades; there are none"),
        ([(20, -0.5), (9, -0.25)], "expectancy over the valid test windows must be above 0 R; it is -0.5000 R"),
    ],
)
def test_what_windows_lack_is_said(windows: list[tuple[int, float | None]], lacking: str) -> None:
    """Where no flag makes the windows pass, what is lacking is said instead."""
    assert walkforward_remedy(walked(windows), RunConfig()) == Remedy({}, (lacking,))


def walk_forward_passes(windows: list[tuple[int, float]], config: RunConfig) -> bool:
    """The pass rule."""
    observed = np.full((1, len(GATES)), np.nan)
    observe([walked(windows)], config, observed, [0])
    return bool(first_failing(observed, Terms(config, waives=False), OF_WINDOWS)[0] == HELD)


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(-1, 1).map(lambda r: round(r, 4))), max_size=8))
def test_a_walk_forward_remedy_keeps_its_word(windows: list[tuple[int, float]]) -> None:
    """Whatever the windows: with the flags they pass; only what no threshold of trades lets pass is lacking."""
    remedy = walkforward_remedy(walked(windows), RunConfig())

    lenient = RunConfig(wf_min_windows=1, wf_min_pct_positive=0)
    passing = any(walk_forward_passes(windows, replace(lenient, wf_min_trades=n)) for n in range(1, 42))
    assert bool(remedy.lacking) is not passing
    if passing:
        assert walk_forward_passes(windows, replace(RunConfig(), **remedy.changes))


def test_what_is_lacking_is_said_in_the_unit_of_the_results() -> None:
    """Of imported trades whose results are per cent, no sentence speaks of R."""
    [lacking] = walkforward_remedy(walked([(30, -0.2)] * 4), RunConfig(), "%").lacking

    assert lacking.endswith("must be above 0 %; it is -0.2000 %")


def test_thresholds_are_moved_down_as_far_as_needed() -> None:
    """Also below zero, to four decimals; a number that nobody knows is said to be lacking."""
    config = RunConfig(gate=("fdr",), min_sharpe_ann=0.5, holdout_from="2026-01-01", wf_in_sample=True, min_wfe=0.5)
    observed = np.full(len(GATES), np.nan)
    numbers = {"holdout_exp_r": -0.05491, "wfe": 0.3, "fdr_p": 0.01, "sharpe_ann": np.nan}
    observed[[POSITION[name] for name in numbers]] = list(numbers.values())
    remedy = thresholds_remedy(observed, Terms(config, waives=False), [*OF_HOLDOUT, *OF_UNIVERSE])

    assert remedy.changes == {"holdout_min_exp": -0.055, "min_wfe": 0.3}
    assert remedy.lacking == ("its annual Sharpe ratio must be known; it is not",)
