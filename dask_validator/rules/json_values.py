"""Numbers of the users' JSON columns."""

from __future__ import annotations

import math


def as_double(value: object) -> float | None:
    """The double of a JSON number; None for anything else. JSON integers have no limit: too large is infinite."""
    if not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
