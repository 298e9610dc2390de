"""What large clusters would take, simulated from one measured serial run and the measured cost of handing out a task.

usage: simulate.py RUN.json          (RUN.json: the output of one_run.py with one worker)

Model: the main process and the scheduler together serve one task at a time, before its start and after its end; a
worker takes the next task that was handed out; at most `IN_FLIGHT` tasks a worker are in flight. The work is that of
the measured tasks, cut as `plan` cuts it for that many workers; each task opens the database anew. Reading, screening,
deciding and writing are serial and grow with the strategies.
"""

from __future__ import annotations

import heapq
import json
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from distributed import Client, LocalCluster

from dask_validator.execution.dask.client import ClientExecutor
from dask_validator.execution.dask.in_flight import IN_FLIGHT
from dask_validator.execution.executor import Job
from dask_validator.work.plan import OUTCOMES_PER_TASK, TASKS, TASKS_PER_WORKER

WORKERS, MILLIONS = (32, 256, 1_024), (1, 10)
PAYLOAD_BYTES, TRIALS = 500_000, 200  # of a task of 500,000 outcomes: requests and day masks there, answers back
OPENING_S = 0.025  # of the database, by each task


class Cost(NamedTuple):
    """Measured, in seconds."""

    serial_s: float  # a strategy, everything but computing
    computing_s: float  # a strategy, in a worker
    outcomes: float  # a strategy
    hand_over_s: float  # a task, there and back


class _Uncut:
    """Tasks that are taken as they are."""

    def carried(self, task: np.ndarray) -> np.ndarray:
        return task

    def parts(self, task: np.ndarray, most: int) -> list[np.ndarray]:
        return [task]

    def lost(self, task: np.ndarray, reason: str) -> np.ndarray:
        raise RuntimeError(reason)


UNCUT = _Uncut()


def echo(payload: np.ndarray) -> np.ndarray:
    """A task that costs nothing but its way."""
    return payload


def hand_over_s() -> float:
    """Seconds for which one task of the usual size keeps the main process and the scheduler busy."""
    payload = np.random.default_rng(0).integers(0, 255, PAYLOAD_BYTES, dtype=np.uint8)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        executor = ClientExecutor(client)
        trials = []
        for trial in range(3):
            clock = time.perf_counter()
            job = Job(kind="echo", run=str(trial), function=echo, tasks=[payload] * TRIALS, handling=UNCUT)
            list(executor.map(job))
            trials.append((time.perf_counter() - clock) / TRIALS)
    return statistics.median(trials)


def simulate(strategies: int, workers: int, cost: Cost) -> tuple[int, float, float]:
    """Tasks, seconds of computing, seconds in all."""
    outcomes = strategies * cost.outcomes
    fewest, most = OUTCOMES_PER_TASK
    size = min(max(outcomes / max(TASKS, TASKS_PER_WORKER * workers), fewest), most)
    tasks = max(1, round(outcomes / size))
    duration = strategies * cost.computing_s / tasks + OPENING_S
    half = cost.hand_over_s / 2 * max(0.2, size / most)  # smaller tasks are lighter, but not for nothing
    clock, waiting, flying, free = 0.0, tasks, [], [0.0] * workers
    while waiting or flying:
        if waiting and len(flying) < IN_FLIGHT * workers and (not flying or flying[0] > clock):
            clock += half
            start = max(heapq.heappop(free), clock)
            heapq.heappush(free, start + duration)
            heapq.heappush(flying, start + duration)
            waiting -= 1
        else:
            clock = max(clock, heapq.heappop(flying)) + half
    return tasks, clock, clock + strategies * cost.serial_s


def main(run: str) -> None:
    """Print the table."""
    measured = json.loads(Path(run).read_text())
    summary = measured["summary"]
    computing_s = sum(measured["tasks"]) - OPENING_S * len(measured["tasks"])
    cost = Cost(
        (summary["total_s"] - summary["walkforward"]["wall_s"]) / summary["rows"],
        computing_s / summary["rows"],
        OUTCOMES_PER_TASK[1] * len(measured["tasks"]) / summary["rows"],
        hand_over_s(),
    )
    print(
        f"Inputs, from {summary['rows']:,} strategies in {len(measured['tasks'])} tasks: "
        f"{cost.serial_s * 1e6:.1f} us serial and {cost.computing_s * 1e6:.1f} us of computing a strategy, "
        f"{cost.outcomes:.0f} outcomes read a strategy, {cost.hand_over_s * 1e3:.1f} ms to hand over a full task.\n"
    )
    print("| strategies | workers | tasks | computing, s | speedup | whole run, s |\n|---|---|---|---|---|---|")
    for millions in MILLIONS:
        for workers in WORKERS:
            strategies = millions * 1_000_000
            tasks, computing, total = simulate(strategies, workers, cost)
            speedup = strategies * cost.computing_s / computing
            print(f"| {strategies:,} | {workers:,} | {tasks:,} | {computing:.1f} | {speedup:.0f}x | {total:.0f} |")


if __name__ == "__main__":
    main(sys.argv[1])
