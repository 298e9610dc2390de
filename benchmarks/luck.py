"""What null worlds cost: `make luck`. Never a test: the numbers belong to the machine that printed them.

usage: luck.py [--data DIR] [--strategies N ...] [--worlds N] [--rounds N] [--once] [--results FILE]

The floor is what no implementation can leave out: for every outcome key one gather of payoffs and one of their squares,
and one sparse product with each. Processor seconds of one core, medians of interleaved rounds in one process; then
whole processes. With --once each database is calibrated once, serially: how cost grows with the strategies, and how the
tasks would be spread over workers.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import Report, machine

from dask_validator import RunConfig
from dask_validator.api.preparing import prepared_calibration
from dask_validator.demo import build_demo
from dask_validator.events import ignore
from dask_validator.execution.executor import Job
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run.calibrate import run_calibration
from dask_validator.run.forecast import makespan
from dask_validator.universe.simulation import draws
from dask_validator.work.worlds import WorldsTask, simulation_of, worlds_task

COUNTS = (1, 8, 16, 32)


class Listening(SerialExecutor):
    """Serial, as if there were 32 workers to cut the work for; keeps the tasks of worlds."""

    workers = 32

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[WorldsTask] = []
        self.seconds: list[float] = []

    def map(self, job: Job[Any, Any]) -> Iterator[Any]:
        """As serial, timed."""
        for task in job.tasks:
            started = time.thread_time()
            yield job.function(task)
            if job.kind == "worlds":
                self.tasks.append(task)
                self.seconds.append(time.thread_time() - started)


def floor(task: WorldsTask) -> None:
    """Gathers and products of a task, and nothing else."""
    terrain = task.terrain
    keys = [simulation_of(group, days, terrain) for group, days in task.piece.read()]
    for drawn in draws(terrain.design, terrain.days.size):
        for key in keys:
            key.products(drawn)


def spent(work: Callable[[], object]) -> float:
    """Processor seconds."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def listened(database: Path, count: int) -> Listening:
    """One calibration with all that single strategies are told."""
    executor = Listening()
    with prepared_calibration(database, "MGC", [RunConfig(worlds=count)]) as (order, blocks):
        run_calibration(order, executor, ignore, blocks)
    return executor


def measured(database: Path, count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Medians of floor, counts, counts with deviates; and seconds of the tasks of 32 workers."""
    executor = listened(database, count)
    plain = [task._replace(terrain=task.terrain._replace(floor=None)) for task in executor.tasks]
    found = [
        (
            sum(spent(lambda task=task: floor(task)) for task in executor.tasks),
            sum(spent(lambda task=task: worlds_task(task)) for task in plain),
            sum(spent(lambda task=task: worlds_task(task)) for task in executor.tasks),
        )
        for _ in range(rounds)
    ]
    return [statistics.median(column) for column in zip(*found, strict=True)], executor.seconds


def whole(database: Path, workers: int, count: int) -> tuple[float, float]:
    """Wall-clock seconds and peak memory in MB of the largest process of one command."""
    code = (
        "import resource, subprocess, sys, time; started = time.perf_counter();"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-m", "dask_validator", "calibrate", "--db", database, "--no-dashboard", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, command), "--workers", str(workers), "--worlds", str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def compare(report: Report, databases: Mapping[int, Path], count: int) -> None:
    """Each once, and what one process of it took; the memory is that of the largest so far."""
    rows = []
    for strategies, database in databases.items():
        started = time.process_time()
        tasks = listened(database, count).seconds
        whole_s, peak = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        each_ms = f"{1000 * sum(tasks) / strategies:.3f}"
        rows.append((f"{strategies:,}", f"{sum(tasks):.1f}", each_ms, f"{whole_s:.1f}", f"{peak:,.0f}"))
        replayed(report, strategies, tasks)
    head = ("strategies", "worlds, s", "of them each, ms", "whole calibration, s", "peak memory, MB")
    report.table(f"{count:,} worlds with deviates and step-down, once: processor seconds of one process", head, rows)


def replayed(report: Report, strategies: int, tasks: Sequence[float]) -> None:
    """What more workers would take."""
    alone = sum(tasks)
    report.table(
        f"{strategies:,} strategies: {len(tasks)} tasks, replayed with a core for each worker",
        ("workers", "seconds", "speedup"),
        [(n, f"{makespan(tasks, n):.2f}", f"{alone / makespan(tasks, n):.1f}") for n in COUNTS],
    )


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--strategies", type=int, nargs="+", default=[12_996])
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    options.data.mkdir(exist_ok=True)
    report = Report()
    report.add(machine())
    databases = {strategies: options.data / f"demo-{strategies}.duckdb" for strategies in options.strategies}
    for strategies, database in databases.items():
        if not database.exists():
            build_demo(database, strategies=strategies)
    if options.once:
        compare(report, databases, options.worlds)
        databases = {}
    for strategies, database in databases.items():
        (least, counts, deviates), tasks = measured(database, options.worlds, options.rounds)
        report.table(
            f"{strategies:,} strategies, {options.worlds:,} worlds: processor seconds of one core",
            ("what", "seconds", "times the floor"),
            [
                ("floor: two gathers, two sparse products", f"{least:.2f}", "1"),
                ("counts: `calibrate`", f"{counts:.2f}", f"{counts / least:.2f}"),
                ("with deviates and step-down: gates, reports, Python", f"{deviates:.2f}", f"{deviates / least:.2f}"),
            ],
        )
        replayed(report, strategies, tasks)
        runs = {n: [whole(database, n, options.worlds) for _ in range(options.rounds)] for n in (1, 2)}
        report.table(
            f"{strategies:,} strategies: the command, whole processes",
            ("workers", "seconds", "largest process, MB"),
            [(n, *(f"{statistics.median(of):.1f}" for of in zip(*found, strict=True))) for n, found in runs.items()],
        )
    if options.results:
        report.write(options.results)


if __name__ == "__main__":
    main()
