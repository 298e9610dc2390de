"""MetaTrader 5: the deals of a report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.support.tool_files import read, written

HEADER = "Time;Deal;Symbol;Type;Direction;Volume;Price;Order;Commission;Swap;Profit;Balance;Comment\n"


def _log(path: Path, *deals: str, **options: str) -> object:
    return read(written(path / "ea.csv", HEADER + "\n".join(deals) + "\n"), unit="money", **options)


def test_both_legs_pay_and_balance_rows_are_no_trades(tmp_path: Path) -> None:
    """A result is profit, swap and the commission of both legs; deposits and the row of totals are counted as such."""
    log = _log(
        tmp_path,
        "2024.01.30 09:00:00;1;;balance;;;;;0.00;0.00;10 000.00;10 000.00;",
        "2024.01.30 10:00:00;2;EURUSD;buy;in;1.00;1.08;2;-3.50;0.00;0.00;9 996.50;",
        "2024.01.31 10:00:00;3;EURUSD;sell;out;1.00;1.09;3;-3.50;-1.20;1 000.00;10 991.80;tp",
        ";;;;;;;;-7.00;-1.20;1 000.00;10 991.80;",
    )

    assert log.reading.format == "MetaTrader 5"
    [trade] = log.trades
    assert trade["result"] == pytest.approx(1000 - 1.2 - 7)
    assert trade["cost"] == pytest.approx(7)
    assert (trade["strategy_id"], trade["side"], trade["symbol"]) == ("ea", "long", "EURUSD")
    assert (trade["entry_time"], trade["exit_time"]) == (datetime(2024, 1, 30, 10), datetime(2024, 1, 31, 10))
    assert [(reason, line) for _, reason, line in log.bad] == [
        ("deposit, balance or subtotal row", 2),
        ("deposit, balance or subtotal row", 5),
    ]


def test_partial_closings_share_the_commission(tmp_path: Path) -> None:
    """What was paid to open is shared by lots, and nothing of it is lost or paid twice."""
    log = _log(
        tmp_path,
        "2024.01.30 10:00:00;1;EURUSD;sell;in;3.00;1.08;1;-6.00;0;0;0;",
        "2024.01.30 11:00:00;2;EURUSD;buy;out;1.00;1.07;2;-2.00;0;100.00;0;",
        "2024.01.30 12:00:00;3;EURUSD;buy;out;2.00;1.07;3;-4.00;0;200.00;0;",
    )

    assert log.column("result") == pytest.approx([100 - 2 - 2, 200 - 4 - 4])
    assert log.column("side") == ["short", "short"]


def test_a_reversal_closes_one_position_and_opens_another(tmp_path: Path) -> None:
    """Of an in/out deal the part that closes is a trade, the rest is paid for by the one after it."""
    log = _log(
        tmp_path,
        "2024.01.30 10:00:00;1;EURUSD;buy;in;1.00;1.08;1;-1.00;0;0;0;",
        "2024.01.30 11:00:00;2;EURUSD;sell;in/out;3.00;1.07;2;-6.00;0;50.00;0;",
        "2024.01.30 12:00:00;3;EURUSD;buy;out;2.00;1.06;3;-2.00;0;80.00;0;",
    )

    assert log.column("result") == pytest.approx([50 - 1 - 2, 80 - 4 - 2])
    assert log.column("side") == ["long", "short"]
    assert log.column("entry_time") == [datetime(2024, 1, 30, 10), datetime(2024, 1, 30, 11)]
    assert sum(log.column("cost")) == pytest.approx(9)


def test_hedged_positions_and_one_left_open(tmp_path: Path) -> None:
    """Long and short at once are no closed position; what is never closed is an open trade."""
    log = _log(
        tmp_path,
        "2024.01.30 10:00:00;1;EURUSD;buy;in;1.00;1.08;1;-1.00;0;0;0;",
        "2024.01.30 10:30:00;2;EURUSD;sell;in;1.00;1.08;2;-1.00;0;0;0;",
        "2024.01.30 11:00:00;3;EURUSD;sell;out;1.00;1.09;3;-1.00;0;10.00;0;",
        "2024.01.30 12:00:00;4;EURUSD;buy;out;1.00;1.09;4;-1.00;0;-10.00;0;",
        "2024.01.31 10:00:00;5;EURUSD;buy;in;1.00;1.08;5;-1.00;0;0;0;",
    )

    assert log.column("result") == pytest.approx([8, -12])
    assert log.bad == [("ea", "open trade", 6)]
