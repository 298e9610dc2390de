"""TradingView: the strategy tester's list of trades, in four generations of headers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.support.tool_files import read, sample, written

FIRST = sample("tradingview_first.csv")
SECOND = sample("tradingview_second.csv")
THIRD = sample("tradingview_third.csv")
FOURTH = sample("tradingview_fourth.csv")


@pytest.mark.parametrize("text", [FIRST, SECOND, THIRD, FOURTH], ids=["first", "second", "third", "fourth"])
def test_two_rows_are_one_trade(tmp_path: Path, text: str) -> None:
    """Totals on both rows count once, the file names the strategy, and what is still open is left out."""
    log = read(written(tmp_path / "MyStrategy.csv", text, "utf-8-sig"), unit="money")

    assert log.reading.format == "TradingView"
    assert [(t["strategy_id"], t["side"], t["entry_time"], t["exit_time"], t["result"]) for t in log.trades] == [
        ("MyStrategy", "long", datetime(2024, 1, 2, 10), datetime(2024, 1, 2, 15, 30), 10.0),
        ("MyStrategy", "short", datetime(2024, 1, 3, 9, 30), datetime(2024, 1, 3, 14), -4.0),
    ]
    line = 7 if text is FIRST else 6
    assert log.bad == [("MyStrategy", "open trade", line)]


def test_returns_are_in_per_cent(tmp_path: Path) -> None:
    """The column of returns is told from that of money by its unit, and is in per cent already."""
    assert read(written(tmp_path / "a.csv", FOURTH), unit="return").column("result") == pytest.approx([10, -4])
    assert read(written(tmp_path / "a.csv", FOURTH), unit="money").column("cost") == [0.5, 0.5]


def test_an_entry_without_an_exit_is_an_open_trade(tmp_path: Path) -> None:
    """Cut off before its exit row, a trade is counted among the open ones, not forgotten."""
    text = "\n".join(line for line in THIRD.splitlines() if not line.strip().startswith("3,Exit"))

    assert read(written(tmp_path / "a.csv", text), unit="money").bad == [("a", "open trade", 6)]
