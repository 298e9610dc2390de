"""Correlation by day, against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dask_validator.model import WIN, Outcomes
from dask_validator.promoted.correlation import correlation

DAYS = [3, 4, 7, 8, 10]
TRADES = {
    "two on a day": [(3, 1.0), (3, 0.5), (7, -1.0)],
    "few": [(4, 2.0)],
    "all alike": [(day, 1.0) for day in DAYS],
    "opposite": [(3, -1.5), (7, 1.0)],
    "nothing": [],
}


def slowly(some: list[tuple[int, float]], others: list[tuple[int, float]]) -> float:
    """Pearson's r of the sums by day, 0 where there is no trade."""
    x, y = ([sum(r for on, r in trades if on == day) for day in DAYS] for trades in (some, others))
    dx, dy = ([value - sum(values) / len(DAYS) for value in values] for values in (x, y))
    product = math.sqrt(sum(value * value for value in dx) * sum(value * value for value in dy))
    return sum(a * b for a, b in zip(dx, dy, strict=True)) / product if product else math.nan


def test_by_day() -> None:
    """Trades of one day are added, days without one are 0, who is always alike has no correlation."""
    columns = [np.array(list(zip(*trades, strict=True)) or [[], []]) for trades in TRADES.values()]
    counted = [Outcomes(days.astype(np.int32), np.full(days.size, WIN, dtype=np.uint8), r) for days, r in columns]
    found = correlation(counted, np.array(DAYS, dtype=np.int32))
    expected = [[slowly(some, others) for others in TRADES.values()] for some in TRADES.values()]

    assert found.tolist() == [pytest.approx(row, nan_ok=True) for row in expected]
    assert found[0][3] == pytest.approx(-1)
