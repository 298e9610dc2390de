"""Phase 10: no era of losses."""

from __future__ import annotations

import json
from typing import NamedTuple

from .arithmetic import is_number
from .settings import Settings


class YearOfEra(NamedTuple):
    """What the eras read of one year."""

    year: int
    trades: float
    avg_r: float


def years_of_eras(text: str | None) -> list[YearOfEra] | None:
    """The years in JSON order; None leaves the judgement to phase 3 (rules.md, section 9)."""
    try:
        data = json.loads(text or "")
        years = []
        for key, value in data.items():
            trades = value.get("trades")
            avg_r = value.get("avg_r")
            trades = 0 if trades is None else trades
            avg_r = 0 if avg_r is None else avg_r
            if not is_number(trades) or not is_number(avg_r) or trades != trades:  # NaN is not equal to itself
                return None
            years.append(YearOfEra(int(key), trades, avg_r))
    except (ValueError, AttributeError):
        return None
    return years


def has_era_of_losses(text: str | None, settings: Settings) -> bool:
    """Whether an era with enough trades lost too much (rules.md, section 9)."""
    years = years_of_eras(text)
    if years is None:
        return False
    for first, end in zip(settings.era_starts, settings.era_starts[1:], strict=False):
        n = 0.0
        r = 0.0
        for year in years:
            if not first <= year.year < end:
                continue
            if settings.wf_first_day is not None and year.year < settings.wf_first_day.year:
                continue
            n = n + year.trades
            r = r + year.trades * year.avg_r
        if n >= settings.era_min_trades and n > 0 and not r / n >= settings.era_min_exp:
            return True
    return False
