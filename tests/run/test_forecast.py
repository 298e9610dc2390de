"""What other worker counts would take."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.run.forecast import COUNTS, Measured, forecast, makespan

TICKS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def tick_by_tick(durations: list[int], workers: int) -> int:
    """The same policy as a clock would see it: at every tick the free workers take the next tasks."""
    waiting, running, clock = list(durations), [0] * workers, 0
    while waiting or any(running):
        running = [left or (waiting.pop(0) if waiting else 0) for left in running]
        running = [max(0, left - 1) for left in running]
        clock += 1
    return clock


def shortest(durations: list[int], workers: int) -> int:
    """The best of all ways to give the tasks to the workers."""
    ways = product(range(workers), repeat=len(durations))
    return min(
        max(sum(d for d, w in zip(durations, way, strict=True) if w == i) for i in range(workers)) for way in ways
    )


@given(TICKS, st.integers(1, 5))
def test_replay_equals_a_schedule_made_tick_by_tick(durations: list[int], workers: int) -> None:
    """The replay is the schedule that workers taking the next task would follow."""
    assert makespan(durations, workers) == tick_by_tick(durations, workers)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 3))
def test_replay_keeps_grahams_bound(durations: list[int], workers: int) -> None:
    """Never better than the best schedule of all, never worse than 2 - 1/m times it (Graham 1969)."""
    best = shortest(durations, workers)

    assert best <= makespan(durations, workers) <= best * (2 - 1 / workers)


def test_grahams_worst_case() -> None:
    """The paper's example of the bound: m(m - 1) tasks of 1 and one of m take 2m - 1 instead of m."""
    assert makespan([1] * 6 + [3], 3) == 5
    assert shortest([1] * 6 + [3], 3) == 3


def test_start_up_hides_behind_screening() -> None:
    """Workers start while the main process screens: only what lasts longer is waited for."""
    seconds = {f.workers: f.total_s for f in forecast(Measured([1.0] * 4, 2.0, 0.5, start_up_s=1.5), (1, 2))}
    assert seconds == {1: 2.0 + 4.0 + 0.5, 2: 2.0 + 2.0 + 0.5}

    seconds = {f.workers: f.total_s for f in forecast(Measured([1.0] * 4, 0.2, 0.5, start_up_s=1.5), (1, 2))}
    assert seconds == {1: 0.2 + 4.0 + 0.5, 2: 1.5 + 2.0 + 0.5}


@pytest.mark.parametrize(
    ("tasks", "recommended"),
    [([0.1] * 4, 1), ([1.0] * 64, 32), ([100.0], 1), ([10.0] * 4, 4), ([1.0] * 6400, 64)],
    ids=["start-up costs more", "little is left to gain", "one task", "four tasks", "always more"],
)
def test_the_fewest_within_ten_percent_are_recommended(tasks: list[float], recommended: int) -> None:
    """Workers that would bring less than a tenth are not worth their memory."""
    found = forecast(Measured(tasks, 0.5, 0.5, start_up_s=20.0 if len(tasks) == 64 else 1.5))

    assert [f.workers for f in found] == list(COUNTS)
    assert [f.workers for f in found if f.recommended] == [recommended]


def test_no_more_workers_are_recommended_than_there_are_cores() -> None:
    """However well more would do with a core each, a machine recommends what it has."""
    measured = Measured([1.0] * 64, 0.5, 0.5, start_up_s=1.5)

    assert [f.workers for f in forecast(measured, cores=6) if f.recommended] == [4]
    assert [f.workers for f in forecast(measured, cores=1) if f.recommended] == [1]
