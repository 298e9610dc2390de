"""Tighter stops."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.model import LOSS, OTHER, WIN, Excursions, Outcomes
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.rules.stops import replayed
from tests.reference import stops as twin
from tests.rules.strategies import Rows, as_outcomes, outcome_rows

MGC = KNOWN_COSTS["MGC"]
NAMES = {WIN: "win", LOSS: "loss", OTHER: "scratch"}
PRICES = st.one_of(st.none(), st.just(math.nan), st.sampled_from([100.0, 100.1, 97.3, 2412.6]))


@st.composite
def paths(draw: st.DrawFn, m: float) -> twin.Path:
    """Excursions anywhere, on the bound that the stop makes, and one unit in the last place beside it."""
    entry, stop = draw(PRICES), draw(PRICES)
    if draw(st.booleans()) and isinstance(entry, float) and isinstance(stop, float) and abs(entry - stop) > 0:
        risk = abs(entry - stop)
        bound = m * risk * MGC.point_value / (risk * MGC.point_value + MGC.friction)
        return twin.Path(
            draw(st.sampled_from([bound, math.nextafter(bound, 0), math.nextafter(bound, 9)])), entry, stop
        )
    return twin.Path(draw(st.one_of(st.none(), st.just(math.nan), st.floats(0, 2))), entry, stop)


@given(st.data(), outcome_rows(most=20), st.sampled_from([0.5, 0.75, 0.33333, 0.9, 1.0, 1.5]))
def test_equals_the_slow_twin(data: st.DataObject, rows: Rows, m: float) -> None:
    """Who is stopped, and with what loss, equals a plain calculation for each trade, to the last digit."""
    walked = [data.draw(paths(m)) for _ in rows]
    columns = [np.array([math.nan if v is None else v for v in part]) for part in zip(*walked, strict=True)]
    plain = as_outcomes(rows)
    excursions = Excursions(*columns) if rows else Excursions(*[np.array([])] * 3)

    found = replayed(Outcomes(plain.days, plain.code, plain.pnl_r, excursions), m, MGC)

    costs = MGC._asdict()
    expected = [twin.replayed(row, path, m, costs) for row, path in zip(rows, walked, strict=True)]
    assert [NAMES[code] for code in found.code.tolist()] == [
        "scratch" if kind == "early_exit" else kind for _, kind, _ in expected
    ]
    np.testing.assert_array_equal(found.pnl_r, as_outcomes(expected).pnl_r)
