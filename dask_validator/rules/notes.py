"""The words of `validation_notes` beside those of the gates."""

from __future__ import annotations

PASSED = "All phases passed"
ALIAS = "Alias (non-canonical)"


def rejection(phase: int, reason: str, remark: str = "") -> str:
    """The note of a rejected strategy."""
    return f"Phase {phase}: {reason}; {remark}" if remark else f"Phase {phase}: {reason}"


def every_day(filter_type: str) -> str:
    """The remark on a strategy whose walk-forward may have seen other trades than its backtest."""
    return f"filter {filter_type!r} is unknown, walk-forward took every day"


def no_split(reason: str) -> str:
    """The remark on a rejected strategy whose season split cannot be computed."""
    return f"no season split: {reason}"


def missing(columns: list[str]) -> str:
    """The note of a strategy that would pass but cannot become a setup."""
    return f"would pass, but cannot be promoted: {', '.join(columns)} is NULL"
