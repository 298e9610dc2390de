"""Phase 9: the days that nobody has looked at."""

from __future__ import annotations

import math
from datetime import date
from typing import NamedTuple

from .arithmetic import mean
from .settings import Settings
from .walkforward import Outcome, traded_r

PASSED = "PASSED"
NEGATIVE = "NEGATIVE_OOS_EXPR"
FAILED_RATIO = "FAILED_RATIO"
NO_DATA = "NO_OOS_DATA"
FEW_PASS = "INSUFFICIENT_N_PATHWAY_A_PASS_THROUGH"
FEW_REJECT = "INSUFFICIENT_N_PATHWAY_B_REJECT"


class Held(NamedTuple):
    """The word that is stored, and whether the phase lets the strategy through."""

    word: str | None
    passes: bool


def held_out(outcomes: list[Outcome], first_day: date) -> list[float]:
    """The results of the wins and losses from `first_day` on (rules.md, section 9)."""
    results = []
    for outcome in outcomes:
        if outcome[0] >= first_day and outcome[1] in ("win", "loss"):
            results.append(traded_r(outcome))
    return results


def holdout(results: list[float], expectancy_r: float | None, settings: Settings) -> Held:
    """The judgement on those results (rules.md, section 9)."""
    few_pass = settings.holdout_few == "pass"
    if not results:
        return Held(NO_DATA, few_pass)
    if len(results) < settings.holdout_min_trades:
        return Held(FEW_PASS if few_pass else FEW_REJECT, few_pass)

    e = mean(results)
    if not e >= settings.holdout_min_exp:  # false for NaN too
        return Held(NEGATIVE, False)
    if expectancy_r is None or math.isnan(expectancy_r) or settings.holdout_min_ratio is None:
        return Held(PASSED, True)
    if expectancy_r > 0 and e / expectancy_r < settings.holdout_min_ratio:
        return Held(FAILED_RATIO, False)
    return Held(PASSED, True)
