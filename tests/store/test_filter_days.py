"""Conditions of filters on rows of features: the recorded answers of 2026-06, and each bound by hand."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Days
from dask_validator.filters.shipped import shipped
from dask_validator.model import SplitRule
from dask_validator.rules.costs import KNOWN_COSTS, Costs
from dask_validator.rules.seasons import split_filter
from dask_validator.store.filter_days import Reading, read_session_days
from tests.recorded import SHARED
from tests.reference import filters as twin
from tests.support.filter_days import FIRST, admitted, eligible, features, put, reading

RECORDED = SHARED / "golden-2026-06"
COPY = Path(__file__).parents[1] / "golden" / "filters"
# The user's costs of 2026-06 where they differ from the known ones.
COSTS = {"MGC": Costs(10.0, 1.74, 2.00, 2.00, 0.10, 10), "MNQ": Costs(2.0, 1.42, 0.50, 1.00, 0.25, 10)}


def differing(folder: Path, expected: str, costs: Mapping[str, Costs]) -> tuple[int, dict[str, int]]:
    """How many answers there are, and by filter how many of them are not ours; `expected` has `answer` beside keys."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE daily_features AS FROM '{folder}/daily_features.parquet'")
        keys = "filter_type, filter_params, symbol, orb_label, orb_minutes"
        connection.execute(f"CREATE TABLE expected AS {expected}")
        distinct = f"SELECT DISTINCT {keys} FROM expected ORDER BY ALL"
        connection.execute(f"CREATE TABLE groups AS SELECT row_number() OVER () - 1 AS number, * FROM ({distinct})")
        groups = connection.execute(f"SELECT {keys} FROM groups ORDER BY number").fetchall()
        symbols = {symbol for _, _, symbol, *_ in groups}
        by = {symbol: reading(connection, costs=costs.get(symbol, KNOWN_COSTS[symbol])) for symbol in symbols}
        chosen = [by[symbol].vocabulary.chosen(name, params) for name, params, symbol, *_ in groups]
        wanted: dict[str, dict[Any, set[Any]]] = {symbol: {} for symbol in by}
        for (_, _, symbol, label, minutes), each in zip(groups, chosen, strict=True):
            assert not each.unknown, each
            wanted[symbol].setdefault((minutes, label), set()).add(each.filter)
        found = {symbol: read_session_days(connection, symbol, wanted[symbol], by[symbol]) for symbol in by}
        days = [
            found[symbol][minutes, label].days[found[symbol][minutes, label].mask(each.filter)]
            for (_, _, symbol, label, minutes), each in zip(groups, chosen, strict=True)
        ]
        group = np.repeat(np.arange(len(groups)), [of_group.size for of_group in days])
        every = np.array([each.filter is Days.ALL for each in chosen])
        connection.register("every_day", {"number": np.arange(len(groups)), "every": every})
        connection.register("ours", {"number": group, "day": np.concatenate(days)})
        rows = connection.execute(
            "SELECT filter_type, count(*), count(*) FILTER (answer <> (every OR day IS NOT NULL)) FROM expected "
            "JOIN (FROM groups JOIN every_day USING (number)) g USING (filter_type, symbol, orb_label, orb_minutes) "
            "LEFT JOIN ours o ON o.number = g.number AND day = trading_day - DATE '1970-01-01' GROUP BY ALL"
        ).fetchall()
    return sum(count for _, count, _ in rows), {name: wrong for name, _, wrong in rows if wrong}


def test_recorded_answers() -> None:
    """All 99 filters that the user has, in 13 sessions and three ranges: 4,826,250 days, but the listed differences."""
    if not RECORDED.exists():
        pytest.skip("the recorded answers golden-2026-06 are not beside the repository")
    folder, keys = RECORDED / "filters", "filter_type, symbol, orb_label, orb_minutes, trading_day"
    costs = tomllib.loads((RECORDED / "user-2026-06.toml").read_text())["costs"]
    expected = (
        f"SELECT e.* EXCLUDE (eligible), eligible <> (code IS NOT NULL) AS answer FROM '{folder}/eligible.parquet' e "
        f"LEFT JOIN '{folder}/differences.parquet' d USING ({keys})"
    )

    assert differing(folder, expected, {symbol: Costs(**table) for symbol, table in costs.items()}) == (4_826_250, {})


