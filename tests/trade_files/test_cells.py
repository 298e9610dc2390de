"""Numbers and times as people and programs write them."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator.errors import InputError
from dask_validator.trade_files.cells import Cell, Manner, number, time
from tests.support.tool_files import read, written

CELL = Cell("$1::VARCHAR", "VARCHAR")
POINT = {
    "1.5": 1.5,
    " -2 ": -2,
    "+3": 3,
    "1e-05": 1e-5,
    "1,234,567.89": 1234567.89,
    "10 000.00": 10000,
    "1'000.5": 1000.5,
    "$307.42": 307.42,
    "($410.16)": -410.16,
    "-$1,000": -1000,
    "$-5": -5,
    "12.30 USD": 12.3,
    "EUR 7": 7,
    "\u22125": -5,
    ".5": 0.5,
    "1,5": None,
    "12,34.5": None,
    "1.234,5": None,
    "5%": None,
    "abc": None,
    "1.2.3": None,
    "USD": None,
    "": None,
}
COMMA = {"-$ 200,00": -200, "1.234,5": 1234.5, "(1.234,50 EUR)": -1234.5, "1.234": 1234, "0,5": 0.5, "1.5": None}


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    """One for all cells."""
    return duckdb.connect()


def _number(connection: duckdb.DuckDBPyConnection, text: str, decimal: str) -> float | None:
    [(value,)] = connection.execute(f"SELECT {number(CELL, decimal)}", [text]).fetchall()
    return value


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [*((text, ".", value) for text, value in POINT.items()), *((text, ",", value) for text, value in COMMA.items())],
)
def test_numbers(connection: duckdb.DuckDBPyConnection, text: str, decimal: str, value: float | None) -> None:
    """Currencies, brackets and thousands are understood; what fits the other decimal sign alone is no number."""
    assert _number(connection, text, decimal) == value


@settings(max_examples=100)
@given(value=st.floats(-1e12, 1e12).map(lambda value: round(value, 2)), decimal=st.sampled_from(".,"))
def test_numbers_that_were_formatted(connection: duckdb.DuckDBPyConnection, value: float, decimal: str) -> None:
    """What Python formats with thousands and a currency is read back as the same number."""
    text = f"{abs(value):,.2f}".translate({ord(","): "." if decimal == "," else ",", ord("."): decimal})
    text = f"(${text})" if math.copysign(1, value) < 0 else f"{text} USD"

    assert _number(connection, text, decimal) == value


@pytest.mark.parametrize(
    ("text", "manner", "value"),
    [
        ("2024-01-31", Manner(), datetime(2024, 1, 31)),
        ("2024-01-31T10:00:00.5", Manner(), datetime(2024, 1, 31, 10, 0, 0, 500000)),
        ("2024-01-31 23:30:00Z", Manner(wanted="Asia/Tokyo"), datetime(2024, 2, 1, 8, 30)),
        ("2024-01-31 23:30:00-05:00", Manner(wanted="America/New_York"), datetime(2024, 1, 31, 23, 30)),
        ("2024-01-31 23:30:00", Manner(wanted="Asia/Tokyo"), datetime(2024, 1, 31, 23, 30)),
        ("2024-01-31 23:30:00", Manner(zone="UTC", wanted="Asia/Tokyo"), datetime(2024, 2, 1, 8, 30)),
        ("1706700000", Manner(), datetime(2024, 1, 31, 11, 20)),
        ("1706700000000", Manner(), datetime(2024, 1, 31, 11, 20)),
        ("1706700000000000000", Manner(), datetime(2024, 1, 31, 11, 20)),
        ("1/2/2024 2:00:00 PM", Manner(date_order="mdy"), datetime(2024, 1, 2, 14)),
        ("1/2/2024 2:00\u202fPM", Manner(date_order="mdy"), datetime(2024, 1, 2, 14)),
        ("01.02.24 14:00", Manner(date_order="dmy"), datetime(2024, 2, 1, 14)),
        ("2024.01.31 10:00:00", Manner(date_order="ymd"), datetime(2024, 1, 31, 10)),
        ("31-01-2024", Manner(date_order="dmy"), datetime(2024, 1, 31)),
        ("20240131 1000", Manner(date_format="%Y%m%d %H%M"), datetime(2024, 1, 31, 10)),
        ("13/13/2024", Manner(date_order="dmy"), None),
        ("soon", Manner(date_order="dmy"), None),
    ],
)
def test_times(connection: duckdb.DuckDBPyConnection, text: str, manner: Manner, value: datetime | None) -> None:
    """ISO, seconds since 1970, days in a known order; what has an offset is moved to the zone, other times are not."""
    [(found,)] = connection.execute(f"SELECT {time(CELL, manner)}", [text]).fetchall()

    assert found == value


def _log(path: Path, *rows: str, separator: str = ",", **options: str) -> list[dict[str, Any]]:
    text = "\n".join(["strategy_id,exit_time,r".replace(",", separator), *rows]) + "\n"
    return read(written(path / "log.csv", text), **options).trades


def test_thousands_or_fractions(tmp_path: Path) -> None:
    """`1,234` alone may be either, so it is asked for; one number that can be only one of the two settles it."""
    with pytest.raises(InputError, match="may be thousands or fractions; say decimal"):
        _log(tmp_path, 'a,2024-01-31,"1,234"')
    assert [t["result"] for t in _log(tmp_path, 'a,2024-01-31,"1,234"', 'a,2024-01-31,"1,234.5"')] == [1234, 1234.5]
    assert [t["result"] for t in _log(tmp_path, "a;2024-01-31;1.234", "a;2024-01-31;2,5", separator=";")] == [1234, 2.5]


def test_a_day_above_twelve_settles_the_order(tmp_path: Path) -> None:
    """The order of days and months is that of the first date that has only one reading, wherever it stands."""
    early = [f"a,{day % 12 + 1:02d}/{day % 11 + 1:02d}/2024,1" for day in range(30_000)]

    assert datetime(2024, 1, 31) in [t["exit_time"] for t in _log(tmp_path, *early, "a,31/01/2024,1")]
    with pytest.raises(InputError, match="no day above 12"):
        _log(tmp_path, *early)
    with pytest.raises(InputError, match="both orders"):
        _log(tmp_path, "a,31/01/2024,1", "a,01/31/2024,1")


def test_offsets_other_than_utc_need_a_zone(tmp_path: Path) -> None:
    """By which clock a day is told is not guessed from an offset, not even from the last row's."""
    rows = ["a,2024-01-31 23:30:00+00:00,1", "a,2024-06-30 23:30:00+01:00,1"]
    with pytest.raises(InputError, match=r"line 3.*--timezone ZONE"):
        _log(tmp_path, *rows)
    assert [str(t["trading_day"]) for t in _log(tmp_path, *rows, timezone="Europe/London")] == [
        "2024-01-31",
        "2024-06-30",
    ]


def test_a_zone_that_changes_nothing_is_said(tmp_path: Path) -> None:
    """Times without a zone are taken as written, and who gives one is told so."""
    path = written(tmp_path / "log.csv", "strategy_id,exit_time,r\na,2024-01-31 23:30:00,1\n")

    assert str(read(path, timezone="Asia/Tokyo").trades[0]["trading_day"]) == "2024-01-31"
    assert read(path, timezone="Asia/Tokyo").reading.remarks == (
        "no time here carries a zone: --timezone Asia/Tokyo changes nothing",
    )
