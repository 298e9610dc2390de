"""The register of gates: all that a strategy must hold against, each stated once, in the order of judging.

Whatever screens, judges, words, counts, explains, remedies or documents a gate reads it here. What is observed are
columns of doubles, one per gate, NaN where it is unknown or was not looked at: judging is comparing columns.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.model import R

PHASES = {  # in the order of judging
    10: "eras",
    9: "holdout",
    1: "sample size",
    2: "expectancy",
    3: "yearly robustness",
    4: "cost stress",
    5: "quality gates",
    6: "walk-forward",
    7: "multiple testing",
    8: "efficiency",
}
OPT_IN = {7, 8, 9, 10}  # phases that count only where a gate of theirs is on
RESULTS = "the unit of the results"  # which the terms know
_HOLDS: Mapping[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
}


class Scope(StrEnum):
    """What a gate looks at."""

    ROW = "row"  # the strategy's own row
    HOLDOUT = "holdout"  # its outcomes in the holdout
    WINDOWS = "windows"  # its walk-forward
    UNIVERSE = "universe"  # all strategies of the instrument at once


class Terms(NamedTuple):
    """What thresholds are made of."""

    config: RunConfig
    waives: bool  # losing years of low volatility are forgiven
    unit: str = R  # of the results

    def of(self, sample_size: float) -> Terms:
        """Those of a strategy with so many trades."""
        return self._replace(config=self.config.of(sample_size)) if self.config.small_sample else self


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate.

    Attributes
    ----------
    name
        Its column of `dask_validator_results`.
    label, unit
        What is observed, for people.
    threshold
        None while the gate is off.
    column
        Of `experimental_strategies`, where the number stands there as it is.
    words
        Why it does not hold, for the note; may name other gates' numbers.
    unknown
        The same where nobody knows the number; default: `words`.
    flags
        Fields of RunConfig that can let a strategy through.
    lacking
        What must change where no flag helps.
    whole
        Whether what is observed is a count.
    unknown_holds
        Whether a number that nobody knows is good enough.
    of_others
        Whether the number comes of all strategies of the instrument.
    """

    phase: int
    name: str
    label: str
    comparison: str
    threshold: Callable[[Terms], float | None]
    words: str
    unit: str = ""
    scope: Scope = Scope.ROW
    column: str | None = None
    flags: tuple[str, ...] = ()
    unknown: str = ""
    lacking: str = ""
    whole: bool = False
    unknown_holds: bool = False
    of_others: bool = False

    def holds(self, observed: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
        """Whether each of the numbers, of any shape, is good enough. NaN is not, unless the unknown is."""
        held = _HOLDS[self.comparison](observed, threshold)
        return held | np.isnan(observed) if self.unknown_holds else held

    def number(self, observed: float) -> float | None:
        """What is observed, as people write it; None where it is unknown."""
        if math.isnan(observed):
            return None
        return int(observed) if self.whole and float(observed).is_integer() else float(observed)

    def title(self, unit: str) -> str:
        """Label and unit, where results are in this one."""
        own = unit if self.unit == RESULTS else self.unit
        return f"{self.label} ({own})" if own else self.label


def _if_asked(name: str, threshold: Callable[[Terms], float | None]) -> Callable[[Terms], float | None]:
    return lambda terms: threshold(terms) if name in terms.config.gate else None


def _if_waiving(
    threshold: Callable[[Terms], float], *, waives: bool, counting: str = ""
) -> Callable[[Terms], float | None]:
    """On where waivers are on or off and, if that is said, where waived years count so."""
    return lambda terms: (
        threshold(terms) if terms.waives is waives and counting in ("", terms.config.waived_years) else None
    )


def _if_held_out(threshold: Callable[[RunConfig], float | None]) -> Callable[[Terms], float | None]:
    return lambda terms: threshold(terms.config) if terms.config.holdout_from is not None else None


NOT_CALIBRATED = "not calibrated"
_NO_YEARS = "there must be yearly results of a year with trades; there are none"
GATES = (
    Gate(
        phase=10,
        name="era_exp_r",
        label="expectancy in the worst era",
        unit=RESULTS,
        comparison=">=",
        threshold=lambda terms: terms.config.era_min_exp if terms.config.era_starts else None,
        words="expectancy in the era {era} {observed:.4f} {unit}, needed >= {threshold}",
        flags=("era_min_exp",),
        unknown_holds=True,  # no era has enough trades
    ),
    Gate(
        phase=9,
        name="holdout_filter",
        label="known filters in the holdout",
        comparison=">=",
        threshold=_if_held_out(lambda _: 1),
        words="its filter is unknown, and with it which days of the holdout are its",
        lacking="its filter must be known: nobody can say which days of the holdout are its",
        whole=True,
        unknown_holds=True,  # it is known, or nobody asked
    ),
    Gate(
        phase=9,
        name="holdout_trades",
        label="trades in the holdout",
        scope=Scope.HOLDOUT,
        comparison=">=",
        threshold=_if_held_out(
            lambda config: max(1, config.holdout_min_trades) if config.holdout_few == "reject" else None
        ),
        words="trades in the holdout {observed} < {threshold}",
        flags=("holdout_few",),
        whole=True,
        unknown_holds=True,  # nobody was asked
    ),
    Gate(
        phase=9,
        name="holdout_exp_r",
        label="expectancy in the holdout",
        unit=RESULTS,
        scope=Scope.HOLDOUT,
        comparison=">=",
        threshold=_if_held_out(lambda config: config.holdout_min_exp),
        words="expectancy in the holdout {observed:.4f} {unit}, needed >= {threshold}",
        flags=("holdout_min_exp",),
        unknown_holds=True,  # too few trades, which another gate is for
    ),
    Gate(
        phase=9,
        name="holdout_ratio",
        label="expectancy in the holdout over that before",
        scope=Scope.HOLDOUT,
        comparison=">=",
        threshold=_if_held_out(lambda config: config.holdout_min_ratio),
        words="expectancy in the holdout {observed:.1%} of that before, needed >= {threshold:.1%}",
        flags=("holdout_min_ratio",),
        unknown_holds=True,  # as above, or nothing was earned before
    ),
    Gate(
        phase=1,
        name="sample_size",
        label="trades",
        column="sample_size",
        comparison=">=",
        threshold=lambda terms: terms.config.min_sample,
        words="sample size {observed} < {threshold}",
        flags=("min_sample",),
        whole=True,
    ),
    Gate(
        phase=2,
        name="expectancy_r",
        label="expectancy after costs",
        unit=RESULTS,
        column="expectancy_r",
        comparison=">",
        threshold=lambda _: 0.0,
        words="expectancy {observed} {unit}, needed > 0",
        lacking="expectancy after costs must be above 0 {unit} per trade; it is {value}",
    ),
    Gate(
        phase=3,
        name="yearly_data",
        label="years with results",
        comparison=">=",
        threshold=lambda _: 1,
        words="{no_years}",
        flags=("min_trades_per_year", "exclude_years"),
        lacking=_NO_YEARS,
        whole=True,
    ),
    Gate(
        phase=3,
        name="years_positive",
        label="share of positive years",
        comparison=">=",
        threshold=_if_waiving(lambda terms: terms.config.min_years_positive_pct, waives=False),
        words="{positive_years} of {yearly_data} years positive ({observed:.0%}, needed {threshold:.0%})",
        flags=("min_years_positive_pct", "exclude_years", "min_trades_per_year"),
        lacking=_NO_YEARS,
    ),
    Gate(
        phase=3,
        name="negative_years",
        label="negative years, not waived",
        comparison="<=",
        threshold=_if_waiving(lambda _: 0, waives=True, counting="excuse"),
        words="{observed} negative year(s) that cannot be waived: {negative}",
        flags=("exclude_years", "min_trades_per_year", "no_regime_waivers"),
        lacking=_NO_YEARS,
        whole=True,
    ),
    Gate(
        phase=3,
        name="positive_years",
        label="positive years",
        comparison=">=",
        threshold=_if_waiving(lambda _: 1, waives=True),
        words="no positive year, all were waived",
        flags=("exclude_years", "min_trades_per_year", "no_regime_waivers"),
        lacking=_NO_YEARS,
        whole=True,
    ),
    Gate(
        phase=3,
        name="years_held",
        label="share of years positive or waived",
        comparison=">=",
        threshold=_if_waiving(lambda terms: terms.config.min_years_positive_pct, waives=True, counting="positive"),
        words="{observed:.0%} of {yearly_data} years positive or waived, needed {threshold:.0%}",
        flags=("min_years_positive_pct", "exclude_years", "min_trades_per_year", "no_regime_waivers"),
        lacking=_NO_YEARS,
    ),
    Gate(
        phase=4,
        name="stressed_expectancy_r",
        label="expectancy after stressed costs",
        unit=RESULTS,
        comparison=">",
        threshold=lambda _: 0.0,
        words="expectancy after stressed costs {observed:.4f} {unit}, needed > 0",
        flags=("stress_multiplier",),
        unknown_holds=True,  # imported trades may come without costs: then the note says that it was not judged
        lacking="expectancy after stressed costs must be above 0 {unit} per trade; it is {value}",
    ),
    Gate(
        phase=5,
        name="sharpe_ratio",
        label="Sharpe ratio per trade",
        column="sharpe_ratio",
        comparison=">=",
        threshold=lambda terms: terms.config.min_sharpe,
        words="Sharpe ratio per trade {observed}, needed >= {threshold}",
        flags=("min_sharpe",),
    ),
    Gate(
        phase=5,
        name="max_drawdown_r",
        label="drawdown",
        unit=RESULTS,
        column="max_drawdown_r",
        comparison="<=",
        threshold=lambda terms: terms.config.max_drawdown,
        words="drawdown {observed} {unit}, needed <= {threshold}",
        flags=("max_drawdown",),
        unknown_holds=True,
    ),
    Gate(
        phase=5,
        name="win_rate",
        label="win rate",
        column="win_rate",
        comparison=">=",
        threshold=lambda terms: terms.config.min_win_rate,
        words="win rate {observed}, needed >= {threshold}",
        flags=("min_win_rate",),
    ),
    Gate(
        phase=6,
        name="outcomes",
        label="outcomes on days of the filter",
        scope=Scope.WINDOWS,
        comparison=">=",
        threshold=lambda _: 1,
        words="No outcomes found",
        lacking="there must be outcomes on days of the filter; there are none",
        whole=True,
        unknown_holds=True,  # windows that an earlier version has kept came of some
    ),
    Gate(
        phase=6,
        name="windows",
        label="test windows",
        scope=Scope.WINDOWS,
        comparison=">=",
        threshold=lambda _: 1,
        words="no test window: all {outcomes} outcomes lie in the training period",
        lacking="there must be outcomes after the training period; all {outcomes} lie in it",
        whole=True,
    ),
    Gate(
        phase=6,
        name="valid_windows",
        label="valid test windows",
        scope=Scope.WINDOWS,
        comparison=">=",
        threshold=lambda terms: terms.config.wf_min_windows,
        words="valid windows {observed} < {threshold}",
        flags=("wf_min_windows", "wf_min_trades"),
        whole=True,
    ),
    Gate(
        phase=6,
        name="pct_positive",
        label="share of positive windows",
        scope=Scope.WINDOWS,
        comparison=">=",
        threshold=lambda terms: terms.config.wf_min_pct_positive,
        words="positive windows {observed:.1%}, needed {threshold:.1%}",
        flags=("wf_min_pct_positive", "wf_min_trades"),
    ),
    Gate(
        phase=6,
        name="agg_oos_exp_r",
        label="expectancy in valid windows",
        unit=RESULTS,
        scope=Scope.WINDOWS,
        comparison=">",
        threshold=lambda _: 0.0,
        words="expectancy in the test windows {observed:.4f} {unit}, needed > 0",
        flags=("wf_min_trades",),
        lacking="expectancy over the valid test windows must be above 0 {unit}; it is {value}",
    ),
    Gate(
        phase=6,
        name="total_oos_trades",
        label="trades in valid windows",
        scope=Scope.WINDOWS,
        comparison=">=",
        threshold=lambda terms: terms.config.window_trades * terms.config.wf_min_windows,
        words="trades in the test windows {observed} < {threshold}",
        flags=("wf_min_trades", "wf_min_windows"),
        whole=True,
    ),
    Gate(
        phase=7,
        name="fdr_p",
        label="corrected p",
        scope=Scope.UNIVERSE,
        of_others=True,
        comparison="<",
        threshold=_if_asked("fdr", lambda terms: terms.config.alpha),
        words="p {observed:.6f} after correction, needed < {threshold}",
        unknown="{unknown}",
        flags=("gate_alpha",),
        lacking="it needs a p-value among those of all canonical strategies; it has none",
    ),
    Gate(
        phase=7,
        name="sharpe_ann",
        label="annual Sharpe ratio",
        column="sharpe_ann",
        scope=Scope.UNIVERSE,
        comparison=">",
        threshold=_if_asked("fdr", lambda terms: terms.config.min_sharpe_ann),
        words="annual Sharpe ratio {observed}, needed > {threshold}",
        flags=("min_sharpe_ann",),
        lacking="its annual Sharpe ratio must be known; it is not",
    ),
    Gate(
        phase=7,
        name="luck_bound",
        label="share of luck, at most",
        scope=Scope.UNIVERSE,
        of_others=True,
        comparison="<=",
        threshold=_if_asked("luck", lambda terms: terms.config.gate_share),
        words="up to {observed:.1%} of the promotions as strong are luck (95 %), needed <= {threshold:.1%}",
        unknown="{unknown}",
        flags=("gate_share",),
        lacking="it must be calibrated: its stored numbers must follow from its outcomes and filter",
    ),
    Gate(
        phase=7,
        name="stepm_p",
        label="step-down p",
        scope=Scope.UNIVERSE,
        of_others=True,
        comparison="<=",
        threshold=_if_asked("stepm", lambda terms: terms.config.alpha),
        words="p {observed:.6f} in the step-down over all strategies, needed <= {threshold}",
        unknown="{unknown}",
        flags=("gate_alpha",),
        lacking="it must be calibrated, and its z above 1.645: no weaker one can be told from luck",
    ),
    Gate(
        phase=8,
        name="wfe",
        label="walk-forward efficiency",
        scope=Scope.UNIVERSE,
        comparison=">=",
        threshold=lambda terms: terms.config.min_wfe,
        words="efficiency {observed:.4f}, needed >= {threshold}",
        flags=("min_wfe",),
        lacking="there must be valid test windows with a positive expectancy in training; there are none",
    ),
)
POSITION = {gate.name: position for position, gate in enumerate(GATES)}
OF_ROWS, OF_HOLDOUT, OF_WINDOWS, OF_UNIVERSE = (
    [i for i, gate in enumerate(GATES) if gate.scope is scope] for scope in Scope
)
HELD = -1  # in place of a position: no gate rejects