def test_some_recorded_answers() -> None:
    """The same for a part of them, ours where we differ on purpose, which is always there."""
    expected = f"SELECT * RENAME (eligible AS answer) FROM '{COPY}/eligible.parquet'"

    assert differing(COPY, expected, COSTS) == (57_024, {})


LONG = {"orb_L_high": 12.0, "orb_L_low": 8.0, "orb_L_break_dir": "long"}  # mid = 10
BEFORE = {"prev_day_high": 12.0, "prev_day_low": 9.0, "prev_day_close": 9.0, "atr_20": 10.0}  # pivot = 10
INFINITE = math.inf


def one(row: Mapping[str, Any], params: Mapping[str, Any], name: str = "X") -> bool:
    """Whether one day is eligible."""
    [answer] = eligible([row], name, json.dumps(params))
    return answer


def beside(value: float) -> list[float]:
    """One ulp less, the value, one ulp more."""
    return [math.nextafter(value, -INFINITE), value, math.nextafter(value, INFINITE)]


def across(column: str, bound: float, params: Mapping[str, Any], name: str = "X", **others: Any) -> list[bool]:
    """The same condition just below its bound, on it, and just above."""
    return eligible([{**others, column: value} for value in beside(bound)], name, json.dumps(params))


BOUNDS = {
    "size, from": ("orb_L_size", 4.0, {"min_size": 4}, [False, True, True]),
    "size, to": ("orb_L_size", 12.0, {"max_size": 12, "min_size": None}, [True, False, False]),
    "relative volume": ("rel_vol_L", 1.2, {"min_rel_vol": 1.2, "lookback_days": 20}, [False, True, True]),
    "volume": ("orb_L_volume", 2000.0, {"min_volume": 2000}, [False, True, True]),
    "ATR percentile, from": ("atr_20_pct", 30.0, {"min_pct": 30, "max_pct": None}, [False, True, True]),
    "ATR percentile, to": ("atr_20_pct", 75.0, {"min_pct": 30, "max_pct": 75}, [True, True, False]),
    "overnight percentile": (
        "overnight_range_pct",
        80.0,
        {"min_pct": 80, "strict_gt": False, "max_pct": None},
        [False, True, True],
    ),
    "overnight percentile, strictly": (
        "overnight_range_pct",
        80.0,
        {"min_pct": 80, "strict_gt": True, "max_pct": None},
        [False, False, True],
    ),
    "overnight percentile, to": (
        "overnight_range_pct",
        55.0,
        {"min_pct": 20, "strict_gt": True, "max_pct": 55},
        [True, True, False],
    ),
    "overnight range": ("overnight_range", 25.0, {"min_range": 25}, [False, True, True]),
    "forecast, low": (
        "garch_forecast_vol_pct",
        20.0,
        {"pct_threshold": 20, "direction": "low", "strict_gt": False},
        [True, True, False],
    ),
    "forecast, high": (
        "garch_forecast_vol_pct",
        70.0,
        {"pct_threshold": 70, "direction": "high", "strict_gt": False},
        [False, True, True],
    ),
    "forecast, strictly high": (
        "garch_forecast_vol_pct",
        70.0,
        {"pct_threshold": 70, "direction": "high", "strict_gt": True},
        [False, False, True],
    ),
    "delay": ("orb_L_break_delay_min", 5.0, {"max_delay_min": 5}, [True, True, False]),
}


@pytest.mark.parametrize(("column", "bound", "params", "answers"), BOUNDS.values(), ids=BOUNDS)
def test_bounds(column: str, bound: float, params: Mapping[str, Any], answers: list[bool]) -> None:
    """Each is inclusive or strict as the table says; what is missing, NULL or NaN, is not eligible."""
    assert across(column, bound, params) == answers
    assert eligible([{column: None}, {column: math.nan}], "X", json.dumps(params)) == [False, False]


