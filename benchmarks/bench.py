"""Speed and memory, as tables: `make bench`. Never a test: the numbers belong to the machine that printed them.

usage: bench.py [--shared DIR] [--data DIR] [--strategies N ...] [--pairs N] [--results FILE]

Demonstration databases are kept in the data folder: a million strategies take 20 GB and half an hour to make.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import imports
import psutil
from distributed import Client, LocalCluster
from floor import floor_s

from dask_validator import validate
from dask_validator.demo import build_demo

HERE = Path(__file__).parent
TODAY = 12_996
NOTHING = 21  # strategies of one key: what such a run takes is start-up
RESET = """
    BEGIN TRANSACTION;
    DELETE FROM validated_setups;
    UPDATE experimental_strategies SET validation_status = NULL, validation_notes = NULL, dst_winter_n = NULL,
        dst_winter_avg_r = NULL, dst_summer_n = NULL, dst_summer_avg_r = NULL, dst_verdict = NULL;
    DROP VIEW IF EXISTS dask_validator_latest;
    DROP TABLE IF EXISTS dask_validator_results;
    DROP TABLE IF EXISTS dask_validator_windows;
    DROP TABLE IF EXISTS dask_validator_runs;
    DROP TABLE IF EXISTS dask_validator_before;
    COMMIT;
"""
Row = Sequence[object]


class Report:
    """Tables, printed as they are measured and kept in the end."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def add(self, text: str) -> None:
        """A paragraph."""
        print(text, flush=True)
        self._parts.append(text)

    def table(self, title: str, header: Row, rows: Iterable[Row]) -> None:
        """A titled table."""
        lines = [" | ".join(["", *map(str, row), ""]).strip() for row in [header, ["---"] * len(header), *rows]]
        self.add("\n".join([f"\n## {title}\n", *lines]))

    def write(self, path: Path) -> None:
        """Keep everything."""
        path.write_text("\n".join(self._parts) + "\n")


def run(db: Path, workers: int, mode: str, source: Path = HERE.parent) -> dict[str, Any]:
    """One whole process of the package at `source`; `process_s` and `cpu_s` count interpreter, imports and all."""
    with tempfile.TemporaryDirectory() as folder:
        words = (str(db.absolute()), "MGC", str(workers), mode, f"{folder}/wf.jsonl")
        command = [sys.executable, str(HERE / "one_run.py"), *words]
        environment = {**os.environ, "PYTHONPATH": str(source)}
        clock, cpu = time.perf_counter(), cpu_of_children()
        # Workers look into the working directory first.
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=source)
        took = {"process_s": time.perf_counter() - clock, "cpu_s": cpu_of_children() - cpu}
    if mode == "commit":
        with duckdb.connect(str(db)) as connection:
            connection.execute(RESET)
    return {**json.loads(done.stdout), **took}


def cpu_of_children() -> float:
    """Seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def middle(runs: Sequence[dict[str, Any]], value: Any) -> float:
    """The median of what `value` finds in each run."""
    return statistics.median(value(run) for run in runs)


def machine() -> str:
    """What the numbers belong to."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dask", "numpy"))
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores, {memory:.0f} GB, shared with others; "
        f"Python {platform.python_version()}, {packages}; {date.today()}"
    )


def against_the_floor(report: Report, shared: Path, data: Path) -> None:
    """The recorded database of 12,948 strategies, in units of the floor."""
    db = data / "golden-full.duckdb"
    if not db.exists():
        subprocess.run([sys.executable, shared / "tools/make_db.py", shared / "golden/full/input", db], check=True)
    floor = floor_s(db, "MGC")
    serial, two = [], []
    for _ in range(5):
        serial.append(run(db, 1, "commit"))
        two.append(run(db, 2, "commit"))
    total, process = middle(serial, lambda r: r["summary"]["total_s"]), middle(serial, lambda r: r["process_s"])
    pair = middle(two, lambda r: r["process_s"])
    report.table(
        f"Recorded database, 12,948 strategies: the floor is {floor:.3f} s (medians of five)",
        ("what", "seconds", "/ floor", "at most", "aim"),
        [
            ("serial, `total_s`", f"{total:.2f}", f"{total / floor:.1f}x", "12x", "6x"),
            ("serial, whole process", f"{process:.2f}", f"{process / floor:.1f}x", "20x", "12x"),
            ("`--workers 2`, whole process", f"{pair:.2f}", f"{pair / floor:.1f}x", "40x", "25x"),
        ],
    )
    stages(report, "Where the time goes there, seconds (medians of five)", {"serial": serial, "2 workers": two})


