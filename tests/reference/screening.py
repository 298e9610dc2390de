"""Phases 1 to 5."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .arithmetic import is_number
from .errors import Unusable
from .settings import Settings
from .small_samples import in_use

COST_NAMES = ("point_value", "commission_rt", "spread_doubled", "slippage", "tick_size", "min_ticks_floor")

# rules.md, section 7.
COSTS: dict[str, dict[str, float]] = {
    "MGC": dict(zip(COST_NAMES, (10, 2.40, 2.00, 4.00, 0.10, 10), strict=True)),
    "MNQ": dict(zip(COST_NAMES, (2, 1.24, 0.50, 1.00, 0.25, 10), strict=True)),
    "MES": dict(zip(COST_NAMES, (5, 1.24, 1.25, 1.25, 0.25, 10), strict=True)),
    "MCL": dict(zip(COST_NAMES, (100, 1.24, 2.00, 2.00, 0.01, 10), strict=True)),
    "SIL": dict(zip(COST_NAMES, (1000, 1.24, 10.00, 10.00, 0.005, 10), strict=True)),
    "M6E": dict(zip(COST_NAMES, (12500, 1.24, 1.25, 1.25, 0.00005, 10), strict=True)),
    "M2K": dict(zip(COST_NAMES, (5, 1.24, 1.00, 1.00, 0.10, 10), strict=True)),
}

DORMANT_BELOW = 20
WAIVED_TRADES = 5


class Year(NamedTuple):
    """What the rules read of one year."""

    trades: float
    avg_r: float
    total_r: float


class Screened(NamedTuple):
    """The rejecting phase (None: passed), the waived years, and the years that promotion counts, in JSON order."""

    phase: int | None
    waived: list[int]
    counted: list[Year]

    @property
    def years_tested(self) -> int:
        """Their number (rules.md, section 6)."""
        return len(self.counted)

    @property
    def all_years_positive(self) -> bool:
        """Whether every one of them earned (rules.md, section 6)."""
        return all(year.avg_r > 0 for year in self.counted)


def rejected(phase: int) -> Screened:
    """A rejection in `phase` (rules.md, section 2)."""
    return Screened(phase, [], [])


def read_years(text: str | None, exclude_years: tuple[int, ...]) -> dict[int, Year] | None:
    """The years that are not excluded; None when there is no yearly data (rules.md, sections 1 and 2, phase 3)."""
    try:
        data = json.loads(text or "")
    except ValueError:
        return None
    if data is None or data == {}:
        return None
    if not isinstance(data, dict):
        raise Unusable("yearly_results is not a JSON object")

    years = {}
    for key, value in data.items():
        try:
            year = int(key)
        except ValueError:
            raise Unusable(f"yearly_results has a year that is no integer: {key!r}") from None
        if year in exclude_years:
            continue
        if not isinstance(value, dict):
            raise Unusable(f"yearly_results[{year}] is not a JSON object")
        trades = value.get("trades", 0)
        avg_r = value.get("avg_r", 0)
        if not is_number(trades) or trades != trades:  # NaN is not equal to itself
            raise Unusable(f"yearly_results[{year}].trades is not a number")
        if not is_number(avg_r):
            raise Unusable(f"yearly_results[{year}].avg_r is not a number")
        total_r = value.get("total_r", avg_r * trades)
        years[year] = Year(trades, avg_r, total_r if is_number(total_r) else math.nan)
    return years


def robust(years: dict[int, Year], settings: Settings, atr_by_year: Mapping[int, float]) -> tuple[bool, list[int]]:
    """Whether phase 3 passes, and the waived years in ascending order (rules.md, section 2, phase 3)."""
    included = {year: value for year, value in years.items() if value.trades >= settings.min_trades_per_year}
    if not included:
        return False, []

    positive = []
    negative = []
    for year in sorted(included):
        if included[year].avg_r > 0:  # false for NaN too: it fails closed
            positive.append(year)
        else:
            negative.append(year)

    if settings.no_regime_waivers or not atr_by_year:
        return len(positive) / len(included) >= settings.min_years_positive_pct, []

    waived = []
    for year in negative:
        dormant = year in atr_by_year and atr_by_year[year] < DORMANT_BELOW
        if dormant and included[year].trades <= WAIVED_TRADES:
            waived.append(year)
    if not positive:
        return False, []
    if settings.waived_years == "positive":
        enough = (len(positive) + len(waived)) / len(included) >= settings.min_years_positive_pct
        return (True, waived) if not negative or enough else (False, [])
    return (True, waived) if waived == negative else (False, [])


def counted_years(years: dict[int, Year], settings: Settings) -> list[Year]:
    """The years that promotion looks at (rules.md, sections 6 and 9)."""
    if settings.years_counted == "all":
        return list(years.values())
    return [year for year in years.values() if year.trades >= settings.min_trades_per_year]


def stressed_expectancy(row: Mapping[str, Any], multiplier: float, costs: Mapping[str, float]) -> float:
    """Expectancy after stressed friction (rules.md, section 2, phase 4)."""
    floor_points = costs["min_ticks_floor"] * costs["tick_size"]
    if row["median_risk_points"] is not None and row["median_risk_points"] > 0:
        risk_points = row["median_risk_points"]
    elif row["avg_risk_points"] is not None and row["avg_risk_points"] > 0:
        risk_points = row["avg_risk_points"]
    else:
        risk_points = floor_points
    risk_dollars = max(risk_points * costs["point_value"], floor_points * costs["point_value"])

    total_friction = costs["commission_rt"] + costs["spread_doubled"] + costs["slippage"]
    stressed_friction = (
        costs["commission_rt"] * multiplier + costs["spread_doubled"] * multiplier + costs["slippage"] * multiplier
    )
    stressed: float = row["expectancy_r"] - (stressed_friction - total_friction) / risk_dollars
    return stressed


def screen(
    row: Mapping[str, Any], settings: Settings, costs: Mapping[str, float], atr_by_year: Mapping[int, float]
) -> Screened:
    """The first of the phases 1 to 5 that rejects the row, if any (rules.md, sections 2 and 9).

    Comparisons are written so that NaN rejects (rules.md, section 1).
    """
    sample_size = row["sample_size"] if row["sample_size"] is not None else 0
    if sample_size < settings.min_sample:
        return rejected(1)

    expectancy_r = row["expectancy_r"]
    if expectancy_r is None or not expectancy_r > 0:
        return rejected(2)

    years = read_years(row["yearly_results"], settings.exclude_years)
    if years is None:
        return rejected(3)
    passes, waived = robust(years, in_use(settings, row), atr_by_year)
    if not passes:
        return rejected(3)

    if not stressed_expectancy(row, settings.stress_multiplier, costs) > 0:
        return rejected(4)

    if settings.min_sharpe is not None:
        sharpe_ratio = row["sharpe_ratio"]
        if sharpe_ratio is None or not sharpe_ratio >= settings.min_sharpe:
            return rejected(5)
    if settings.max_drawdown is not None:
        max_drawdown_r = row["max_drawdown_r"]
        if max_drawdown_r is not None and not max_drawdown_r <= settings.max_drawdown:
            return rejected(5)
    if settings.min_win_rate is not None:
        win_rate = row["win_rate"]
        if win_rate is None or not win_rate >= settings.min_win_rate:
            return rejected(5)

    return Screened(None, waived, counted_years(years, settings))
