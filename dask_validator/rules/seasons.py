"""Winter and summer: how a strategy does on either side of daylight saving time (rules.md, section 4)."""

from __future__ import annotations

import calendar
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Both, Days, Filter
from dask_validator.filters.vocabulary import Vocabulary
from dask_validator.model import EPOCH, OTHER, Outcomes, SeasonSplit, SplitRule, Strategy
from dask_validator.rules.day_masks import Mask
from dask_validator.rules.json_values import as_double
from dask_validator.rules.walkforward import FIRST_DAY, LAST_DAY, check_taken

MIN_N, STABLE_N, STABLE_WITHIN_R = 10, 15, 0.10
CLEAN = SeasonSplit(verdict="CLEAN")

_SIZE_NAME = re.compile(r"ORB_G([0-9]+(?:\.[0-9]+)?)(?:_L([0-9]+(?:\.[0-9]+)?))?")
_WEEKDAY_PART = re.compile(r"_(?:NOFRI|NOMON|NOTUE)")


def season_of(strategy_id: str, zone: str | None) -> str | None:
    """`W` or `S` when the id restricts the strategy to one season of a session that has a zone."""
    return strategy_id[-1] if strategy_id.endswith(("_W", "_S")) and zone is not None else None


def known_split(strategy: Strategy, zones: Mapping[str, str]) -> SeasonSplit | None:
    """The split where no outcomes are needed for it (cases 1-3 of rules.md, section 4), else None."""
    if (stored := strategy.stored_split) is not None:
        return stored
    if strategy.is_trade_log or strategy.strategy_id.endswith(("_W", "_S")):
        return SeasonSplit()
    if strategy.orb_label not in zones:
        return CLEAN
    return None


def winter_days(zone: str, days: NDArray[np.integer[Any]]) -> Mask:
    """True on days when the zone is not on daylight saving time at local noon; `days` ascending."""
    days = days.clip(FIRST_DAY, LAST_DAY)  # whoever uses others is refused
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + EPOCH.year
    changes, winter = _clock_changes(zone, tuple(np.unique(years).tolist()))
    return winter[np.searchsorted(changes, days, side="right") - 1]


@lru_cache(maxsize=1_000)
def _clock_changes(zone: str, years: tuple[int, ...]) -> tuple[NDArray[np.int32], Mask]:
    """Days from which it is winter or not, every January 1st of the years among them."""
    changes = [change for year in years for change in _clock_changes_of_year(zone, year)]
    return np.array([day for day, _ in changes], dtype=np.int32), np.array([w for _, w in changes], dtype=np.bool_)


@lru_cache(maxsize=1_000)
def _clock_changes_of_year(zone: str, year: int) -> list[tuple[int, bool]]:
    first = (date(year, 1, 1) - EPOCH).days
    states = [_is_winter(zone, day) for day in range(first, first + 365 + calendar.isleap(year))]
    return [(first + i, state) for i, state in enumerate(states) if i == 0 or state != states[i - 1]]


def _is_winter(zone: str, day: int) -> bool:
    noon = datetime.combine(EPOCH + timedelta(days=day), time(12), ZoneInfo(zone))
    return not noon.dst()


@lru_cache(maxsize=10_000)
def split_rule(filter_type: str | None, filter_params: str | None) -> SplitRule:
    """Size bounds and skipped weekdays of a strategy's split.

    Raises
    ------
    UnusableStrategy
        `filter_params` is JSON of the wrong shape.
    """
    params = _load(filter_params)
    min_size, max_size = _bounds(params)
    if min_size is None and max_size is None:
        min_size, max_size = _bounds(_part(params, "base"))
    if min_size is None and max_size is None:
        min_size, max_size = _bounds_in_name(filter_type)
    skip_days = params.get("skip_days")
    if skip_days is None:
        skip_days = _part(params, "overlay").get("skip_days")
    return SplitRule(min_size, max_size, _weekdays(skip_days))


@lru_cache(maxsize=10_000)
def split_filter(rule: SplitRule, vocabulary: Vocabulary) -> Filter:
    """The rule as a filter: the kinds that have its fields."""
    bounds = {"min_size": rule.min_size, "max_size": rule.max_size}
    if any(bound is not None and math.isnan(bound) for bound in bounds.values()):
        return Days.NONE
    sizes = vocabulary.of_kind(bounds) if any(bound is not None for bound in bounds.values()) else Days.WITH_ROW
    return Both(sizes, vocabulary.of_kind({"skip_days": rule.skip_days})) if rule.skip_days else sizes


