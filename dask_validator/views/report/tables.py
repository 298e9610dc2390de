"""From a run to what its report shows, as plain values; nothing here reads a file or knows HTML."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import ALPHA, RunConfig, unusual
from dask_validator.filters.shipped import vocabulary
from dask_validator.filters.vocabulary import Vocabulary
from dask_validator.model import SeasonSplit, TaskTiming
from dask_validator.rules import notes
from dask_validator.rules.fdr import Correction
from dask_validator.views import funnel
from dask_validator.views.frames import whole
from dask_validator.views.report.misses import MOST_MISSES, Miss, Smallest, add_walkforward_miss
from dask_validator.views.report.words import SEASONS

if TYPE_CHECKING:
    from dask_validator.store.past_runs import PastRun
    from dask_validator.store.present import Present, SeasonCount

MOST_LISTED = 2_000  # strategies in the table of those that passed
MOST_WINDOWS = 80_000  # of these strategies together
MOST_TASKS = 4_000  # in the task stream, the longest ones
MOST_WORKERS = 64  # in the task stream
MOST_POINTS = 600  # of the false discovery curve

Record = Mapping[str, Any]


class Step(NamedTuple):
    """One step of the funnel: how many it took away, and how many went on."""

    phase: int | None
    name: str
    removed: int
    left: int


def funnel_steps(summary: Mapping[str, Any]) -> list[Step]:
    """From all processed rows to the passed ones; FAILED ones, which fall at different places, leave last."""
    names = {phase: f"phase {phase}: {name}" for phase, name in funnel.counted_phases(summary).items()}
    phases = [None, None, *names, None]
    of_run = funnel.steps(summary)[:-1]
    return [
        Step(phase, step.name if phase is None else names[phase], step.removed, step.left)
        for phase, step in zip(phases, of_run, strict=True)
    ]


class Judged(NamedTuple):
    """All lines of a run, in one pass."""

    passed: int
    rejected: int
    without_windows: int  # have no valid window, and so neither share nor expectancy
    shares: dict[bool, NDArray[np.float64]]  # of positive windows; by whether the strategy passed
    expectancies: dict[bool, NDArray[np.float64]]  # R per trade, in the valid test windows
    listed: list[Record]  # passed, the largest expectancy in the test windows first
    misses: list[Miss]  # one more than is shown


def judge(records: Iterable[Record], config: RunConfig | None) -> Judged:
    """Look at each line once; without a config no near misses are sought."""
    counts: Counter[str] = Counter()
    shares, expectancies = ({passed: array("d") for passed in (True, False)} for _ in range(2))
    listed: Smallest[Record] = Smallest(MOST_LISTED)
    misses: Smallest[Miss] = Smallest(MOST_MISSES + 1)
    for record in records:
        passed = record["passed"]
        counts["passed" if passed else "rejected"] += 1
        if record["n_valid_windows"]:
            shares[passed].append(record["pct_positive"])
            expectancies[passed].append(record["agg_oos_exp_r"])
        else:
            counts["without windows"] += 1
        if passed:
            listed.add((-record["agg_oos_exp_r"], record["strategy_id"]), record)
        elif config is not None:
            add_walkforward_miss(misses, record, config)
    return Judged(
        counts["passed"],
        counts["rejected"],
        counts["without windows"],
        {passed: np.array(values) for passed, values in shares.items()},
        {passed: np.array(values) for passed, values in expectancies.items()},
        _with_windows_up_to(MOST_WINDOWS, listed.items()),
        misses.items(),
    )


def _with_windows_up_to(most: int, records: Sequence[Record]) -> list[Record]:
    """The first records whose windows are not more; a month's windows over ten years are six times the usual."""
    total = accumulate(len(record["windows"]) for record in records)
    return [record for record, windows in zip(records, total, strict=True) if windows <= most]


