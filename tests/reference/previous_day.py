"""Where the day opens in the range of the day before."""

from __future__ import annotations

from typing import Any

from .days import Day

PREVIOUS_DAY_MODES = (
    "below_pdl_long", "inside_pdr_long", "downside_displacement_long", "near_pivot_long_50",
    "clear_of_congestion_long", "go_long_context",
)  # fmt: skip


def displaced(mid: float, low: float, atr: float) -> bool:
    """D: below the previous low, or near it (rules.md, section 9)."""
    return mid < low or abs(mid - low) / atr < 0.15


def near_pivot(mid: float, pivot: float, atr: float) -> bool:
    """N: near the previous day's pivot (rules.md, section 9)."""
    return abs(mid - pivot) / atr < 0.50


def previous_day(mode: str, day: Day) -> bool:
    """The six modes; every comparison is strict (rules.md, section 9)."""
    high, low = day.orb("high"), day.orb("low")
    h, l = day.of("prev_day_high"), day.of("prev_day_low")  # noqa: E741
    if high is None or low is None or h is None or l is None or day.orb("break_dir") != "long":
        return False
    mid = (high + low) / 2.0
    if mode == "below_pdl_long":
        return bool(mid < l)
    if mode == "inside_pdr_long":
        return bool(l < mid < h)

    atr = day.of("atr_20")
    if atr is None or not atr > 0:
        return False
    if mode == "downside_displacement_long":
        return displaced(mid, l, atr)
    close: Any = day.of("prev_day_close")
    if close is None:
        return False
    near = near_pivot(mid, (h + l + close) / 3.0, atr)
    if mode == "near_pivot_long_50":
        return near
    clear = not l < mid < h and not near
    if mode == "clear_of_congestion_long":
        return clear
    return displaced(mid, l, atr) or clear
