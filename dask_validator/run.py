"""One run, from the waiting rows to the commit: read, screen, compute, decide, write."""

from __future__ import annotations

import json
import platform
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator import __version__, results_file
from dask_validator.config import RunConfig
from dask_validator.errors import NotCommitted
from dask_validator.events import Committed, Computed, Listener, Screened, TaskDone
from dask_validator.execution.plan import plan
from dask_validator.interrupts import held_back
from dask_validator.model import Answer, Status, TaskTiming, Verdict
from dask_validator.result import RunResult, count_verdicts
from dask_validator.rules.costs import Costs
from dask_validator.rules.fdr import Discovery, discoveries
from dask_validator.rules.filters import is_known
from dask_validator.task import TaskResult, WalkforwardTask, walkforward_task
from dask_validator.verdicts import Candidate, consider, decide, request

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.database import Database
    from dask_validator.store.reader import Snapshot


def run_validation(
    database: Database, instrument: str, config: RunConfig, costs: Costs, executor: Executor, listener: Listener
) -> RunResult:
    """Validate the waiting strategies of one instrument and, unless it is a dry run, write the verdicts."""
    clock, started_at = time.perf_counter(), datetime.now(UTC)
    run_id = f"{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    # The snapshot's connection is closed here: a reader would lock the commit out, a writer the workers.
    snapshot = database.read_snapshot(instrument)
    candidates = [consider(strategy, config, costs, snapshot.atr_by_year) for strategy in snapshot.strategies]
    computed = _compute(database.path, instrument, candidates, config, executor, listener, run_id)
    corrected = discoveries(snapshot.tested_ids, snapshot.p_values)
    verdicts = [
        decide(
            candidate,
            computed.answers.get(candidate.strategy.strategy_id),
            corrected.get(candidate.strategy.strategy_id),
            snapshot.setups_not_null,
        )
        for candidate in candidates
    ]

    summary = {
        "run_id": run_id,
        "instrument": instrument,
        "db": str(database.path),
        "dry_run": config.dry_run,
        **count_verdicts(verdicts),
        "walkforward": None if config.no_walkforward else _walkforward_summary(verdicts, computed, executor.workers),
        "fdr": _fdr_summary(verdicts, corrected),
        "retired": _count_retired(verdicts, snapshot),
        "total_s": time.perf_counter() - clock,
        "committed": False,
    }
    result = RunResult(summary, verdicts, _warnings(candidates, verdicts, snapshot, config))
    if verdicts and not config.dry_run:
        _write(database, result, config, snapshot, corrected, computed, started_at, listener)
    summary["total_s"] = round(time.perf_counter() - clock, 3)
    return result


class Computation(NamedTuple):
    """Answers by strategy_id, and what they cost."""

    answers: dict[str, Answer]
    timings: list[TaskTiming]
    wall_s: float


def _compute(
    path: Path,
    instrument: str,
    candidates: Sequence[Candidate],
    config: RunConfig,
    executor: Executor,
    listener: Listener,
    run_id: str,
) -> Computation:
    asked = [(c.strategy.outcome_key, question) for c in candidates if (question := request(c, config)) is not None]
    tasks = [
        WalkforwardTask(str(path), instrument, config.walkforward_rules, config.strict_filters, groups)
        for groups in plan(asked, executor.workers)
    ]
    listener(Screened(len(candidates), len(asked), len(tasks)))
    computation = Computation({}, [], 0.0)
    clock = time.perf_counter()
    results = executor.map(walkforward_task, tasks, f"walkforward-{run_id}") if tasks else iter(())
    for result in results:
        _take(result, computation)
        listener(TaskDone(result.timing.strategies))
    wall_s = time.perf_counter() - clock
    if len(computation.answers) != len(asked):
        raise AssertionError(f"{len(asked)} strategies went out, {len(computation.answers)} came back")
    listener(Computed(wall_s))
    return computation._replace(wall_s=wall_s)


def _take(result: TaskResult, computation: Computation) -> None:
    computation.answers.update((answer.strategy_id, answer) for answer in result.answers)
    computation.timings.append(result.timing)


