"""Filters as values: what selects days. Hashable and small; they go along with questions to workers."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from dask_validator.filters.values import Value


class Days(StrEnum):
    """Filters that look at nothing."""

    ALL = "every day"
    NONE = "no day"
    WITH_ROW = "every day with a row of daily_features"


class Condition(NamedTuple):
    """Days whose row of features meets the condition of an entry."""

    entry: str  # its title
    values: tuple[tuple[str, Value], ...] = ()


class Both(NamedTuple):
    """Days of two filters."""

    base: Filter
    overlay: Filter


Filter = Days | Condition | Both


def conditions(selecting: Filter) -> Iterator[Condition]:
    """All that has to be evaluated."""
    if isinstance(selecting, Condition):
        yield selecting
    elif isinstance(selecting, Both):
        yield from conditions(selecting.base)
        yield from conditions(selecting.overlay)
