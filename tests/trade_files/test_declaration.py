"""Tools are told by their columns, by one mechanism, each from one declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_validator.errors import InputError
from dask_validator.trade_files.declaration import formats
from tests.support.tool_files import read, written

FORMATS = Path(__file__).parents[2] / "dask_validator" / "trade_files" / "formats"


def test_two_tools_at_once(tmp_path: Path) -> None:
    """Columns that fit two tools are nobody's until it is said whose; then they are read as that one's."""
    headers = "type,symbol,entry_date,exit_date,shares,pnl,return_pct,agg_pnl,strategy_id,exit_time"
    path = written(tmp_path / "log.csv", f"{headers}\nlong,ES,2024-01-02,2024-01-03,1,5,1,5,a,2024-01-04\n")

    with pytest.raises(InputError, match="columns of native and of PyBroker; say which with --format"):
        read(path, unit="money")
    assert [str(read(path, unit="money", format=name).trades[0]["trading_day"]) for name in ("native", "pybroker")] == [
        "2024-01-04",
        "2024-01-03",
    ]


def test_a_tool_that_is_not_known(tmp_path: Path) -> None:
    """The line lists those that are."""
    with pytest.raises(InputError, match=r"give one of native, .*vectorbt"):
        read(tmp_path, format="abacus")


def test_a_tool_that_it_is_not(tmp_path: Path) -> None:
    """The columns that the tool would need are named."""
    with pytest.raises(InputError, match="needed for vectorbt: column, size"):
        read(written(tmp_path / "log.csv", "a,b\n1,2\n"), format="vectorbt")


@pytest.mark.parametrize("path", sorted(FORMATS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_declaration_has_its_tests(path: Path) -> None:
    """A tool without a test of its traps would be a promise."""
    tests = Path(__file__).parent
    assert path.stem == "native" or (tests / f"test_{path.stem}.py").exists()


def test_every_declaration_can_be_used() -> None:
    """Whoever identifies itself can give a time and at least one result with the columns that identify it."""
    for one in formats().values():
        ours = [names[-1] for names in one.needed]
        units = [name for name in ("r", "return", "money") if one.chosen(one.result, name, ours)]
        assert one.chosen(one.trade, "exit_time", ours), one.tool
        assert units, one.tool
