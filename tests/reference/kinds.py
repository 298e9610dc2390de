"""The kinds of filters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .arithmetic import is_number
from .days import Day
from .filters import weekday
from .momentum import momentum
from .previous_day import PREVIOUS_DAY_MODES, previous_day
from .stops import friction

Fields = Mapping[str, Any]


class Kind(NamedTuple):
    """The exact set of fields with their tests, the columns, and the condition (rules.md, section 9)."""

    fields: Mapping[str, Callable[[Any], bool]]
    columns: tuple[str, ...]
    holds: Callable[[Fields, Day], bool]
    prefix: str = ""


def number(value: Any) -> bool:
    """A JSON number that a double can hold (rules.md, section 9)."""
    return is_number(value) and abs(value) <= sys.float_info.max


def number_or_null(value: Any) -> bool:
    """A bound that may be missing."""
    return value is None or number(value)


def flag(value: Any) -> bool:
    """true or false."""
    return isinstance(value, bool)


def text(value: Any) -> bool:
    """Some text."""
    return isinstance(value, str)


def only(*values: Any) -> Callable[[Any], bool]:
    """Just those values; 20.0 equals 20, true does not equal 1."""
    return lambda value: isinstance(value, bool) in map(flag, values) and value in values


def weekdays(value: Any) -> bool:
    """A list of 0 (Monday) to 6."""
    return isinstance(value, list) and all(number(day) and day in range(7) for day in value)


def within(value: Any, low: float | None, high: float | None) -> bool:
    """Whether a value is there, and not outside the bounds that are there."""
    if value is None:
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def size(fields: Fields, day: Day) -> bool:
    """The smallest size counts, the largest does not."""
    v, largest = day.orb("size"), fields.get("max_size")
    return within(v, fields.get("min_size"), None) and (largest is None or v < largest)


def cost_share(fields: Fields, day: Day) -> bool:
    """The share of the costs, in this order of operations."""
    v, f = day.orb("size"), friction(day.costs)
    if v is None or not v > 0:
        return False
    return bool(100.0 * f / (v * day.costs["point_value"] + f) < fields["max_cost_ratio_pct"])


def relative_volume(fields: Fields, day: Day) -> bool:
    """Relative to the twenty days before."""
    return within(day.of(f"rel_vol_{day.label}"), fields["min_rel_vol"], None)


def volume_and_atr(fields: Fields, day: Day) -> bool:
    """Both at least so large."""
    return relative_volume(fields, day) and within(day.of("atr_20_pct"), fields["min_atr_pct"], None)


def overnight_percentile(fields: Fields, day: Day) -> bool:
    """The smallest percentile counts unless `strict_gt`; the largest counts."""
    v = day.of("overnight_range_pct")
    if not within(v, fields["min_pct"], fields["max_pct"]):
        return False
    return not fields["strict_gt"] or bool(v > fields["min_pct"])


def other_atr(fields: Fields, day: Day) -> bool:
    """The percentile of another instrument, from its 5-minute row."""
    row = day.of_symbol(fields["source_instrument"])
    return row is not None and within(day._replace(row=row).of("atr_20_pct"), fields["min_pct"], None)


def share_of_atr(v: float | None, fields: Fields, day: Day) -> bool:
    """A length at least so many ATR."""
    atr = day.of("atr_20")
    return v is not None and atr is not None and atr > 0 and v / atr >= fields["min_ratio"]


def gap(fields: Fields, day: Day) -> bool:
    """The gap in either direction."""
    v = day.of("gap_open_points")
    return share_of_atr(None if v is None else abs(v), fields, day)


def forecast_low(fields: Fields, day: Day) -> bool:
    """A quiet forecast."""
    return within(day.of("garch_forecast_vol_pct"), None, fields["pct_threshold"])


def forecast_high(fields: Fields, day: Day) -> bool:
    """A lively forecast."""
    v, x = day.of("garch_forecast_vol_pct"), fields["pct_threshold"]
    return v is not None and bool(v > x if fields["strict_gt"] else v >= x)


def vwap_side(fields: Fields, day: Day) -> bool:
    """Whether the break goes away from the volume-weighted price."""
    high, low, broke = day.orb("high"), day.orb("low"), day.orb("break_dir")
    if fields["definition"] == "orb_mid":
        reference = None if high is None or low is None else (high + low) / 2.0
    else:
        reference = {"long": high, "short": low}.get(broke)
    vwap = day.orb("vwap")
    if reference is None or vwap is None:
        return False
    return bool((broke == "long" and reference > vwap) or (broke == "short" and reference < vwap))


NUMBER_OF_ATR = {"min_ratio": number}
RANGE = ("orb_{L}_high", "orb_{L}_low", "orb_{L}_break_dir")
PRIOR = ("orb_{P}_high", "orb_{P}_low", "orb_{P}_break_dir")
FORECAST = {"pct_threshold": number, "direction": only("high"), "strict_gt": flag}

# rules.md, section 9, row by row.
KINDS = (
    Kind({"min_size": number_or_null}, ("orb_{L}_size",), size),
    Kind({"max_size": number_or_null}, ("orb_{L}_size",), size),
    Kind({"min_size": number_or_null, "max_size": number_or_null}, ("orb_{L}_size",), size),
    Kind({"max_cost_ratio_pct": number}, ("orb_{L}_size",), cost_share),
    Kind({"min_rel_vol": number, "lookback_days": only(20)}, ("rel_vol_{L}",), relative_volume),
    Kind(
        {"min_rel_vol": number, "lookback_days": only(20), "min_atr_pct": number},
        ("rel_vol_{L}", "atr_20_pct"),
        volume_and_atr,
    ),
    Kind({"min_volume": number}, ("orb_{L}_volume",), lambda f, d: within(d.orb("volume"), f["min_volume"], None)),
    Kind(
        {"min_pct": number, "max_pct": number_or_null},
        ("atr_20_pct",),
        lambda f, d: within(d.of("atr_20_pct"), f["min_pct"], f["max_pct"]),
    ),
    Kind(
        {"min_pct": number, "strict_gt": flag, "max_pct": number_or_null},
        ("overnight_range_pct",),
        overnight_percentile,
    ),
    Kind({"source_instrument": text, "min_pct": number}, ("atr_20_pct",), other_atr),
    Kind(
        {"min_range": number}, ("overnight_range",), lambda f, d: within(d.of("overnight_range"), f["min_range"], None)
    ),
    Kind(
        NUMBER_OF_ATR,
        ("prev_day_range", "atr_20"),
        lambda f, d: share_of_atr(d.of("prev_day_range"), f, d),
        "PDR_",
    ),
    Kind(NUMBER_OF_ATR, ("gap_open_points", "atr_20"), gap, "GAP_"),
    Kind(
        NUMBER_OF_ATR,
        ("pit_range_atr",),
        lambda f, d: within(d.of("pit_range_atr"), f["min_ratio"], None),
        "PIT_",
    ),
    Kind(
        NUMBER_OF_ATR,
        ("atr_vel_ratio",),
        lambda f, d: within(d.of("atr_vel_ratio"), f["min_ratio"], None),
        "ATR_VEL_",
    ),
    Kind(FORECAST, ("garch_forecast_vol_pct",), forecast_high),
    Kind(
        {**FORECAST, "direction": only("low"), "strict_gt": only(False)},
        ("garch_forecast_vol_pct",),
        forecast_low,
    ),
    Kind(
        {"mode": only(*PREVIOUS_DAY_MODES)},
        (*RANGE, "prev_day_high", "prev_day_low", "prev_day_close", "atr_20"),
        lambda f, d: previous_day(f["mode"], d),
    ),
    Kind({"definition": only("orb_mid", "break_price")}, (*RANGE, "orb_{L}_vwap"), vwap_side),
    Kind({"prior_session": text}, (*RANGE, *PRIOR), lambda f, d: momentum(f["prior_session"], d)),
    Kind(
        {"direction": only("long", "short")},
        ("orb_{L}_break_dir",),
        lambda f, d: bool(d.orb("break_dir") == f["direction"]),
    ),
    Kind({"skip_days": weekdays}, ("day_of_week",), lambda f, d: weekday(d.day, d.row) not in f["skip_days"]),
    Kind(
        {"max_delay_min": number},
        ("orb_{L}_break_delay_min",),
        lambda f, d: within(d.orb("break_delay_min"), None, f["max_delay_min"]),
    ),
    Kind(
        {"require_continues": flag},
        ("orb_{L}_break_bar_continues",),
        lambda f, d: d.orb("break_bar_continues") is f["require_continues"],
    ),
)
