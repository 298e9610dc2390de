"""What other worker counts would take: the measured tasks, replayed through list scheduling.

Graham, R. L. (1969), Bounds on Multiprocessing Timing Anomalies, SIAM J. Appl. Math. 17, 416-429: each task, in the
order in which they were started, goes to the worker that is free first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dask_validator.model import TaskTiming
from dask_validator.system.cores import usable_cores

COUNTS = (1, 2, 4, 8, 16, 32, 64)
USUAL_START_UP_S = 1.0  # of a LocalCluster of a few workers, where none was measured
GOOD_ENOUGH = 1.1  # times the best
NOT_REPLAYED = (
    "No forecast for other numbers of workers: they share the null worlds too, whose tasks are not kept one by one."
)


class Measured(NamedTuple):
    """A run in seconds: what is parallel, task by task, and what is not."""

    tasks: Sequence[float]  # wall-clock seconds in the worker, in order of their start
    meanwhile_s: float  # screening and grouping, while workers start
    other_serial_s: float
    start_up_s: float


class Forecast(NamedTuple):
    """The whole run with a number of workers that have a core each."""

    workers: int
    total_s: float
    recommended: bool


def makespan(durations: Iterable[float], workers: int) -> float:
    """Seconds until the last of the tasks ends."""
    free_at = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def forecast(measured: Measured, counts: Sequence[int] = COUNTS, *, cores: int | None = None) -> list[Forecast]:
    """One forecast a count; recommended is the smallest within 10 % of the best of those that have their cores."""
    totals = [_total_s(measured, workers) for workers in counts]
    best = min(total for n, total in zip(counts, totals, strict=True) if cores is None or n <= max(cores, min(counts)))
    recommended = next(i for i, total in enumerate(totals) if total <= GOOD_ENOUGH * best)
    return [Forecast(n, total, i == recommended) for i, (n, total) in enumerate(zip(counts, totals, strict=True))]


def _total_s(measured: Measured, workers: int) -> float:
    start_up_s = measured.start_up_s if workers > 1 else 0.0
    until_ready = max(measured.meanwhile_s, start_up_s)
    return until_ready + makespan(measured.tasks, workers) + measured.other_serial_s


def has_worlds(stages: Mapping[str, float]) -> bool:
    """Whether a run had null worlds."""
    return "worlds" in stages


def replay(
    timings: Sequence[TaskTiming],
    total_s: float,
    stages: Mapping[str, float],
    start_up_s: float | None,
    cores: int | None,
) -> list[Forecast]:
    """What 1 to 64 workers would take, from what a run has measured; empty when no task was computed.

    Empty too of a run with null worlds, whose tasks other workers would share, but which are not timed one by one.
    """
    if not timings or has_worlds(stages):
        return []
    tasks = [timing.wall_s for timing in sorted(timings, key=lambda timing: timing.started)]
    meanwhile_s = stages["screening"] + stages["grouping"]
    parallel_s = stages["computing"] + stages["waiting for workers"]
    started_s = USUAL_START_UP_S if start_up_s is None else start_up_s
    measured = Measured(tasks, meanwhile_s, total_s - meanwhile_s - parallel_s, started_s)
    return forecast(measured, cores=usable_cores() if cores is None else cores)
