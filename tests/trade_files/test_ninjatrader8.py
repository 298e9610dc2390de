"""NinjaTrader 8: the grid of trades as CSV."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from dask_validator.errors import InputError
from tests.support.tool_files import read, sample, written

US = sample("ninjatrader8_us.csv")
EUROPEAN = sample("ninjatrader8_european.csv")


def test_losses_in_brackets(tmp_path: Path) -> None:
    """`($410.16)` is a loss, fees in five columns are one cost, and the empty last column is nothing."""
    log = read(written(tmp_path / "nt.csv", US), unit="money")

    assert log.reading.format == "NinjaTrader 8"
    assert log.column("strategy_id") == ["Breakout", "Breakout", "Fade"]
    assert log.column("result") == [307.42, -410.16, 1410.16]
    assert log.column("cost") == pytest.approx([5.10] * 3)
    assert log.column("exit_time")[0] == datetime(2024, 1, 16, 14, 55)


def test_decimal_commas(tmp_path: Path) -> None:
    """Another locale: semicolons, decimal commas, the minus before the currency, days first."""
    log = read(written(tmp_path / "nt.csv", EUROPEAN), unit="money")

    assert log.column("result") == [-200.0, 1245.92]
    assert log.column("cost") == [4.08, 4.08]
    assert log.column("exit_time") == [datetime(2024, 1, 17, 14, 55), datetime(2024, 1, 18, 14, 55)]


def test_a_header_without_the_last_separator(tmp_path: Path) -> None:
    """Rows that end with a separator where the header does not are read all the same."""
    text = EUROPEAN.replace("ETD;Bars;", "ETD;Bars")

    assert read(written(tmp_path / "nt.csv", text), unit="money").column("result") == [-200.0, 1245.92]


def test_dates_of_either_order_are_asked_for(tmp_path: Path) -> None:
    """With all days up to the twelfth nobody can tell, so the order must be said."""
    text = "".join(US.replace(f"1/{day}/2024", f"1/{day - 10}/2024") for day in (16,))
    path = written(tmp_path / "nt.csv", text.replace("1/17/2024", "1/7/2024").replace("1/18/2024", "1/8/2024"))

    with pytest.raises(InputError, match="say --date-order mdy or dmy"):
        read(path, unit="money")
    assert read(path, unit="money", date_order="dmy").column("exit_time")[0] == datetime(2024, 6, 1, 14, 55)
    assert read(path, unit="money", date_order="mdy").column("exit_time")[0] == datetime(2024, 1, 6, 14, 55)
