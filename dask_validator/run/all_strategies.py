"""All canonical strategies of an instrument, before they are put into worlds: what a run decides, and their trades.

First comes what a run would decide, for each of the settings; then what every strategy's trades come to, of which the
gates must say what the run says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.errors import InputError, NothingToCalibrate
from dask_validator.events import Asking, Listener, Said, Screened, TaskDone
from dask_validator.filters.shipped import shipped, vocabulary
from dask_validator.journal.blocks import Blocks
from dask_validator.model import Answer, OutcomeKey, Request, Strategy
from dask_validator.rules.candidates import Candidates, unusable
from dask_validator.rules.costs import Costs
from dask_validator.rules.screening import Market
from dask_validator.rules.verdicts import Verdicts, decide
from dask_validator.run.place import place_of
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.system.same_file import Identity, identity
from dask_validator.universe.calendars import Observed, joined
from dask_validator.universe.companions import MOST_TRADES
from dask_validator.universe.gates import not_simulated
from dask_validator.universe.panel import stacked
from dask_validator.universe.worlds import Design
from dask_validator.work.compute import Computer
from dask_validator.work.observing import Look, Observing
from dask_validator.work.piece import Group
from dask_validator.work.walkforward import Walkforwards
from dask_validator.work.work import Where

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from dask_validator.filters.conditions import Filter
    from dask_validator.filters.vocabulary import Vocabulary
    from dask_validator.store.database import Database
    from dask_validator.store.reader import Facts, Survey


class CalibrationOrder(NamedTuple):
    """One instrument, the settings that share the worlds, and the worlds."""

    database: Database
    instrument: str
    settings: Sequence[RunConfig]
    costs: Costs
    companions: bool = False  # whether what goes with a report is wanted too
    counts_only: bool = False  # whether nothing is wanted of single strategies: worlds then need no deviates
    survey: Survey | None = None  # of the outcomes, where whoever asks has looked at them already

    @property
    def config(self) -> RunConfig:
        """The first of the settings; those that are looked at together have its windows and filters."""
        return self.settings[0]

    @property
    def design(self) -> Design:
        """The worlds."""
        return Design.of(self.config)


class Calibrating(NamedTuple):
    """What stays the same."""

    order: CalibrationOrder
    computer: Computer
    listener: Listener
    blocks: Blocks


class Seen(NamedTuple):
    """All that one look at the database has found."""

    facts: Facts
    survey: Survey
    strategies: Mapping[str, Strategy]  # by id, in its order, without their long texts
    looks: Mapping[str, Look | str]  # by id, how its trades are looked at, or why they cannot be
    candidates: Sequence[Candidates]  # by setting
    days: NDArray[np.int32]  # trading days, ascending
    of_file: Identity | None


class Universe(NamedTuple):
    """All strategies, as a run decides and as the worlds see them."""

    seen: Seen
    verdicts: Sequence[Verdicts]  # by setting
    observed: Observed  # of those that can be put into worlds, in order of strategy_id
    rows: Mapping[str, Filter]  # by strategy_id, what selects the trades that its row was made of
    errors: Mapping[str, str]  # by strategy_id, why it cannot
    panel: csr_matrix | None = None  # what they were paid by day, in the order of `observed`

    def filter_of(self, strategy_id: str) -> Filter:
        """What selects the trades of a strategy's walk-forward."""
        look = self.seen.looks[strategy_id]
        if isinstance(look, str):
            raise ValueError(f"{strategy_id} cannot be put into worlds: {look}")
        return look.filter


def where(run: Calibrating, seen: Seen, groups: Sequence[Group]) -> Where:
    """Where the outcomes of these groups lie, and which days count for them."""
    order = run.order
    reading = Reading(seen.candidates[0].vocabulary, seen.facts.catalogue, order.costs, order.config.seasons)
    return place_of(order.database, order.instrument, groups, reading=reading, survey=seen.survey, of_file=seen.of_file)


def refuse_incomplete(run: Calibrating) -> None:
    """Raise Incomplete where the workers were lost."""
    if run.computer.ended_early is not None:
        raise run.computer.ended_early


def all_strategies(run: Calibrating) -> Universe:
    """Look, judge and add up, for settings of one kind. Raises InputError, Incomplete."""
    seen = _look(run)
    return _observed(run, seen, _verdicts(run, seen))


def _look(run: Calibrating) -> Seen:
    """Read and screen, by each of the settings; beside it a scan of the outcomes."""
    order, database = run.order, run.order.database
    of_file = identity(str(database.source.path))
    facts = database.read_facts(order.instrument)
    market = Market(order.costs, facts.atr_by_year, facts.unit, facts.replays_stops)
    known = vocabulary_of(order.config, facts.catalogue)
    candidates = [Candidates(market.terms(judged_in_worlds(config)), market, known) for config in order.settings]
    _refuse_what_no_world_judges(candidates)
    survey = order.survey
    if survey is not None:
        strategies, looks = _screen(order, facts, candidates)
    else:
        everything = known.may_read_all
        with database.surveyed(order.instrument, facts.catalogue, all_features=everything) as surveying:
            strategies, looks = _screen(order, facts, candidates)
            survey = surveying.result()
    if not strategies:
        raise NothingToCalibrate(
            f"{database.path} has no canonical strategies of {order.instrument}; nothing to calibrate"
        )
    run.listener(Screened(len(strategies), _count(_questions(candidates))))
    by_id = {row.strategy_id: row for row in sorted(strategies, key=attrgetter("strategy_id"))}
    return Seen(facts, survey, by_id, looks, candidates, database.read_days(order.instrument), of_file)


