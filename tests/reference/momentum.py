"""Whether an earlier session's break is winning or losing."""

from __future__ import annotations

from .days import Day

EDGE = {"long": "high", "short": "low"}


def momentum(prior: str, day: Day) -> bool:
    """A winning break is followed, a losing one is faded (rules.md, section 9)."""
    before, now = day.orb("break_dir", prior), day.orb("break_dir")
    if before not in EDGE or now not in EDGE:
        return False
    entry, price = day.orb(EDGE[before], prior), day.orb(EDGE[now])
    if entry is None or price is None:
        return False
    winning = price > entry if before == "long" else price < entry
    return bool(now == before) if winning else bool(now != before)
