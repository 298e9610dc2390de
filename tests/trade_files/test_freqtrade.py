"""freqtrade: the result of a backtest as JSON, or the zip around it."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.tool_files import read

REAL = Path(__file__).parents[3] / "shared" / "trades" / "freqtrade-one-strategy.json"


def _trade(**changed: Any) -> dict[str, Any]:
    return {
        "pair": "ETH/USDT",
        "stake_amount": 1000.0,
        "amount": 10.0,
        "open_date": "2024-01-02 22:00:00+00:00",
        "close_date": "2024-01-02 23:30:00+00:00",
        "open_rate": 100.0,
        "close_rate": 110.0,
        "fee_open": 0.001,
        "fee_close": 0.001,
        "profit_ratio": 0.0977,
        "profit_abs": 97.9,
        "exit_reason": "roi",
        "initial_stop_loss_abs": 95.0,
        "initial_stop_loss_ratio": 0.05,
        "is_open": False,
        "is_short": False,
        "leverage": 1.0,
        **changed,
    }


SHORT = _trade(is_short=True, initial_stop_loss_abs=104.0, profit_abs=-42.0, profit_ratio=-0.042)
FORCED = _trade(exit_reason="force_exit")
WRONG_SIDE = _trade(initial_stop_loss_abs=101.0)
RESULT = {
    "metadata": {"Slow": {"run_id": "x"}},
    "strategy": {
        "Slow": {"trades": [_trade(), SHORT, FORCED], "max_open_trades": 3},
        "Fast": {"trades": [_trade(close_date="2024-01-03 00:10:00+00:00"), WRONG_SIDE]},
        "Idle": {"trades": []},
    },
    "strategy_comparison": [],
}


def _written(path: Path, result: Any = RESULT) -> Path:
    path.write_text(json.dumps(result))
    return path


def test_results_are_r_by_the_initial_stop(tmp_path: Path) -> None:
    """Every strategy of the file, in R by its first stop; what the end of the data closed by force is an open trade."""
    log = read(_written(tmp_path / "result.json"))

    assert (log.reading.format, log.reading.unit, log.reading.timezone) == ("freqtrade", "r", "UTC")
    assert log.column("strategy_id") == ["Fast", "Slow", "Slow"]
    assert log.column("result") == pytest.approx([97.9 / 50, 97.9 / 50, -42 / 40])
    assert log.column("risk") == pytest.approx([50, 50, 40])
    assert log.column("cost") == pytest.approx([2.1 / 50, 2.1 / 50, 2.1 / 40])
    assert log.column("side") == ["long", "long", "short"]
    assert [(strategy, line) for strategy, _, line in log.bad] == [("Slow", 3), ("Fast", 5)]
    assert {kind.reason for kind in log.reading.bad} >= {"open trade"}


def test_days_are_those_of_the_zone(tmp_path: Path) -> None:
    """Times are UTC; the day of a trade is told by the clock that is asked for."""
    log = read(_written(tmp_path / "result.json"), timezone="Asia/Tokyo", unit="return")

    assert log.column("exit_time")[2] == datetime(2024, 1, 3, 8, 30)
    assert log.column("result")[2] == pytest.approx(9.77)


def test_a_zip_holds_the_result_beside_its_configuration(tmp_path: Path) -> None:
    """The zip that newer releases write is opened; what only says how it was made is not taken for trades."""
    with zipfile.ZipFile(tmp_path / "result.zip", "w") as packed:
        packed.writestr("backtest-result.json", json.dumps(RESULT))
        packed.writestr("backtest-result_config.json", json.dumps({"stake_currency": "USDT"}))
        packed.writestr("backtest-result_Slow.py", "class Slow: ...")
    log = read(tmp_path / "result.zip")

    assert log.trades == [
        {**trade, "source": f"{tmp_path / 'result.zip'}:backtest-result.json"}
        for trade in read(_written(tmp_path / "result.json")).trades
    ]


@pytest.mark.skipif(not REAL.exists(), reason="needs the real log")
def test_a_real_result() -> None:
    """All trades of a result that freqtrade wrote, but for those that its end closed."""
    log = read(REAL)
    trades = json.loads(REAL.read_text())["strategy"]["StrategyTestV3"]["trades"]
    expected = [
        trade["profit_abs"] / (trade["amount"] * abs(trade["open_rate"] - trade["initial_stop_loss_abs"]))
        for trade in trades
        if trade["exit_reason"] != "force_exit"
    ]

    assert sorted(log.column("result")) == pytest.approx(sorted(expected), rel=1e-9)
    assert len(log.bad) == 3
