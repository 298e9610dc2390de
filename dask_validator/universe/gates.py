"""The gates of phases 1 to 6 in worlds: what each observes there, made of sums (docs/statistics.md, section 4).

What is observed is judged by the register of gates, as a run judges it. A mean is positive when it rounds to 0.0001 R
or more, hence twice the sum of units is compared with the number of trades.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.rules.costs import Costs, Friction
from dask_validator.rules.gates import GATES, Terms
from dask_validator.rules.yearly import DORMANT_BELOW_ATR, MAX_WAIVED_TRADES
from dask_validator.universe.calendars import Calendar, Sums
from dask_validator.universe.payoffs import UNITS

UPPER_BOUND = "max_drawdown_r"  # needs the path of each world; without it more pass
IMPLIED = {"outcomes", "windows"}  # by the number of valid windows
MOMENTS = {"sharpe_ratio", "win_rate"}  # need more than sums

Seen = Mapping[str, NDArray[Any]]  # by gate, to be broadcast to (n_strategies, n_worlds)


class Circumstances(NamedTuple):
    """What the gates need beside sums."""

    costs: Costs
    friction: Friction  # by strategy
    dormant: frozenset[int]  # years of low volatility


def dormant_years(atr_by_year: Mapping[int, float]) -> frozenset[int]:
    """Years in which a losing year of few trades is waived."""
    return frozenset(year for year, atr in atr_by_year.items() if atr < DORMANT_BELOW_ATR)


def not_simulated(terms: Terms) -> list[str]:
    """Gates that are on and that no world can judge."""
    known = {UPPER_BOUND, *IMPLIED, *MOMENTS, *_OF_ROWS, *_OF_WINDOWS}
    return [gate.name for gate in GATES if gate.threshold(terms) is not None and gate.name not in known]


def passing(calendar: Calendar, sums: Sums, terms: Terms, beside: Circumstances, moments: Seen) -> NDArray[np.bool_]:
    """Which strategies pass phases 1 to 6, shape (n_strategies, n_worlds).

    Parameters
    ----------
    moments
        Of the gates named in MOMENTS those that are on.
    """
    observed = dict(moments) | _of_rows(calendar, sums, terms, beside)
    if not terms.config.no_walkforward:
        observed |= _of_windows(calendar, sums, terms)
    held = np.ones(sums.total.shape, dtype=np.bool_)
    for gate in GATES:
        if gate.name in observed and (threshold := gate.threshold(terms)) is not None:
            held &= gate.holds(observed[gate.name], threshold)
    return held


_OF_ROWS = (
    *("sample_size", "expectancy_r", "stressed_expectancy_r"),
    *("yearly_data", "years_positive", "negative_years", "positive_years"),
)
_OF_WINDOWS = ("valid_windows", "pct_positive", "agg_oos_exp_r", "total_oos_trades")


def _of_rows(calendar: Calendar, sums: Sums, terms: Terms, beside: Circumstances) -> dict[str, NDArray[Any]]:
    """Phases 1 to 4."""
    years, config, count = calendar.years, terms.config, calendar.trades.size
    counts = (years.trades >= config.min_trades_per_year) & ~np.isin(years.label, config.exclude_years)
    positive = 2 * sums.years > years.trades[:, None]
    counting = years.per_strategy(counts, count)[:, None]
    positive_years = years.per_strategy(positive & counts[:, None], count)
    waived = np.isin(years.label, list(beside.dormant)) & (years.trades <= MAX_WAIVED_TRADES)
    waived &= ~beside.friction.imported[years.owner]
    negative = ~positive & (counts & ~waived)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = positive_years / counting
    trades = calendar.trades[:, None]
    extra = beside.friction.extra(beside.costs, config.stress_multiplier, calendar.trades * UNITS)[:, None]
    return {
        "sample_size": trades,
        "expectancy_r": 2 * sums.total - trades,
        "stressed_expectancy_r": sums.total - extra,
        "yearly_data": counting,
        "years_positive": share,
        "negative_years": years.per_strategy(negative, count),
        "positive_years": positive_years,
    }


def _of_windows(calendar: Calendar, sums: Sums, terms: Terms) -> dict[str, NDArray[Any]]:
    """Phase 6."""
    windows, count = calendar.windows, calendar.trades.size
    valid = windows.trades >= terms.config.wf_min_trades
    n_valid = windows.per_strategy(valid, count)[:, None]
    positive = (2 * sums.windows > windows.trades[:, None]) & valid[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = windows.per_strategy(positive, count) / n_valid
    return {
        "valid_windows": n_valid,
        "pct_positive": share,
        "agg_oos_exp_r": windows.per_strategy(sums.windows * valid[:, None], count),
        "total_oos_trades": windows.per_strategy(windows.trades * valid, count)[:, None],
    }
