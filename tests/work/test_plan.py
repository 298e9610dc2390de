"""How work is cut into tasks."""

from __future__ import annotations

import random

import pytest

from dask_validator.model import Extent, OutcomeKey, Request
from dask_validator.work.piece import Group
from dask_validator.work.plan import OUTCOMES_PER_TASK, SCATTERED_OUTCOMES_PER_TASK, plan

OUTCOMES = 2_500
Layout = dict[OutcomeKey, Extent]


def groups_of(count: int) -> list[Group]:
    """Groups of one strategy each, in random order."""
    groups = [
        Group(OutcomeKey(5, "0900", "E1", float(i), 1), (Request(str(i), None, True, None),)) for i in range(count)
    ]
    random.Random(0).shuffle(groups)
    return groups


def one_after_the_other(groups: list[Group]) -> Layout:
    """Every key's outcomes lie together."""
    ordered = sorted(groups, key=lambda group: str(group.key))
    return {g.key: Extent(i * OUTCOMES, (i + 1) * OUTCOMES - 1, OUTCOMES) for i, g in enumerate(ordered)}


def scattered(groups: list[Group]) -> Layout:
    """Every key's outcomes lie all over the table."""
    return {group.key: Extent(0, len(groups) * OUTCOMES - 1, OUTCOMES) for group in groups}


def outcomes_in(piece: tuple[Group, ...]) -> int:
    """How many outcomes a task works on."""
    return len(piece) * OUTCOMES


@pytest.mark.parametrize("layout_of", [one_after_the_other, scattered, lambda groups: {}])
def test_every_group_is_in_one_task(layout_of: object) -> None:
    """No strategy is computed twice or not at all."""
    groups = groups_of(3_000)
    layout = layout_of(groups)  # type: ignore[operator]

    pieces = plan(groups, layout, 2)

    assert sorted(str(group.key) for piece in pieces for group in piece) == sorted(str(g.key) for g in groups)


def test_tasks_read_little_else_than_their_own_rows() -> None:
    """Where keys lie one after the other, the tasks together read the table once: cost is linear."""
    groups = groups_of(3_000)

    layout = one_after_the_other(groups)
    extents = [[layout[group.key] for group in piece] for piece in plan(groups, layout, 2)]

    assert sum(max(e.last for e in of) - min(e.first for e in of) + 1 for of in extents) == 3_000 * OUTCOMES


def test_tasks_suit_the_workers_and_the_memory() -> None:
    """Four tasks or more for each of many workers, yet none so small or so large that it is not worth its while."""
    groups = groups_of(3_000)
    layout = one_after_the_other(groups)

    assert len(plan(groups, layout, 1)) == 3_000 * OUTCOMES / OUTCOMES_PER_TASK[1]
    assert len(plan(groups, layout, 16)) >= 64
    for workers in (1, 16, 1_000):
        sizes = [outcomes_in(piece) for piece in plan(groups, layout, workers)][:-1]
        assert all(OUTCOMES_PER_TASK[0] <= size <= OUTCOMES_PER_TASK[1] + OUTCOMES for size in sizes)
    assert len(plan(groups[:10], {group.key: layout[group.key] for group in groups[:10]}, 8)) == 1


def test_scattered_outcomes_make_fewer_tasks() -> None:
    """Where every task scans the whole table, few large ones scan it less often; memory still bounds them."""
    groups = groups_of(20_000)

    pieces = plan(groups, scattered(groups), 2)

    assert len(pieces) < len(plan(groups, one_after_the_other(groups), 2)) / 4
    assert all(outcomes_in(piece) <= SCATTERED_OUTCOMES_PER_TASK + OUTCOMES for piece in pieces)


def test_tasks_that_carry_their_outcomes_are_small() -> None:
    """The scheduler holds all outcomes in flight: under a megabyte each."""
    groups = groups_of(3_000)

    pieces = plan(groups, one_after_the_other(groups), 2, carried=True)

    assert max(map(outcomes_in, pieces)) * 13 < 1_000_000
