"""What a holdout says of a strategy: days that nobody looked at while it was found (rules.md, section 9)."""

from __future__ import annotations

import math

from dask_validator.config import RunConfig
from dask_validator.model import Holdout

PASSED, NEGATIVE, SHRUNK, NOTHING = "PASSED", "NEGATIVE_OOS_EXPR", "FAILED_RATIO", "NO_OOS_DATA"
FEW = {"pass": "INSUFFICIENT_N_PATHWAY_A_PASS_THROUGH", "reject": "INSUFFICIENT_N_PATHWAY_B_REJECT"}


def holdout_numbers(holdout: Holdout, expectancy_r: float, config: RunConfig) -> dict[str, float]:
    """By gate, what it sees; NaN where there is nothing to judge.

    Parameters
    ----------
    expectancy_r
        Of the strategy's row, in R; NaN where it is unknown.
    """
    numbers = {"holdout_trades": float(holdout.trades), "holdout_exp_r": math.nan, "holdout_ratio": math.nan}
    if holdout.exp_r is not None and holdout.trades >= config.holdout_min_trades:
        numbers["holdout_exp_r"] = holdout.exp_r
        if expectancy_r > 0:
            numbers["holdout_ratio"] = holdout.exp_r / expectancy_r
    return numbers


def holdout_word(holdout: Holdout, expectancy_r: float, config: RunConfig) -> str:
    """The same in a word, as `c8_oos_status` has it."""
    if holdout.exp_r is None:
        return NOTHING
    if holdout.trades < config.holdout_min_trades:
        return FEW[config.holdout_few]
    if not holdout.exp_r >= config.holdout_min_exp:
        return NEGATIVE
    ratio = holdout_numbers(holdout, expectancy_r, config)["holdout_ratio"]
    return SHRUNK if config.holdout_min_ratio is not None and ratio < config.holdout_min_ratio else PASSED
