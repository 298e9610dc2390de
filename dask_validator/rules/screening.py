"""Phases 1-5: the gates that need only the strategy's own row (rules.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dask_validator.config import ScreenRules
from dask_validator.model import Gate, Strategy
from dask_validator.rules.costs import Costs, stressed_expectancy
from dask_validator.rules.yearly import Year, parse_years

SMALL_SAMPLE = 100
DORMANT_BELOW_ATR = 20.0
MAX_WAIVED_TRADES = 5


class Screening(NamedTuple):
    """How far a strategy came: its gates, and what promotion needs of its years."""

    gates: tuple[Gate, ...]
    warnings: tuple[str, ...] = ()
    regime_waivers: tuple[int, ...] = ()
    years_tested: int = 0
    all_years_positive: bool = False

    @property
    def rejected_by(self) -> Gate | None:
        """The gate that did not hold, which is the last one; None when the strategy goes on."""
        return None if self.gates[-1].passed else self.gates[-1]


def screen(strategy: Strategy, rules: ScreenRules, costs: Costs, atr_by_year: Mapping[int, float]) -> Screening:
    """Apply phases 1-5 in order and stop at the first that rejects.

    Parameters
    ----------
    atr_by_year
        Mean `atr_20` in points by calendar year; empty when the instrument has no ATR data.

    Raises
    ------
    UnusableStrategy
        `yearly_results` of the wrong shape, seen in phase 3.
    """
    gates: list[Gate] = []
    for early_gate in _EARLY:
        gates.append(early_gate(strategy, rules))
        if not gates[-1].passed:
            return Screening(tuple(gates))

    years = parse_years(strategy.yearly_results, rules.exclude_years)
    yearly_gate, waived = _yearly(years, rules, atr_by_year)
    gates.append(yearly_gate)
    for late_gate in _LATE:
        if not gates[-1].passed:
            break
        if (gate := late_gate(strategy, rules, costs)) is not None:
            gates.append(gate)

    return Screening(
        tuple(gates),
        tuple(_warnings(strategy, waived, atr_by_year)),
        tuple(year.year for year in waived),
        years_tested=len(years),
        all_years_positive=all(year.positive for year in years),
    )


def every_gate(
    strategy: Strategy, rules: ScreenRules, costs: Costs, atr_by_year: Mapping[int, float]
) -> tuple[Gate, ...]:
    """All gates of phases 1-5, also those behind one that rejects: to explain, where `screen` decides.

    Raises
    ------
    UnusableStrategy
        `yearly_results` of the wrong shape.
    """
    yearly_gate, _ = _yearly(parse_years(strategy.yearly_results, rules.exclude_years), rules, atr_by_year)
    late = (gate(strategy, rules, costs) for gate in _LATE)
    return (*(gate(strategy, rules) for gate in _EARLY), yearly_gate, *(gate for gate in late if gate is not None))


def _sample_size(strategy: Strategy, rules: ScreenRules) -> Gate:
    observed = strategy.sample_size or 0
    return Gate(1, "sample_size", observed, rules.min_sample, observed >= rules.min_sample)


def _expectancy(strategy: Strategy, rules: ScreenRules) -> Gate:
    observed = strategy.expectancy_r
    return Gate(2, "expectancy_r", observed, 0.0, observed is not None and observed > 0)


def _yearly(years: list[Year], rules: ScreenRules, atr_by_year: Mapping[int, float]) -> tuple[Gate, list[Year]]:
    """The gate of phase 3 and the years it waived, in ascending order."""
    included = sorted(year for year in years if year.trades >= rules.min_trades_per_year)
    if not included:
        detail = "no yearly data" if not years else f"no year with {rules.min_trades_per_year} or more trades"
        return Gate(3, "yearly_data", 0, 1, False, detail), []

    positive = sum(year.positive for year in included)
    if not (rules.regime_waivers and atr_by_year):
        share = positive / len(included)
        needed = rules.min_years_positive_pct
        detail = f"{positive} of {len(included)} years positive"
        return Gate(3, "years_positive", share, needed, share >= needed, detail), []

    waived = [year for year in included if not year.positive and _dormant(year, atr_by_year)]
    negative = [year.year for year in included if not year.positive and year not in waived]
    if not negative and not positive:
        return Gate(3, "positive_years", 0, 1, False), waived
    return Gate(3, "negative_years", len(negative), 0, not negative, ", ".join(map(str, negative))), waived


def _dormant(year: Year, atr_by_year: Mapping[int, float]) -> bool:
    atr = atr_by_year.get(year.year)
    return atr is not None and atr < DORMANT_BELOW_ATR and year.trades <= MAX_WAIVED_TRADES


def _stress(strategy: Strategy, rules: ScreenRules, costs: Costs) -> Gate:
    if strategy.expectancy_r is None:
        return Gate(4, "stressed_expectancy_r", None, 0.0, False)
    observed = stressed_expectancy(
        strategy.expectancy_r,
        strategy.median_risk_points,
        strategy.avg_risk_points,
        costs,
        rules.stress_multiplier,
    )
    return Gate(4, "stressed_expectancy_r", observed, 0.0, observed > 0)


def _sharpe(strategy: Strategy, rules: ScreenRules, _: Costs) -> Gate | None:
    if rules.min_sharpe is None:
        return None
    observed = strategy.sharpe_ratio
    return Gate(5, "sharpe_ratio", observed, rules.min_sharpe, observed is not None and observed >= rules.min_sharpe)


def _drawdown(strategy: Strategy, rules: ScreenRules, _: Costs) -> Gate | None:
    if rules.max_drawdown is None:
        return None
    observed = strategy.max_drawdown_r
    return Gate(5, "max_drawdown_r", observed, rules.max_drawdown, observed is None or observed <= rules.max_drawdown)


# Phases 1 and 2, then 4 and 5: in between come the years, which are parsed only when they are needed.
_EARLY: tuple[Callable[[Strategy, ScreenRules], Gate], ...] = (_sample_size, _expectancy)
_LATE: tuple[Callable[[Strategy, ScreenRules, Costs], Gate | None], ...] = (_stress, _sharpe, _drawdown)


def _warnings(strategy: Strategy, waived: list[Year], atr_by_year: Mapping[int, float]) -> list[str]:
    sample = strategy.sample_size or 0
    small = [f"Phase 1 WARN: sample {sample} is below {SMALL_SAMPLE}"] if sample < SMALL_SAMPLE else []
    return small + [
        f"Year {year.year} waived: DORMANT (mean ATR {atr_by_year[year.year]:.1f}, {year.trades:g} trades)"
        for year in waived
    ]
