"""Rows that cannot be used are counted and named, each with its line; none is dropped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_validator.errors import InputError
from dask_validator.trade_files.bad_rows import BadRows
from tests.support.tool_files import read, written

ROWS = {
    "a,2024-01-02,1,10": None,
    "a,2024-01-03,,10": "no result",
    "a,2024-01-04,n/a,10": "no result",
    "a,2024-01-05,lots,10": "result is not a number",
    "a,2024-01-06,inf,10": "result is not finite",
    "a,,1,10": "no date",
    "a,yesterday,1,10": "unreadable date",
    ",2024-01-07,1,10": "no strategy",
    "a,2024-01-08,1,0": "no initial risk: no stop, no distance, or on the wrong side of the entry",
    "a,2024-01-09,1,": "no initial risk: no stop, no distance, or on the wrong side of the entry",
    "a,2024-01-10,1": "line that cannot be read",
    "a,2024-01-11,1,10,5": "line that cannot be read",
    'a,2024-01-12,"2",10': None,
}


def test_every_kind_with_its_line(tmp_path: Path) -> None:
    """Each row is a trade or is listed with its reason and its line, also after lines that could not be read."""
    path = written(
        tmp_path / "log.csv", "\n".join(["strategy_id,exit_time,pnl,risk", *ROWS, "a,2024-01-13,x,1"]) + "\n"
    )
    log = read(path)

    assert log.column("result") == pytest.approx([0.1, 0.2])
    expected = [(reason, line) for line, reason in enumerate(ROWS.values(), 2) if reason]
    assert sorted((reason, line) for _, reason, line in log.bad) == sorted(
        [*expected, ("result is not a number", len(ROWS) + 2)]
    )
    assert {strategy for strategy, reason, _ in log.bad if reason == "no strategy"} == {None}
    kinds = {kind.reason: kind for kind in log.reading.bad}
    assert kinds["no result"] == BadRows("no result", 2, str(path), 3)
    assert kinds["result is not a number"] == BadRows("result is not a number", 2, str(path), 5)


def test_a_trading_day_beside_the_time_of_exit(tmp_path: Path) -> None:
    """Where none is written it is the date of the exit; one that cannot be read is never replaced in silence."""
    path = tmp_path / "log.csv"
    rows = ["02 23:00,2024-01-03", "04 10:00,", "05 10:00,soon", "never,2024-01-06", ",2024-01-07"]
    log = read(
        written(path, "\n".join(["strategy_id,exit_time,trading_day,r", *(f"a,2024-01-{row},1" for row in rows)]))
    )

    days = zip(log.column("trading_day"), log.column("exit_time"), strict=True)
    assert [(day.day, time.day) for day, time in days] == [(3, 2), (4, 4)]
    assert [(reason, line) for _, reason, line in log.bad] == [("unreadable date", line) for line in (4, 5, 6)]


def test_duplicates_are_kept_and_said(tmp_path: Path) -> None:
    """Two equal rows of a file may be two equal fills: both count, and it is said; in two files it is nothing odd."""
    text = "strategy_id,exit_time,r\na,2024-01-02,1\na,2024-01-03,2\na,2024-01-02,1\na,2024-01-02,1\n"
    path = written(tmp_path / "one.csv", text)
    log = read(path)

    assert log.column("result") == [1, 1, 1, 2]
    assert log.reading.bad == (BadRows("duplicate of a whole row", 2, str(path), 2, kept=True),)
    assert log.bad == []
    written(tmp_path / "two.csv", "strategy_id,exit_time,r\na,2024-01-02,1\n")
    assert [kind.rows for kind in read(tmp_path).reading.bad] == [2]


def test_lines_of_the_second_file_begin_anew(tmp_path: Path) -> None:
    """The line is that of the row's own file."""
    for name in ("one", "two"):
        written(tmp_path / f"{name}.csv", "exit_time,r\n2024-01-02,1\n2024-01-03,x\n2024-01-04\n")

    assert sorted(read(tmp_path).bad) == [
        ("one", "line that cannot be read", 4),
        ("one", "result is not a number", 3),
        ("two", "line that cannot be read", 4),
        ("two", "result is not a number", 3),
    ]


def test_a_file_without_a_usable_row(tmp_path: Path) -> None:
    """It is refused in one line that says why each row is not usable."""
    with pytest.raises(InputError, match=r"no row that can be used; no result: 2 \(first: .*line 2\)"):
        read(written(tmp_path / "log.csv", "strategy_id,exit_time,r\na,2024-01-02,\na,2024-01-03,\n"))


@pytest.mark.parametrize(
    ("side", "stop", "result"),
    [
        ("long", 98, 1.5),
        ("short", 102, 1.5),
        ("long", 102, None),
        ("short", 98, None),
        ("", 98, 1.5),
        ("long", 100, None),
    ],
)
def test_risk_from_the_stop(tmp_path: Path, side: str, stop: float, result: float | None) -> None:
    """The distance to the stop times the quantity is the risk; at no distance or on the wrong side there is none."""
    text = (
        "strategy_id,exit_time,pnl,side,quantity,entry_price,stop_price\n"
        f"a,2024-01-02,15,{side},5,100,{stop}\na,2024-01-02,10,long,5,100,98\n"
    )
    log = read(written(tmp_path / "log.csv", text))

    assert log.column("result") == ([result, 1.0] if result else [1.0])
    assert len(log.bad) == (result is None)
