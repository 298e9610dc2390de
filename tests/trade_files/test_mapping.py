"""Files of no known tool come in by renaming their columns: names, never SQL."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from dask_validator.errors import InputError
from tests.support.tool_files import read, written

OWN = "My system\nWhen?|P&L (net)|System\n31.01.24 22h15|1.234,5|alpha\n"
TOML = """
skip_rows = 1
separator = "|"
decimal = ","
date_format = "%d.%m.%y %Hh%M"
[columns]
"When?" = "exit_time"
"P&L (net)" = "pnl"
"System" = "strategy_id"
"""


def test_a_mapping_file(tmp_path: Path) -> None:
    """Rows to skip, separator, decimal sign and form of dates can be said, beside the columns."""
    written(tmp_path / "own.toml", TOML)
    log = read(written(tmp_path / "own.csv", OWN), columns=(str(tmp_path / "own.toml"),), unit="money")

    [trade] = log.trades
    assert (trade["strategy_id"], trade["exit_time"], trade["result"]) == (
        "alpha",
        datetime(2024, 1, 31, 22, 15),
        1234.5,
    )


def test_pairs(tmp_path: Path) -> None:
    """Pairs of theirs=ours do for most files; headers are matched in any case."""
    path = written(tmp_path / "own.csv", "Day,Gain = %,x\n2024-01-31,0.5,1\n")

    for columns in (["day=trading_day", "Gain = %=return"], {"Day": "trading_day", "Gain = %": "return"}):
        assert read(path, columns=columns, unit="return").column("result") == [50]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["pnl"], "needed theirs=ours"),
        (["Day=when"], "needed a name of ours after the =: strategy_id"),
        (["Day=trading_day", "x=trading_day"], "gives trading_day to several columns"),
        (["Days=trading_day"], "names Days, which .* does not have; it has Day, Gain, x"),
        (["Day=trading_day"], "needed for native: exit_time or trading_day, r or return or pnl"),
        (["1) UNION SELECT 1 --=r", "Day=trading_day"], "does not have"),
        (["none.toml"], "cannot be read"),
    ],
)
def test_a_mapping_that_means_nothing(tmp_path: Path, columns: list[str], said: str) -> None:
    """It is refused in a line that says what is needed."""
    with pytest.raises(InputError, match=said):
        read(written(tmp_path / "own.csv", "Day,Gain,x\n2024-01-31,0.5,1\n"), columns=columns, unit="return")


@pytest.mark.parametrize(
    "line", ["sql = 'DROP TABLE x'", "decimal = '..'", "separator = ''", "skip_rows = -1", "skip_rows = true", "x ="]
)
def test_a_mapping_file_holds_nothing_else(tmp_path: Path, line: str) -> None:
    """No key but those that are known, no value that has no meaning."""
    path = written(tmp_path / "own.toml", line + "\n")
    with pytest.raises(InputError, match=r"own\.toml"):
        read(written(tmp_path / "own.csv", OWN), columns=[str(path)])


def test_names_are_quoted(tmp_path: Path) -> None:
    """A header may hold anything, in any kind of file."""
    header = "ga\"in'; DROP TABLE x; --"
    path = written(tmp_path / "log.json", json.dumps([{"strategy_id": "a", "exit_time": "2024-01-31", header: 2}]))

    assert read(path, columns={header: "r"}).column("result") == [2]
