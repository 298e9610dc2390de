"""PyBroker: `result.trades`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tool_files import read, sample, written

TRADES = sample("pybroker.csv")


def test_percent_are_percent_and_fees_are_missing(tmp_path: Path) -> None:
    """`return_pct` is in per cent already, and the reader of the numbers is told that they are before fees."""
    log = read(written(tmp_path / "spy.csv", TRADES), unit="return")

    assert log.reading.format == "PyBroker"
    assert log.column("result") == pytest.approx([1.06, -1.05])
    assert log.column("side") == ["long", "short"]
    assert log.reading.remarks == ("PyBroker writes results before fees: they are not in these numbers",)
