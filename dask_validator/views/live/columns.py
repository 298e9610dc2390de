"""From the state of a run to what its page draws: columns for the plots, words for the rest. No browser, no Dask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from dask_validator.events import Ending
from dask_validator.rules.gates import OPT_IN, PHASES
from dask_validator.views.live.progress import COUNTED, Message, State
from dask_validator.wording.harmless import plain

Columns = Mapping[str, Sequence[Any]]  # as Bokeh takes them

FEWEST_BARS, MOST_BARS = 4, 60  # where there are as many answers


class View(NamedTuple):
    """One run as the scheduler knows it."""

    message: Message
    silent_s: float  # since the message came
    running: int  # tasks
    threads: Sequence[tuple[float, int]]  # seconds of computing, and threads of the cluster from then on


class Runs(Protocol):
    """Whoever knows the runs of a cluster."""

    def runs(self) -> list[tuple[str, Message]]:
        """All runs, the latest first."""
        ...

    def view(self, run_id: str) -> View:
        """One run as it stands."""
        ...


class Figure(NamedTuple):
    """A number with its name; `kind` is what it is about, for its colour."""

    key: str
    label: str
    text: str
    kind: str = ""


def done(message: Message) -> int:
    """Strategies that have their answer."""
    return int(message["computed"] + message["taken_over"])


def share_done(message: Message) -> float:
    """Between 0 and 1; a run that has nothing to compute has it all."""
    total: int = message["to_compute"]
    if not total:
        return 0.0 if message["state"] == State.SCREENING else 1.0
    return min(1.0, done(message) / total)


def elapsed_s(view: View) -> float:
    """Since the run began; goes on while nothing is heard."""
    return float(view.message["elapsed_s"]) + (0.0 if view.message["ended"] else view.silent_s)


def eta_s(view: View) -> float | None:
    """Until the last answer, at the average rate so far; None when that cannot be said."""
    message = view.message
    left: int = message["to_compute"] - done(message)
    if message["state"] != State.COMPUTING or not message["computed"] or left <= 0:
        return None
    per_strategy_s: float = message["round_s"] / message["computed"]
    return max(0.0, left * per_strategy_s - view.silent_s)


def rate(message: Message) -> float:
    """Strategies computed a second, until the last answer."""
    if not message["points"]:
        return 0.0
    seconds, computed, _, _ = message["points"][-1]
    return float(computed / seconds) if seconds else 0.0


def speedup(message: Message) -> tuple[float, float]:
    """By wall-clock seconds of tasks and by their CPU seconds, as in the summary."""
    wall_s = message["computing_s"]
    return (round(message["sum_s"] / wall_s, 3), round(message["cpu_s"] / wall_s, 3)) if wall_s else (0.0, 0.0)


def state(message: Message) -> tuple[str, str]:
    """What the run is doing or how it has ended, and its kind: `busy`, `good` or `bad`."""
    text = str(message["state"])
    if not message["ended"]:
        asking = message["asking"] if text == State.COMPUTING else ""
        return (f"{text} · {asking[0].lower()}{asking[1:]}" if asking else text), "busy"
    if text == Ending.DONE:
        return (f"{text} · dry run" if message["dry_run"] else text), "good"
    return (f"{text} · committed" if message["committed"] else text), "bad"


def verdicts(message: Message) -> list[Figure]:
    """What has become of the strategies so far."""
    counts = message["counts"]
    decided = sum(counts[name] for name in COUNTED)
    return [
        Figure("waiting", "strategies", f"{message['waiting']:,}"),
        Figure("passed", "passed", f"{counts['passed']:,}", "passed"),
        Figure("rejected", "rejected", f"{counts['rejected']:,}"),
        Figure("skipped", "skipped", f"{counts['skipped']:,}"),
        Figure("failed", "failed", f"{counts['failed']:,}", "bad" if counts["failed"] else ""),
        Figure("open", "open", f"{max(0, message['waiting'] - decided):,}"),
    ]


def speeds(view: View) -> list[Figure]:
    """How fast they are computed."""
    message = view.message
    by_wall, by_cpu = speedup(message)
    tasks = f"{message['tasks_done']:,} of {message['tasks']:,} tasks"
    return [
        Figure("running", tasks, f"{view.running:,} running", "busy" if view.running else ""),
        Figure("rate", "strategies / s", f"{rate(message):,.0f}"),
        Figure("speedup", "speedup", f"{by_wall:.2f}"),
        Figure("cpu_speedup", "CPU speedup", f"{by_cpu:.2f}"),
    ]


def awaited(message: Message) -> str:
    """What has to happen before there is something to show; empty when nothing has."""
    if message["tasks_done"] or message["ended"] or message["state"] == State.DECIDING:
        return ""
    return "waiting for the first task"


def phases(message: Message) -> list[tuple[str, int]]:
    """What each phase has rejected."""
    rejected = message["counts"]["rejected_by_phase"]
    return [
        (f"{phase} {name}", rejected.get(str(phase), 0))
        for phase, name in PHASES.items()
        if phase not in OPT_IN or str(phase) in rejected
    ]


def throughput(message: Message) -> Columns:
    """Strategies a second over time: bars between `left` and `right`, seconds of computing.

    Bars end at answers, as nothing is known in between, and hold one from each worker where there are enough: workers
    that answer at the same time would otherwise look fast. A bar that would be narrower than half of the usual is part
    of its neighbour: the last answers come in a rush, and theirs would dwarf all others.
    """
    points = message["points"]
    answers = max(min(message["workers"], -(-len(points) // FEWEST_BARS)), -(-len(points) // MOST_BARS), 1)
    edges = _edges([(0.0, 0), *(point[:2] for point in points[answers - 1 :: answers]), *(p[:2] for p in points[-1:])])
    bars = list(pairwise(edges))
    return {
        "left": [left for (left, _), _ in bars],
        "right": [right for _, (right, _) in bars],
        "rate": [(after - before) / (right - left) for (left, before), (right, after) in bars],
    }


def _edges(points: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """The first and the last point, and of the others those that lie far enough apart."""
    last = points[-1]
    least_s = last[0] / max(1, 2 * (len(points) - 1))
    edges = [points[0]]
    for point in points[1:-1]:
        if point[0] - edges[-1][0] >= least_s > 0:
            edges.append(point)
    if len(edges) > 1 and last[0] - edges[-1][0] < least_s:
        edges.pop()
    return [*edges, last] if last[0] > edges[-1][0] else edges


def speedups(message: Message) -> Columns:
    """Seconds of tasks, and CPU seconds of tasks, by seconds of computing until then."""
    points = [point for point in message["points"] if point[0] > 0]
    return {
        "seconds": [point[0] for point in points],
        "speedup": [point[2] / point[0] for point in points],
        "cpu_speedup": [point[3] / point[0] for point in points],
    }


def ideal(view: View) -> Columns:
    """The number of workers over time, which no speedup exceeds; steps."""
    message = view.message
    if not message["workers"]:
        return {"seconds": [], "workers": []}
    known = [(0.0, message["workers"]), *((s, threads) for s, threads in view.threads if threads)]
    return {
        "seconds": [*(seconds for seconds, _ in known), message["computing_s"]],
        "workers": [*(float(threads) for _, threads in known), float(known[-1][1])],
    }


def by_worker(message: Message) -> Columns:
    """Tasks, strategies and busy seconds of each worker; on one host its name goes without saying."""
    rows = message["by_worker"]
    hosts = {str(row[0]).rpartition(":")[0] for row in rows}
    names = [str(row[0]).rpartition(":")[2] if len(hosts) == 1 else str(row[0]) for row in rows]
    return {
        "worker": [plain(f"pid {name}" if len(hosts) == 1 else name) for name in names],
        "tasks": [row[1] for row in rows],
        "strategies": [row[2] for row in rows],
        "busy_s": [row[3] for row in rows],
    }
