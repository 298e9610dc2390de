"""Winter and summer."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.config import SEASON_ZONES
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Outcomes, SeasonSplit
from dask_validator.rules.seasons import season_splits, split_rule, winter_days
from dask_validator.rules.walkforward import EPOCH
from tests.reference import seasons as twin
from tests.reference.errors import Unusable
from tests.rules.strategies import UNFAIR, Rows, as_outcomes, outcome_rows

FILTER_TYPES = st.sampled_from(
    [
        None,
        "",
        "NO_FILTER",
        "ORB_G4",
        "ORB_G5_L12",
        "ORB_G4_NOFRI",
        "ORB_G4_L12_NOMON",
        "ORB_G4_FAST5",
        "M6E_G4",
        "ORB_G",
    ]
)
NUMBERS: st.SearchStrategy[Any] = st.one_of(st.none(), st.sampled_from([0, 4, 4.5, 12.0]), st.just("4"))
BOUNDS = st.fixed_dictionaries({}, optional={"min_size": NUMBERS, "max_size": NUMBERS})
DAYS: st.SearchStrategy[Any] = st.one_of(st.none(), st.lists(st.integers(0, 6), max_size=3), st.just(4), st.just(["4"]))
OVERLAY = st.fixed_dictionaries({}, optional={"skip_days": DAYS})
PARAMS = st.one_of(
    st.sampled_from([None, "", "{broken", "null", "[]", "3", '"text"']),
    st.builds(
        lambda top, base, overlay, days: json.dumps(top | base | overlay | days),
        BOUNDS,
        st.fixed_dictionaries({}, optional={"base": st.one_of(BOUNDS, st.none(), st.just(3))}),
        st.fixed_dictionaries({}, optional={"overlay": st.one_of(OVERLAY, st.none(), st.just([]))}),
        OVERLAY,
    ),
)


def season_split(outcomes: Outcomes) -> SeasonSplit:
    """Of a strategy that takes all of them, in a session with American seasons."""
    winter = winter_days(SEASON_ZONES["0900"], outcomes.days)
    return season_splits(outcomes, winter, [np.ones(outcomes.days.size, dtype=np.bool_)])[0]


@given(st.sampled_from(sorted(SEASON_ZONES)), outcome_rows(), st.lists(st.integers(0, 2**64), min_size=1, max_size=4))
def test_splits_equal_the_slow_twin(label: str, rows: Rows, chosen: list[int]) -> None:
    """Counts, means and verdict of each of many equal a plain loop, for any outcomes and any days of them."""
    sizes, outcomes = {"day_of_week": None, f"orb_{label}_size": 5.0}, as_outcomes(rows)
    taken = [np.array([bits >> i % 64 & 1 for i in range(len(rows))], dtype=np.bool_) for bits in chosen]
    expected = []
    for mask in taken:
        own = [(*row, sizes) for row, takes in zip(rows, mask, strict=True) if takes]
        expected.append(tuple(twin.season_split(label, None, None, own)))

    assert season_splits(outcomes, winter_days(SEASON_ZONES[label], outcomes.days), taken) == expected


@given(FILTER_TYPES, PARAMS)
def test_bounds_and_weekdays_equal_the_slow_twin(filter_type: str | None, filter_params: str | None) -> None:
    """Size bounds and skipped weekdays are found where the rules look for them, or both refuse the row."""
    try:
        min_size, max_size, skip_days = twin.bounds_and_weekdays(filter_type, filter_params)
    except Unusable:
        with pytest.raises(UnusableStrategy):
            split_rule(filter_type, filter_params)
        return

    assert split_rule(filter_type, filter_params) == (min_size, max_size, tuple(skip_days))


@pytest.mark.parametrize("label", sorted(SEASON_ZONES))
def test_seasons_follow_the_zone_at_noon(label: str) -> None:
    """Thirty years of days fall in the twin's season; on the day clocks change, noon decides, not midnight."""
    days = np.arange(10_000, 21_000)

    winter = winter_days(SEASON_ZONES[label], days)

    assert winter.tolist() == [twin.is_winter(label, EPOCH + timedelta(days=day)) for day in days.tolist()]
    spring = date(2024, 3, 31) if label == "1800" else date(2024, 3, 10)
    assert winter_days(SEASON_ZONES[label], np.array([(spring - EPOCH).days - 1, (spring - EPOCH).days])).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("winter", "summer", "verdict"),
    [
        ((9, 0.5), (50, 0.5), "LOW-N"),
        ((10, 0.5), (10, 0.0), "WINTER-ONLY"),
        ((10, -0.5), (10, 0.1), "SUMMER-ONLY"),
        ((15, 0.5), (15, 0.5), "STABLE"),
        ((15, 0.5), (14, 0.5), "BOTH-POS"),
        ((15, 0.7), (10, 0.5), "WINTER-DOM"),
        ((14, 0.7), (10, 0.5), "BOTH-POS"),
        ((10, 0.5), (15, 0.7), "SUMMER-DOM"),
        ((14, -0.5), (14, -0.5), "UNSTABLE"),
    ],
)
def test_every_verdict_is_reached(winter: tuple[int, float], summer: tuple[int, float], verdict: str) -> None:
    """Each verdict of the rules, on either side of its thresholds."""
    rows: Rows = [(date(2024, 1, 1) + timedelta(days=i), "win", winter[1]) for i in range(winter[0])]
    rows += [(date(2024, 6, 1) + timedelta(days=i), "win", summer[1]) for i in range(summer[0])]
    outcomes = as_outcomes(rows)

    assert season_split(outcomes).verdict == verdict


def test_season_means_are_added_left_to_right() -> None:
    """Twelve winter trades have the mean of a plain loop: Python 3.12's `sum` would change the fourth decimal."""
    outcomes = as_outcomes([(date(2024, 1, 1) + timedelta(days=i), "win", r) for i, r in enumerate(UNFAIR)])

    assert season_split(outcomes).winter_avg_r == 0.9643


def test_a_trade_without_a_result_has_no_season() -> None:
    """A mean over an unknown R-multiple would be a guess."""
    outcomes = as_outcomes([(date(2024, 1, 1), "win", math.nan)])

    with pytest.raises(UnusableStrategy):
        season_split(outcomes)
