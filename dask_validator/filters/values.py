"""What the fields of a filter may hold (rules.md, section 5): JSON values, checked without any good will."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

Value = float | str | bool | tuple[float, ...] | None
Scalar = float | str | bool

# By the name of a type, what a column of parameters of it is in SQL.
TYPES = {"number": "DOUBLE", "bool": "BOOLEAN", "text": "VARCHAR", "session": "VARCHAR", "weekdays": "DOUBLE[]"}
SUNDAY = 6  # Monday is 0


class Misfit(ValueError):
    """A value that the field does not admit; the text says what it needs."""


class Field(NamedTuple):
    """One field of a filter: its type, whether null is admitted, and which values, if only some are."""

    kind: str  # of TYPES
    nullable: bool = False
    allowed: tuple[Scalar, ...] = ()

    @property
    def sql_type(self) -> str:
        """What its parameter is in SQL."""
        return TYPES[self.kind]

    @property
    def needed(self) -> str:
        """In words."""
        if self.allowed:
            return f"one of {', '.join(map(repr, self.allowed))}"
        return {"session": "a session with columns", "weekdays": "a list of 0 to 6"}.get(self.kind, f"a {self.kind}")

    def read(self, value: Any, sessions: Collection[str]) -> Value:
        """The value as it is compared and bound. Raises Misfit."""
        if value is None and self.nullable:
            return None
        read: Value = _READERS[self.kind](value)
        if (
            read is None
            or (self.allowed and read not in self.allowed)
            or (self.kind == "session" and read not in sessions)
        ):
            raise Misfit(f"needed {self.needed}")
        return read


def declared(declaration: Any) -> Field:
    """The field of a declaration such as `number?` or `[20]`. Raises Misfit."""
    if isinstance(declaration, list):
        for kind in ("number", "text", "bool"):
            values = [_READERS[kind](value) for value in declaration]
            if values and None not in values:
                return Field(kind, allowed=tuple(values))
        raise Misfit("needed a list of numbers, of texts or of truth values")
    name = declaration.removesuffix("?") if isinstance(declaration, str) else ""
    if name not in TYPES:
        raise Misfit(f"needed {', '.join(TYPES)}, each with ? where null is admitted, or a list of values")
    return Field(name, nullable=declaration.endswith("?"))


def _number(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return float(value) if fits and not math.isnan(value) else None


def _weekdays(value: Any) -> tuple[float, ...] | None:
    days = [_number(day) for day in value] if isinstance(value, list) else [None]
    return tuple(days) if all(day in range(SUNDAY + 1) for day in days) else None  # type: ignore[arg-type]


_READERS: Mapping[str, Any] = {
    "number": _number,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "text": lambda value: value if isinstance(value, str) else None,
    "session": lambda value: value if isinstance(value, str) else None,
    "weekdays": _weekdays,
}
