"""Figures as shapes in a frame of fixed size; the template makes SVG of them, style sheets give them colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from dask_validator.views.report.distributions import Histogram, round_step
from dask_validator.views.report.tables import Curve, Stream

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 440, 68, 22, 24, 40
PLOT = 130  # usual height of the plotting area
NARROWEST, APART = 34, 30  # a cell with a number in it; one tick and the next
HIGHEST_LANE, LANES = 14, 420  # height of a worker in the task stream, and of all of them when they are many


class Bar(NamedTuple):
    """A rectangle; `kind` is its CSS class, `tip` what is shown to a pointer resting on it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    tip: str


class Line(NamedTuple):
    """A path through points."""

    path: str
    kind: str


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    text: str


class Text(NamedTuple):
    """A word or two inside the frame."""

    x: float
    y: float
    text: str
    kind: str


class Figure(NamedTuple):
    """What the template draws; coordinates in pixels from the upper left corner."""

    label: str  # for those who do not see it
    width: float
    height: float
    x_title: str
    y_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    texts: Sequence[Text] = ()
    outside: int = 0  # of what is counted in the first and the last bar, what lies beyond them

    @property
    def marked(self) -> bool:
        """Whether it has a dashed line."""
        return any(line.kind == "mark" for line in self.lines)

    @property
    def left(self) -> float:
        """Of the plotting area."""
        return LEFT

    @property
    def right(self) -> float:
        """Of the plotting area."""
        return self.width - RIGHT

    @property
    def top(self) -> float:
        """Of the plotting area."""
        return TOP

    @property
    def bottom(self) -> float:
        """Of the plotting area."""
        return self.height - BOTTOM


class _Scale(NamedTuple):
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 2)

    def ticks(self, about: int, spelled: Callable[[float], str]) -> list[Tick]:
        step = round_step((self.high - self.low) / about)
        first, last = round(self.low / step + 0.499999), int(self.high / step + 1e-9)
        return [Tick(self(i * step), spelled(round(i * step, 10))) for i in range(first, last + 1)]


def histogram_figure(
    found: Histogram,
    kind: str,
    title: str,
    x_title: str,
    *,
    unit: str,
    spelled: Callable[[float], str],
    mark: float | None = None,
) -> Figure:
    """Bars of counts; `mark` is a threshold, drawn as a line."""
    height = TOP + PLOT + BOTTOM
    x = _Scale(found.edges[0], found.edges[-1], LEFT, WIDTH - RIGHT)
    y = _Scale(0, max(1, *found.counts), height - BOTTOM, TOP)
    bars = [
        Bar(
            x(low) + 0.5,
            y(count),
            max(x(high) - x(low) - 1, 0.5),
            round(height - BOTTOM - y(count), 2),
            kind,
            f"{spelled(low)} to {spelled(high)}: {count:,} {unit}",
        )
        for (low, high), count in zip(pairwise(found.edges), found.counts, strict=True)
        if count
    ]
    lines = []
    if mark is not None and found.edges[0] <= mark <= found.edges[-1]:
        lines.append(Line(f"M{x(mark)} {TOP}V{height - BOTTOM}", "mark"))
    return Figure(
        f"{title}: {sum(found.counts):,} {unit}",
        WIDTH,
        height,
        x_title,
        unit,
        x.ticks(6, spelled),
        y.ticks(3, lambda value: f"{value:,.0f}")
        if y.high >= 3
        else [Tick(y(v), str(v)) for v in range(int(y.high) + 1)],
        bars,
        lines,
        [Text(LEFT + 36, TOP - 8, title, "title")],
        found.outside,
    )