def test_ratios() -> None:
    """Of a positive ATR alone, and a gap in either direction."""
    rows: Sequence[Mapping[str, Any]] = [
        {"prev_day_range": 8.0, "gap_open_points": -8.0, "atr_20": atr} for atr in (10.0, 10.1, 0.0, -10.0, None)
    ]

    assert eligible(rows, "PDR_R080", '{"min_ratio": 0.8}') == [True, False, False, False, False]
    assert eligible(rows, "GAP_R080", '{"min_ratio": 0.8}') == [True, False, False, False, False]
    assert across("pit_range_atr", 0.1, {"min_ratio": 0.1}, "PIT_MIN") == [False, True, True]
    assert across("atr_vel_ratio", 1.05, {"min_ratio": 1.05}, "ATR_VEL_GE105") == [False, True, True]


def test_weekdays() -> None:
    """Any number of days may be skipped; a NULL weekday is taken from the date, a wrong one counts as it stands."""
    week: list[dict[str, Any]] = [{"day_of_week": day} for day in range(5)] + [{"day_of_week": None}] * 2
    wrong = [{"day_of_week": 4}, {"day_of_week": 9}]

    assert eligible(week, "X", '{"skip_days": [0, 4, 6]}') == [False, True, True, True, False, True, False]
    assert eligible(week, "X", '{"skip_days": []}') == [True] * 7
    assert eligible(wrong, "X", '{"skip_days": [0, 4]}') == [False, True]


PREVIOUS = {
    "below": ("below_pdl_long", "prev_day_low", 10.0, [False, False, True]),
    "inside, from": ("inside_pdr_long", "prev_day_low", 10.0, [True, False, False]),
    "inside, to": ("inside_pdr_long", "prev_day_high", 10.0, [False, False, True]),
    "near the pivot": ("near_pivot_long_50", "prev_day_close", 24.0, [False, False, True]),  # the pivot is at 8
    "clear of it": ("clear_of_congestion_long", "prev_day_close", 24.0, [True, True, False]),
    "displaced": ("downside_displacement_long", "prev_day_low", 8.5, [False, False, True]),
}


@pytest.mark.parametrize(("mode", "column", "bound", "answers"), PREVIOUS.values(), ids=PREVIOUS)
def test_day_before(mode: str, column: str, bound: float, answers: list[bool]) -> None:
    """All comparisons are strict, for longs alone, and nothing may be missing."""
    inside = {"prev_day_low": 9.0, "prev_day_high": 11.0} if mode.startswith("inside") else {}
    apart = {"prev_day_low": 0.0, "prev_day_high": 0.0, "orb_L_high": 15.0, "orb_L_low": 11.0}
    apart = apart if column == "prev_day_close" else {}
    row, params = {**LONG, **BEFORE, **inside, **apart}, {"mode": mode}
    holding = {**row, column: beside(bound)[answers.index(True)]}
    count = {"below_pdl_long": 2, "inside_pdr_long": 2, "downside_displacement_long": 3}.get(mode, 4)
    of_day = ["prev_day_high", "prev_day_low", "atr_20", "prev_day_close"][:count]
    lacking = [{**holding, name: None} for name in (*LONG, *of_day)]
    others = [{**holding, "orb_L_break_dir": direction} for direction in ("short", "LONG")]

    assert across(column, bound, params, **{k: v for k, v in row.items() if k != column}) == answers
    assert eligible([holding, *lacking, *others], "X", json.dumps(params)) == [True] + [False] * len(lacking + others)


def test_go_long_context() -> None:
    """Displaced downwards, or clear of congestion."""
    mode = {"mode": "go_long_context"}
    near, far = {**LONG, **BEFORE, "prev_day_low": 8.0}, {**LONG, **BEFORE, "prev_day_low": 11.0}

    assert not one(near, mode)
    assert one(far, mode)
    assert one({**near, "prev_day_low": 8.6}, mode)


