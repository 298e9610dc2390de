"""`check FILE` says what an import would find, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.tool_files import sample, written


def test_what_is_said(called: Command, tmp_path: Path) -> None:
    """Format, strategies, trades, days, unit, zone, what would be left out with its first line, who would be FAILED."""
    written(tmp_path / "positions.csv", sample("nautilus.csv"))
    ran = called("check", "positions.csv", "--unit", "money", "--timezone", "America/New_York")

    assert ran.code == 0
    for said in (
        "positions.csv: NautilusTrader",
        "strategies              1",
        "trades                  2",
        "days                    2  (2024-01-02 to 2024-01-03)",
        "results in money; days by the clock of America/New_York",
        "1 left out: open trade (first: positions.csv, line 5)",
        "1 left out: another currency than the strategy's first trade (first: positions.csv, line 4)",
        "EMA-000 would be FAILED: 1 of 3 rows cannot be used",
    ):
        assert said in ran.stdout


def test_it_changes_nothing(called: Command, tmp_path: Path) -> None:
    """Neither the file nor anything beside it."""
    path = written(tmp_path / "log.csv", "strategy_id,exit_time,r\na,2024-01-02,1\n")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    assert called("check", "log.csv").code == 0
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert "their dates as written" in called("check", path).stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["log.csv"], "give --unit money"),
        (["log.csv", "--unit", "money", "--timezone", "Mars"], "--timezone got Mars"),
        (["none.csv"], "there is no none.csv"),
        (["--unit", "money"], "--unit is about a trade log"),
    ],
)
def test_bad_usage_is_one_line(called: Command, tmp_path: Path, flags: list[str], said: str) -> None:
    """Exit code 2 and what to give next."""
    written(tmp_path / "log.csv", "strategy_id,exit_time,pnl\na,2024-01-02,1\n")
    ran = called("check", *flags)

    assert ran.code == 2
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_columns_are_listed_as_in_the_readme(called: Command, tmp_path: Path) -> None:
    """`--columns a=b c=d` needs no second flag; names that nobody sees cannot forge lines."""
    written(tmp_path / "log.csv", "Sys,Day,Gain\na\x1b[2J,2024-01-02,0.01\n")
    ran = called("check", "log.csv", "--columns", "Sys=strategy_id", "Day=exit_time", "Gain=return", "--unit", "return")

    assert ran.code == 0
    assert "results in per cent" in ran.stdout
    assert "\x1b" not in json.dumps(ran.stdout).replace("\\u001b", "\x1b")
