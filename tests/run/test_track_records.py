"""The numbers that a strategy's trades come to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dask_validator.model import EPOCH
from dask_validator.run.track_records import Trades, track_records
from tests.reference import trade_logs as twin
from tests.support.trade_logs import NUMBERS

results = st.one_of(st.just(0.0), st.floats(-50, 50), st.integers(-3, 3).map(float))
trades = st.lists(st.tuples(st.integers(16_000, 19_000), results), min_size=1, max_size=40)


@given(st.lists(trades, min_size=1, max_size=4))
def test_numbers_are_those_of_the_twin(logs: list[list[tuple[int, float]]]) -> None:
    """Every column is what plain Python makes of the trades, and p is SciPy's t-test."""
    logs = [sorted(log, key=lambda trade: trade[0]) for log in logs]
    days, paid = zip(*(trade for log in logs for trade in log), strict=True)
    counts = np.array([len(log) for log in logs])
    found = track_records(Trades(counts, np.array(days, dtype=np.int32), np.array(paid), np.full(len(paid), np.nan)))

    for i, log in enumerate(logs):
        expected = twin.numbers([(EPOCH + timedelta(day), result) for day, result in log])
        own: dict[str, Any] = {name: found[name][i] for name in NUMBERS}
        assert json.loads(own.pop("yearly_results")) == expected["yearly_results"]
        assert _is_p(own.pop("p_value"), [result for _, result in log if result != 0], expected.get("sharpe_ratio"))
        assert own == {name: expected.get(name) for name in own}


def _is_p(p_value: float | None, paid: list[float], sharpe: float | None) -> bool:
    if len(paid) < 5 or sharpe is None:
        return p_value is None
    with np.errstate(all="ignore"):
        expected = float(stats.ttest_1samp(paid, 0).pvalue)
    return p_value is not None and p_value >= 1e-16 and p_value == pytest.approx(expected, abs=2e-6)


def test_published_t_test() -> None:
    """Student's (1908) sleep data, extra hours with the second drug: t = 3.6799, df 9, two-sided p = 0.005076."""
    hours = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    found = track_records(Trades(np.array([10]), np.arange(10, dtype=np.int32), hours, np.full(10, np.nan)))

    assert found["p_value"] == [0.005076]
    assert found["sharpe_ratio"][0] == pytest.approx(3.6799 / np.sqrt(10), abs=1e-4)


def test_equal_results_on_equal_days_have_one_hash() -> None:
    """Another day, another result or another order is another strategy."""
    days, result = [1, 2, 1, 2, 1, 3, 1, 2, 2, 1], [0.5, -1.0, 0.5, -1.0, 0.5, -1.0, 0.5, -1.1, -1.0, 0.5]
    columns = np.array(days, dtype=np.int32), np.array(result), np.full(10, np.nan)
    found = track_records(Trades(np.full(5, 2), *columns))["trades_hash"]

    assert found[0] == found[1]
    assert len(set(found)) == 4
