"""Eras: whether a strategy earned in each of several spans of years (rules.md, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.rules.yearly import trades_and_r


class Era(NamedTuple):
    """The worst of those with enough trades."""

    name: str  # the years, as people write them
    exp_r: float  # R per trade; minus infinity where it is NaN


def worst_era(text: str | None, config: RunConfig) -> Era | None:
    """Of the `yearly_results`; None where no era has enough trades, or the years cannot be read, as phase 3 tells.

    Years before that of `wf_first_day`, and outside every era, do not count.
    """
    try:
        years = trades_and_r(text)
    except UnusableStrategy:
        return None
    first_year = config.wf_first_day.year if config.wf_first_day else -1
    spans = [(max(start, first_year), end) for start, end in pairwise(config.era_starts)]
    eras = [era for span in spans if (era := _era(years, *span, config.era_min_trades)) is not None]
    return min(eras, key=lambda era: era.exp_r, default=None)


def _era(years: Sequence[tuple[int, float, float]], start: int, end: int, least: int) -> Era | None:
    count = total = 0.0
    for year, trades, avg_r in years:
        if start <= year < end:
            count += trades
            total += trades * avg_r
    if count < least or count == 0:
        return None
    exp_r = total / count
    name = f"{start} to {end - 1}" if end - start > 1 else str(start)
    return Era(name, exp_r if exp_r == exp_r else -float("inf"))