class Listed(NamedTuple):
    """One strategy that passed walk-forward, as the report lists it; numbers in R, 4 decimals."""

    strategy_id: str
    session: str
    filter_type: str
    rr_target: float | None
    sample_size: int | None
    expectancy_r: float | None
    positive: int  # of the valid windows
    valid: int
    oos_exp_r: float
    oos_trades: int
    p_value: float | None
    adjusted_p: float | None
    significant: bool
    season: str
    status: str  # empty while it is PASSED
    note: str
    split: Sequence[Any]
    windows: list[tuple[str, int, float | None]]  # first day, test_n, test_exp_r
    end: str  # of the last window, exclusive
    cumulative: Sequence[float] = ()  # R until the end of each window, of those that count
    every_day: bool = False  # walk-forward took every day, because the filter is unknown
    z: float | None = None  # what null worlds say, where the run asked them
    luck_bound: float | None = None
    stepm_p: float | None = None
    symbols: str = ""  # of imported trades
    sides: str = ""
    twins: int | None = None  # others with the same wins and losses on the same days, of those that are listed


def listed_strategies(
    records: Iterable[Record],
    rows: Mapping[str, Present],
    correction: Correction | None,
    parameters: Mapping[str, Any],
) -> list[Listed]:
    """Each line with what its row says now; a row that is no longer there leaves its columns empty."""
    named = None
    if parameters.get("filters", "names") == "names" and not parameters.get("filter"):
        named = vocabulary(RunConfig(strict_filters=parameters.get("strict_filters", False)), ())
    return [_listed(record, rows.get(record["strategy_id"]), correction, named) for record in records]


def _cumulative(windows: Iterable[Mapping[str, Any]], min_trades: int) -> list[float]:
    found = ((window["test_n"], _finite(window["test_exp_r"])) for window in windows)
    counted = (n * exp_r if n >= min_trades and exp_r is not None else 0.0 for n, exp_r in found)
    return [round(total, 1) for total in accumulate(counted)]


def columns_with_values(listed: Iterable[Listed]) -> set[str]:
    """Fields of the rows that are not empty in all of them: a column without a value says nothing."""
    return {name for row in listed for name, value in row._asdict().items() if value not in (None, "", (), [])}


def _listed(record: Record, row: Present | None, correction: Correction | None, named: Vocabulary | None) -> Listed:
    windows = record["windows"]
    p_value = row.p_value if row else None
    corrected = correction is not None and p_value is not None and p_value in correction.p_values
    found = correction.of(p_value) if correction is not None and p_value is not None and corrected else None
    status = (row.status or "waiting") if row else "row is gone"
    planned = row if row and not row.imported else None  # what others have in these columns says nothing
    return Listed(
        record["strategy_id"],
        f"{planned.orb_label} {planned.orb_minutes}m" if planned and planned.orb_label else "",
        (planned.filter_type if planned else None) or "",
        planned.rr_target if planned else None,
        row.sample_size if row else None,
        _finite(row.expectancy_r) if row else None,
        record["n_positive_windows"],
        record["n_valid_windows"],
        record["agg_oos_exp_r"],
        record["total_oos_trades"],
        p_value,
        found.adjusted_p if found else None,
        bool(found and found.significant),
        (row.split.verdict if row else None) or "",
        "" if status == "PASSED" else status,
        (row.note if row else None) or "",
        _split(row.split) if row else [None] * 4,
        [(window["window_start"], window["test_n"], _finite(window["test_exp_r"])) for window in windows],
        windows[-1]["window_end"] if windows else "",
        every_day=bool(row and row.filter_type and _took_every_day(row.filter_type, row.note or "", named)),
        cumulative=_cumulative(windows, trades_needed(record)),
        symbols=row.symbols if row else "",
        sides=row.sides if row else "",
    )


def _took_every_day(filter_type: str, note: str, named: Vocabulary | None) -> bool:
    """By the name where names say it: notes of earlier versions do not."""
    return notes.EVERY_DAY in note if named is None else bool(named.chosen(filter_type, None).unknown)


def trades_needed(record: Record) -> int:
    """Trades that made the test windows of a line valid."""
    params = record["params"]
    return int(params.get("test_window_trades", params["min_trades_per_window"]))


