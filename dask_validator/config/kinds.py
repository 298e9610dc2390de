"""What the fields of settings admit, by their annotations, and the words for it: a wrong type must not be a verdict."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from dask_validator.config.promotion import GatesOnly, Promotion
from dask_validator.errors import InputError

Test = Callable[[Any], bool]


class BadValue(InputError):
    """A value that no run could use; a rules file says where it stands."""

    def __init__(self, name: str, value: object, needed: str) -> None:
        super().__init__(f"{flag(name)} got {value!r}; needed {needed}")
        self.needed = needed


def flag(field_name: str) -> str:
    """The command-line spelling of a field: `wf_min_trades` is `--wf-min-trades`."""
    return "--" + field_name.replace("_", "-")


def is_whole(value: object) -> bool:
    """Whether it is a whole number, which True is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_finite(value: object) -> bool:
    """Whether it is a number that doubles can hold."""
    number: Any = value if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    return bool(abs(number) <= sys.float_info.max)  # an int of 400 digits is no float


def _is_size(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*[KMGT]i?B\s*", value, re.IGNORECASE) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _listed(of: Test) -> Test:
    return lambda value: isinstance(value, Iterable) and not isinstance(value, str | Mapping) and all(map(of, value))


def _table(of: Test) -> Test:
    return lambda value: isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(of, value.values()))


_KINDS: dict[str, tuple[Test, str]] = {
    "int": (is_whole, "a whole number"),
    "float": (is_finite, "a finite number"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "str": (_is_text, "a text"),
    "Size": (_is_size, "a size such as 800MiB or 4GB"),
    "date": (lambda value: isinstance(value, date) and not isinstance(value, datetime), "a date such as 2024-01-31"),
    "str | Path": (lambda value: isinstance(value, str | Path), "a path"),
    "tuple[int, ...]": (_listed(is_whole), "years"),
    "tuple[str, ...]": (_listed(_is_text), "a list of names"),
    "dict[str, str]": (_table(_is_text), "a table of names"),
    "tuple[Table, ...]": (_listed(_table(lambda _: True)), "tables"),
    "dict[str, Table]": (_table(_table(lambda _: True)), "a table for each symbol"),
    "Promotion": (lambda value: isinstance(value, Promotion), "a table"),
    "GatesOnly": (lambda value: isinstance(value, GatesOnly), "a table with not_null, created_after"),
}


def converted(kind: str, value: Any) -> Any:
    """A value as its field keeps it: records and files have dates as text and lists in place of tuples."""
    if kind.startswith("date") and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    if kind == "Promotion" and isinstance(value, Mapping):
        return Promotion.of(value)
    if kind.startswith("GatesOnly") and isinstance(value, Mapping):
        return GatesOnly.of(value)
    if kind.startswith("str | Path") and isinstance(value, str):
        return Path(value)
    return tuple(value) if kind.startswith("tuple") and isinstance(value, list) else value


def choices_of(kind: str) -> list[str]:
    """The texts that an annotation `Literal[...]` admits; none of another one."""
    return re.findall(r"['\"](\w+)['\"]", kind) if kind.startswith("Literal[") else []


def check(name: str, kind: str, value: object) -> None:
    """Raise BadValue unless the annotation admits the value."""
    plain = kind.removesuffix(" | None")
    if plain != kind and value is None:
        return
    if names := choices_of(plain):
        holds, needed = isinstance(value, str) and value in names, f"one of {', '.join(names)}"
    else:
        test, needed = _KINDS[plain]
        holds = test(value)
    if not holds:
        raise BadValue(name, value, needed)