def stages(report: Report, title: str, runs: dict[str, list[dict[str, Any]]]) -> None:
    """The stages of some runs side by side."""
    names = list(dict.fromkeys(name for of_one in runs.values() for name in of_one[0]["stages"]))
    rows = []
    for name in names:
        seconds = [middle(of_one, lambda r, name=name: r["stages"].get(name, 0.0)) for of_one in runs.values()]
        totals = [middle(of_one, lambda r: r["summary"]["total_s"]) for of_one in runs.values()]
        rows.append((name, *(f"{s:.2f} ({s / t:.0%})" for s, t in zip(seconds, totals, strict=True))))
    report.table(title, ("stage", *runs), rows)


def demo(data: Path, strategies: int) -> Path:
    """A demonstration database, made when it is not there."""
    db = data / f"demo-{strategies}.duckdb"
    if not db.exists():
        print(f"Making {db.name} ...", flush=True)
        build_demo(db, strategies=strategies)
    return db


def by_size(report: Report, data: Path, sizes: Sequence[int], repeats: int) -> None:
    """Cost against the number of strategies and of outcomes; JSONL and commit included."""
    start_up = {
        w: middle([run(demo(data, NOTHING), w, "commit") for _ in range(3)], lambda r: r["process_s"]) for w in (1, 2)
    }
    rows: list[Row] = []
    measured: dict[int, tuple[float, dict[int, float]]] = {}
    big: dict[str, list[dict[str, Any]]] = {}
    for size in sizes:
        db = demo(data, size)
        with duckdb.connect(str(db), read_only=True) as connection:
            [(outcomes,)] = connection.execute("SELECT count(*) FROM orb_outcomes").fetchall()
        runs = {w: [run(db, w, "commit") for _ in range(repeats if size <= 100_000 else 1)] for w in (1, 2)}
        seconds = {w: middle(runs[w], lambda r: r["process_s"]) for w in runs}
        each = (seconds[1] - start_up[1]) / size * 1e6
        measured[size] = each, seconds
        peak = max(r["peak_mb"] for of_one in runs.values() for r in of_one)
        rows.append(
            (f"{size:,}", f"{outcomes:,}", f"{seconds[1]:.2f}", f"{seconds[2]:.2f}", f"{each:.0f}", f"{peak:,.0f}")
        )
        big = {"serial": runs[1], "2 workers": runs[2]}
    report.table(
        "Demonstration databases, whole processes with commit and JSONL, seconds "
        f"(start-up {start_up[1]:.2f} serial, {start_up[2]:.2f} with two workers)",
        (
            "strategies",
            "outcomes",
            "serial",
            "2 workers",
            "us a strategy, serial, less start-up",
            "peak MB of a process",
        ),
        rows,
    )
    if TODAY in measured:
        growth = measured[sizes[-1]][0] / measured[TODAY][0]
        report.add(
            f"\nTime per strategy at {sizes[-1]:,} against {TODAY:,}, start-up subtracted: {growth:.2f}x "
            "(at most 1.3x, aim 1.0x)."
        )
    report.add(f"\nOne worker and two take the same time at about {break_even(measured)} strategies (interpolated).")
    stages(report, f"Where the time goes with {sizes[-1]:,} strategies, committed, seconds", big)


def break_even(measured: dict[int, tuple[float, dict[int, float]]]) -> str:
    """Where the second worker begins to pay."""
    gains = [(size, seconds[1] - seconds[2]) for size, (_, seconds) in sorted(measured.items())]
    for (smaller, loss), (larger, gain) in itertools.pairwise(gains):
        if loss < 0 <= gain:
            return f"{smaller + (larger - smaller) * -loss / (gain - loss):,.0f}"
    return f"more than {gains[-1][0]:,}" if gains[-1][1] < 0 else f"less than {gains[0][0]:,}"


