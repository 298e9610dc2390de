"""One run, from the waiting rows to the commit: read, screen, compute, decide, write."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator import collector, events
from dask_validator.commit import write
from dask_validator.config import RunConfig
from dask_validator.events import Computed, Listener, Ready, TaskDone
from dask_validator.grouping import Work, columns, days_by_session, selectors
from dask_validator.model import Answer, OutcomeKey, Request, Status, TaskTiming, Verdict
from dask_validator.result import RunResult, count_verdicts
from dask_validator.rules.costs import Costs
from dask_validator.rules.fdr import Correction
from dask_validator.rules.filters import is_known
from dask_validator.stopwatch import Stopwatch
from dask_validator.store.connection import release
from dask_validator.task import Group, walkforward_task
from dask_validator.verdicts import Candidate, Survivor, consider, decide, request

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.database import Database
    from dask_validator.store.reader import Facts, Survey


@collector.thawed()
def run_validation(
    database: Database, instrument: str, config: RunConfig, costs: Costs, executor: Executor, listener: Listener
) -> RunResult:
    """Validate the waiting strategies of one instrument and, unless it is a dry run, write the verdicts."""
    started_at, watch, warned = datetime.now(UTC), Stopwatch(), len(executor.warnings)
    run_id = f"{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    with database.kept_open():
        facts = database.read_facts(instrument)
        if facts.waiting:
            executor.start()  # in the background, while we screen
        with ThreadPoolExecutor(1) as background:
            surveying = background.submit(database.survey, instrument)
            with watch.stage("screening"), collector.paused():
                screened = _screen(database, instrument, config, costs, facts)
            with watch.stage("grouping"):
                survey = surveying.result()
                work = _work(database, instrument, config, screened, survey)
        listener(events.Screened(facts.waiting, screened.asked))
        computed = _compute(work, screened.asked, executor, listener, watch, f"walkforward-{run_id}")
    # Closed here, before anything is written: a reader would lock the commit out.
    warnings = _unknown_filters(screened.open, config)
    with watch.stage("deciding"), collector.paused():
        correction = Correction.over(facts.p_values)
        verdicts = _decide(screened, computed.answers, correction, facts)

    summary = {
        "run_id": run_id,
        "instrument": instrument,
        "db": str(database.path),
        "dry_run": config.dry_run,
        **count_verdicts(verdicts),
        "walkforward": None if config.no_walkforward else _walkforward_summary(verdicts, computed, executor.workers),
        "fdr": _fdr_summary(verdicts, correction),
        "retired": _count_retired(verdicts, facts),
        "total_s": watch.total_s,
        "committed": False,
    }
    warnings += [*_still_active(verdicts, facts), *executor.warnings[warned:]]
    result = RunResult(summary, verdicts, warnings, computed.timings, watch.stages, executor.start_up_s)
    if verdicts and not config.dry_run:
        with collector.paused():
            write(database, result, config, survey.fingerprints, started_at, listener, watch)
    summary["total_s"] = round(watch.total_s, 3)
    return result


class Screened(NamedTuple):
    """All waiting strategies after phases 1-5."""

    decided: list[Verdict]
    open: list[Candidate]
    requests: dict[OutcomeKey, list[Request]]

    @property
    def asked(self) -> int:
        """How many strategies need their outcomes."""
        return sum(map(len, self.requests.values()))


class Computation(NamedTuple):
    """Answers by strategy_id, and what they cost."""

    answers: dict[str, Answer]
    timings: list[TaskTiming]
    wall_s: float


def _screen(database: Database, instrument: str, config: RunConfig, costs: Costs, facts: Facts) -> Screened:
    screened = Screened([], [], {})
    with closing(database.read_waiting(instrument)) as waiting:
        for strategy in waiting:
            considered = consider(strategy, config, costs, facts.atr_by_year)
            if isinstance(considered, Verdict):
                screened.decided.append(considered)
                continue
            screened.open.append(considered)
            if (question := request(considered, config)) is not None:
                screened.requests.setdefault(strategy.outcome_key, []).append(question)
    return screened


def _work(database: Database, instrument: str, config: RunConfig, screened: Screened, survey: Survey) -> Work:
    groups = [Group(key, tuple(requests)) for key, requests in screened.requests.items()]
    used = selectors(groups, config.strict_filters)
    features = database.read_features(instrument, columns(used, config.strict_filters))
    sessions = days_by_session(used, features, config.strict_filters)
    return Work(groups, survey.layout, sessions, config.walkforward_rules, config.strict_filters, database, instrument)


def _compute(
    work: Work, asked: int, executor: Executor, listener: Listener, watch: Stopwatch, name: str
) -> Computation:
    computation = Computation({}, [], 0.0)
    if not work.groups:
        return computation
    with watch.stage("waiting for workers"):
        executor.wait()
        blind = executor.blind(work.database.path)
    tasks = work.tasks(executor.workers, carried=bool(blind))
    listener(Ready(executor.workers, len(tasks), executor.dashboard_link, blind))
    with watch.stage("computing"):
        for result in executor.map(walkforward_task, tasks, name, work.carried):
            computation.answers.update((answer.strategy_id, answer) for answer in result.answers)
            computation.timings.append(result.timing)
            listener(TaskDone(result.timing.strategies))
    wall_s = watch.stages["computing"]
    executor.everywhere(release)
    if len(computation.answers) != asked:
        raise AssertionError(f"{asked} strategies went out, {len(computation.answers)} came back")
    listener(Computed(wall_s))
    return computation._replace(wall_s=wall_s)


def _decide(screened: Screened, answers: dict[str, Answer], correction: Correction, facts: Facts) -> list[Verdict]:
    """All verdicts in order of strategy_id; candidates and answers are given up one by one, for memory's sake."""
    verdicts = screened.decided
    while screened.open:
        candidate = screened.open.pop()
        answer = answers.pop(candidate.strategy_id, None)
        verdicts.append(decide(candidate, answer, correction, facts.setups_not_null))
    verdicts.sort(key=lambda verdict: verdict.strategy_id)
    return verdicts


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


def _fdr_summary(verdicts: Sequence[Verdict], correction: Correction) -> dict[str, int]:
    return {
        "tested": correction.tested,
        "significant": correction.significant,
        "passed_significant": sum(v.discovery is not None and v.discovery.significant for v in verdicts),
    }


def _count_retired(verdicts: Sequence[Verdict], facts: Facts) -> int:
    retiring = (Status.REJECTED, Status.SKIPPED)
    return sum(v.strategy_id in facts.active_setups and v.status in retiring for v in verdicts)


def _unknown_filters(candidates: Sequence[Candidate], config: RunConfig) -> list[str]:
    names = Counter(c.screened.filter_type for c in candidates if isinstance(c.screened, Survivor))
    return [
        f"unknown filter {name!r} is taken as every day (--strict-filters fails it); strategies: {count}"
        for name, count in sorted(names.items())
        if not is_known(name, config.strict_filters)
    ]


def _still_active(verdicts: Sequence[Verdict], facts: Facts) -> list[str]:
    ids = [v.strategy_id for v in verdicts if v.status is Status.FAILED and v.strategy_id in facts.active_setups]
    return [f"FAILED, but their setups stay active: {', '.join(ids)}"] if ids else []
