"""Tighter stops, replayed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from .errors import Unusable
from .walkforward import Outcome


class Path(NamedTuple):
    """How far one trade went against its entry (rules.md, section 9)."""

    mae_r: float | None
    entry_price: float | None
    stop_price: float | None


def friction(costs: Mapping[str, float]) -> float:
    """Dollars of one round trip, added in this order (rules.md, section 9)."""
    return costs["commission_rt"] + costs["spread_doubled"] + costs["slippage"]


def multiplier(stored: float | None) -> float:
    """The share of the stop's distance that the strategy uses; NULL is all (rules.md, section 9)."""
    if stored is None:
        return 1.0
    if math.isnan(stored) or stored <= 0:
        raise Unusable(f"stop_multiplier is {stored}")
    return stored


def is_stopped(path: Path, m: float, costs: Mapping[str, float]) -> bool:
    """Whether the tight stop was touched, costs included (rules.md, section 9)."""
    for value in path:
        if value is None or math.isnan(value):
            return False
    assert path.mae_r is not None
    assert path.entry_price is not None
    assert path.stop_price is not None
    risk = abs(path.entry_price - path.stop_price)
    if not risk > 0:
        return False
    point_value = costs["point_value"]
    return path.mae_r * (risk * point_value + friction(costs)) / point_value >= m * risk


def replayed(outcome: Outcome, path: Path, m: float, costs: Mapping[str, float]) -> Outcome:
    """The outcome as it is with the strategy's stop (rules.md, section 9)."""
    if m < 1 and is_stopped(path, m, costs):
        return outcome[0], "loss", round(-m, 4)
    return outcome
