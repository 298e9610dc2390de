"""The cumulated result, thinned, against plain Python."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.config import WindowRules
from dask_validator.model import LOSS, OTHER, WIN, Outcomes
from dask_validator.promoted.equity import deepest_fall, equity
from dask_validator.promoted.trades import trades_of

TRADES = st.lists(st.tuples(st.integers(0, 400), st.sampled_from([-1.0, 0.0, 1.5])), min_size=1, max_size=40)


@given(TRADES, st.integers(1, 12))
def test_at_the_end_of_each_part(trades: list[tuple[int, float]], parts: int) -> None:
    """Each value is the sum of the wins and losses until then; the last is all of them; scratches are no trades."""
    trades = sorted(trades, key=lambda trade: trade[0])
    days, results = (np.array(column) for column in zip(*trades, strict=True))
    code = np.where(results > 0, WIN, np.where(results < 0, LOSS, OTHER)).astype(np.uint8)
    of = trades_of(Outcomes(days.astype(np.int32), code, results), np.full(days.size, True), WindowRules())
    found = equity(of, parts)
    counted = [(day, r) for day, r in trades if r]

    if found is None:
        assert counted == []
        return
    first, last = counted[0][0], counted[-1][0]
    ends = [first + (last - first) * i / parts for i in range(1, parts + 1)]
    assert found.values.tolist() == [sum(r for day, r in counted if day <= end) for end in ends]
    assert (found.first, found.last, found.total) == (first, last, sum(r for _, r in counted))


@pytest.mark.parametrize("results", [[], [-1.0, -2.0, 5.0], [3.0, -1.0, 2.0, -4.0, 1.0], [1.0, 2.0]])
def test_the_deepest_fall(results: list[float]) -> None:
    """From the highest until then, which begins with 0, to the lowest after it."""
    totals = [0.0, *accumulate(results)]
    falls = [totals[i] - totals[j] for i in range(len(totals)) for j in range(i, len(totals))]

    assert deepest_fall(np.array(results)) == max(falls)
