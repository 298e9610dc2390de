"""One run, from the waiting rows to the commit: read, screen, compute, decide, write."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dask_validator import collector, tally
from dask_validator.commit import settings, write
from dask_validator.compute import Agenda, Computer, agenda
from dask_validator.errors import ChangedMeanwhile, Incomplete, NotCommitted
from dask_validator.events import (
    Committing,
    Decided,
    Ended,
    Ending,
    Listener,
    Progressed,
    Said,
    Screened,
    SoFar,
    Started,
)
from dask_validator.grouping import Work, columns, days_by_session, selectors
from dask_validator.journal.inputs import inputs_of
from dask_validator.journal.journal import Journal
from dask_validator.model import Answer, Strategy
from dask_validator.order import Order
from dask_validator.result import RunResult
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.fdr import Correction
from dask_validator.rules.gates import Terms
from dask_validator.rules.screening import Market
from dask_validator.rules.verdicts import Verdicts, decide
from dask_validator.sources.same_file import Identity, identity
from dask_validator.stopwatch import Stopwatch
from dask_validator.store.fingerprints import Seen
from dask_validator.store.reader import batches

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.reader import Facts, Survey

TOLD_EVERY = 10_000  # strategies
ATTEMPTS = 3  # to commit before others change the database again
_ENDINGS = {
    NotCommitted: Ending.NOT_COMMITTED,
    Incomplete: Ending.INCOMPLETE,
    KeyboardInterrupt: Ending.INTERRUPTED,
}


@collector.thawed()
def run_validation(
    order: Order, executor: Executor, listener: Listener, journal: Journal, *, only_commits: bool = False
) -> RunResult:
    """Validate the waiting strategies of one instrument and, unless it is a dry run, write the verdicts.

    Parameters
    ----------
    only_commits
        Whether all answers have to come from the journal.

    Raises
    ------
    InputError
        They have to, and the journal is of other data or flags.
    NotCommitted, Incomplete
        With what is decided so far; the journal keeps what is computed.
    """
    run = _Run(order, executor, listener, journal, only_commits)
    with _ending_told(listener):
        return _validated(run, order, listener, journal)


@contextmanager
def _ending_told(listener: Listener) -> Iterator[None]:
    """Whoever watches learns how it ended, however it ends."""
    try:
        yield
    except BaseException as error:
        listener(Ended(_ENDINGS.get(type(error), Ending.FAILED), str(error)))
        raise
    listener(Ended(Ending.DONE))


def _validated(run: _Run, order: Order, listener: Listener, journal: Journal) -> RunResult:
    left_by_others = run.expected()
    for attempts_left in reversed(range(ATTEMPTS)):
        result, seen = run.validate()
        left_by_others -= set(result.verdicts.ids)
        result.warnings.extend(tally.left_alone(left_by_others))
        if not result.verdicts or order.config.dry_run:
            run.end_without_writing()
            break
        try:
            run.write(result, seen)
            break
        except ChangedMeanwhile as change:
            if not attempts_left:
                raise NotCommitted(str(change), result) from change
            listener(Said(f"{change}; looking again"))
            left_by_others |= set(result.verdicts.ids)
            journal.reread()
    return result


class _Run:
    """What stays the same when the database has changed before the commit and all is looked at again."""

    def __init__(
        self, order: Order, executor: Executor, listener: Listener, journal: Journal, only_commits: bool
    ) -> None:
        self._started_at = datetime.now(UTC)
        self._watch = Stopwatch()
        self._id = f"{self._started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self._order = order
        self._executor = executor
        self._listener = listener
        self._journal = journal
        self._only_commits = only_commits
        self._retries_failed = order.resume and not only_commits
        self._took_over = journal.finished_append
        self._waiting = 0
        self._identity: Identity | None = None
        self._warned = len(executor.warnings)
        self._computer = Computer(executor, journal, listener, self._watch, self._id)

    def expected(self) -> set[str]:
        """Strategies that must be waiting still, unless somebody else has seen to them since they were computed."""
        left = self._journal.recovered
        retried = left.settings.get("resume", False) and not self._order.resume  # FAILED ones do not wait now
        return set() if retried else set(left.answers)

    def validate(self) -> tuple[RunResult, Seen]:
        """All verdicts, nothing written, and the state of the database that they hold for. Raises Incomplete."""
        database, instrument = self._order.database, self._order.instrument
        self._listener(Started(self._id, instrument, str(database.path), self._order.config.dry_run))
        # Before it is read: whoever replaces it afterwards must not go unseen.
        state, self._identity = database.file_state(), identity(str(database.source.path))
        with database.kept_open():
            facts = database.read_facts(instrument)
            self._waiting = facts.waiting
            if facts.waiting:
                self._executor.start()  # in the background, while we screen
            screened, survey = self._screen(facts)
            self._listener(screened_event(facts.waiting, screened))
            answers = self._answers(screened, survey) if facts.waiting else {}
            if self._order.resume and not self._took_over:
                self._listener(Said(f"--resume found nothing to take over in {self._journal.path}", warning=True))
                self._took_over = True  # say it once
            seen = Seen(state, survey.fingerprints, database.source)
        # Closed here, before anything is written: a reader would lock the commit out.
        with self._watch.stage("deciding"), collector.paused():
            correction = facts.correction
            unanswered = len(screened.asked) - len(answers)
            verdicts = decide(screened, answers, correction, facts.setups_not_null)
        if verdicts and not unanswered:
            self._journal.computed()
        summary = self._summary(verdicts, correction, facts)
        self._listener(Decided(summary, verdicts.failures()))
        result = RunResult(
            summary,
            verdicts,
            self._warnings(screened, verdicts, unanswered, facts),
            self._computer.timings,
            self._watch.stages,
            self._executor.start_up_s,
            self._order,
            facts.waiting,
            facts.last_run,
            self._executor.cores,
        )
        if (ended := self._computer.ended_early) is not None:
            raise Incomplete(str(ended), result) from ended
        return result, seen

    def _warnings(self, screened: Candidates, verdicts: Verdicts, unanswered: int, facts: Facts) -> list[str]:
        return [
            *tally.unknown_filters(screened.filters, self._order.config.strict_filters),
            *tally.still_active(verdicts, facts.active_setups),
            *tally.left_waiting(unanswered),
            *tally.not_kept(self._journal.reason),
            *self._executor.warnings[self._warned :],
        ]

    def end_without_writing(self) -> None:
        """A journal of strategies that no longer wait is of no use to anybody."""
        if not self._waiting:
            self._journal.forget()

    def write(self, result: RunResult, seen: Seen) -> None:
        """Commit, then append. Raises NotCommitted."""
        self._listener(Committing(len(result.verdicts)))
        try:
            with collector.paused():
                write(
                    self._order,
                    result,
                    seen,
                    started_at=self._started_at,
                    listener=self._listener,
                    watch=self._watch,
                    journal=self._journal,
                )
        finally:
            result.summary["total_s"] = round(self._watch.total_s, 3)

    def _screen(self, facts: Facts) -> tuple[Candidates, Survey]:
        """Phases 1-5, and beside them a scan of the outcomes."""
        with self._order.database.surveyed(self._order.instrument) as surveying:
            with self._watch.stage("screening"), collector.paused():
                screened = _screen(self._order, facts, self._listener)
            with self._watch.stage("grouping"):
                return screened, surveying.result()

    def _answers(self, screened: Candidates, survey: Survey) -> dict[str, Answer]:
        """By strategy_id: taken over from the journal as far as they hold, else computed."""
        order, journal = self._order, self._journal
        dependencies = inputs_of(order.config, survey.fingerprints, order.database.source.name)
        self._say(journal.begin(dependencies, settings(order), self._id, must_hold=self._only_commits))
        with self._watch.stage("grouping"):
            todo = agenda(screened.questions, journal.recovered, retry_failed=self._retries_failed)
            work = _work(order, todo, survey, screened.terms, self._identity)
        self._retries_failed = False  # what fails in this run has failed
        self._say(tally.taken_over(len(todo.answered), todo.changed, journal.path))
        self._took_over |= bool(todo.answered or todo.suspects)
        return self._computer.answers(todo, work)

    def _summary(self, verdicts: Verdicts, correction: Correction, facts: Facts) -> dict[str, Any]:
        config = self._order.config
        return {
            "run_id": self._id,
            "instrument": self._order.instrument,
            "db": str(self._order.database.path),
            "dry_run": config.dry_run,
            **verdicts.counts(),
            "walkforward": None if config.no_walkforward else tally.walkforward_summary(verdicts, self._computer),
            "fdr": tally.fdr_summary(verdicts, correction),
            "retired": tally.count_retired(verdicts, facts.active_setups),
            "total_s": round(self._watch.total_s, 3),
            "committed": False,
        }

    def _say(self, text: str | None) -> None:
        if text:
            self._listener(Said(text))


def _screen(order: Order, facts: Facts, listener: Listener) -> Candidates:
    market = Market(order.costs, facts.atr_by_year)
    candidates = Candidates(market.terms(order.config), market)
    with closing(order.database.read_waiting(order.instrument)) as waiting:
        for rows in batches(_told(waiting, facts.waiting, listener)):
            candidates.add(rows)
    return candidates


def _told(strategies: Iterable[Strategy], total: int, listener: Listener) -> Iterator[Strategy]:
    """The strategies, and now and then how many have gone by: a million take a while."""
    for done, strategy in enumerate(strategies, 1):
        yield strategy
        if done % TOLD_EVERY == 0:
            listener(Progressed("Screening", done, total))


def screened_event(waiting: int, candidates: Candidates) -> Screened:
    """What phases 1-5 have left, and what they have decided, also of strategies whose season split is still open."""
    only_seasons = sum(not question.walkforward for of_key in candidates.questions.values() for question in of_key)
    return Screened(
        waiting, len(candidates.asked), lambda: SoFar(candidates.counts(), candidates.failures()), only_seasons
    )


def _work(order: Order, todo: Agenda, survey: Survey, terms: Terms, of_file: Identity | None) -> Work:
    config = order.config
    used = selectors(todo.groups, config.strict_filters)
    features = order.database.read_features(order.instrument, columns(used, config.strict_filters))
    sessions = days_by_session(used, features, config.strict_filters)
    return Work(survey.layout, sessions, terms, order.database.source, order.instrument, of_file)
