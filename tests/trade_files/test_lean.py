"""LEAN: the result of a backtest as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tool_files import read


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
