"""This version against an earlier one, side by side on one machine: `make bench BASE=d5b888e`.

usage: compare.py --base COMMIT [--data DIR] [--strategies N ...] [--repeats N] [--results FILE]

Both run in the environment of this one, whole processes with commit and JSONL, in turn, so that whatever else the
machine does meets both.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from bench import HERE, TODAY, Report, demo, machine, middle, run, stages

ROOT = HERE.parent
Runs = dict[tuple[str, int], list[dict[str, Any]]]  # by version and number of workers


@contextmanager
def checked_out(base: str) -> Iterator[Path]:
    """The sources of a commit, in a folder that is gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "base"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), base], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def measured(db: Path, versions: dict[str, Path], repeats: int) -> Runs:
    """Every version with one worker and with two, again and again."""
    runs: Runs = {(name, workers): [] for name in versions for workers in (1, 2)}
    for _ in range(repeats):
        for (name, workers), of_one in runs.items():
            of_one.append(run(db, workers, "commit", versions[name]))
    return runs


def row(size: int, workers: int, runs: Runs) -> Sequence[object]:
    """Medians of both, and the ratios."""
    cells: list[str] = []
    for name in ("process_s", "cpu_s"):
        old, new = (middle(runs[version, workers], itemgetter(name)) for version in ("old", "new"))
        cells += [f"{old:.2f}", f"{new:.2f}", f"{new / old:.2f}"]
    peaks = (f"{max(r['peak_mb'] for r in runs[name, workers]):,.0f}" for name in ("old", "new"))
    return f"{size:,}", workers, *cells, *peaks


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--data", type=Path, default=HERE / "data")
    parser.add_argument("--strategies", type=int, nargs="+", default=[TODAY, 200_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path)
    chosen = parser.parse_args()
    chosen.data.mkdir(parents=True, exist_ok=True)
    report, rows = Report(), []
    report.add(machine())
    with checked_out(chosen.base) as tree:
        for size in chosen.strategies:
            runs = measured(demo(chosen.data, size), {"old": tree, "new": ROOT}, chosen.repeats)
            rows += [row(size, workers, runs) for workers in (1, 2)]
    header = (
        "strategies",
        "workers",
        *("old", "new", "new / old"),
        "CPU, old",
        *("new", "new / old"),
        "peak MB, old",
        "new",
    )
    report.table(f"Seconds of whole processes, {chosen.base} (old) and this version, medians", header, rows)
    one_worker = {name: runs[name, 1] for name in ("old", "new")}
    stages(report, f"Where the time goes with {size:,} strategies and one worker, seconds", one_worker)
    if chosen.results:
        report.write(chosen.results)


if __name__ == "__main__":
    main()
