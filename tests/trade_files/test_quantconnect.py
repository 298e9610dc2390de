"""QuantConnect: the trades of a backtest as CSV."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dask_validator.errors import InputError
from tests.support.tool_files import read, sample, written

CSV = sample("quantconnect.csv")


def test_fees_are_taken_off(tmp_path: Path) -> None:
    """P&L is before fees: they are taken off, and are the cost."""
    log = read(written(tmp_path / "alpha.csv", CSV), unit="money")

    assert log.reading.format == "QuantConnect"
    assert log.column("result") == [17.5, -12.5]
    assert log.column("cost") == [2.5, 2.5]
    assert log.column("side") == ["long", "short"]


def test_times_are_utc(tmp_path: Path) -> None:
    """An evening in New York is the next day in UTC: the zone decides."""
    path = written(tmp_path / "alpha.csv", CSV)

    assert read(path, unit="money").column("trading_day") == [date(2024, 1, 3)] * 2
    assert read(path, unit="money", timezone="America/New_York").column("trading_day")[0] == date(2024, 1, 2)


def test_nobody_can_say_that_fees_are_included(tmp_path: Path) -> None:
    """What is known of the tool is not overruled by a flag."""
    with pytest.raises(InputError, match="QuantConnect writes results with fees excluded"):
        read(written(tmp_path / "alpha.csv", CSV), unit="money", fees="included")
