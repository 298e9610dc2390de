"""backtesting.py: `stats['_trades']`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dask_validator.errors import InputError
from tests.support.tool_files import read, sample, written

TRADES = sample("backtesting_py.csv")


def test_sizes_are_signed_and_the_file_names_the_strategy(tmp_path: Path) -> None:
    """A negative size is a short trade; the commission is inside PnL, and the cost."""
    log = read(written(tmp_path / "sma_cross.csv", TRADES), unit="money")

    assert log.reading.format == "backtesting.py"
    assert log.column("strategy_id") == ["sma_cross", "sma_cross"]
    assert log.column("side") == ["long", "short"]
    assert log.column("result") == [48.0, -11.0]
    assert log.column("cost") == [2.0, 1.0]


def test_the_stop_is_not_taken_for_the_initial_one(tmp_path: Path) -> None:
    """SL may have trailed behind the price, so no R is made of it, and the unit is asked for."""
    with pytest.raises(InputError, match="give --unit return or --unit money"):
        read(written(tmp_path / "sma_cross.csv", TRADES))


def test_earlier_releases_without_stops(tmp_path: Path) -> None:
    """Without SL, TP, Commission and Tag it is the same table."""
    written(tmp_path / "t.csv", TRADES)
    frame = pd.read_csv(tmp_path / "t.csv").drop(columns=["SL", "TP", "Commission", "Tag"]).assign(strategy_id="a")
    log = read(frame, unit="return")

    assert log.column("result") == pytest.approx([4.8, -2.11538])
    assert log.column("cost") == [None, None]