def discovery_figure(curve: Curve) -> Figure:
    """Sorted p-values as steps, against the line of Benjamini and Hochberg."""
    height = TOP + 220 + BOTTOM
    line_end = curve.alpha * curve.last_rank / max(curve.tested, 1)
    highest = min(1.0, max(1.5 * line_end, min(curve.p_values[-1] if curve.p_values else 0.0, 4 * line_end)))
    x = _Scale(0, curve.last_rank, LEFT, WIDTH - RIGHT)
    y = _Scale(0, highest, height - BOTTOM, TOP)
    steps = [f"M{x(0)} {y(0)}"]
    for rank, p_value in zip(curve.ranks, curve.p_values, strict=True):
        if p_value > highest:
            steps.append(f"V{TOP}")
            break
        steps.append(f"V{y(p_value)}H{x(rank)}")
    lines = [Line(f"M{x(0)} {y(0)}L{x(curve.last_rank)} {y(line_end)}", "bound"), Line("".join(steps), "curve")]
    texts = []
    if curve.significant:
        at = x(curve.significant)
        lines.append(Line(f"M{at} {TOP}V{height - BOTTOM}", "mark"))
        anchor = "mark-end" if at > WIDTH / 2 else "mark-start"
        texts.append(Text(at + (-5 if at > WIDTH / 2 else 5), TOP + 10, f"{curve.significant:,} significant", anchor))
    return Figure(
        f"{curve.significant:,} of {curve.tested:,} p-values lie below the Benjamini-Hochberg line",
        WIDTH,
        height,
        "rank of the p-value, the smallest first",
        "p-value",
        x.ticks(6, lambda value: f"{value:,.0f}"),
        y.ticks(5, lambda value: f"{value:g}"),
        (),
        lines,
        texts,
    )


