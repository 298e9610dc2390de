"""Which days count."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.errors import UnusableStrategy
from dask_validator.rules.filters import FILTERS, LONG, SHORT, STRICT_FILTERS, Features, resolve, select_days
from dask_validator.rules.walkforward import EPOCH
from tests.reference import filters as twin

FIRST = date(2024, 1, 1)
NAMES = [*FILTERS, *STRICT_FILTERS]
DAY = st.fixed_dictionaries(
    {
        "day_of_week": st.sampled_from([None, 0, 1, 2, 3, 4, 9]),
        "orb_0900_size": st.sampled_from([None, float("nan"), 0.0004, 0.0006, 3.99, 4.0, 5.0, 6.0, 8.0, 11.99, 12.0]),
        "orb_0900_break_delay_min": st.sampled_from([None, 4.0, 5.0, 5.1, 10.0, 11.0]),
        "orb_0900_break_bar_continues": st.sampled_from([None, True, False]),
        "orb_0900_break_dir": st.sampled_from([None, "long", "short", "none"]),
        "orb_0900_double_break": st.sampled_from([None, True, False]),
    }
)


def as_features(rows: list[dict[str, Any]]) -> Features:
    """The same days as columns, NaN for NULL, as the reader makes them."""
    days = np.array([(FIRST - EPOCH).days + i for i in range(len(rows))], dtype=np.int64)
    coded: dict[Any, float] = {None: np.nan, "long": LONG, "short": SHORT, "none": np.nan}

    def column(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        values = [row[name] for row in rows]
        return np.array([coded.get(v, v) if v is None or isinstance(v, str) else v for v in values], dtype=np.float64)

    weekday = column("day_of_week")
    weekday = np.where(np.isnan(weekday), (days + 3) % 7, weekday)
    parts = [name for name in rows[0] if name != "day_of_week"]
    return Features("0900", days, weekday, {name.removeprefix("orb_0900_"): column(name) for name in parts})


@given(st.sampled_from(NAMES), st.lists(DAY, min_size=1, max_size=12))
def test_every_filter_equals_the_slow_twin(name: str, rows: list[dict[str, Any]]) -> None:
    """Each name of the rules selects the days that a plain reading of its row selects."""
    bounds = resolve(name, strict=True)
    assert bounds is not None

    selected = select_days(bounds, as_features(rows)).tolist()

    assert selected == [
        twin.eligible(name, "0900", FIRST + timedelta(days=i), row, strict=True) for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize("name", [*STRICT_FILTERS, "MYSTERY", "", "orb_g4"])
def test_unlisted_names_select_every_day_unless_strict(name: str) -> None:
    """As the reference: a name that is not listed is no filter, features row or not."""
    assert resolve(name, strict=False) is None


def test_strict_refuses_what_it_does_not_know() -> None:
    """`--strict-filters` never lets an unknown filter through as 'every day'."""
    with pytest.raises(UnusableStrategy, match="MYSTERY"):
        resolve("MYSTERY", strict=True)


def test_a_missing_column_is_named() -> None:
    """A session without the column is that strategy's error, by the column's name."""
    features = Features("0900", np.array([0]), np.array([3.0]), {})

    with pytest.raises(UnusableStrategy, match="orb_0900_size"):
        select_days(FILTERS["ORB_G4"], features)
