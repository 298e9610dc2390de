"""What the days of a key pay, in the data and in worlds."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dask_validator.rules.walkforward import EPOCH
from dask_validator.universe.payoffs import Payoffs, payoffs, stand_ins, unusable, without_edge
from tests.reference import null_worlds as twin
from tests.rules.strategies import Rows, as_outcomes

FIRST = date(2021, 1, 1)
TRADING_DAYS = np.arange(10, dtype=np.int32) + (FIRST - EPOCH).days


def day(number: int) -> date:
    """A trading day."""
    return FIRST + timedelta(days=number)


def paid(rows: Rows, days: int = 6) -> Payoffs:
    """Of one key, on so many trading days."""
    return payoffs(as_outcomes(rows), TRADING_DAYS[:days])


def flags(*digits: int) -> np.ndarray:
    """As booleans."""
    return np.array(digits, dtype=np.bool_)


def test_stand_ins_by_hand() -> None:
    """Beyond its own days a key begins anew; for a day without a trade stands one half of its days later."""
    assert stand_ins(flags(0, 1, 0, 1, 0), flags(0, 1, 1, 1, 0)).tolist() == [3, 1, 3, 3, 1]


def test_no_neighbour_stands_in() -> None:
    """The next traded day would bring its payoff twice into one block."""
    traded = flags(1, 0, 1, 1, 1, 1, 1, 1)

    assert stand_ins(traded, flags(*[1] * 8)).tolist() == [0, 5, 2, 3, 4, 5, 6, 7]


@given(st.lists(st.sampled_from(["unseen", "scratch", "traded"]), min_size=1, max_size=30))
def test_stand_ins_are_those_of_the_twin(days: list[str]) -> None:
    """Whenever a key was recorded and traded."""
    assume("traded" in days)
    traded, seen = [of == "traded" for of in days], [of != "unseen" for of in days]

    assert stand_ins(flags(*traded), flags(*seen)).tolist() == twin.stand_ins(traded, seen)


def test_several_trades_of_a_day() -> None:
    """Each is rounded to units, then they are added; a scratch pays nothing but was seen."""
    rows: Rows = [(day(1), "win", 0.00014), (day(1), "loss", 0.00014), (day(2), "scratch", 0.5), (day(4), "loss", -1.0)]
    found = paid(rows)

    assert found.pay.tolist() == [0, 2, 0, 0, -10_000, 0]
    assert found.traded.tolist() == [False, True, False, False, True, False]
    assert found.seen.tolist() == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("bad", "seen"),
    [
        ((day(1), "win", None), True),
        ((day(1), "loss", float("inf")), True),
        ((day(1), "win", 2e7), True),
        ((day(99), "win", 1.0), False),
        ((day(99), "scratch", None), False),
    ],
    ids=["unknown", "infinite", "too large", "no trading day", "no trading day either"],
)
def test_what_cannot_be_added_up(bad: tuple[date, str, float | None], seen: bool) -> None:
    """A number that would spoil every sum, or a day that nobody draws, leaves out all trades of its day, no others."""
    rows: Rows = sorted([(day(1), "win", 1.0), (day(2), "win", 0.5), bad], key=lambda row: row[0])
    found = paid(rows)

    assert found.pay.tolist() == [0, 0 if seen else 10_000, 5_000, 0, 0, 0]
    assert found.traded.tolist() == [False, not seen, True, False, False, False]
    assert found.seen.tolist() == [False, True, True, False, False, False]
    assert unusable(as_outcomes(rows), TRADING_DAYS).tolist() == [row[0] == bad[0] for row in rows]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-30_000, 30_000)), min_size=1, max_size=9))
def test_nobody_has_an_edge(trades: list[tuple[int, int]]) -> None:
    """Over the days that are drawn from a key's mean is at most half a unit: it is rounded, so sums stay whole."""
    rows: Rows = sorted((day(number), "win", units / 10_000) for number, units in trades)
    found = paid(rows, 10)

    [table] = without_edge(found)
    assert table.tolist() == twin.without_edge(rows, [day(number) for number in range(10)])[0]
    assert abs(table.mean()) <= 0.5
    assert (table == np.rint(table)).all()
