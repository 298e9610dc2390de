"""One run, from the waiting rows to the commit: read, screen, compute, decide, write."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from dask_validator import collector, tally
from dask_validator.commit import inputs, settings, write
from dask_validator.compute import Agenda, Computer, agenda
from dask_validator.errors import ChangedMeanwhile, Incomplete
from dask_validator.events import Listener, Said, Screened
from dask_validator.grouping import Work, columns, days_by_session, selectors
from dask_validator.journal.journal import Journal
from dask_validator.model import Answer, OutcomeKey, Request, Verdict
from dask_validator.order import Order
from dask_validator.result import RunResult, count_verdicts
from dask_validator.rules.fdr import Correction
from dask_validator.stopwatch import Stopwatch
from dask_validator.store.fingerprints import Seen
from dask_validator.verdicts import Candidate, Survivor, consider, decide, request

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.reader import Facts, Survey

ATTEMPTS = 3  # to commit before others change the database again


@collector.thawed()
def run_validation(order: Order, executor: Executor, listener: Listener, journal: Journal) -> RunResult:
    """Validate the waiting strategies of one instrument and, unless it is a dry run, write the verdicts.

    Raises
    ------
    NotCommitted, Incomplete
        With what is decided so far; the journal keeps what is computed.
    """
    started_at, watch, warned = datetime.now(UTC), Stopwatch(), len(executor.warnings)
    run_id = f"{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    computer = Computer(executor, journal, listener, watch, f"walkforward-{run_id}")
    earlier: Sequence[Verdict] = ()
    for attempt in count(1):
        result, seen = _validate(order, run_id, executor, computer, listener, journal, watch)
        result.warnings.extend([*tally.left_alone(earlier, result.verdicts), *executor.warnings[warned:]])
        if (ended := computer.ended_early) is not None:
            raise Incomplete(str(ended), result) from ended
        if not result.verdicts or order.config.dry_run:
            break
        try:
            with collector.paused():
                write(order, result, seen, started_at, listener, watch, journal)
            break
        except ChangedMeanwhile as change:
            if attempt == ATTEMPTS:
                raise
            listener(Said(f"{change}; looking again"))
            earlier = result.verdicts
            journal.reread()
    result.summary["total_s"] = round(watch.total_s, 3)
    return result


def _validate(
    order: Order,
    run_id: str,
    executor: Executor,
    computer: Computer,
    listener: Listener,
    journal: Journal,
    watch: Stopwatch,
) -> tuple[RunResult, Seen]:
    """All verdicts, nothing written, and the state of the database that they hold for."""
    database, instrument, config = order.database, order.instrument, order.config
    with database.kept_open():
        facts = database.read_facts(instrument)
        if facts.waiting:
            executor.start()  # in the background, while we screen
        with ThreadPoolExecutor(1) as background:
            surveying = background.submit(database.survey, instrument)
            with watch.stage("screening"), collector.paused():
                screened = _screen(order, facts)
            with watch.stage("grouping"):
                survey = surveying.result()
        listener(Screened(facts.waiting, screened.asked))
        if facts.waiting:
            _say(listener, journal.begin(inputs(order, survey.fingerprints), settings(order)))
        with watch.stage("grouping"):
            todo = agenda(screened.requests, journal.recovered)
            work = _work(order, todo, survey)
        _say(listener, tally.taken_over(len(todo.answered), todo.changed, journal.path))
        if order.resume and not todo.answered and not todo.suspects:
            listener(Said(f"--resume found nothing to take over in {journal.path}", warning=True))
        answers = computer.answers(todo, work)
        seen = Seen(database.file_state(), survey.fingerprints)
    # Closed here, before anything is written: a reader would lock the commit out.
    used = (c.screened.filter_type for c in screened.open if isinstance(c.screened, Survivor))
    warnings = tally.unknown_filters(used, config.strict_filters)
    with watch.stage("deciding"), collector.paused():
        correction = Correction.over(facts.p_values)
        verdicts, unanswered = _decide(order, screened, answers, correction, facts)
    if verdicts and not unanswered:
        journal.computed()
    summary = {
        "run_id": run_id,
        "instrument": instrument,
        "db": str(database.path),
        "dry_run": config.dry_run,
        **count_verdicts(verdicts),
        "walkforward": None if config.no_walkforward else tally.walkforward_summary(verdicts, computer),
        "fdr": tally.fdr_summary(verdicts, correction),
        "retired": tally.count_retired(verdicts, facts.active_setups),
        "total_s": watch.total_s,
        "committed": False,
    }
    warnings += [*tally.still_active(verdicts, facts.active_setups), *tally.left_waiting(unanswered)]
    if journal.reason:
        warnings.append(f"{journal.reason}: if this run is interrupted, nothing can be taken over")
    return RunResult(summary, verdicts, warnings, computer.timings, watch.stages, executor.start_up_s), seen


class Screenings(NamedTuple):
    """All waiting strategies after phases 1-5."""

    decided: list[Verdict]
    open: list[Candidate]
    requests: dict[OutcomeKey, list[Request]]

    @property
    def asked(self) -> int:
        """How many strategies need their outcomes."""
        return sum(map(len, self.requests.values()))


def _screen(order: Order, facts: Facts) -> Screenings:
    screened = Screenings([], [], {})
    with closing(order.database.read_waiting(order.instrument)) as waiting:
        for strategy in waiting:
            considered = consider(strategy, order.config, order.costs, facts.atr_by_year)
            if isinstance(considered, Verdict):
                screened.decided.append(considered)
                continue
            screened.open.append(considered)
            if (question := request(considered, order.config)) is not None:
                screened.requests.setdefault(strategy.outcome_key, []).append(question)
    return screened


def _work(order: Order, todo: Agenda, survey: Survey) -> Work:
    config = order.config
    used = selectors(todo.groups, config.strict_filters)
    features = order.database.read_features(order.instrument, columns(used, config.strict_filters))
    sessions = days_by_session(used, features, config.strict_filters)
    rules = config.walkforward_rules
    return Work(survey.layout, sessions, rules, config.strict_filters, order.database, order.instrument)


def _decide(
    order: Order, screened: Screenings, answers: dict[str, Answer], correction: Correction, facts: Facts
) -> tuple[list[Verdict], int]:
    """All verdicts in order of strategy_id, and how many strategies have none for want of an answer.

    Candidates and answers are given up one by one, for memory's sake.
    """
    unanswered = screened.asked - len(answers)
    verdicts = screened.decided
    while screened.open:
        candidate = screened.open.pop()
        answer = answers.pop(candidate.strategy_id, None)
        if answer is None and unanswered and request(candidate, order.config) is not None:
            continue
        verdicts.append(decide(candidate, answer, correction, facts.setups_not_null))
    verdicts.sort(key=lambda verdict: verdict.strategy_id)
    return verdicts, unanswered


def _say(listener: Listener, text: str | None) -> None:
    if text:
        listener(Said(text))