def _split(split: SeasonSplit) -> list[Any]:
    counts = whole(split.winter_n), whole(split.summer_n)
    return [counts[0], _finite(split.winter_avg_r), counts[1], _finite(split.summer_avg_r)]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Curve(NamedTuple):
    """Ascending p-values by rank, up to somewhat beyond the last discovery, against `alpha * rank / tested`."""

    ranks: list[int]  # from 1; each is a step of the curve
    p_values: list[float]
    tested: int
    significant: int
    last_rank: int  # shown
    alpha: float = ALPHA


def discovery_curve(correction: Correction) -> Curve:
    """At most `MOST_POINTS` of the ranks, the last discovery among them."""
    tested, significant = correction.tested, correction.significant
    last = min(tested, max(20, significant + significant // 2))
    ranks = set(np.unique(np.linspace(1, last, MOST_POINTS).astype(int)).tolist()) if tested else set()
    ranks |= {rank for rank in (significant, significant + 1) if 1 <= rank <= last}
    chosen = sorted(ranks)
    return Curve(chosen, [float(correction.p_values[rank - 1]) for rank in chosen], tested, significant, last)


class SeasonRow(NamedTuple):
    """One season verdict and how many strategies have it."""

    verdict: str
    passed: int
    rejected: int


def season_rows(counts: Iterable[SeasonCount]) -> list[SeasonRow]:
    """By verdict, the best first; strategies of one season alone have none."""
    found: Counter[tuple[str, str | None]] = Counter()
    for count in counts:
        found[count.verdict or "none", count.status] += count.strategies
    known = [verdict for verdict in SEASONS if (verdict, "PASSED") in found or (verdict, "REJECTED") in found]
    others = sorted({verdict for verdict, _ in found} - {*SEASONS})
    return [SeasonRow(verdict, found[verdict, "PASSED"], found[verdict, "REJECTED"]) for verdict in known + others]


class Rectangle(NamedTuple):
    """One task in the stream: seconds since the first began, and the lane of its worker."""

    lane: int
    start_s: float
    wall_s: float
    cpu_s: float
    strategies: int


class Stream(NamedTuple):
    """What each worker did when."""

    workers: list[str]  # by lane
    rectangles: list[Rectangle]
    end_s: float
    tasks: int
    all_workers: int


def task_stream(timings: Sequence[TaskTiming]) -> Stream:
    """The longest tasks of the first workers, in order of time."""
    workers = sorted({timing.worker for timing in timings})
    lanes = {worker: lane for lane, worker in enumerate(workers[:MOST_WORKERS])}
    shown = sorted((t for t in timings if t.worker in lanes), key=lambda t: -t.wall_s)[:MOST_TASKS]
    zero = min((timing.started for timing in timings), default=0.0)
    rectangles = [
        Rectangle(lanes[t.worker], t.started - zero, t.wall_s, t.cpu_s, t.strategies)
        for t in sorted(shown, key=lambda t: t.started)
    ]
    end = max((timing.started - zero + timing.wall_s for timing in timings), default=0.0)
    return Stream(workers[:MOST_WORKERS], rectangles, end, len(timings), len(workers))


class Setting(NamedTuple):
    """One parameter of the run."""

    name: str
    value: str
    changed: bool  # not what it is by default


def settings(run: PastRun, spelled: Callable[[str], str]) -> list[Setting]:
    """All parameters in the order of the record; `spelled` makes a flag of a field."""
    changed = unusual(run.parameters)
    return [Setting(spelled(name), _shown(value), name in changed) for name, value in run.parameters.items()]


def _shown(value: Any) -> str:
    if value is None or value == [] or value == ():
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def changed_since(summary: Mapping[str, Any], statuses: Mapping[str | None, int], listed: Iterable[Listed]) -> int:
    """How many strategies of a committed run, at least, no longer have the verdict that it gave them.

    `statuses` counts all rows of the instrument as they are now, those of other runs too.
    """
    named = {"passed": "PASSED", "rejected": "REJECTED", "skipped": "SKIPPED", "failed": "FAILED"}
    fewer: int = sum(max(0, summary[name] - statuses.get(status, 0)) for name, status in named.items())
    return max(fewer, sum(row.status not in ("", "FAILED") for row in listed))
