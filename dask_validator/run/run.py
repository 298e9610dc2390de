"""One run, from the rows to validate to the commit: read, screen, ask, judge, write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator.errors import ChangedMeanwhile, Incomplete, NotCommitted
from dask_validator.events import (
    Decided,
    Listener,
    Progressed,
    Said,
    Screened,
    SoFar,
    Started,
)
from dask_validator.journal.blocks import NOTHING_KEPT, Blocks
from dask_validator.journal.inputs import inputs_of
from dask_validator.journal.journal import Journal
from dask_validator.model import Answer, Strategy
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.of_all import OfAll
from dask_validator.rules.screening import Market
from dask_validator.rules.verdicts import Verdicts, decide
from dask_validator.run import totals
from dask_validator.run.commit import selection_left, settings, write
from dask_validator.run.ending import ending_told
from dask_validator.run.naming import new_run_id
from dask_validator.run.of_all import facts_of_phase_7, in_worlds, of_family
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.run.place import place_of
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.store.fingerprints import Seen
from dask_validator.system import garbage
from dask_validator.system.same_file import Identity, identity
from dask_validator.wording.sentences import unset_defaults
from dask_validator.work.agenda import agenda, answered
from dask_validator.work.compute import Computer
from dask_validator.work.stopwatch import Stopwatch
from dask_validator.work.walkforward import Walkforwards

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.filters.vocabulary import Vocabulary
    from dask_validator.store.reader import Facts, Survey
    from dask_validator.universe.calibration import Calibration
    from dask_validator.work.agenda import Agenda

ATTEMPTS = 3  # to commit before others change the database again


@garbage.thawed()
def run_validation(
    order: Order,
    executor: Executor,
    listener: Listener,
    journal: Journal,
    *,
    only_commits: bool = False,
    worlds_on: Executor | None = None,
) -> Outcome:
    """Validate strategies of one instrument and, unless it is a dry run, write the verdicts.

    Parameters
    ----------
    only_commits
        Whether all answers have to come from the journal.
    worlds_on
        Where null worlds are computed, if not with the rest.

    Raises
    ------
    InputError
        They have to, and the journal is of other data or flags.
    NotCommitted, Incomplete
        With what is decided so far; the journal keeps what is computed.
    """
    begun = _Run.of(order, executor, listener, journal)
    with ending_told(listener), Blocks(order.blocks, order.database.path) as blocks:
        worlds_on = worlds_on or executor
        return _validated(replace(begun, only_commits=only_commits, worlds_on=worlds_on, blocks=blocks))


@dataclass(frozen=True)
class _Run:
    """What stays the same when the database has changed before the commit and all is looked at again."""

    id: str
    started_at: datetime
    order: Order
    executor: Executor
    listener: Listener
    journal: Journal
    watch: Stopwatch
    computer: Computer
    worlds_on: Executor
    warned: int  # by the executor, before
    only_commits: bool = False
    blocks: Blocks = NOTHING_KEPT

    @classmethod
    def of(cls, order: Order, executor: Executor, listener: Listener, journal: Journal) -> _Run:
        """A run that begins now."""
        now, watch, run_id = datetime.now(UTC), Stopwatch(), order.run_id or new_run_id()
        computer = Computer(executor, listener, watch, run_id)
        warned = len(executor.warnings)
        return cls(run_id, now, order, executor, listener, journal, watch, computer, executor, warned)

    def say(self, text: str | None, *, warning: bool = False) -> None:
        """Tell it, if there is anything to tell."""
        if text:
            self.listener(Said(text, warning))


class _Look(NamedTuple):
    """All that one look at the database has found, with the screening of it."""

    facts: Facts
    survey: Survey
    candidates: Candidates
    family: OfAll  # p-values, corrected as the rules of the run say


class _LeftOut(NamedTuple):
    """Strategies that get no verdict."""

    unanswered: int
    changed: Set[str]  # no longer as they were when they were computed, or named
    waiting: int  # of the latter


def _validated(run: _Run) -> Outcome:
    """Look and judge, again when others were faster at the commit."""
    goes_on, expected = _goes_on(run), _expected(run)
    for attempt in range(ATTEMPTS):
        outcome, seen = _decided(run, expected, first=attempt == 0)
        if not outcome.verdicts or run.order.config.dry_run:
            break
        try:
            return _written(run, outcome, seen)
        except ChangedMeanwhile as change:
            if attempt + 1 == ATTEMPTS:
                raise NotCommitted(str(change), outcome.ended(run.watch, committed=False)) from change
            run.say(f"{change}; looking again")
            expected |= set(outcome.verdicts.ids)
            run.journal.reread()
    if goes_on and not outcome.waiting:  # a journal of strategies that no longer wait is of no use to anybody
        run.journal.forget()
    return outcome


def _goes_on(run: _Run) -> bool:
    """Whether all that the run before was to validate is validated now, as far as the journal has any of it."""
    left = run.journal.recovered.settings
    return run.only_commits or not left or run.order.selection.covers(selection_left(left))


def _expected(run: _Run) -> set[str]:
    """Strategies that must be there still, unless somebody else has seen to them since they were computed, or named."""
    if run.order.selection.ids is not None:
        return set(run.order.selection.ids)
    return set(run.journal.recovered.answers) if _goes_on(run) else set()


def _decided(run: _Run, expected: set[str], *, first: bool) -> tuple[Outcome, Seen]:
    """Look, ask, judge; nothing is written, and what the verdicts were made of is given up at the end."""
    database, instrument = run.order.database, run.order.instrument
    run.listener(Started(run.id, instrument, str(database.path), run.order.config.dry_run))
    # Before it is opened: whoever replaces it afterwards must not go unseen.
    state, of_file = database.file_state(), identity(str(database.source.path))
    with database.kept_open():
        look = _looked(run)
        answers = _answered(run, look, of_file, first=first)
        left_out = _left_out(run, look.candidates, answers, expected)
        calibration = _calibrated(run, look)
    # Closed here, before anything is written: a reader would lock the commit out.
    whole = look.candidates.vocabulary.may_read_all
    seen = Seen(state, look.survey.fingerprints, database.source, look.survey.outcomes.hashes, whole)
    return replace(_judged(run, look, answers, calibration, left_out), seen=seen), seen


def _looked(run: _Run) -> _Look:
    """Read and screen; beside it a scan of the outcomes, and workers that start."""
    order = run.order
    facts = order.database.read_facts(order.instrument)
    family = of_family(order, facts.catalogue, run.listener)
    known = vocabulary_of(order.config, facts.catalogue)
    if facts.waiting:
        run.executor.start()
    everything = known.may_read_all
    with order.database.surveyed(order.instrument, facts.catalogue, all_features=everything) as surveying:
        with run.watch.stage("screening"), garbage.paused():
            candidates = _screen(order, facts, known, run.listener)
        with run.watch.stage("grouping"):
            survey = surveying.result()
    run.listener(screened_event(facts.waiting, candidates))
    return _Look(facts, survey, candidates, family)


def _screen(order: Order, facts: Facts, known: Vocabulary, listener: Listener) -> Candidates:
    """Phases 1-5."""
    market = Market(order.costs, facts.atr_by_year, facts.unit, facts.replays_stops)
    candidates = Candidates(market.terms(order.config), market, known)
    ungated = order.database.read_ungated(order.instrument, facts.catalogue, order.config.gates_only)
    with closing(order.database.read_waiting(order.instrument, facts.catalogue)) as waiting:
        for rows in _told(waiting, facts.waiting, listener):
            candidates.add([row._replace(is_gated=row.strategy_id not in ungated) for row in rows] if ungated else rows)
    return candidates


def _told(waiting: Iterable[list[Strategy]], total: int, listener: Listener) -> Iterator[list[Strategy]]:
    """The strategies, and how many have gone by: a million take a while."""
    done = 0
    for rows in waiting:
        yield rows
        done += len(rows)
        if done < total:
            listener(Progressed("Screening", done, total))


def screened_event(waiting: int, candidates: Candidates) -> Screened:
    """What phases 1-5 have left, and what they have decided, also of strategies whose season split is still open."""
    only_seasons = sum(
        question.filter is None and question.split is not None
        for of_key in candidates.questions.values()
        for question in of_key
    )
    return Screened(
        waiting, len(candidates.asked), lambda: SoFar(candidates.counts(), candidates.failures()), only_seasons
    )


def _answered(run: _Run, look: _Look, of_file: Identity | None, *, first: bool) -> dict[str, Answer]:
    """By strategy_id: taken over from the journal as far as they hold, else computed."""
    took_over, answers = run.journal.finished_append, {}
    if look.facts.waiting:
        todo, work = _asked(run, look, of_file, first=first)
        took_over |= bool(todo.answered or todo.suspects)
        terms = look.candidates.terms
        answers = answered(run.computer, todo, work, journal=run.journal, listener=run.listener, terms=terms)
    if run.order.resume and first and not took_over:
        run.say(f"--resume found nothing to take over in {run.journal.path}", warning=True)
    return answers


def _asked(run: _Run, look: _Look, of_file: Identity | None, *, first: bool) -> tuple[Agenda, Walkforwards]:
    """What is still to be computed, and how."""
    order, journal = run.order, run.journal
    source = order.database.source.name
    dependencies = inputs_of(order.config, look.survey.fingerprints, source, order.costs)
    if not _goes_on(run):
        run.say(
            totals.given_up(journal.path, selection_left(journal.recovered.settings), order.selection), warning=True
        )
    asked = journal.recovered.settings if run.only_commits else settings(order, look.candidates.ids)
    run.say(journal.begin(dependencies, asked, run.id, must_hold=run.only_commits))
    with run.watch.stage("grouping"):
        # What fails in this run has failed.
        retries_failed = order.resume and first and not run.only_commits
        todo = agenda(look.candidates.questions, journal.recovered, retry_failed=retries_failed)
        reading = Reading(look.candidates.vocabulary, look.facts.catalogue, order.costs, order.config.seasons)
        place = place_of(
            order.database, order.instrument, todo.groups, reading=reading, survey=look.survey, of_file=of_file
        )
        work = Walkforwards(place, order.config)
    run.say(totals.taken_over(len(todo.answered), todo.changed, journal.path))
    return todo, work


def _left_out(run: _Run, candidates: Candidates, answers: Mapping[str, Answer], expected: set[str]) -> _LeftOut:
    """Who has no verdict, and for which reason."""
    unanswered = {candidates.ids[i] for i in candidates.asked} - answers.keys()
    changed = expected.difference(candidates.ids)
    if run.only_commits:  # all that was expected had been computed: it no longer holds
        changed |= unanswered & expected
    waiting = run.order.database.count_waiting(run.order.instrument, changed) if changed else 0
    return _LeftOut(len(unanswered - changed), changed, waiting)


def _calibrated(run: _Run, look: _Look) -> Calibration | None:
    """All strategies in null worlds, where a gate or the user asks for it."""
    if not (run.order.config.needs_worlds and look.facts.waiting) or run.computer.ended_early is not None:
        return None
    if run.only_commits:
        run.say("What the run has not kept of the null worlds is computed now, in this process alone")
    with run.watch.stage("worlds"):
        return in_worlds(run.order, run.worlds_on, run.listener, run.id, blocks=run.blocks, survey=look.survey)


def _judged(
    run: _Run, look: _Look, answers: dict[str, Answer], calibration: Calibration | None, left_out: _LeftOut
) -> Outcome:
    """All verdicts, nothing written. Raises Incomplete, with those that there are."""
    facts, unanswered = look.facts, len(look.candidates.asked) - len(answers)  # which `decide` takes one by one
    with run.watch.stage("deciding"), garbage.paused():
        correction = facts.correction
        of_all = facts_of_phase_7(look.candidates, look.family, calibration)
        verdicts = decide(look.candidates, answers, correction, facts.setups_not_null, of_all)
    if verdicts and not unanswered:
        run.journal.computed()
    summary = _summary(run, verdicts, totals.fdr_summary(verdicts, correction), facts) | _of_worlds(calibration)
    run.listener(Decided(summary, verdicts.failures()))
    outcome = Outcome(
        summary=summary,
        verdicts=verdicts,
        warnings=_warnings(run, look, verdicts, left_out),
        timings=tuple(run.computer.timings),
        stages=dict(run.watch.stages),
        start_up_s=run.executor.start_up_s,
        order=run.order,
        waiting=facts.waiting,
        last_run=facts.last_run,
        cores=run.executor.cores,
        calibration=calibration,
    )
    if (ended := run.computer.ended_early) is not None:
        raise Incomplete(str(ended), outcome) from ended
    return outcome


def _summary(run: _Run, verdicts: Verdicts, fdr: Mapping[str, int], facts: Facts) -> dict[str, Any]:
    config = run.order.config
    return {
        "run_id": run.id,
        "instrument": run.order.instrument,
        "db": str(run.order.database.path),
        "dry_run": config.dry_run,
        **verdicts.counts(),
        "walkforward": None if config.no_walkforward else totals.walkforward_summary(verdicts, run.computer),
        "fdr": fdr,
        "retired": totals.count_retired(verdicts, facts.unretired_setups),
        **totals.of_imported(verdicts),
        "total_s": round(run.watch.total_s, 3),
        "committed": False,
    }


def _of_worlds(calibration: Calibration | None) -> dict[str, Any]:
    return calibration.to_dict() if calibration else {}


def _warnings(run: _Run, look: _Look, verdicts: Verdicts, left_out: _LeftOut) -> list[str]:
    return [
        *unset_defaults(look.facts.catalogue.unset_defaults() if look.facts.waiting else {}),
        *totals.unknown_filters(look.candidates, run.order.selection.strategies),
        *totals.looks_at_holdout(run.order.config),
        *totals.without_effect(run.order.config),
        *totals.still_active(verdicts, look.facts.active_setups),
        *totals.left_failed(look.facts.left_failed),
        *totals.left_waiting(left_out.unanswered),
        *totals.left_alone(left_out.changed, left_out.waiting),
        *totals.not_kept(run.journal.reason),
        *run.executor.warnings[run.warned :],
    ]


def _written(run: _Run, outcome: Outcome, seen: Seen) -> Outcome:
    with garbage.paused():
        committed = write(
            run.order,
            outcome,
            seen,
            started_at=run.started_at,
            listener=run.listener,
            watch=run.watch,
            journal=run.journal,
        )
    run.blocks.forget()
    return committed