def test_side_of_the_vwap() -> None:
    """Above it for longs, below for shorts, strictly; by the middle of the range, or by the side that broke."""
    mid, broken = {"definition": "orb_mid"}, {"definition": "break_price"}
    short = {**LONG, "orb_L_break_dir": "short"}

    assert across("orb_L_vwap", 10.0, mid, **LONG) == [True, False, False]
    assert across("orb_L_vwap", 10.0, mid, **short) == [False, False, True]
    assert across("orb_L_vwap", 12.0, broken, **LONG) == [True, False, False]
    assert across("orb_L_vwap", 8.0, broken, **short) == [False, False, True]
    assert one({**LONG, "orb_L_low": None, "orb_L_vwap": 10.0}, broken)
    assert not one({**LONG, "orb_L_low": None, "orb_L_vwap": 9.0}, mid)
    assert not one({**LONG, "orb_L_break_dir": "none", "orb_L_vwap": 9.0}, broken)


def test_momentum() -> None:
    """With an earlier session that wins, against one that loses; an equal price is losing."""
    other = {"orb_P_size": 1.0, "orb_P_high": 12.0, "orb_P_low": 8.0, "orb_P_break_dir": "long"}
    params = {"prior_session": "P"}
    short = {**LONG, **other, "orb_L_break_dir": "short"}

    assert across("orb_P_high", 12.0, params, **{**LONG, **other, "orb_P_high": 0.0}) == [True, False, False]
    assert across("orb_P_high", 8.0, params, **{**short, "orb_P_high": 0.0}) == [False, True, True]
    assert not one({**short, "orb_P_high": None}, params)
    assert one({**short, "orb_P_break_dir": "short", "orb_P_low": 8.5}, params)
    assert not one({**LONG, **other, "orb_P_high": 0.0, "orb_P_break_dir": "none"}, params)


def test_cost_share() -> None:
    """Strictly below the bound, of a positive size, in the order of operations that the rules give."""
    by = KNOWN_COSTS["MGC"]
    friction = by.commission_rt + by.spread_doubled + by.slippage
    sizes = [math.nextafter(4.0, up) if up else 4.0 for up in (0, INFINITE, -INFINITE)]
    for size in sizes:
        bound = 100.0 * friction / (size * by.point_value + friction)
        assert across("orb_L_size", size, {"max_cost_ratio_pct": bound})[1] is False
        assert one({"orb_L_size": size}, {"max_cost_ratio_pct": math.nextafter(bound, INFINITE)})
    assert not one({"orb_L_size": 0.0}, {"max_cost_ratio_pct": 101})
    assert not one({"orb_L_size": -5.0}, {"max_cost_ratio_pct": 101})


def test_another_instruments_row() -> None:
    """Its row of 5 minutes of the same day, whatever the strategy's are; none, two or NULL: not eligible."""
    with duckdb.connect() as connection:
        features(connection, [{"atr_20_pct": 10.0}] * 4)
        for i, others in enumerate([[80.0], [80.0, 80.0], [None], []]):
            for value in others:
                day = {"trading_day": FIRST.replace(day=1 + i), "symbol": "MES"}
                put(connection, {**day, "orb_minutes": 5, "atr_20_pct": value})
                put(connection, {**day, "orb_minutes": 15, "atr_20_pct": 90.0})
        by = reading(connection)
        of_mes = by.vocabulary.chosen("X", '{"source_instrument": "MES", "min_pct": 70}').filter
        of_itself = by.vocabulary.chosen("X", '{"source_instrument": "MGC", "min_pct": 10}').filter

        assert admitted(connection, of_mes, by).tolist() == [True, False, False, False]
        assert admitted(connection, of_itself, by).tolist() == [True] * 4


def test_a_column_that_is_not_there_is_named() -> None:
    """Whoever needs it is FAILED, and others are not."""
    with pytest.raises(UnusableStrategy, match="daily_features has no column orb_L_volume"):
        eligible([{"orb_L_size": 5.0}], "X", '{"min_volume": 1}')
    composite = {"base": {"min_size": 4}, "overlay": {"min_rel_vol": 1, "lookback_days": 20}}
    with pytest.raises(UnusableStrategy, match="rel_vol_L"):
        eligible([{"orb_L_size": 5.0}], "X", json.dumps(composite))


