"""The tables of a report equal plain, slow twins."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_validator import RunConfig, validate
from dask_validator.model import Status, TaskTiming, Verdict
from dask_validator.rules.fdr import Correction
from dask_validator.rules.gates import GATES, HELD
from dask_validator.rules.jsonl import walked_of
from dask_validator.rules.remedies import Remedy, screening_remedy, walkforward_remedy
from dask_validator.rules.screening import Market, screen
from dask_validator.run.instruments import costs_of
from dask_validator.store.present import SeasonCount
from dask_validator.store.reader import read_facts, read_waiting
from dask_validator.views.report import distributions, tables
from dask_validator.views.report import misses as near
from dask_validator.views.result import RunResult
from tests.reference.fdr import benjamini_hochberg

RULES: dict[str, Any] = {"stress_multiplier": 3.0, "min_sharpe": 0.15, "min_sample": 60, "exclude_years": (2019,)}


@pytest.fixture(scope="module")
def config() -> RunConfig:
    """Every phase rejects somebody."""
    return RunConfig(dry_run=True, **RULES)


@pytest.fixture(scope="module")
def result(small_source: Path, config: RunConfig) -> RunResult:
    """A dry run of the recorded small input."""
    return validate(small_source, "MGC", config, workers=1, progress=False)


def record(verdict: Verdict) -> dict[str, Any]:
    """The line of a strategy, as far as tables read it."""
    assert verdict.walkforward is not None
    windows = [window._asdict() for window in verdict.walkforward.windows]
    reason = None if verdict.walkforward.passed else "wording"
    names = ("n_valid_windows", "pct_positive", "agg_oos_exp_r")
    numbers = {name: getattr(verdict.walkforward, name) for name in names}
    passed = {"passed": verdict.walkforward.passed, "rejection_reason": reason}
    return {"strategy_id": verdict.strategy_id, "windows": windows, **numbers, **passed}


@pytest.fixture(scope="module")
def records(result: RunResult) -> list[dict[str, Any]]:
    """The lines of the run."""
    return [record(verdict) for verdict in result.verdicts if verdict.walkforward is not None]


@pytest.fixture(scope="module")
def misses(small_source: Path, config: RunConfig, records: list[dict[str, Any]]) -> dict[int, list[near.Miss]]:
    """The nearest misses of each phase."""
    atr = read_facts(small_source, "MGC").atr_by_year
    waiting = read_waiting(small_source, "MGC")
    found = near.screening_misses(waiting, config, Market(costs_of("MGC"), atr))
    return {**found, 6: tables.judge(records, config).misses}


def test_the_funnel_ends_with_those_that_passed(result: RunResult) -> None:
    """Each step leaves what the one before left, less what it removed."""
    steps = tables.funnel_steps(result.summary)

    assert (steps[0].left, steps[-1].left) == (result.summary["rows"], result.summary["passed"])
    assert all(step.left == before.left - step.removed for before, step in pairwise(steps))
    assert sum(step.removed for step in steps if step.phase) == result.summary["rejected"]


def test_the_smallest_are_those_of_a_sort() -> None:
    """Whatever the order in which they come."""
    keys = [random.Random(seed).random() for seed in range(500)]
    smallest: near.Smallest[str] = near.Smallest(7)
    for key in keys:
        smallest.add(key, str(key))

    assert smallest.items() == [str(key) for key in sorted(keys)[:7]]


def _relative(remedy: Remedy, config: RunConfig) -> float:
    [(name, value)] = remedy.changes.items()
    before = getattr(config, name)
    return float(len(set(value) ^ set(before))) if isinstance(value, tuple) else abs(value - before) / before


def test_near_misses_are_those_of_an_exhaustive_search(
    small_source: Path, config: RunConfig, misses: dict[int, list[near.Miss]], records: list[dict[str, Any]]
) -> None:
    """No shortcut loses one: all remedies with one flag, sorted, begin with those that are shown."""
    atr = read_facts(small_source, "MGC").atr_by_year
    found: dict[int, list[tuple[float, float, str]]] = {phase: [] for phase in range(1, 7)}
    market = Market(costs_of("MGC"), atr)
    for strategy in chain.from_iterable(read_waiting(small_source, "MGC")):
        screened = screen([strategy], market.terms(config), market)
        if screened.gate[0] != HELD and not screened.unusable:
            remedy = screening_remedy(strategy, config, market)
            if remedy.helps and len(remedy.changes) == 1:
                key = _relative(remedy, config), -(strategy.expectancy_r or 0), strategy.strategy_id
                found[GATES[screened.gate[0]].phase].append(key)
    for line in records:
        if not line["passed"]:
            remedy = walkforward_remedy(walked_of(line), config)
            if remedy.helps and len(remedy.changes) == 1:
                found[6].append((_relative(remedy, config), -line["agg_oos_exp_r"], line["strategy_id"]))

    shown = {phase: [miss.strategy_id for miss in found] for phase, found in misses.items()}
    assert shown == {phase: [key[2] for key in sorted(of)[:11]] for phase, of in found.items()}
    assert {phase for phase, found in misses.items() if found} == {1, 3, 4, 5, 6}
    assert max(map(len, found.values())) > 11


@pytest.mark.parametrize("phase", [1, 3, 4, 5, 6])
def test_a_near_miss_passes_its_phase_with_the_flag(
    small_source: Path, config: RunConfig, result: RunResult, misses: dict[int, list[near.Miss]], phase: int
) -> None:
    """Validated with the one flag changed, the strategy is no longer rejected in phases 1 to 5, or passes."""
    before = {verdict.strategy_id: verdict for verdict in result.verdicts}
    for miss in (misses[phase][0], misses[phase][-1]):
        again = validate(small_source, "MGC", config, workers=1, progress=False, **miss.remedy.changes)
        after = next(verdict for verdict in again.verdicts if verdict.strategy_id == miss.strategy_id)
        assert (before[miss.strategy_id].status, before[miss.strategy_id].phase) == (Status.REJECTED, phase)
        assert after.status is Status.PASSED if phase == 6 else after.phase in (None, 6)


def test_histograms_of_what_is_infinite_or_no_number() -> None:
    """Infinite expectancies lie beyond the edges, and NaN, as of plus and minus infinity, is counted nowhere."""
    values = np.array([-math.inf, -0.1, 0.0, 0.1, math.inf, math.nan])
    edges = distributions.shared_edges(values)
    found = distributions.histogram(values, edges)

    assert -0.2 < edges[0] < edges[-1] < 0.2
    assert (sum(found.counts), found.counts[0] > 1, found.counts[-1] > 1) == (5, True, True)


def test_histograms_count_what_lies_between_their_edges() -> None:
    """A bin holds its lower edge; what lies beyond is in the first and the last one."""
    random.seed(5)
    values = [round(random.gauss(0.1, 0.3), 4) for _ in range(2_000)] + [0.0, 0.1, 0.2, -50.0, 1e150]
    edges = distributions.shared_edges(np.array(values))
    found = distributions.histogram(np.array(values), edges)
    expected = [0] * (len(edges) - 1)
    for value in values:
        index = max((i for i, edge in enumerate(edges) if value >= edge), default=0)
        expected[min(index, len(expected) - 1)] += 1

    assert found.counts == expected
    assert found.outside == sum(value < edges[0] or value >= edges[-1] for value in values) >= 2
    assert 0.0 in edges
    assert sum(found.counts) == len(values)


def test_shares_are_counted_in_tenths() -> None:
    """0.6, a threshold that many sit on, opens its bin, and all windows positive is the last one."""
    shares = [0.0, 0.5999, 0.6, 0.6, 0.6667, 0.7, 0.9, 1.0]

    assert distributions.share_histogram(np.array(shares)).counts == [1, 0, 0, 0, 0, 1, 3, 1, 0, 2]
    assert distributions.share_histogram(np.array([i / 10 for i in range(10)])).counts == [1] * 10


def test_lines_are_judged_in_one_pass(records: list[dict[str, Any]], config: RunConfig) -> None:
    """Counts, distributions and the order of the list."""
    judged = tables.judge(iter(records), config)
    passed = [line for line in records if line["passed"]]

    assert (judged.passed, judged.rejected) == (len(passed), len(records) - len(passed))
    assert judged.without_windows == sum(not line["n_valid_windows"] for line in records)
    assert judged.listed == sorted(passed, key=lambda line: (-line["agg_oos_exp_r"], line["strategy_id"]))
    for kind in (True, False):
        lines = [line for line in records if line["passed"] is kind and line["n_valid_windows"]]
        assert judged.shares[kind].tolist() == [line["pct_positive"] for line in lines]
        assert judged.expectancies[kind].tolist() == [line["agg_oos_exp_r"] for line in lines]


@pytest.mark.parametrize("m", [1, 19, 5_000])
def test_the_curve_shows_all_discoveries(m: int) -> None:
    """Its steps are sorted p-values, and the last below the line is the last discovery of the slow twin."""
    draw = random.Random(m)
    p_values = [draw.random() ** 3 for _ in range(m)]
    adjusted = benjamini_hochberg({str(i): p for i, p in enumerate(p_values)})

    curve = tables.discovery_curve(Correction.over(np.array(p_values)))

    assert curve.significant == sum(p < 0.05 for p in adjusted.values())
    assert curve.p_values == [sorted(p_values)[rank - 1] for rank in curve.ranks]
    assert len(curve.ranks) <= tables.MOST_POINTS + 2
    below = [r for r, p in zip(curve.ranks, curve.p_values, strict=True) if p < 0.05 * r / m]
    assert max(below, default=0) == curve.significant


def test_without_p_values_there_is_no_curve() -> None:
    """An instrument whose strategies were never tested."""
    assert tables.discovery_curve(Correction.over(np.array([]))).ranks == []


def test_the_task_stream_is_bounded() -> None:
    """The longest tasks stay, at most 64 workers; how many there were is known."""
    timings = [TaskTiming(100.0 + i, i % 7 + 0.5, 0.1, f"worker-{i % 80:02}", 3) for i in range(10_000)]

    stream = tables.task_stream(timings)

    assert (stream.tasks, stream.all_workers, len(stream.workers)) == (10_000, 80, 64)
    assert len(stream.rectangles) == tables.MOST_TASKS
    assert min(task.wall_s for task in stream.rectangles) >= 3.5
    assert stream.rectangles == sorted(stream.rectangles, key=lambda task: task.start_s)
    assert stream.end_s == max(t.started - 100.0 + t.wall_s for t in timings)


def test_seasons_are_counted(result: RunResult) -> None:
    """By verdict and status; strategies that trade in one season only have none."""
    counts = Counter(
        (str(v.status), v.split.verdict if v.split else None)
        for v in result.verdicts
        if v.status in (Status.PASSED, Status.REJECTED)
    )

    rows = tables.season_rows([SeasonCount(*key, number) for key, number in counts.items()])

    assert sum(row.passed for row in rows) == result.summary["passed"]
    assert sum(row.rejected for row in rows) == result.summary["rejected"]
    assert {row.verdict for row in rows} == {verdict or "none" for _, verdict in counts}
