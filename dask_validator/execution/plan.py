"""Cutting the work: strategies grouped by outcome key, groups packed into tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dask_validator.model import OutcomeKey, Request
from dask_validator.task import Group

TASKS_PER_WORKER = 4  # enough to even out unequal tasks; each task costs a scan and some milliseconds of scheduling
MAX_KEYS_PER_TASK = 64


def plan(requests: Iterable[tuple[OutcomeKey, Request]], workers: int) -> list[tuple[Group, ...]]:
    """Groups of each task, neighbours in (minutes, label, entry model) together so that one scan serves them."""
    by_key: dict[OutcomeKey, list[Request]] = {}
    for key, request in requests:
        by_key.setdefault(key, []).append(request)
    groups = [Group(key, tuple(by_key[key])) for key in sorted(by_key, key=lambda key: tuple(map(str, key)))]
    size = min(MAX_KEYS_PER_TASK, math.ceil(len(groups) / (workers * TASKS_PER_WORKER)) or 1)
    return [tuple(groups[start : start + size]) for start in range(0, len(groups), size)]
