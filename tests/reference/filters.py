"""Which days a strategy trades."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from datetime import date
from typing import Any

from .errors import Unusable

LABELS = (
    "0900", "1000", "1100", "1130", "1800", "2300", "0030",
    "CME_OPEN", "US_EQUITY_OPEN", "US_DATA_OPEN", "LONDON_OPEN", "US_POST_EQUITY", "CME_CLOSE",
)  # fmt: skip

SIZE_AT_LEAST = {
    "ORB_G4": 4,
    "ORB_G5": 5,
    "ORB_G6": 6,
    "ORB_G8": 8,
    "M6E_G4": 0.0004,
    "M6E_G6": 0.0006,
    "M6E_G8": 0.0008,
}
SKIPPED_WEEKDAY = {"NOFRI": 4, "NOMON": 0, "NOTUE": 1}
BREAKS_WITHIN = {"FAST5": 5, "FAST10": 10}
STRICT_ONLY = ("DIR_LONG", "DIR_SHORT", "ORB_G4_L12", "ORB_G5_L12", "NO_DBL_BREAK")


def split_name(filter_type: str) -> tuple[str, str | None]:
    """`ORB_G4_NOFRI` as (`ORB_G4`, `NOFRI`); a name that is no such composite with None (rules.md, section 5)."""
    composite = re.fullmatch(r"(ORB_G[4568])_(NOFRI|NOMON|NOTUE|FAST5|FAST10|CONT)", filter_type)
    if composite is None:
        return filter_type, None
    return composite.group(1), composite.group(2)


def is_listed(filter_type: str) -> bool:
    """Whether a row of the table above the last one names the filter (rules.md, section 5)."""
    base, _ = split_name(filter_type)
    return filter_type in ("NO_FILTER", "VOL_RV12_N20") or base in SIZE_AT_LEAST


def sessions_of(columns: Iterable[str]) -> set[str]:
    """The labels that stand between `orb_` and the last `_size` (rules.md, section 9)."""
    return {column[4:-5] for column in columns if re.fullmatch("orb_.+_size", column)}


def check_session(label: str, columns: Container[str]) -> None:
    """Unusable when the session does not exist (rules.md, sections 5 and 9)."""
    if label not in LABELS and f"orb_{label}_size" not in columns:
        raise Unusable(f"unknown session {label!r}")


def check_filter(filter_type: str, strict: bool) -> None:
    """Unusable when, with `strict`, the filter does not exist (rules.md, section 5)."""
    if strict and not is_listed(filter_type) and filter_type not in STRICT_ONLY:
        raise Unusable(f"unknown filter {filter_type!r}")


def columns(filter_type: str, label: str, strict: bool) -> list[str]:
    """The session's columns that the filter reads (rules.md, section 5)."""
    base, extra = split_name(filter_type)
    if strict and filter_type in ("DIR_LONG", "DIR_SHORT"):
        return [f"orb_{label}_break_dir"]
    if strict and filter_type in ("ORB_G4_L12", "ORB_G5_L12"):
        return [f"orb_{label}_size"]
    if strict and filter_type == "NO_DBL_BREAK":
        return [f"orb_{label}_double_break"]
    if base not in SIZE_AT_LEAST:
        return []
    if extra in BREAKS_WITHIN:
        return [f"orb_{label}_size", f"orb_{label}_break_delay_min"]
    if extra == "CONT":
        return [f"orb_{label}_size", f"orb_{label}_break_bar_continues"]
    return [f"orb_{label}_size"]


def weekday(day: date, features: Mapping[str, Any]) -> int:
    """0 = Monday; a NULL `day_of_week` is taken from the day itself (rules.md, sections 4 and 5)."""
    day_of_week = features["day_of_week"]
    return day.weekday() if day_of_week is None else int(day_of_week)


def eligible(
    filter_type: str,
    label: str,
    day: date,
    features: Mapping[str, Any] | None,
    strict: bool,
    catalogue: Container[str] = (),
) -> bool:
    """Whether the filter lets the strategy trade on that day (rules.md, section 5)."""
    check_session(label, catalogue)
    check_filter(filter_type, strict)

    if filter_type == "NO_FILTER":
        return True
    if not is_listed(filter_type) and not strict:
        return True
    if features is None:
        return False
    for column in columns(filter_type, label, strict):
        if column not in features:
            raise Unusable(f"daily_features has no column {column}")
    if filter_type == "VOL_RV12_N20":
        return False

    size = features.get(f"orb_{label}_size")
    if strict and filter_type == "DIR_LONG":
        return bool(features[f"orb_{label}_break_dir"] == "long")
    if strict and filter_type == "DIR_SHORT":
        return bool(features[f"orb_{label}_break_dir"] == "short")
    if strict and filter_type == "ORB_G4_L12":
        return size is not None and 4 <= size < 12
    if strict and filter_type == "ORB_G5_L12":
        return size is not None and 5 <= size < 12
    if strict and filter_type == "NO_DBL_BREAK":
        return features[f"orb_{label}_double_break"] is not True

    base, extra = split_name(filter_type)
    if size is None or not size >= SIZE_AT_LEAST[base]:
        return False
    if extra in SKIPPED_WEEKDAY:
        return weekday(day, features) != SKIPPED_WEEKDAY[extra]
    if extra in BREAKS_WITHIN:
        delay = features[f"orb_{label}_break_delay_min"]
        return delay is not None and delay <= BREAKS_WITHIN[extra]
    if extra == "CONT":
        return features[f"orb_{label}_break_bar_continues"] is True
    return True
