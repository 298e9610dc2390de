"""NautilusTrader: the report of positions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tool_files import read, sample, written

REPORT = sample("nautilus.csv")


def test_money_is_text_with_its_currency(tmp_path: Path) -> None:
    """A result is a number and a currency; another currency cannot be added to it, an open position has no end."""
    log = read(written(tmp_path / "positions.csv", REPORT), unit="money")

    assert log.reading.format == "NautilusTrader"
    assert log.column("result") == [12.3, -1004.0]
    assert log.column("side") == ["long", "short"]
    assert log.bad == [
        ("EMA-000", "another currency than the strategy's first trade", 4),
        ("EMA-000", "open trade", 5),
    ]


def test_returns_know_no_currency(tmp_path: Path) -> None:
    """A return is a return in any currency."""
    log = read(written(tmp_path / "positions.csv", REPORT), unit="return")

    assert log.column("result") == pytest.approx([1.23, -0.4, 0.1])