def _screen(
    order: CalibrationOrder, facts: Facts, candidates: Sequence[Candidates]
) -> tuple[list[Strategy], dict[str, Look | str]]:
    """All of them by each of the settings; what is kept of them is without their long texts."""
    strategies: list[Strategy] = []
    looks: dict[str, Look | str] = {}
    known, strictly = candidates[0].vocabulary, vocabulary(RunConfig(strict_filters=True), facts.catalogue.sessions)
    with closing(order.database.read_waiting(order.instrument, facts.catalogue)) as rows:
        for batch in rows:
            for of_setting in candidates:
                of_setting.add(batch)
            strategies += [row._replace(yearly_results=None, filter_params=None) for row in batch]
            looks |= {
                row.strategy_id: _look_of(row, order.config, known, strictly, facts.replays_stops) for row in batch
            }
    return strategies, looks


def _look_of(row: Strategy, config: RunConfig, known: Vocabulary, strictly: Vocabulary, replays: bool) -> Look | str:
    """By the filter of its walk-forward and, where its row may have been made otherwise, as that was."""
    if (reason := unusable(row, config, known, replays=replays)) is not None:
        return reason
    name = str(row.filter_type)
    strict = strictly.chosen(name, None).filter if name in shipped("names")["strict"] and not known.by_params else None
    return Look(row.strategy_id, known.chosen(name, row.filter_params).filter, strict, row.sample_size)


def judged_in_worlds(config: RunConfig) -> RunConfig:
    """The setting without phase 7, and without the drawdown, which needs the path of each world."""
    return replace(config, max_drawdown=None, gate=())


def _refuse_what_no_world_judges(candidates: Sequence[Candidates]) -> None:
    for of_setting in candidates:
        if names := not_simulated(of_setting.terms):
            raise InputError(f"no world can judge {', '.join(names)}; calibrate without the flag that asks for it")


def _questions(candidates: Sequence[Candidates]) -> list[Group]:
    """All that any of the settings asks, by key."""
    questions: dict[OutcomeKey, dict[str, Request]] = {}
    for of_setting in candidates:
        for key, requests in of_setting.questions.items():
            of_key = questions.setdefault(key, {})
            for request in requests:
                of_key[request.strategy_id] = request.also(of_key.get(request.strategy_id))
    return [Group(key, tuple(of_key.values())) for key, of_key in questions.items()]


def _verdicts(run: Calibrating, seen: Seen) -> list[Verdicts]:
    """What a run would decide, by setting."""
    groups, answers = _questions(seen.candidates), dict[str, Answer]()
    run.listener(Asking("Judging all strategies", _count(groups)))
    work = Walkforwards(where(run, seen, groups), run.order.config)
    for result in run.computer.results(work, groups):
        answers.update((answer.strategy_id, answer) for answer in result.answers)
        run.listener(TaskDone(len(result.answers), timing=result.timing))
    refuse_incomplete(run)
    correction, not_null = seen.facts.correction, seen.facts.setups_not_null
    return [decide(of_setting, _as_asked(of_setting, answers), correction, not_null) for of_setting in seen.candidates]


def _count(groups: Sequence[Group]) -> int:
    return sum(len(group.requests) for group in groups)


def _as_asked(candidates: Candidates, answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """The answers to what this setting asks, where others may have asked more."""
    return {candidates.ids[position]: answers[candidates.ids[position]] for position in candidates.asked}


def _observed(run: Calibrating, seen: Seen, verdicts: Sequence[Verdicts]) -> Universe:
    """What the trades of every strategy come to."""
    order = run.order
    errors = {strategy_id: look for strategy_id, look in seen.looks.items() if isinstance(look, str)}
    by_key: dict[OutcomeKey, list[Look]] = {}
    for row in seen.strategies.values():
        if not isinstance(look := seen.looks[row.strategy_id], str):
            by_key.setdefault(row.outcome_key, []).append(look)
    groups = [Group(key, tuple(looks)) for key, looks in by_key.items()]
    run.listener(Asking("Adding up trades", _count(groups)))
    with_panel = order.companions and sum(row.sample_size or 0 for row in seen.strategies.values()) <= MOST_TRADES
    if order.companions and not with_panel:
        run.listener(Said(f"without companion statistics: more than {MOST_TRADES:,} trades", warning=True))
    work = Observing(where(run, seen, groups), order.config.window_rules, seen.days, with_panel=with_panel)
    parts: list[Observed] = []
    panels: list[csr_matrix] = []
    rows: dict[str, Filter] = {}
    for found in run.computer.results(work, groups):
        parts.append(found.observed)
        panels += [found.panel] if found.panel is not None else []
        rows |= found.rows
        errors |= found.errors
        run.listener(TaskDone(len(found.observed.ids) + len(found.errors), timing=found.timing))
    refuse_incomplete(run)
    observed = joined(parts)
    by_id = np.argsort(np.array(observed.ids, dtype=object), kind="stable")  # tasks come in any order
    panel = stacked(panels)[by_id] if panels else None
    return Universe(seen, verdicts, observed.of(by_id), rows, errors, panel)
