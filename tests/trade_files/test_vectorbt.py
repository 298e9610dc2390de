"""vectorbt: `portfolio.trades.records_readable`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from tests.support.tool_files import read, sample, written

RECORDS = sample("vectorbt.csv")


def test_columns_are_strategies_and_open_trades_are_left_out(tmp_path: Path) -> None:
    """`Column` names the strategy, a return is stored in per cent, and what is marked to market is no trade."""
    log = read(written(tmp_path / "records.csv", RECORDS), unit="return")

    assert log.reading.format == "vectorbt"
    assert [(t["strategy_id"], t["trading_day"], t["side"]) for t in log.trades] == [
        ("(10, 20)", date(2024, 1, 5), "long"),
        ("(10, 20)", date(2024, 1, 9), "short"),
        ("(10, 50)", date(2024, 1, 4), "long"),
    ]
    assert log.column("result") == pytest.approx([3.75, -2.2, 0.8])
    assert log.column("cost") == pytest.approx([0.25, 0.2, 0.2])  # both fees, of the value at entry, in per cent
    assert log.bad == [("(10, 20)", "open trade", 4)]


def test_money_is_net_of_fees(tmp_path: Path) -> None:
    """PnL has the fees taken off, and they are the trade's cost."""
    log = read(written(tmp_path / "records.csv", RECORDS), unit="money")

    assert log.column("result") == [7.5, -2.2, 0.8]
    assert log.column("cost") == pytest.approx([0.5, 0.2, 0.2])


def test_columns_of_two_files_are_not_mixed(tmp_path: Path) -> None:
    """`Column` is 0 in every file of a single strategy: with several files, the file's name stands before it."""
    for name in ("slow", "fast"):
        written(tmp_path / f"{name}.csv", RECORDS.replace('"(10, 20)"', "0"))

    assert set(read(tmp_path, unit="money").column("strategy_id")) == {
        "fast/0",
        "fast/(10, 50)",
        "slow/0",
        "slow/(10, 50)",
    }


def test_the_frame_itself(tmp_path: Path) -> None:
    """The frame need not become a file first."""
    written(tmp_path / "records.csv", RECORDS)
    frame = pd.read_csv(tmp_path / "records.csv", parse_dates=["Entry Timestamp", "Exit Timestamp"])

    assert read(frame, unit="money").column("result") == [7.5, -2.2, 0.8]
