"""One day as a filter sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Day(NamedTuple):
    """The features of one day, those of other instruments on it, and the instrument's costs."""

    label: str
    day: date
    row: Row
    of_symbol: Callable[[str], Row | None]
    costs: Mapping[str, float]

    def of(self, column: str) -> Any:
        """The value of a column; NaN counts as missing (rules.md, section 9)."""
        return present(self.row[column])

    def orb(self, name: str, label: str | None = None) -> Any:
        """The value of a session's column, of this session by default."""
        return self.of(f"orb_{label or self.label}_{name}")


def present(value: Any) -> Any:
    """The value, or None where it is NaN (rules.md, section 9)."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
