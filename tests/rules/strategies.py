"""Generated inputs, for the package and its twin alike."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dask_validator.model import LOSS, OTHER, WIN, Outcomes
from dask_validator.rules.walkforward import EPOCH

Rows = list[tuple[date, str, float | None]]
CODES = {"win": WIN, "loss": LOSS}

# Their mean is 0.9643 when added left to right and 0.9642 when added exactly.
UNFAIR = [1.1108, 1.0771, 0.2452, 0.1762, 0.112, 1.4, 1.127, 1.074, 1.945, 1.0987, 1.245, 0.96]

# Month ends and leap days: where clamping matters.
STARTS = st.one_of(
    st.sampled_from([date(2019, 8, 31), date(2020, 2, 29), date(2019, 1, 31), date(2023, 12, 31), date(2024, 2, 28)]),
    st.dates(date(2015, 1, 1), date(2024, 12, 31)),
)
R_MULTIPLES = st.one_of(
    st.sampled_from([-1.0, 0.0, 0.1, 0.2, 0.3, 1.5, -0.2, 2.0]),
    st.floats(-3, 8, allow_nan=False).map(lambda r: round(r, 4)),
)
KINDS = st.sampled_from(["win", "win", "loss", "loss", "scratch", "early_exit"])


@st.composite
def outcome_rows(draw: st.DrawFn, most: int = 150) -> Rows:
    """Outcomes in day order; gaps of up to three months leave windows empty or with one trade."""
    day = draw(STARTS)
    gaps = draw(st.lists(st.sampled_from([1, 1, 2, 3, 5, 20, 31, 92]), max_size=most))
    rows: Rows = []
    for gap in gaps:
        kind = draw(KINDS)
        rows.append((day, kind, draw(R_MULTIPLES) if kind != "scratch" else None))
        day += timedelta(days=gap)
    return rows


def as_outcomes(rows: Rows) -> Outcomes:
    """The same outcomes as columns."""
    return Outcomes(
        np.array([(day - EPOCH).days for day, _, _ in rows], dtype=np.int64),
        np.array([CODES.get(kind, OTHER) for _, kind, _ in rows], dtype=np.uint8),
        np.array([math.nan if pnl_r is None else pnl_r for _, _, pnl_r in rows], dtype=np.float64),
    )


def yearly_jsons() -> st.SearchStrategy[str | None]:
    """`yearly_results` as pipelines write it, and as it should not be."""
    numbers: st.SearchStrategy[Any] = st.one_of(
        st.integers(0, 60), st.floats(-1, 1), st.just(math.nan), st.none(), st.just("7")
    )
    fields = st.fixed_dictionaries({}, optional={"trades": numbers, "avg_r": numbers})
    good = st.fixed_dictionaries({"trades": st.integers(0, 60), "avg_r": st.sampled_from([-0.1, 0.0, 0.1, 0.2])})
    years = st.sampled_from(["2017", "2018", "2019", "2020", "2021"])
    return st.one_of(
        st.dictionaries(years, good, max_size=5).map(json.dumps),
        st.dictionaries(st.one_of(years, st.just("twenty")), st.one_of(fields, st.none(), st.just(3))).map(json.dumps),
        st.sampled_from([None, "", "null", "{}", "[]", "[1]", "3", "true", '"text"', "{broken"]),
    )


def strategy_rows() -> st.SearchStrategy[dict[str, Any]]:
    """The columns of `experimental_strategies` that screening reads, NULL and NaN included."""
    risks = st.sampled_from([None, 0.0, -1.0, 0.5, 2.0, 7.6, math.nan])
    return st.fixed_dictionaries(
        {
            "sample_size": st.sampled_from([None, 0, 29, 30, 31, 99, 100, 400]),
            "expectancy_r": st.sampled_from([None, math.nan, -0.1, 0.0, 0.01, 0.055, 0.2, 0.42]),
            "median_risk_points": risks,
            "avg_risk_points": risks,
            "sharpe_ratio": st.sampled_from([None, math.nan, 0.05, 0.1, 0.3]),
            "max_drawdown_r": st.sampled_from([None, math.nan, 5.0, 20.0, 21.0]),
            "yearly_results": yearly_jsons(),
        }
    )
