"""Promotions under many settings: facts are computed once for all settings that share them. Nothing is written."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.events import Asking, Listener, Said, Started, TaskDone
from dask_validator.model import Answer
from dask_validator.rules.of_all import NOTHING, OfAll
from dask_validator.rules.promotions import Case, promotions, questions_about
from dask_validator.rules.screening import Market
from dask_validator.rules.sieve import Let, joined, let_through
from dask_validator.run.ending import ending_told
from dask_validator.run.of_all import of_family
from dask_validator.run.order import Order
from dask_validator.run.place import place_of
from dask_validator.run.swept import Sweep
from dask_validator.run.totals import without_effect
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.system import garbage
from dask_validator.system.same_file import Identity, identity
from dask_validator.work.compute import Computer
from dask_validator.work.piece import Group
from dask_validator.work.stopwatch import Stopwatch
from dask_validator.work.walkforward import Walkforwards

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.rules.candidates import Candidates
    from dask_validator.store.reader import Facts, Survey


class SweepOrder(NamedTuple):
    """One instrument's strategies, and the settings to judge them by."""

    order: Order  # with the settings as given
    settings: Sequence[RunConfig]
    flags: tuple[str, ...]  # fields in which they differ
    alone: bool = False  # each of them alone


class _Run(NamedTuple):
    """What stays the same."""

    asked: SweepOrder
    computer: Computer
    listener: Listener
    of_file: Identity | None

    @property
    def order(self) -> Order:
        return self.asked.order


class _Looked(NamedTuple):
    """All that one look at the database has found."""

    facts: Facts
    survey: Survey
    market: Market
    let: Let
    today: frozenset[str]  # of the strategies that were looked at, those that are promoted now


def refuse_worlds(settings: Sequence[RunConfig]) -> None:
    """Raise InputError for a gate that takes null worlds: each setting would need its own."""
    if gates := sorted({gate for config in settings for gate in config.gate} - {"fdr"}):
        needed = "none that takes null worlds; calibrate takes flags with several values"
        raise InputError(f"sweep got --gate {' and '.join(gates)}; needed {needed}")


@garbage.thawed()
def run_sweep(asked: SweepOrder, executor: Executor, listener: Listener) -> Sweep:
    """Judge all strategies by each of the settings, as a dry run would.

    Raises
    ------
    InputError
        The database cannot be read, or a gate is asked for that takes null worlds.
    Incomplete
        The workers were lost; nothing is kept.
    """
    refuse_worlds(asked.settings)
    order, watch = asked.order, Stopwatch()
    database, run_id = order.database, f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    computer = Computer(executor, listener, watch, run_id)
    with ending_told(listener), garbage.paused():
        listener(Started(run_id, order.instrument, str(database.path), dry_run=True))
        for line in dict.fromkeys(line for config in asked.settings for line in without_effect(config)):
            listener(Said(line, warning=True))
        run = _Run(asked, computer, listener, identity(str(database.source.path)))
        with database.kept_open():
            executor.start()
            looked = _looked(run)
            promoted = _promoted(run, looked)
    some = promoted.any(axis=0)
    ids = np.array([row.strategy_id for row in looked.let.rows], dtype=object)[some]
    by_id = np.argsort(ids)
    return Sweep(
        order.instrument,
        str(database.path),
        order.config,
        asked.settings,
        asked.flags,
        asked.alone,
        looked.facts.waiting,
        looked.today,
        ids[by_id].tolist(),
        promoted[:, some][:, by_id],
        round(watch.total_s, 3),
    )


def _looked(run: _Run) -> _Looked:
    """Read and screen, by all settings at once; beside it a scan of the outcomes."""
    order, database = run.order, run.order.database
    facts = database.read_facts(order.instrument)
    market = Market(order.costs, facts.atr_by_year, facts.unit, facts.replays_stops)
    kinds = (run.asked.settings[positions[0]] for positions in _kinds(run.asked.settings))
    everything = any([vocabulary_of(config, facts.catalogue).may_read_all for config in kinds])
    ungated = database.read_ungated(order.instrument, facts.catalogue, order.config.gates_only)
    parts, today = list[Let](), set[str]()
    with database.surveyed(order.instrument, facts.catalogue, all_features=everything) as surveying:
        with closing(database.read_waiting(order.instrument, facts.catalogue)) as waiting:
            for rows in waiting:
                today |= {row.strategy_id for row in rows} & facts.active_setups
                gated = [row._replace(is_gated=row.strategy_id not in ungated) for row in rows] if ungated else rows
                parts.append(let_through(gated, run.asked.settings, market))
        survey = surveying.result()
    return _Looked(facts, survey, market, joined(parts), frozenset(today))


def _promoted(run: _Run, looked: _Looked) -> NDArray[np.bool_]:
    """Whether each setting promotes each of the strategies that were let through."""
    settings, of_all = run.asked.settings, _families(run, looked.facts)
    promoted = np.zeros(looked.let.through.shape, dtype=np.bool_)
    for positions in _kinds(settings):
        of_kind = [settings[i] for i in positions]
        case = Case(
            looked.market,
            vocabulary_of(of_kind[0], looked.facts.catalogue),
            looked.facts.correction,
            looked.facts.setups_not_null,
        )
        let, rows = looked.let.under(positions)
        candidates = questions_about(let, of_kind[0], case)
        answers = _answers(run, looked, candidates)
        found = promotions(let, of_kind, candidates, answers, case, [of_all[i] for i in positions])
        promoted[np.ix_(np.array(positions), rows)] = found
    return promoted


def _answers(run: _Run, looked: _Looked, candidates: Candidates) -> dict[str, Answer]:
    """By strategy_id. Raises Incomplete where the workers were lost."""
    order, config = run.order, candidates.terms.config
    groups = [Group(key, tuple(requests)) for key, requests in candidates.questions.items()]
    run.listener(Asking("Computing what settings share", len(candidates.asked)))
    reading = Reading(candidates.vocabulary, looked.facts.catalogue, order.costs, config.seasons)
    place = place_of(
        order.database, order.instrument, groups, reading=reading, survey=looked.survey, of_file=run.of_file
    )
    answers: dict[str, Answer] = {}
    for result in run.computer.results(Walkforwards(place, config), groups):
        answers.update((answer.strategy_id, answer) for answer in result.answers)
        run.listener(TaskDone(len(result.answers), timing=result.timing))
    if run.computer.ended_early is not None:
        raise run.computer.ended_early
    return answers


def _families(run: _Run, facts: Facts) -> list[OfAll]:
    """The facts of phase 7, by setting; the same object for settings that correct in the same way."""
    known: dict[object, OfAll] = {}
    found = []
    for config in run.asked.settings:
        asks = "fdr" in config.gate, config.says_how_to_correct
        file = str(config.fdr_k_file)
        how = config.fdr_method, config.fdr_sides, config.fdr_instruments, config.fdr_group_by, file
        if any(asks) and how not in known:
            known[how] = of_family(run.order._replace(config=config), facts.catalogue, run.listener)
        found.append(known[how] if any(asks) else NOTHING)
    return found


def _kinds(settings: Sequence[RunConfig]) -> list[list[int]]:
    """Positions of settings whose strategies are asked the same questions, together."""
    kinds: dict[object, list[int]] = {}
    for i, config in enumerate(settings):
        kinds.setdefault((config.fact_rules, config.no_walkforward), []).append(i)
    return list(kinds.values())
