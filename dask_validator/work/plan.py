"""Cutting the work: groups packed into tasks of roughly equal work, neighbours in the table together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dask_validator.model import Extent, OutcomeKey
from dask_validator.work.piece import Group

TASKS, TASKS_PER_WORKER = 8, 4  # at least, where there is enough work, so that unequal tasks even out
OUTCOMES_PER_TASK = 60_000, 500_000  # fewer are not worth the scheduling, more would not be light; 13 bytes each
# Where the outcomes of a key lie scattered, every task scans the whole table: then fewer tasks are better.
SCANNED_PER_OUTCOME = 16  # rows that are scanned in the time of working on one outcome
SCATTERED_OUTCOMES_PER_TASK = 4_000_000
KEYS_WITHOUT_LAYOUT = 64


def plan(
    groups: Sequence[Group], layout: Mapping[OutcomeKey, Extent], workers: int, *, carried: bool = False
) -> list[tuple[Group, ...]]:
    """Pack neighbours in the table together, so that a task reads little else than its own rows.

    Tasks that carry their outcomes are small: the scheduler holds all that are in flight.
    """
    extents = [layout[group.key.stored] for group in groups if group.key.stored in layout]
    target = OUTCOMES_PER_TASK[0] if carried else _outcomes_per_task(extents, workers)
    return [*_packed(groups, layout, target), *_unlocated(groups, layout)]


def _packed(groups: Sequence[Group], layout: Mapping[OutcomeKey, Extent], target: float) -> Iterator[tuple[Group, ...]]:
    located = sorted(
        (group for group in groups if group.key.stored in layout), key=lambda group: layout[group.key.stored].first
    )
    extents = [layout[group.key.stored] for group in located]
    start = outcomes = 0
    for end, extent in enumerate(extents, 1):
        outcomes += extent.outcomes
        if outcomes >= target or end == len(extents):
            yield tuple(located[start:end])
            start, outcomes = end, 0


def _outcomes_per_task(extents: Sequence[Extent], workers: int) -> float:
    if not extents:
        return 0.0
    fewest, most = OUTCOMES_PER_TASK
    tasks = max(TASKS, TASKS_PER_WORKER * workers)
    usual = min(max(sum(extent.outcomes for extent in extents) / tasks, fewest), most)
    scanned = sum(extent.last - extent.first for extent in extents) / len(extents)
    return max(usual, min(scanned / SCANNED_PER_OUTCOME, SCATTERED_OUTCOMES_PER_TASK))


def _unlocated(groups: Sequence[Group], layout: Mapping[OutcomeKey, Extent]) -> Iterator[tuple[Group, ...]]:
    """A key that the layout lacks has no outcomes, or equals its rows in SQL only, as NaN does: one scan tells."""
    left = [group for group in groups if group.key.stored not in layout]
    size = len(left) if layout else KEYS_WITHOUT_LAYOUT
    for start in range(0, len(left), size or 1):
        yield tuple(left[start : start + size])