def by_outcomes(report: Report, data: Path) -> None:
    """The same strategies with a shorter history."""
    rows: list[Row] = []
    for years in (10, 5, 2):
        with tempfile.TemporaryDirectory(dir=data) as folder:
            db = Path(shutil.copy(demo(data, TODAY), folder))
            with duckdb.connect(str(db)) as connection:
                [(last,)] = connection.execute("SELECT max(year(trading_day)) FROM orb_outcomes").fetchall()
                connection.execute("DELETE FROM orb_outcomes WHERE year(trading_day) <= ?", [last - years])
                [(outcomes,)] = connection.execute("SELECT count(*) FROM orb_outcomes").fetchall()
            runs = [run(db, 1, "dry") for _ in range(3)]
        rows.append((f"{outcomes:,}", *(f"{middle(runs, value):.2f}" for value in (total_s, wall_s))))
    report.table(f"Outcomes, {TODAY:,} strategies, serial", ("outcomes", "`total_s`", "`wall_s`"), rows)


def total_s(run: dict[str, Any]) -> float:
    """Seconds of the run."""
    return float(run["summary"]["total_s"])


def wall_s(run: dict[str, Any]) -> float:
    """Seconds of computing."""
    return float(run["summary"]["walkforward"]["wall_s"])


def pairs(report: Report, data: Path, size: int, count: int) -> None:
    """Walk-forward with two workers against one, interleaved; what was predicted for two from one."""
    db = demo(data, size)
    rows: list[Row] = []
    ratios = []
    for _ in range(count):
        one, two = run(db, 1, "dry"), run(db, 2, "dry")
        walls = [r["summary"]["walkforward"]["wall_s"] for r in (one, two)]
        ratios.append(walls[0] / walls[1])
        forecast, total = one["forecasts"]["2"], two["summary"]["total_s"]
        rows.append((*(f"{wall:.2f}" for wall in walls), f"{ratios[-1]:.2f}x", f"{forecast:.1f}", f"{total:.1f}"))
    report.table(
        f"Two workers against one, {size:,} strategies, dry runs: median {statistics.median(ratios):.2f}x "
        "(at least 1.7x, aim 1.9x)",
        ("`wall_s`, one", "`wall_s`, two", "ratio", "`total_s` of two predicted from one", "measured"),
        rows,
    )


def by_workers(report: Report, data: Path, size: int) -> None:
    """The same work with more workers than there are cores."""
    runs = {workers: run(demo(data, size), workers, "dry") for workers in (1, 2, 4)}
    rows = [
        (
            workers,
            f"{r['process_s']:.2f}",
            *(f"{r['summary']['walkforward'][n]:.2f}" for n in ("wall_s", "sum_s", "cpu_s")),
        )
        for workers, r in runs.items()
    ]
    report.table(f"Workers, {size:,} strategies", ("workers", "whole process", "`wall_s`", "`sum_s`", "`cpu_s`"), rows)


def tasks_known(report: Report, data: Path, size: int) -> None:
    """How many tasks the scheduler knows at once."""
    most, done = 0, threading.Event()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:

        def watch() -> None:
            nonlocal most
            while not done.wait(0.01):
                most = max(most, len(cluster.scheduler.tasks))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            with Client(cluster) as client:
                result = validate(demo(data, size), "MGC", client=client, dry_run=True, progress=False)
        finally:
            done.set()
            watching.join()
    report.add(
        f"\nTasks known to the scheduler at once with {size:,} strategies: at most {most} of "
        f"{result.summary['walkforward']['tasks']}."
    )


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--data", type=Path, default=HERE / "data")
    parser.add_argument("--strategies", type=int, nargs="+", default=[1_000, TODAY, 50_000, 100_000, 1_000_000])
    parser.add_argument("--trades", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--results", type=Path)
    chosen = parser.parse_args()
    chosen.data.mkdir(parents=True, exist_ok=True)
    report = Report()
    report.add(machine())
    if (chosen.shared / "golden/full").exists():
        against_the_floor(report, chosen.shared, chosen.data)
    by_size(report, chosen.data, chosen.strategies, chosen.pairs)
    by_outcomes(report, chosen.data)
    by_workers(report, chosen.data, TODAY)
    pairs(report, chosen.data, chosen.strategies[-1], chosen.pairs)
    tasks_known(report, chosen.data, chosen.strategies[-1])
    title = f"Imports of {chosen.trades:,} trades, beside `CREATE TABLE AS SELECT` of the same file"
    report.table(title, imports.HEADER, imports.rows(chosen.data, chosen.trades))
    if chosen.results:
        report.write(chosen.results)


if __name__ == "__main__":
    main()
