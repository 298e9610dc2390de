"""The unit, and whether fees are inside, are told by the file or asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_validator.errors import InputError
from tests.support.tool_files import Log, read, written


def _log(path: Path, columns: str, row: str, **options: object) -> Log:
    return read(written(path / "log.csv", f"strategy_id,exit_time,{columns}\na,2024-01-02,{row}\n"), **options)


def test_r_needs_no_flag(tmp_path: Path) -> None:
    """A column r, or money with its risk, is in R."""
    assert _log(tmp_path, "r", "1.5").reading.unit == "r"
    assert _log(tmp_path, "pnl,risk", "30,20").column("result") == [1.5]


def test_other_units_are_asked_for(tmp_path: Path) -> None:
    """Neither a return nor money is taken for granted; the line names the flags that fit the file."""
    with pytest.raises(InputError, match=r"give --unit return$"):
        _log(tmp_path, "return", "0.01")
    with pytest.raises(InputError, match=r"give --unit return or --unit money$"):
        _log(tmp_path, "return,pnl", "0.01,5")
    with pytest.raises(InputError, match=r"no results for --unit r; give --unit money"):
        _log(tmp_path, "pnl", "5", unit="r")


def test_what_is_said_wins(tmp_path: Path) -> None:
    """With `--unit money` a log that could be in R is in money, and returns are in per cent, costs too."""
    assert _log(tmp_path, "pnl,risk", "30,20", unit="money").column("result") == [30]
    log = _log(tmp_path, "return,cost", "0.015,0.002", unit="return")
    assert (log.column("result"), log.column("cost")) == ([1.5], [pytest.approx(0.2)])


def test_fees_are_asked_for(tmp_path: Path) -> None:
    """Whether a result is after the fees beside it must be said: included they are its cost, excluded they come off."""
    with pytest.raises(InputError, match="give --fees included or --fees excluded"):
        _log(tmp_path, "pnl,fees", "30,4", unit="money")
    for fees, result in {"included": 30, "excluded": 26}.items():
        log = _log(tmp_path, "pnl,fees", "30,4", unit="money", fees=fees)
        assert (log.column("result"), log.column("cost")) == ([result], [4])
    assert _log(tmp_path, "pnl,fees,risk", "30,4,20", fees="excluded").column("result") == [1.3]
    with pytest.raises(InputError, match="has no column of fees"):
        _log(tmp_path, "pnl", "30", unit="money", fees="included")
    with pytest.raises(InputError, match="results in another unit"):
        _log(tmp_path, "r,fees", "1.5,4", fees="excluded")


def test_a_cost_for_all(tmp_path: Path) -> None:
    """`--cost-per-trade` is for trades that state none, in what their results are given in."""
    assert _log(tmp_path, "r,cost", "1.5,0.1", cost_per_trade=0.2).column("cost") == [0.1]
    assert _log(tmp_path, "r,cost", "1.5,", cost_per_trade=0.2).column("cost") == [0.2]
    assert _log(tmp_path, "return", "0.01", unit="return", cost_per_trade=0.002).column("cost") == [0.2]


def test_one_unit_for_all_files(tmp_path: Path) -> None:
    """R and money cannot stand in one table."""
    written(tmp_path / "a.csv", "exit_time,r\n2024-01-02,1\n")
    written(tmp_path / "b.csv", "exit_time,pnl\n2024-01-02,1\n")
    with pytest.raises(InputError, match="--unit"):
        read(tmp_path)
