"""StrategyQuant: the list of trades."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dask_validator.errors import InputError
from tests.support.tool_files import read, sample, written

TRADES = sample("strategyquant.csv")


def test_both_samples_are_read(tmp_path: Path) -> None:
    """Trades in and out of the sample count, a row of totals does not."""
    log = read(written(tmp_path / "Strategy 1.2.csv", TRADES), unit="money", fees="included")

    assert log.reading.format == "StrategyQuant"
    assert log.column("strategy_id") == ["Strategy 1.2"] * 2
    assert log.column("trading_day") == [date(2019, 1, 8), date(2019, 1, 10)]
    assert log.column("result") == [993.0, -1007.0]
    assert log.column("side") == ["long", "short"]
    assert log.bad == [("Strategy 1.2", "deposit, balance or subtotal row", 4)]


def test_whether_charges_are_inside_is_asked_for(tmp_path: Path) -> None:
    """Nothing states it, so it must be said; excluded, they are taken off."""
    path = written(tmp_path / "s.csv", TRADES)

    with pytest.raises(InputError, match="give --fees included or --fees excluded"):
        read(path, unit="money")
    assert read(path, unit="money", fees="excluded").column("result") == [986.0, -1014.0]
