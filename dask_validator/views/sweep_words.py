"""What is said of a sweep, worded once for terminal and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_validator.config import flag
from dask_validator.run.swept import COUNTS, Sweep


def said_of(sweep: Sweep) -> list[str]:
    """What was done, and what the columns count."""
    done = f"{sweep.instrument} in {sweep.db}: {sweep.strategies:,} strategies under {len(sweep.settings):,} settings"
    if not sweep.today:
        return [done, "Promoted today: none, no strategy has an active setup; every promotion is new"]
    today = f"Promoted today: {len(sweep.today):,} strategies, which have an active setup"
    return [done, f"{today}; stay and lost are of these, new are promotions that are none today"]


def head(flags: Sequence[str]) -> list[str]:
    """Of the table."""
    return [*map(flag, flags), *COUNTS]


def cells(row: Mapping[str, Any], flags: Sequence[str]) -> list[str]:
    """Of one row of `Sweep.rows`."""
    return [*(spelled(row[name]) for name in flags), *(f"{row[name]:,}" for name in COUNTS)]


def spelled(value: Any) -> str:
    """A value of a flag, as one types it where that can be."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
