"""QuantConnect's CSV and LEAN's JSON: the same trades, before fees."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dask_validator.errors import InputError
from tests.support.trade_logs import read, sample, written

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


def _closed(symbol: Any, **changed: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "entryTime": "2024-01-02T15:00:00Z",
        "exitTime": "2024-01-03T02:30:00Z",
        "direction": 0,
        "quantity": 10.0,
        "profitLoss": 20.0,
        "totalFees": 2.5,
        **changed,
    }


@pytest.mark.parametrize("upper", [False, True], ids=["camel", "pascal"])
def test_lean_in_either_case(tmp_path: Path, upper: bool) -> None:
    """Keys begin small or large by version; a direction is a number, a symbol an object."""
    trades = [_closed({"value": "SPY"}), _closed({"value": "SPY"}, direction=1, profitLoss=-5)]

    def cased(key: str) -> str:
        return key[0].upper() + key[1:] if upper else key

    cased_trades = [{cased(key): value for key, value in trade.items()} for trade in trades]
    document = {"charts": {}, cased("totalPerformance"): {cased("closedTrades"): cased_trades, "x": {}}}
    (tmp_path / "lean.json").write_text(json.dumps(document, indent=1))
    log = read(tmp_path / "lean.json", unit="money")

    assert log.reading.format == "LEAN"
    assert log.column("result") == [17.5, -7.5]
    assert log.column("side") == ["long", "short"]
    assert log.column("symbol") == ["SPY", "SPY"]
    assert log.column("strategy_id") == ["lean", "lean"]