def test_a_condition_that_cannot_be_evaluated_is_not_catching() -> None:
    """The strategies of that kind fail with the reason; the others of the session keep their days."""
    odd = {"name": "ODD", "when": "orb_{L}_size > orb_{L}_break_dir"}
    config = RunConfig(filters="params", filter=(odd, {"name": "SUM", "when": "orb_{L}_size + 1"}))
    with duckdb.connect() as connection:
        features(connection, [{"orb_L_size": 5.0, "orb_L_break_dir": "long"}])
        by = reading(connection, config)
        size, *bad = (by.vocabulary.chosen(name, None).filter for name in ("ORB_G4", "ODD", "SUM"))
        session = read_session_days(connection, "MGC", {(5, "L"): [size, *bad]}, by)[5, "L"]

    assert session.mask(size).tolist() == [True]
    with pytest.raises(UnusableStrategy, match="cannot be evaluated: "):
        session.mask(bad[0])
    with pytest.raises(UnusableStrategy, match="is a DOUBLE, needed a BOOLEAN"):
        session.mask(bad[1])


DAY = st.fixed_dictionaries(
    {
        "day_of_week": st.sampled_from([None, 0, 1, 2, 3, 4, 9]),
        "orb_0900_size": st.sampled_from([None, math.nan, 0.0004, 0.0006, 3.99, 4.0, 5.0, 6.0, 8.0, 11.99, 12.0]),
        "orb_0900_break_delay_min": st.sampled_from([None, 4.0, 5.0, 5.1, 10.0, 11.0]),
        "orb_0900_break_bar_continues": st.sampled_from([None, True, False]),
        "orb_0900_break_dir": st.sampled_from([None, "long", "short", "none"]),
        "orb_0900_double_break": st.sampled_from([None, True, False]),
    }
)
TYPED = {"orb_0900_size": 1.0, "orb_0900_break_delay_min": 1.0, "orb_0900_break_bar_continues": True}
TYPED |= {"orb_0900_break_dir": "none", "orb_0900_double_break": True, "day_of_week": 0}
NAMES = [*shipped("names")["always"], *shipped("names")["by_name"], *shipped("names")["strict"]]


@settings(max_examples=40)
@given(st.lists(DAY, min_size=1, max_size=12))
def test_every_name_equals_the_slow_twin(rows: list[dict[str, Any]]) -> None:
    """Each name of the rules selects the days that a plain reading of its row selects."""
    rows = [*rows, TYPED]
    with duckdb.connect() as connection:
        features(connection, rows)
        by = reading(connection, RunConfig(strict_filters=True))
        filters = {name: by.vocabulary.chosen(name, None).filter for name in NAMES}
        session = read_session_days(connection, "MGC", {(5, "0900"): set(filters.values())}, by)[5, "0900"]
    days = [FIRST.fromordinal(FIRST.toordinal() + i) for i in range(len(rows))]

    assert {name: session.mask(selecting).tolist() for name, selecting in filters.items()} == {
        name: [twin.eligible(name, "0900", day, row, strict=True) for day, row in zip(days, rows, strict=True)]
        for name in NAMES
    }


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        (SplitRule(4.0, None, ()), [False, True, True, True]),
        (SplitRule(None, 6.0, ()), [True, True, False, False]),
        (SplitRule(4.0, 6.0, (1.0,)), [False, False, False, False]),
        (SplitRule(None, None, (1.5, 9.0)), [True, True, True, False]),
        (SplitRule(None, None, ()), [True, True, True, True]),
        (SplitRule(math.nan, None, ()), [False] * 4),
        (SplitRule(None, math.nan, ()), [False] * 4),
    ],
    ids=str,
)
def test_season_splits_use_the_same_kinds(rule: SplitRule, answers: list[bool]) -> None:
    """Bounds and weekdays of a split are conditions like any other; a bound that is no number admits nothing."""
    rows = [{"orb_L_size": 3.9}, {"orb_L_size": 4.0}, {"orb_L_size": 6.0}, {"orb_L_size": 7.0, "day_of_week": 9}]
    with duckdb.connect() as connection:
        features(connection, rows)
        by: Reading = reading(connection)

        assert admitted(connection, split_filter(rule, by.vocabulary), by).tolist() == answers