def season_splits(outcomes: Outcomes, winter: Mask, taken: Sequence[Mask]) -> list[SeasonSplit]:
    """Counts and mean R by season of the wins and losses that each strategy takes; all masks have shape (n_outcomes,).

    Raises
    ------
    UnusableStrategy
        An outcome of one of them that cannot be used.
    """
    check_taken(outcomes, taken)
    traded, masks = outcomes.code != OTHER, np.array(taken)
    numbers: list[list[Any]] = []
    for days in (np.flatnonzero(traded & winter), np.flatnonzero(traded & ~winter)):
        counted = masks[:, days]
        total_r = np.cumsum(np.where(counted, outcomes.pnl_r[days], 0.0), axis=1)[:, -1:].sum(axis=1)  # left to right
        numbers += [np.count_nonzero(counted, axis=1).tolist(), (total_r + 0.0).tolist()]
    return [_split(*of_one) for of_one in zip(*numbers, strict=True)]


def _split(winter_n: int, winter_r: float, summer_n: int, summer_r: float) -> SeasonSplit:
    winter_avg = winter_r / winter_n if winter_n else None
    summer_avg = summer_r / summer_n if summer_n else None
    return SeasonSplit(
        winter_n,
        None if winter_avg is None else round(winter_avg, 4),
        summer_n,
        None if summer_avg is None else round(summer_avg, 4),
        _verdict(winter_n, winter_avg, summer_n, summer_avg),
    )


SEASON_VERDICTS = (
    *("CLEAN", "LOW-N", "WINTER-ONLY", "SUMMER-ONLY", "STABLE", "WINTER-DOM", "SUMMER-DOM", "BOTH-POS", "UNSTABLE"),
)


def _verdict(winter_n: int, winter: float | None, summer_n: int, summer: float | None) -> str:
    """The first verdict that holds, on unrounded means."""
    if winter is None or summer is None or winter_n < MIN_N or summer_n < MIN_N:
        return "LOW-N"
    if winter > 0 >= summer:
        return "WINTER-ONLY"
    if summer > 0 >= winter:
        return "SUMMER-ONLY"
    if abs(winter - summer) <= STABLE_WITHIN_R and winter_n >= STABLE_N and summer_n >= STABLE_N:
        return "STABLE"
    if winter > summer + STABLE_WITHIN_R and winter_n >= STABLE_N:
        return "WINTER-DOM"
    if summer > winter + STABLE_WITHIN_R and summer_n >= STABLE_N:
        return "SUMMER-DOM"
    return "BOTH-POS" if winter > 0 and summer > 0 else "UNSTABLE"


def _load(filter_params: str | None) -> dict[str, object]:
    try:
        params = json.loads(filter_params) if filter_params else None
    except (ValueError, RecursionError):
        return {}
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise UnusableStrategy(f"filter_params is a JSON {type(params).__name__}, needed an object")
    return params


def _part(params: dict[str, object], name: str) -> dict[str, object]:
    part = params.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise UnusableStrategy(f"filter_params has {name} = {json.dumps(part)[:40]}, needed an object")
    return part


def _bounds(params: dict[str, object]) -> tuple[float | None, float | None]:
    return _number(params, "min_size"), _number(params, "max_size")


def _number(params: dict[str, object], name: str) -> float | None:
    value = params.get(name)
    number = as_double(value)
    if value is not None and number is None:
        raise UnusableStrategy(f"filter_params has {name} = {json.dumps(value)[:40]}, needed a number")
    return number


def _bounds_in_name(filter_type: str | None) -> tuple[float | None, float | None]:
    match = _SIZE_NAME.fullmatch(_WEEKDAY_PART.sub("", filter_type or ""))
    if match is None:
        return None, None
    smallest, largest = match.groups()
    return float(smallest), None if largest is None else float(largest)


def _weekdays(skip_days: object) -> tuple[float, ...]:
    if skip_days is None:
        return ()
    days = [as_double(day) for day in skip_days] if isinstance(skip_days, list) else [None]
    if None in days:
        raise UnusableStrategy(f"filter_params has skip_days = {json.dumps(skip_days)[:40]}, needed a list of numbers")
    return tuple(day for day in days if day is not None)
