"""Which trades a strategy's row was made of, and what they come to."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dask_validator import calibrate
from tests.support.backtests import backtest, days_by_hand
from tests.support.tiny import change

DAYS = {date(2021, 3, day): pnl_r for day, pnl_r in [(1, 1.0), (2, 2.0), (3, -1.0), (4, 2.0), (5, -1.0)]}
TWICE = [date(2021, 3, 2), date(2021, 3, 3)]  # broken on both sides
FLAGS: dict[str, Any] = {
    **{"min_sample": 1, "wf_min_trades": 1, "wf_min_windows": 1, "wf_min_train_months": 1, "worlds": 20},
    "no_walkforward": True,
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One strategy whose filter only `--strict-filters` knows."""
    rows = [{"strategy_id": "MGC_ONCE", "rr_target": 1, "filter_type": "NO_DBL_BREAK"}]
    days = ", ".join(f"DATE '{day}'" for day in TWICE)
    features = {f"trading_day IN ({days})": {"orb_0900_double_break": True}}
    return days_by_hand(tmp_path / "hand.duckdb", [DAYS], rows, features)


def z_of(database: Path, **flags: Any) -> float:
    """The deviate of the strategy, which must be calibrated."""
    [z] = calibrate(database, workers=1, progress=False, **FLAGS | flags).strategies.z.tolist()
    assert not math.isnan(z)
    return float(z)


def test_a_row_made_of_all_days(database: Path) -> None:
    """Where the row has as many trades as there are days, the filter was not applied."""
    every = z_of(database)
    change(database, "UPDATE experimental_strategies SET filter_type = 'NO_FILTER'")

    assert every == z_of(database)


def test_a_row_made_strictly(database: Path) -> None:
    """Where it has as many as the filter admits, only those days are its own, flag or no flag."""
    every = z_of(database)
    backtest(database, strict=["MGC_ONCE"])
    strict = z_of(database)

    assert strict != every
    assert strict == z_of(database, strict_filters=True)
