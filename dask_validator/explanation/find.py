"""Why a strategy passed or fell: every gate with its value, its windows, and what would have to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dask_validator.config import RunConfig
from dask_validator.errors import InputError, UnusableStrategy
from dask_validator.execution.alone import alone
from dask_validator.explanation.words import Explanation
from dask_validator.filters.vocabulary import Vocabulary
from dask_validator.model import (
    Answer,
    Discovery,
    Judged,
    Request,
    SplitRule,
    Status,
    Strategy,
    Verdict,
    Walked,
    window_results,
)
from dask_validator.rules import notes
from dask_validator.rules.candidates import Candidates, request_of, split_of, unknown_filter, unusable, unusable_days
from dask_validator.rules.counting import CODE
from dask_validator.rules.gates import OF_HOLDOUT, OF_ROWS, OF_UNIVERSE, OF_WINDOWS, POSITION, Terms
from dask_validator.rules.holdout import holdout_numbers
from dask_validator.rules.judging import every_judged
from dask_validator.rules.of_all import ASKED, NOTHING, OfAll
from dask_validator.rules.remedies import Remedy, screening_remedy, thresholds_remedy, walkforward_remedy
from dask_validator.rules.screening import Market, screen
from dask_validator.rules.verdicts import Verdicts, decide
from dask_validator.rules.window_gates import observe
from dask_validator.run.instruments import costs_of, kept_costs
from dask_validator.run.order import Order
from dask_validator.run.taken import piece_of
from dask_validator.sources.chosen import source_of
from dask_validator.store.connection import check_is_file, release
from dask_validator.store.database import Database
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.store.past_runs import PastRun, latest_runs, past_runs, read_past_run
from dask_validator.store.reader import all_imported
from dask_validator.work.piece import Group
from dask_validator.work.walkforward import TaskResult, WalkforwardTask, lost, rules_of, walkforward_task

if TYPE_CHECKING:
    from dask_validator.rules.costs import Costs
    from dask_validator.store.reader import Stored


MOST_RUNS = 20  # of the latest, that are looked through
CHILD_TIMEOUT_S = 60.0


def explain(
    db: str | Path, strategy_id: str, *, run_id: str | None = None, instruments: str | Path | None = None
) -> Explanation:
    """Explain one strategy by the flags and windows of a past run; what no run has stored is computed, read-only.

    Parameters
    ----------
    run_id
        Default: of the runs that have judged it the latest that gives the verdict and the note that the database has,
        else the latest of the instrument, else the default flags.
    instruments
        TOML with the costs of further symbols. Default: the one of the run.

    Raises
    ------
    InputError
        No such strategy or run, or the database cannot be read. Nothing is ever written.
    """
    check_is_file(db)
    database = Database.at(db, source_of(db), to_write=False)
    stored = database.read_strategy(strategy_id)
    latest: Explanation | None = None
    for run in islice(_runs(database, stored, run_id), MOST_RUNS):
        explanation = _by(run, database, stored, instruments)
        if explanation.agrees or run_id is not None:
            return explanation
        latest = latest or explanation
    if latest is not None:
        return latest
    if (stranger := next(past_runs(database.path, stored.instrument), None)) is not None:
        explanation = _by(stranger, database, stored, instruments)
        return explanation._replace(source=f"the flags of {explanation.source}: no run that is kept has judged it")
    config = RunConfig()
    order = Order(database, stored.instrument, config, _costs(database, stored, config, instruments))
    return _explain(order, stored, NOTHING_KEPT, "the default flags: no run is stored")


def explain_verdict(order: Order, verdicts: Verdicts, position: int, run_id: str) -> Explanation:
    """Explain one verdict of a run that is still in memory, committed or not."""
    stored = order.database.read_strategy(verdicts.ids[position])
    apart = verdicts.status[position] == CODE[Status.FAILED]
    return _explain(order, stored, _Kept.of(verdicts, position), f"run {run_id}", apart=apart)


class _Kept(NamedTuple):
    """What a run has kept of the strategy; None where it has not come so far, or is of an earlier version."""

    walked: Walked | None = None
    of_all: OfAll = NOTHING
    p_value: float | None = None  # that is corrected for the others
    discovery: Discovery | None = None
    earns: bool | None = None
    tested: int | None = None  # strategies whose p-values are corrected together

    @classmethod
    def of(cls, verdicts: Verdicts, i: int) -> _Kept:
        """From its verdict."""
        tested = not np.isnan(verdicts.p_value[i])
        return cls(
            verdicts.walked[i],
            verdicts.of_all(i),
            float(verdicts.p_value[i]) if tested else None,
            verdicts.discovery(i),
            bool(verdicts.earns[i]) if tested else None,
        )


NOTHING_KEPT = _Kept()


def _runs(database: Database, stored: Stored, run_id: str | None) -> Iterator[PastRun]:
    """The run that is asked for, else all that have judged the strategy, or might while it waits, the latest first."""
    if run_id is None:
        judged = stored.strategy.strategy_id if stored.status else None
        yield from past_runs(database.path, stored.instrument, judged)
        return
    run = read_past_run(database.path, stored.instrument, run_id)
    if run is None or run.instrument != stored.instrument:
        there = ", ".join(name for name, of in latest_runs(database.path) if of == stored.instrument) or "none"
        raise InputError(f"--run got {run_id!r}; needed a run of {stored.instrument}; the latest are: {there}")
    yield run


def _by(run: PastRun, database: Database, stored: Stored, instruments: str | Path | None) -> Explanation:
    """By the flags of a run, and its windows if the strategy came so far in it."""
    config = run.config
    database = replace(database, promotion=config.promotion)
    stored = database.read_strategy(stored.strategy.strategy_id)  # whose mode the rules of the run find
    verdicts = None if run.lines else run.verdicts(stored.strategy.strategy_id)
    if verdicts is not None:
        kept = _Kept.of(verdicts, 0) if len(verdicts) else NOTHING_KEPT
    else:
        kept = _Kept(None if config.no_walkforward else run.walked(stored.strategy.strategy_id))
    kept = kept._replace(tested=run.summary["fdr"]["tested"])
    costs = None if instruments else kept_costs(run.summary)
    order = Order(database, stored.instrument, config, costs or _costs(database, stored, config, instruments))
    return _explain(order, stored, kept, f"run {run.run_id} of {run.finished_at:%Y-%m-%d %H:%M} UTC")


def _costs(database: Database, stored: Stored, config: RunConfig, instruments: str | Path | None) -> Costs:
    imported = partial(all_imported, database.path, stored.instrument)
    return costs_of(stored.instrument, instruments or config.instruments, config.costs, imported)


def _explain(order: Order, stored: Stored, kept: _Kept, source: str, *, apart: bool = False) -> Explanation:
    strategy, config = stored.strategy, order.config
    own = config.of(strategy.sample_size or 0)
    facts = order.database.read_facts(order.instrument)
    market = Market(order.costs, facts.atr_by_year, facts.unit, facts.replays_stops)
    known = vocabulary_of(config, facts.catalogue)
    candidates = Candidates(market.terms(config), market, known)
    ungated = order.database.read_ungated(order.instrument, facts.catalogue, config.gates_only)
    candidates.add([strategy._replace(is_gated=strategy.strategy_id not in ungated)])
    if strategy.is_canonical is False:
        [verdict] = decide(candidates, {}, facts.correction)
        return _alias(order, stored, verdict, source)
    # What has failed may kill or hang whoever computes it.
    reading = Reading(known, facts.catalogue, order.costs, config.seasons)
    answer = _answer(order, strategy, kept.walked, candidates, reading, apart=apart or stored.status == Status.FAILED)
    if kept.walked is None and answer.walkforward is not None:
        source += "; walk-forward computed now"
    answers = {strategy.strategy_id: answer}
    verdicts = decide(candidates, answers, facts.correction, facts.setups_not_null, kept.of_all)
    verdict = verdicts[0]
    if kept.discovery is None:  # else of the day of the run
        kept = _Kept.of(verdicts, 0)._replace(walked=kept.walked, of_all=kept.of_all)
    return Explanation(
        strategy.strategy_id,
        order.instrument,
        verdict,
        (stored.status, stored.note) if stored.status else None,
        source,
        own,
        _gates(strategy, candidates.terms, market, answer, kept.of_all, reached=verdict.reached_phase_7),
        window_results(answer.walkforward.windows, own.window_trades) if answer.walkforward else (),
        verdict.split or answer.split or strategy.stored_split,
        strategy.p_value if kept.p_value is None else kept.p_value,
        kept.discovery,
        Remedy({}, ()) if verdict.status is Status.PASSED else _remedy(strategy, market, answer, verdicts, known),
        unknown_filter(strategy, config, known) if answer.walkforward else None,
        earns=kept.earns,
        tested=facts.correction.tested if kept.tested is None else kept.tested,
        luck=_of_worlds(kept.of_all),
        unit=facts.unit,
    )


def _of_worlds(of_all: OfAll) -> dict[str, float | None]:
    """What null worlds say of the strategy, by name; empty where the run did not ask them."""
    if not len(of_all.columns.get("z", ())):
        return {}
    return {name: None if np.isnan(column[0]) else float(column[0]) for name, column in of_all.columns.items()}


def _alias(order: Order, stored: Stored, verdict: Verdict, source: str) -> Explanation:
    """Of an alias no gate counts: the trades are those of its canonical strategy, which is judged."""
    strategy = stored.strategy
    return Explanation(
        strategy.strategy_id,
        order.instrument,
        verdict,
        (stored.status, stored.note) if stored.status else None,
        source,
        order.config,
        (),
        (),
        strategy.stored_split,
        strategy.p_value,
        None,
        Remedy({}, ("it must be canonical: aliases are skipped",)),
        canonical_id=stored.canonical_id,
    )


def _answer(
    order: Order, strategy: Strategy, walked: Walked | None, candidates: Candidates, reading: Reading, *, apart: bool
) -> Answer:
    """What a worker would have said, also of a strategy that screening rejects."""
    split = split_of(strategy, order.config.seasons)
    rule = split if isinstance(split, SplitRule) else None
    walks = walked is None and not order.config.no_walkforward
    held_out = next((question.holdout for of_key in candidates.questions.values() for question in of_key), None)
    replays = candidates.market.replays_stops
    unread = unusable_days(strategy, reading.vocabulary, replays=replays) is not None
    if unread or not (walks or rule or held_out is not None):
        return Answer(strategy.strategy_id, walked, None, None, None, 0.0)
    request = request_of(strategy, order.config, reading.vocabulary, rule, walkforward=walks)
    answer = _computed(order, strategy, request._replace(holdout=held_out), reading, apart=apart)
    return answer if walks else answer._replace(walkforward=walked)


def _computed(order: Order, strategy: Strategy, request: Request, reading: Reading, *, apart: bool) -> Answer:
    """Computed here, or `apart` in a child process."""
    piece = piece_of(order, [Group(strategy.outcome_key, (request,))], reading)
    task = WalkforwardTask(*rules_of(order.config), piece)
    if apart:
        [result] = alone(walkforward_task, [task], _lost, CHILD_TIMEOUT_S)
        return result.answers[0]
    try:
        return walkforward_task(task).answers[0]
    finally:
        release()


def _lost(task: WalkforwardTask, reason: str) -> TaskResult:
    return lost(task.piece.asked, reason)


def _gates(
    strategy: Strategy, terms: Terms, market: Market, answer: Answer, of_all: OfAll, *, reached: bool
) -> tuple[Judged, ...]:
    """All that can be applied, also those behind one that rejects."""
    screened = screen([strategy], terms, market, all_years=True)
    observed, gates = screened.observed[0], []
    if answer.holdout is not None:
        observed[POSITION["holdout_filter"]] = 1
    if not screened.unusable:  # which the verdict or the remedy tells
        gates = every_judged(observed, terms, screened.texts(0, terms.config), OF_ROWS)
    if answer.walkforward is not None:
        observe([answer.walkforward], terms.config, screened.observed, [0])
        gates += every_judged(observed, terms, {}, OF_WINDOWS)
    if reached:
        for name in ASKED:
            observed[POSITION[name]] = of_all.about([strategy.strategy_id])[name][0]
        gates += every_judged(observed, terms, {}, OF_UNIVERSE)
    if answer.holdout is not None:
        own = terms.config.of(observed[POSITION["sample_size"]])
        for name, number in holdout_numbers(answer.holdout, observed[POSITION["expectancy_r"]], own).items():
            observed[POSITION[name]] = number
        gates += every_judged(observed, terms, {}, OF_HOLDOUT)
    return tuple(sorted(gates, key=lambda gate: POSITION[gate.name]))


def _remedy(strategy: Strategy, market: Market, answer: Answer, verdicts: Verdicts, known: Vocabulary) -> Remedy:
    """The changes to all gates together, and all that no flag changes."""
    verdict, config = verdicts[0], verdicts.terms.config
    failed = verdict.status is Status.FAILED
    blocks: list[str | None] = [
        verdict.note if failed else None,
        unusable(strategy, config, known, replays=market.replays_stops),
        answer.lost,
        answer.error,
        answer.split_error,
        notes.missing([strategy.missing]) if strategy.missing and not failed else None,
    ]
    changes: dict[str, Any] = {}
    try:
        screening = screening_remedy(strategy, config, market)
        changes, blocks = screening.changes, [*blocks, *screening.lacking]
    except UnusableStrategy as error:
        blocks.append(str(error))
    if answer.walkforward is not None:
        size = strategy.sample_size or 0
        walking = walkforward_remedy(answer.walkforward, config.of(size), market.unit)
        changes, blocks = changes | config.named(walking.changes, size), [*blocks, *walking.lacking]
    positions = OF_HOLDOUT if answer.holdout is not None else []
    moved = thresholds_remedy(
        verdicts.observed[0], verdicts.terms, positions + (OF_UNIVERSE if verdict.reached_phase_7 else [])
    )
    changes, blocks = changes | moved.changes, [*blocks, *moved.lacking]
    return Remedy(changes, tuple(dict.fromkeys(filter(None, blocks))))
