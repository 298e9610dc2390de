"""Outcomes under a tighter stop than that they were made with (rules.md, section 9)."""

from __future__ import annotations

import numpy as np

from dask_validator.model import LOSS, Outcomes
from dask_validator.rules.costs import Costs


def replayed(outcomes: Outcomes, stop: float, costs: Costs) -> Outcomes:
    """The outcomes with a stop at that share of the risk: who went as far against the trade has lost it.

    A trade whose excursion or risk is unknown stays as it is. The order of operations is that of the rules: days lie
    within one unit in the last place of the bound.
    """
    if stop >= 1 or outcomes.excursions is None:
        return outcomes
    mae_r, entry, stop_price = outcomes.excursions
    with np.errstate(invalid="ignore", over="ignore"):
        risk = np.abs(entry - stop_price)
        adverse = mae_r * (risk * costs.point_value + costs.friction) / costs.point_value
        hit = (risk > 0) & (adverse >= stop * risk)
    code, pnl_r = outcomes.code.copy(), outcomes.pnl_r.copy()
    code[hit], pnl_r[hit] = LOSS, round(-stop, 4)
    return outcomes._replace(code=code, pnl_r=pnl_r)
