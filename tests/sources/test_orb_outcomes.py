"""The table of outcomes: however its rows lie, the same outcomes of each key."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dask_validator.model import PLAN, Extent, OutcomeKey
from dask_validator.sources import spans
from dask_validator.sources.orb_outcomes import OrbOutcomes, read_outcomes

KEYS = [OutcomeKey(minutes, label, "E1", target, 1) for minutes in (5, 15) for label in "ab" for target in (1.0, 1.5)]
NOBODYS = OutcomeKey(5, None, "E1", 1.0, 1)
LAYOUTS = ["by key", "by key, days backwards", "strangers between", "shuffled", "several a day"]


def rows_of(layout: str) -> list[tuple[Any, ...]]:
    """Outcomes of every key, of one whose label is NULL, and of another instrument."""
    chance = random.Random(layout)
    first = date(2020, 1, 1)
    rows = []
    for key in [*KEYS, NOBODYS]:
        for number in range(chance.randrange(1, 40)):
            day = first + timedelta(number // 2 if layout == "several a day" else number)
            outcome = chance.choice(["win", "loss", "scratch", None])
            rows.append((day, "MGC", *key[: len(PLAN)], outcome, chance.choice([None, chance.gauss(0, 1)])))
            if layout == "strangers between" and chance.random() < 0.1:
                rows.append((day, "MES", *key[: len(PLAN)], "win", 1.0))
    if layout == "by key, days backwards":
        rows.reverse()
    if layout == "shuffled":
        chance.shuffle(rows)
    return rows


@pytest.fixture(params=LAYOUTS)
def table(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """A table of outcomes."""
    connection = duckdb.connect()
    columns = (*("trading_day", "symbol"), *PLAN, "outcome", "pnl_r")
    kinds = ("DATE", "TEXT", "INTEGER", "TEXT", "TEXT", "DOUBLE", "INTEGER", "TEXT", "DOUBLE")
    declared = ", ".join(f"{name} {kind}" for name, kind in zip(columns, kinds, strict=True))
    connection.execute(f"CREATE TABLE orb_outcomes ({declared})")
    connection.executemany("INSERT INTO orb_outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows_of(request.param))
    return connection


@pytest.mark.parametrize("most_between", [0, 30, 1_000_000])
def test_where_rows_lie_makes_no_difference(
    table: duckdb.DuckDBPyConnection, most_between: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as they follow one another, in one query or in many, they are what a search of the whole table finds."""
    monkeypatch.setattr(spans, "MOST_BETWEEN", most_between)
    layout = OrbOutcomes(Path("anywhere")).survey(table, "MGC").extents
    wanted = [*KEYS[::-2], NOBODYS, OutcomeKey(5, "c", "E1", 1.0, 1)]
    extents = [layout.get(key) for key in wanted]
    searched = read_outcomes(table, "MGC", wanted, [None] * len(wanted))
    found = read_outcomes(table, "MGC", wanted, extents)

    assert layout.keys() == {*KEYS, NOBODYS}
    assert sum(outcomes.days.size for outcomes in searched) > 20
    assert searched[-2].days.size == searched[-1].days.size == 0
    for one, other in zip(found, searched, strict=True):
        assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one[:3], other[:3], strict=True))
        assert [a.dtype for a in one[:3]] == [b.dtype for b in other[:3]]
        assert (np.diff(one.days) >= 0).all()


def test_rows_between_are_not_read_in_vain() -> None:
    """Keys that lie far apart are read one by one, and many neighbours not all at once."""
    far = {0: Extent(0, 9, 10), 1: Extent(10, 19, 10), 2: Extent(9_000_000, 9_000_009, 10)}
    many = {i: Extent(100_000 * i, 100_000 * i + 99_999, 100_000) for i in range(25)}

    assert [list(span) for span in spans.spans(far)] == [[0, 1], [2]]
    assert [len(span) for span in spans.spans(many)] == [10, 10, 5]
