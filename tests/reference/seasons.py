"""The DST split."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from .arithmetic import is_number, mean
from .errors import Unusable
from .filters import weekday
from .settings import SEASONS
from .walkforward import traded_r

Split = tuple[int | None, float | None, int | None, float | None, str | None]
Row = tuple[date, str, float | None, Mapping[str, Any]]

NO_SPLIT: Split = (None, None, None, None, None)
CLEAN: Split = (None, None, None, None, "CLEAN")


@cache
def is_standard_time(zone: str, day: date) -> bool:
    """Whether the zone is not on daylight saving time at local noon of that day (rules.md, section 4)."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    return noon.dst() == timedelta(0)


def is_winter(label: str, day: date, seasons: Mapping[str, str] = SEASONS) -> bool:
    """Whether it is winter where the session's zone is (rules.md, sections 4 and 9)."""
    return is_standard_time(seasons[label], day)


def in_season(strategy_id: str, label: str, day: date, seasons: Mapping[str, str] = SEASONS) -> bool:
    """Whether an id ending `_W` / `_S` in a session with seasons lets the day through (rules.md, section 3).

    `_S075` is a stop, not a season (rules.md, section 9).
    """
    if label in seasons and strategy_id.endswith("_W"):
        return is_winter(label, day, seasons)
    if label in seasons and strategy_id.endswith("_S"):
        return not is_winter(label, day, seasons)
    return True


def read_object(value: Any, name: str) -> dict[str, Any]:
    """A JSON object; null is as if empty (rules.md, sections 1 and 4)."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unusable(f"{name} is not a JSON object")
    return value


def read_bounds(params: dict[str, Any], name: str) -> tuple[float | None, float | None]:
    """`min_size` and `max_size` of one object, null = none (rules.md, section 4)."""
    for key in ("min_size", "max_size"):
        if params.get(key) is not None and not is_number(params[key]):
            raise Unusable(f"{key} of {name} is not a number")
    return params.get("min_size"), params.get("max_size")


def read_weekdays(params: dict[str, Any], name: str) -> list[float] | None:
    """`skip_days` of one object, null = none (rules.md, section 4)."""
    days = params.get("skip_days")
    if days is not None and not (isinstance(days, list) and all(is_number(day) for day in days)):
        raise Unusable(f"skip_days of {name} is not a list of numbers")
    return days


def bounds_in_name(filter_type: str | None) -> tuple[float | None, float | None]:
    """The bounds of a name that reads in full `ORB_G<min>` or `ORB_G<min>_L<max>` (rules.md, section 4)."""
    name = filter_type or ""
    for weekday_part in ("_NOFRI", "_NOMON", "_NOTUE"):
        name = name.replace(weekday_part, "")
    found = re.fullmatch(r"ORB_G([0-9]+)(?:_L([0-9]+))?", name)
    if found is None:
        return None, None
    return float(found.group(1)), None if found.group(2) is None else float(found.group(2))


def bounds_and_weekdays(
    filter_type: str | None, filter_params: str | None
) -> tuple[float | None, float | None, list[float]]:
    """The smallest size, the size that is too large, and the skipped weekdays (rules.md, section 4)."""
    try:
        loaded = json.loads(filter_params or "")
    except ValueError:
        loaded = None
    params = read_object(loaded, "filter_params")

    bounds = read_bounds(params, "filter_params")
    if bounds == (None, None):
        bounds = read_bounds(read_object(params.get("base"), "filter_params.base"), "filter_params.base")
    if bounds == (None, None):
        bounds = bounds_in_name(filter_type)

    weekdays = read_weekdays(params, "filter_params")
    if weekdays is None:
        overlay = read_object(params.get("overlay"), "filter_params.overlay")
        weekdays = read_weekdays(overlay, "filter_params.overlay")
    return bounds[0], bounds[1], weekdays or []


def verdict(winter_n: int, winter: float, summer_n: int, summer: float) -> str:
    """The first verdict that holds, on unrounded means (rules.md, section 4)."""
    if winter_n < 10 or summer_n < 10:
        return "LOW-N"
    if winter > 0 >= summer:
        return "WINTER-ONLY"
    if summer > 0 >= winter:
        return "SUMMER-ONLY"
    if abs(winter - summer) <= 0.10 and winter_n >= 15 and summer_n >= 15:
        return "STABLE"
    if winter > summer + 0.10 and winter_n >= 15:
        return "WINTER-DOM"
    if summer > winter + 0.10 and summer_n >= 15:
        return "SUMMER-DOM"
    if winter > 0 and summer > 0:
        return "BOTH-POS"
    return "UNSTABLE"


def season_split(
    label: str,
    filter_type: str | None,
    filter_params: str | None,
    rows: list[Row],
    seasons: Mapping[str, str] = SEASONS,
) -> Split:
    """Number and mean R of the winter's and the summer's trades, and the verdict (rules.md, section 4, compute)."""
    min_size, max_size, weekdays = bounds_and_weekdays(filter_type, filter_params)

    winter = []
    summer = []
    for day, kind, pnl_r, features in rows:
        if kind not in ("win", "loss"):
            continue
        if min_size is not None or max_size is not None:
            if f"orb_{label}_size" not in features:
                raise Unusable(f"daily_features has no column orb_{label}_size")
            size = features[f"orb_{label}_size"]
            if size is None:
                continue
            if min_size is not None and not size >= min_size:
                continue
            if max_size is not None and not size < max_size:
                continue
        if weekdays and weekday(day, features) in weekdays:
            continue
        if is_winter(label, day, seasons):
            winter.append(traded_r((day, kind, pnl_r)))
        else:
            summer.append(traded_r((day, kind, pnl_r)))

    winter_mean = mean(winter) if winter else None
    summer_mean = mean(summer) if summer else None
    return (
        len(winter),
        None if winter_mean is None else round(winter_mean, 4),
        len(summer),
        None if summer_mean is None else round(summer_mean, 4),
        verdict(len(winter), winter_mean or 0.0, len(summer), summer_mean or 0.0),
    )


def needs_outcomes(row: Mapping[str, Any], seasons: Mapping[str, str] = SEASONS) -> bool:
    """Whether the split has to be computed, the last of four cases (rules.md, section 4)."""
    return row["dst_verdict"] is None and not row["strategy_id"].endswith(("_W", "_S")) and row["orb_label"] in seasons


def split_for(row: Mapping[str, Any], rows: list[Row], seasons: Mapping[str, str] = SEASONS) -> Split:
    """The five DST values of a processed canonical row, from the first case that holds (rules.md, section 4)."""
    if row["dst_verdict"] is not None:
        return (
            row["dst_winter_n"],
            row["dst_winter_avg_r"],
            row["dst_summer_n"],
            row["dst_summer_avg_r"],
            row["dst_verdict"],
        )
    if row["strategy_id"].endswith(("_W", "_S")):
        return NO_SPLIT
    if row["orb_label"] not in seasons:
        return CLEAN
    return season_split(row["orb_label"], row["filter_type"], row["filter_params"], rows, seasons)
