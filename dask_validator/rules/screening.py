"""Phases 1-5: the gates that need only the strategies' own rows (rules.md, section 2), applied to columns of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.model import R, Strategy
from dask_validator.rules.costs import Costs, Friction, risk_dollars
from dask_validator.rules.eras import Era, worst_era
from dask_validator.rules.gates import GATES, HELD, OF_ROWS, POSITION, Terms
from dask_validator.rules.judging import first_failing
from dask_validator.rules.yearly import Years, years_of

SMALL_SAMPLE = 100
_BEFORE_YEARS = [position for position in OF_ROWS if GATES[position].phase in (10, 1, 2)]


class Market(NamedTuple):
    """What screening knows beside the rows: costs, and mean `atr_20` in points by calendar year (empty: unknown)."""

    costs: Costs
    atr_by_year: Mapping[int, float]
    unit: str = R  # of the results
    replays_stops: bool = False  # outcomes say enough to be replayed under a tighter stop

    def terms(self, config: RunConfig) -> Terms:
        """What the thresholds are made of."""
        return Terms(config, bool(self.atr_by_year) and not config.no_regime_waivers, self.unit)


class Screened(NamedTuple):
    """Strategies after phases 1-5, as columns.

    Attributes
    ----------
    observed
        Shape (n_strategies, n_gates); NaN where a number is unknown or was not looked at.
    gate
        Position of the gate that rejects, else HELD; shape (n_strategies,).
    years
        By row, of those that came as far as phase 3.
    unusable
        By row, why its years cannot be read.
    eras
        By row, the worst era, where one can be judged.
    """

    observed: NDArray[np.float64]
    gate: NDArray[np.int8]
    years: Mapping[int, Years]
    unusable: Mapping[int, str]
    eras: Mapping[int, Era]

    def texts(self, row: int, config: RunConfig) -> dict[str, str]:
        """What the words of its gates name beside numbers."""
        years = self.years.get(row)
        texts = {} if years is None else year_words(years, config)
        return texts | ({"era": self.eras[row].name} if row in self.eras else {})


def screen(rows: Sequence[Strategy], terms: Terms, market: Market, *, all_years: bool = False) -> Screened:
    """Apply phases 1-5.

    Parameters
    ----------
    all_years
        Whether years are read also where phases 1 and 2 reject already: to explain, where a run need not know.
    """
    observed = of_rows(rows)
    friction, multiplier = friction_of(rows, market.costs), terms.config.stress_multiplier
    observed[:, POSITION["stressed_expectancy_r"]] = stressed(means_of(rows), friction, market.costs, multiplier)
    eras = read_eras(rows, terms.config)
    observed[list(eras), POSITION["era_exp_r"]] = [era.exp_r for era in eras.values()]
    reads = all_years or first_failing(observed, terms, _BEFORE_YEARS) == HELD
    positions = np.flatnonzero(np.broadcast_to(reads, len(rows))).tolist()
    years, unusable = read_years(rows, observed, positions, terms, market)
    observe_years(observed, years)
    return Screened(observed, first_failing(observed, terms, OF_ROWS), years, unusable, eras)


def of_rows(rows: Sequence[Strategy]) -> NDArray[np.float64]:
    """What gates see of the columns that stand in the table, shape (n_strategies, n_gates); all else is NaN."""
    observed = np.full((len(rows), len(GATES)), np.nan)
    for position, gate in enumerate(GATES):
        if gate.column is not None:
            observed[:, position] = _numbers(rows, gate.column, nan=np.inf if gate.unknown_holds else np.nan)
    sample = observed[:, POSITION["sample_size"]]
    sample[np.isnan(sample)] = 0
    return observed


def stressed(means: NDArray[np.float64], friction: Friction, costs: Costs, multiplier: float) -> NDArray[np.float64]:
    """Mean result of a trade after stressed costs, shape (n_strategies,)."""
    with np.errstate(invalid="ignore"):
        return means - friction.extra(costs, multiplier)


def friction_of(rows: Sequence[Strategy], costs: Costs) -> Friction:
    """What a round trip of each strategy costs."""
    dollars = risk_dollars(_numbers(rows, "median_risk_points"), _numbers(rows, "avg_risk_points"), costs)
    imported = np.array([row.is_trade_log for row in rows], dtype=np.bool_)
    return Friction(np.where(imported, np.nan, dollars), _numbers(rows, "mean_cost"))


def means_of(rows: Sequence[Strategy]) -> NDArray[np.float64]:
    """Mean result of a trade: as it is stored or, of imported trades, not rounded (rules.md, section 2, phase 4)."""
    means = (row.mean_result if row.is_trade_log else row.expectancy_r for row in rows)
    return np.array([np.nan if mean is None else mean for mean in means], dtype=np.float64)


def _numbers(rows: Sequence[Strategy], column: str, nan: float = np.nan) -> NDArray[np.float64]:
    """A column as doubles: NULL becomes NaN, and NaN what is said."""
    position = Strategy._fields.index(column)
    values = [row[position] for row in rows]
    if not np.isnan(nan):  # else both are the same
        values = [nan if value != value else value for value in values]
    return np.array(values, dtype=np.float64)


def read_eras(rows: Sequence[Strategy], config: RunConfig) -> dict[int, Era]:
    """By row, the worst era of the strategies that eras are for."""
    if not config.era_starts:
        return {}
    eras = {i: worst_era(row.yearly_results, config) for i, row in enumerate(rows) if row.is_gated}
    return {i: era for i, era in eras.items() if era is not None}


def read_years(
    rows: Sequence[Strategy],
    observed: NDArray[np.float64],
    positions: Sequence[int],
    terms: Terms,
    market: Market,
) -> tuple[dict[int, Years], dict[int, str]]:
    """Of the rows at these positions: their years, or why they cannot be read."""
    sample = observed[:, POSITION["sample_size"]]
    years: dict[int, Years] = {}
    unusable: dict[int, str] = {}
    tested_from = terms.config.min_trades_per_year if terms.config.years_counted == "tested" else -math.inf
    for position in positions:
        waives = terms.waives and not rows[position].is_trade_log
        try:
            config = terms.config.of(sample[position])
            atr_by_year = market.atr_by_year if waives else {}
            years[position] = years_of(rows[position].yearly_results, config, atr_by_year, tested_from)
        except UnusableStrategy as error:
            unusable[position] = str(error)
        except Exception as error:  # as in a task: one strategy must not end the run
            unusable[position] = f"unexpected {type(error).__name__}: {error}"
    return years, unusable


def observe_years(observed: NDArray[np.float64], years: Mapping[int, Years]) -> None:
    """Fill in the numbers of phase 3."""
    if not years:
        return
    seen = [(y.counting, y.positive, len(y.negative), len(y.waived)) for y in years.values()]
    rows, (counting, positive, negative, waived) = list(years), np.array(seen, dtype=np.float64).T
    observed[rows, POSITION["yearly_data"]] = counting
    observed[rows, POSITION["positive_years"]] = positive
    observed[rows, POSITION["negative_years"]] = negative
    with np.errstate(invalid="ignore"):  # without years there is no share
        observed[rows, POSITION["years_positive"]] = positive / counting
        observed[rows, POSITION["years_held"]] = (positive + waived) / counting


def year_words(years: Years, config: RunConfig) -> dict[str, str]:
    """What the gates of phase 3 name beside numbers."""
    few = f"no year with {config.min_trades_per_year} or more trades"
    return {"no_years": few if years.tested else "no yearly data", "negative": ", ".join(map(str, years.negative))}


def warnings(sample_size: float, years: Years, atr_by_year: Mapping[int, float]) -> list[str]:
    """What the note of a strategy that passes phases 1-5 says nevertheless."""
    small = [f"Phase 1 WARN: sample {sample_size:g} is below {SMALL_SAMPLE}"] if sample_size < SMALL_SAMPLE else []
    return small + [
        f"Year {year.year} waived: DORMANT (mean ATR {atr_by_year[year.year]:.1f}, {year.trades:g} trades)"
        for year in years.waived
    ]
