"""Plain arithmetic."""

from __future__ import annotations

from typing import Any


def total(values: list[float]) -> float:
    """The values added left to right from 0.0 (rules.md, section 3, arithmetic; `sum` compensates from Python 3.12)."""
    result = 0.0
    for value in values:
        result = result + value
    return result


def mean(values: list[float]) -> float:
    """The mean of a group that has members (rules.md, section 3, arithmetic)."""
    return total(values) / len(values)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number; true and false are not (rules.md, section 1)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
