"""Option Omega: the trade log of a backtest."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.tool_files import read, sample, written

REAL = Path(__file__).parents[3] / "shared" / "trades" / "option-omega.csv"
LOG = sample("option_omega.csv")


def test_risk_is_the_margin(tmp_path: Path) -> None:
    """Results are R of the margin requirement, net of the commissions; a trade without margin has no R."""
    log = read(written(tmp_path / "log.csv", LOG, "utf-8-sig"))

    assert (log.reading.format, log.reading.unit) == ("Option Omega", "r")
    assert log.column("result") == pytest.approx([-300 / 6000, 1251 / 5000])
    assert log.column("cost") == pytest.approx([15 / 6000, 9 / 5000])
    assert log.column("exit_time") == [datetime(2024, 1, 2, 13, 30), datetime(2024, 1, 3, 16)]
    assert [line for _, _, line in log.bad] == [4, 5]


@pytest.mark.skipif(not REAL.exists(), reason="needs the real log")
def test_a_real_log() -> None:
    """All 384 trades of both strategies."""
    with open(REAL, encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    log = read(REAL)

    expected = sorted((row["Strategy"], float(row["P/L"]) / float(row["Margin Req."])) for row in rows)
    assert sorted(zip(log.column("strategy_id"), log.column("result"), strict=True)) == expected
    assert log.bad == []