def stream_figure(stream: Stream) -> Figure:
    """One lane a worker, one bar a task."""
    lane = min(HIGHEST_LANE, LANES / max(len(stream.workers), 1))
    height = round(TOP + lane * max(len(stream.workers), 1) + BOTTOM, 2)
    x = _Scale(0, stream.end_s or 1.0, LEFT, WIDTH - RIGHT)
    bars = [
        Bar(
            x(task.start_s),
            round(TOP + lane * (task.lane + 0.08), 2),
            max(round(x(task.wall_s) - LEFT, 2), 0.5),
            round(lane * 0.84, 2),
            "task",
            f"worker {task.lane + 1}: {task.wall_s:.3f} s, CPU {task.cpu_s:.3f} s, {task.strategies:,} strategies",
        )
        for task in stream.rectangles
    ]
    every = max(1, len(stream.workers) // 12)
    lanes = [Tick(round(TOP + lane * (i + 0.5), 2), str(i + 1)) for i in range(0, len(stream.workers), every)]
    return Figure(
        f"{stream.tasks:,} tasks on {stream.all_workers:,} workers in {stream.end_s:.2f} s",
        WIDTH,
        height,
        "seconds since the first task began",
        "worker",
        x.ticks(6, lambda value: f"{value:g}"),
        lanes,
        bars,
    )


def speedup_figure(workers: int, speedup: float, cpu_speedup: float) -> Figure:
    """The two measured ratios under the ideal, which is the number of workers."""
    rows = [("ideal", float(workers), "ideal"), ("speedup", speedup, "task"), ("CPU", cpu_speedup, "task")]
    height = TOP + 26 * len(rows) + BOTTOM
    x = _Scale(0, max(workers, speedup, 1.0), LEFT, WIDTH - RIGHT)
    bars = [
        Bar(LEFT, TOP + 26 * i + 3, round(x(value) - LEFT, 2), 20, kind, f"{name}: {value:.2f}")
        for i, (name, value, kind) in enumerate(rows)
    ]
    texts = [
        Text(max(x(value) - 6, LEFT + 34), TOP + 26 * i + 17, f"{value:.2f}", "inside")
        for i, (_, value, _) in enumerate(rows)
    ]
    return Figure(
        f"speedup {speedup:.2f} and CPU speedup {cpu_speedup:.2f} on {workers} workers",
        WIDTH,
        height,
        "times one worker",
        "",
        x.ticks(6, lambda value: f"{value:g}"),
        [Tick(TOP + 26 * i + 13, name) for i, (name, _, _) in enumerate(rows)],
        bars,
        (),
        texts,
    )


SPARK_WIDTH, SPARK_HEIGHT, SPARK_SIDE = 260, 44, 40


def spark_figure(flag: str, value: float, points: Sequence[tuple[float, int]]) -> Figure:
    """Promotions by the value of a flag, as a line without axes: first and last count beside it, its value marked."""
    values, counts = zip(*points, strict=True)
    x = _Scale(values[0], values[-1], SPARK_SIDE, SPARK_WIDTH - SPARK_SIDE)
    highest = max(1, *counts)
    y = _Scale(min(*counts, 0.8 * highest), highest, SPARK_HEIGHT - 7, 8)  # a few that fall shall not look like a cliff
    path = "L".join(f"{x(at)} {y(count)}" for at, count in points)
    marks = [Bar(x(at) - 4, 0, 8, SPARK_HEIGHT, "hit", f"{at:g}: {count:,} promotions") for at, count in points]
    return Figure(
        f"promotions by {flag}: " + ", ".join(f"{count:,} at {at:g}" for at, count in points),
        SPARK_WIDTH,
        SPARK_HEIGHT,
        "",
        "",
        (),
        (),
        marks,
        [Line(f"M{x(value)} 0V{SPARK_HEIGHT}", "mark"), Line(f"M{path}", "curve")],
        [
            Text(SPARK_SIDE - 6, y(counts[0]) + 4, f"{counts[0]:,}", "end"),
            Text(SPARK_WIDTH - SPARK_SIDE + 6, y(counts[-1]) + 4, f"{counts[-1]:,}", ""),
        ],
    )


class Luck(NamedTuple):
    """Promotions of one setting, in the data and in worlds without an edge."""

    name: str
    promoted: float
    mean: float
    low: float
    high: float


def luck_figure(settings: Sequence[Luck]) -> Figure:
    """Two bars a setting, and a line for 90 % of the worlds."""
    height = TOP + 48 * len(settings) + BOTTOM
    x = _Scale(0, max(1.0, *(max(of.promoted, of.high) for of in settings)), LEFT, WIDTH - RIGHT)
    bars, lines, texts = [], [], []
    for i, of in enumerate(settings):
        top = TOP + 48 * i
        tip = f"{of.name}: luck promotes {of.mean:,.1f}, in 90 % of the worlds {of.low:,.0f} to {of.high:,.0f}"
        bars.append(
            Bar(
                LEFT, top + 14, round(x(of.promoted) - LEFT, 2), 13, "passed", f"{of.name}: {of.promoted:,.0f} promoted"
            )
        )
        bars.append(Bar(LEFT, top + 29, round(x(of.mean) - LEFT, 2), 13, "rejected", tip))
        lines.append(Line(f"M{x(of.low)} {top + 35.5}H{x(of.high)}", "mark"))
        texts.append(Text(LEFT, top + 10, of.name if len(settings) > 1 else "", "mark-start"))
    ticks = [(14, "promoted"), (29, "by luck")]
    return Figure(
        f"promotions of {len(settings)} setting(s), in the data and by luck",
        WIDTH,
        height,
        "promoted strategies",
        "",
        x.ticks(5, lambda value: f"{value:,.0f}"),
        [Tick(TOP + 48 * i + at + 7, name) for i in range(len(settings)) for at, name in ticks],
        bars,
        lines,
        texts,
    )


class Swept(NamedTuple):
    """One value of a flag: the fewest and most promotions under it, whatever other flags are."""

    at: float
    text: str
    fewest: int
    most: int


def sweep_figure(flag: str, points: Sequence[Swept], given: float | None) -> Figure:
    """Promotions by value of a flag; `given` is the one without the sweep."""
    height = TOP + 180 + BOTTOM
    x = _Scale(points[0].at, points[-1].at, LEFT + 16, WIDTH - RIGHT - 16)
    y = _Scale(0, max(1, *(point.most for point in points)), height - BOTTOM, TOP)
    lines, bars = [], []
    for kind, mark, counts in (
        ("curve", "passed", [point.most for point in points]),
        ("bound", "rejected", [point.fewest for point in points]),
    ):
        if kind == "bound" and all(point.fewest == point.most for point in points):
            continue
        lines.append(Line("M" + "L".join(f"{x(p.at)} {y(n)}" for p, n in zip(points, counts, strict=True)), kind))
        bars += [
            Bar(x(p.at) - 3, y(n) - 3, 6, 6, mark, f"{flag} {p.text}: {n:,} promoted")
            for p, n in zip(points, counts, strict=True)
        ]
    if given is not None:
        lines.append(Line(f"M{x(given)} {TOP}V{height - BOTTOM}", "mark"))
    ticks: list[Tick] = []
    for point in points:
        if not ticks or x(point.at) - ticks[-1].at >= APART:
            ticks.append(Tick(x(point.at), point.text))
    return Figure(
        f"promotions under {len(points)} values of {flag}",
        WIDTH,
        height,
        flag,
        "promoted",
        ticks,
        y.ticks(4, lambda value: f"{value:,.0f}"),
        bars,
        lines,
    )


def heatmap_figure(flags: Sequence[str], values: Sequence[Sequence[str]], counts: Sequence[Sequence[int]]) -> Figure:
    """Promotions by the values of two flags: the first from left to right, the second downwards; `counts` by row."""
    across, down = values
    side, slot = 26, (WIDTH - LEFT - RIGHT) / len(across)
    height = TOP + side * len(down) + BOTTOM
    fewest, most = min(map(min, counts)), max(map(max, counts))
    bars, texts = [], []
    for i, row in enumerate(counts):
        for k, count in enumerate(row):
            left, top = round(LEFT + slot * k, 2), TOP + side * i
            tip = f"{flags[0]} {across[k]} {flags[1]} {down[i]}: {count:,} promoted"
            bars.append(
                Bar(
                    left,
                    top,
                    round(slot - 1, 2),
                    side - 1,
                    f"heat h{round(8 * (count - fewest) / max(1, most - fewest))}",
                    tip,
                )
            )
            if slot >= NARROWEST:
                texts.append(Text(round(left + slot / 2, 2), top + 17, f"{count:,}", "value"))
    every = -(-len(across) // 8)
    return Figure(
        f"promotions under {len(across)} values of {flags[0]} and {len(down)} of {flags[1]}",
        WIDTH,
        height,
        flags[0],
        flags[1],
        [Tick(round(LEFT + slot * (k + 0.5), 2), across[k]) for k in range(0, len(across), every)],
        [Tick(TOP + side * (i + 0.5), text) for i, text in enumerate(down)],
        bars,
        (),
        texts,
    )


def forecast_figure(forecasts: Sequence[tuple[int, float, bool]]) -> Figure:
    """Seconds that the run would take, by number of workers."""
    height = TOP + PLOT + BOTTOM
    slot = (WIDTH - LEFT - RIGHT) / len(forecasts)
    y = _Scale(0, max(total for _, total, _ in forecasts), height - BOTTOM, TOP)
    bars = [
        Bar(
            round(LEFT + slot * (i + 0.2), 2),
            y(total),
            round(slot * 0.6, 2),
            round(height - BOTTOM - y(total), 2),
            "best" if recommended else "cpu",
            f"{workers} worker(s): {total:.2f} s" + (" (recommended)" if recommended else ""),
        )
        for i, (workers, total, recommended) in enumerate(forecasts)
    ]
    texts = [
        Text(LEFT + slot * (i + 0.5), y(total) - 4, f"{total:.1f}", "value")
        for i, (_, total, _) in enumerate(forecasts)
    ]
    best = next(workers for workers, _, recommended in forecasts if recommended)
    return Figure(
        f"recommended: {best} worker(s)",
        WIDTH,
        height,
        "workers, each with a core of its own",
        "seconds",
        [Tick(LEFT + slot * (i + 0.5), f"{n}{'*' * best}") for i, (n, _, best) in enumerate(forecasts)],
        y.ticks(4, lambda value: f"{value:g}"),
        bars,
        (),
        texts,
    )