def _write(
    database: Database,
    result: RunResult,
    config: RunConfig,
    snapshot: Snapshot,
    corrected: dict[str, Discovery],
    computed: Computation,
    started_at: datetime,
    listener: Listener,
) -> None:
    """One transaction, then the JSONL."""
    from dask_validator.store.writer import RunRecord, changes

    summary: dict[str, Any] = dict(result.summary) | {"committed": True}
    finished_at = datetime.now(UTC)
    lines = results_file.lines(result.verdicts, summary["instrument"], config.walkforward_rules, finished_at)
    record = RunRecord(
        summary["run_id"],
        summary["instrument"],
        started_at,
        finished_at,
        json.dumps(asdict(config), default=str),
        json.dumps(_versions()),
        json.dumps(dict(snapshot.fingerprints)),
        json.dumps(summary),
        json.dumps([timing._asdict() for timing in computed.timings]),
        zlib.compress("\n".join(lines).encode()),
    )
    kept = frozenset(s.strategy_id for s in snapshot.strategies if s.stored_split.verdict is not None)
    prepared = changes(result.verdicts, kept, corrected)
    with held_back():  # interrupted between the two, the lines of a committed run would never be appended
        try:
            database.commit(record, prepared)
        except NotCommitted as error:
            raise NotCommitted(str(error), result) from error
        result.summary["committed"] = True
        listener(Committed(len(result.verdicts)))
        if lines:
            _append(Path(config.wf_output), lines, result)


def _append(path: Path, lines: list[str], result: RunResult) -> None:
    try:
        results_file.append(path, lines)
    except OSError as error:
        raise NotCommitted(
            f"the database is committed, but {path} could not be written ({error.strerror}); its lines are kept in "
            f"dask_validator_runs.results of run {result.summary['run_id']} (zlib)",
            result,
        ) from error


def _versions() -> dict[str, str]:
    packages = ("dask", "distributed", "duckdb", "numpy", "pandas")
    ours = {"python": platform.python_version(), "dask_validator": __version__}
    return ours | {name: version(name) for name in packages}


def _walkforward_summary(verdicts: Sequence[Verdict], computed: Computation, workers: int) -> dict[str, Any]:
    judged = [verdict.walkforward for verdict in verdicts if verdict.walkforward is not None]
    sum_s = sum(timing.wall_s for timing in computed.timings)
    cpu_s = sum(timing.cpu_s for timing in computed.timings)
    wall_s = computed.wall_s
    return {
        "strategies": len(judged),
        "passed": sum(result.passed for result in judged),
        "wall_s": round(wall_s, 4),
        "sum_s": round(sum_s, 4),
        "cpu_s": round(cpu_s, 4),
        "speedup": round(sum_s / wall_s, 3) if wall_s else 0.0,
        "cpu_speedup": round(cpu_s / wall_s, 3) if wall_s else 0.0,
        "workers": workers,
        "tasks": len(computed.timings),
        "reused": 0,
    }


def _fdr_summary(verdicts: Sequence[Verdict], corrected: dict[str, Discovery]) -> dict[str, int]:
    passed = {verdict.strategy_id for verdict in verdicts if verdict.status is Status.PASSED}
    significant = {strategy_id for strategy_id, discovery in corrected.items() if discovery.significant}
    return {
        "tested": len(corrected),
        "significant": len(significant),
        "passed_significant": len(passed & significant),
    }


def _count_retired(verdicts: Sequence[Verdict], snapshot: Snapshot) -> int:
    retiring = (Status.REJECTED, Status.SKIPPED)
    return sum(v.status in retiring and v.strategy_id in snapshot.active_setups for v in verdicts)


def _warnings(
    candidates: Sequence[Candidate], verdicts: Sequence[Verdict], snapshot: Snapshot, config: RunConfig
) -> list[str]:
    names = (c.strategy.filter_type for c in candidates if c.survives)
    unknown = Counter(name for name in names if name is not None and not is_known(name, config.strict_filters))
    warnings = [
        f"unknown filter {name!r} is taken as every day (--strict-filters fails it); strategies: {count}"
        for name, count in sorted(unknown.items())
    ]
    still_active = [
        v.strategy_id for v in verdicts if v.status is Status.FAILED and v.strategy_id in snapshot.active_setups
    ]
    if still_active:
        warnings.append(f"FAILED, but their setups stay active: {', '.join(still_active)}")
    return warnings
