"""Conditions of filters against the slow twin: any node, any row, beside every bound."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator.filters.conditions import Days
from dask_validator.rules.costs import KNOWN_COSTS
from tests.reference.days import Day
from tests.reference.filter_params import EveryDay, Unknown, holds, understood
from tests.reference.previous_day import PREVIOUS_DAY_MODES
from tests.support.filter_days import FIRST, admitted, features, reading

MGC = KNOWN_COSTS["MGC"]
NUMBERS = (0.0, 0.1, 0.15, 0.5, 1.2, 5.0, 10.0, 20.0, -3.0)
OF_NUMBERS = (
    *(f"orb_{label}_{name}" for label in "LP" for name in ("size", "high", "low")), "orb_L_volume", "orb_L_vwap",
    "orb_L_break_delay_min", "rel_vol_L", "atr_20", "atr_20_pct", "atr_vel_ratio", "overnight_range",
    "overnight_range_pct", "prev_day_range", "prev_day_high", "prev_day_low", "prev_day_close", "gap_open_points",
    "pit_range_atr", "garch_forecast_vol_pct",
)  # fmt: skip
BESIDE = st.sampled_from([each for n in NUMBERS for each in (math.nextafter(n, -99), n, math.nextafter(n, 99))])
MISSING = st.sampled_from([None, math.nan])
DIRECTIONS = st.sampled_from(["long", "short", "LONG", None])
ROWS = st.fixed_dictionaries(
    {
        **{name: st.one_of(BESIDE, BESIDE, BESIDE, MISSING) for name in OF_NUMBERS},
        "orb_L_break_dir": DIRECTIONS,
        "orb_P_break_dir": DIRECTIONS,
        "orb_L_break_bar_continues": st.sampled_from([True, False, None]),
        "day_of_week": st.sampled_from([0, 4, None]),
    }
)

NUMBER = st.sampled_from(NUMBERS)
LOOSE = st.one_of(st.sampled_from(NUMBERS), st.sampled_from([None, True, "5", 20, [1], math.inf]))
KINDS: list[tuple[str, dict[str, st.SearchStrategy[Any]]]] = [
    ("X", {"min_size": NUMBER | st.none()}),
    ("X", {"min_size": NUMBER | st.none(), "max_size": NUMBER | st.none()}),
    ("X", {"max_cost_ratio_pct": NUMBER}),
    ("X", {"min_rel_vol": NUMBER, "lookback_days": st.sampled_from([20, 20.0, 10])}),
    ("X", {"min_rel_vol": NUMBER, "lookback_days": st.just(20), "min_atr_pct": NUMBER}),
    ("X", {"min_volume": NUMBER}),
    ("X", {"min_pct": NUMBER, "max_pct": NUMBER | st.none()}),
    ("X", {"min_pct": NUMBER, "max_pct": NUMBER | st.none(), "strict_gt": st.booleans()}),
    ("X", {"source_instrument": st.sampled_from(["MGC", "MES", "?"]), "min_pct": NUMBER}),
    ("X", {"min_range": NUMBER}),
    *((prefix, {"min_ratio": NUMBER}) for prefix in ("PDR_1", "GAP_1", "PIT_1", "ATR_VEL_1", "X")),
    (
        "X",
        {"pct_threshold": NUMBER, "direction": st.sampled_from(["low", "high", "up"]), "strict_gt": st.booleans()},
    ),
    ("X", {"mode": st.sampled_from([*PREVIOUS_DAY_MODES, *PREVIOUS_DAY_MODES, "other"])}),
    ("X", {"definition": st.sampled_from(["orb_mid", "break_price"])}),
    ("X", {"prior_session": st.sampled_from(["P", "P", "L", "Q"])}),
    ("X", {"direction": st.sampled_from(["long", "short", "up"])}),
    ("X", {"skip_days": st.lists(st.sampled_from([0, 4, 4.0, 6]), max_size=3)}),
    ("X", {"max_delay_min": NUMBER}),
    ("X", {"require_continues": st.booleans()}),
    ("NO_FILTER", {}),
    ("X", {}),
]


@st.composite
def simple(draw: st.DrawFn) -> dict[str, Any]:
    """A node of some kind; now and then with a value of another type, or with a field too many."""
    name, fields = draw(st.sampled_from(KINDS))
    node = {field: draw(values) for field, values in fields.items()}
    odd = draw(st.sampled_from([*range(12)]))
    if odd == 0 and node:
        node[draw(st.sampled_from(sorted(node)))] = draw(LOOSE)
    if odd == 1:
        node[draw(st.sampled_from(["min_size", "zigzag"]))] = draw(NUMBER)
    return {"filter_type": name, "description": "", **node}


NODES = st.recursive(
    simple(),
    lambda inner: st.fixed_dictionaries({"filter_type": st.just("X"), "base": inner, "overlay": inner}),
    max_leaves=6,
)


def expected(node: Any, rows: list[Mapping[str, Any]]) -> list[bool]:
    """What the twin says of each row."""
    found = []
    for number, row in enumerate(rows):
        day = FIRST + timedelta(days=number)
        of_symbol = {"MGC": row}.get
        seen = Day("L", day, row, of_symbol, MGC._asdict())
        found.append(isinstance(node, EveryDay) or holds(node, seen))
    return found


@settings(max_examples=60)
@given(NODES, st.lists(ROWS, min_size=1, max_size=12))
def test_equals_the_slow_twin(node: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Which days a filter lets through equals plain conditions on each row, and so does what nobody understands."""
    filter_type, text = node["filter_type"], json.dumps(node)
    with duckdb.connect() as connection:
        features(connection, rows)
        by = reading(connection)
        chosen = by.vocabulary.chosen(filter_type, text)
        try:
            meant = understood(filter_type, text, rows[0])
        except Unknown:
            assert chosen.unknown
            return
        assert not chosen.unknown
        assert (chosen.filter is Days.ALL) == isinstance(meant, EveryDay)
        assert list(map(bool, admitted(connection, chosen.filter, by, "L"))) == expected(meant, rows)
