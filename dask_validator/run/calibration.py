"""How many of a run's promotions luck makes: all canonical strategies of an instrument put into worlds without an edge.

Nothing is written. First comes what a run would decide, for each of the settings; then what every strategy's trades
come to, of which the gates must say what the run says; then the worlds (docs/statistics.md).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from dask_validator.config import RunConfig
from dask_validator.errors import InputError, NothingToCalibrate
from dask_validator.events import Asking, Listener, Said, Screened, Started, TaskDone
from dask_validator.journal.blocks import Blocks
from dask_validator.model import Answer, OutcomeKey, Request, Strategy
from dask_validator.rules.candidates import Candidates, unusable
from dask_validator.rules.screening import Market
from dask_validator.rules.verdicts import Verdicts, decide
from dask_validator.run.calibrating import Calibrating, CalibrationOrder, Seen, Universe, refuse_incomplete, where
from dask_validator.run.ending import ending_told
from dask_validator.run.null_worlds import put_into_worlds
from dask_validator.store.reader import batches
from dask_validator.system import garbage
from dask_validator.system.same_file import identity
from dask_validator.universe.calendars import Observed, joined
from dask_validator.universe.calibration import Calibration
from dask_validator.universe.companions import MOST_TRADES
from dask_validator.universe.gates import not_simulated
from dask_validator.universe.panel import stacked
from dask_validator.work.compute import Computer
from dask_validator.work.observing import Look, Observing
from dask_validator.work.piece import Group
from dask_validator.work.stopwatch import Stopwatch
from dask_validator.work.walkforward import Walkforwards

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from dask_validator.execution.executor import Executor
    from dask_validator.rules.day_masks import Selector


@garbage.thawed()
def run_calibration(order: CalibrationOrder, executor: Executor, listener: Listener, blocks: Blocks) -> Calibration:
    """Count the promotions of the data and of the worlds: a command of its own.

    Raises
    ------
    InputError
        A flag is on that no world can judge, nothing can be calibrated, or run and worlds disagree about too much.
    Incomplete
        The workers were lost; the journal keeps what went through all worlds.
    """
    run_id, database = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}", order.database
    run = Calibrating(order, Computer(executor, listener, Stopwatch(), run_id), listener, blocks)
    with ending_told(listener), database.kept_open():
        listener(Started(run_id, order.instrument, str(database.path), dry_run=True))
        executor.start()
        return calibrated(run)


def calibrated(run: Calibrating) -> Calibration:
    """The same as a part of something else, which has the database open. Raises InputError, Incomplete."""
    found = []
    for settings in of_one_kind(run.order.settings):
        of_kind = run._replace(order=run.order._replace(settings=settings))
        seen = _look(of_kind)
        verdicts = _verdicts(of_kind, seen)
        found.append(put_into_worlds(of_kind, _observed(of_kind, seen, verdicts)))
    return in_order(found, run.order.settings)


def of_one_kind(settings: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Settings whose strategies trade the same days in the same windows, together."""
    kinds: dict[object, list[RunConfig]] = {}
    for config in settings:
        kinds.setdefault((config.window_rules, config.strict_filters), []).append(config)
    return list(kinds.values())


def in_order(found: Sequence[Calibration], settings: Sequence[RunConfig]) -> Calibration:
    """One calibration of all the settings."""
    by_config = {setting.config: setting for calibration in found for setting in calibration.settings}
    return replace(found[0], settings=[by_config[config] for config in settings])


def _look(run: Calibrating) -> Seen:
    """Read and screen, by each of the settings; beside it a scan of the outcomes."""
    order, database = run.order, run.order.database
    of_file = identity(str(database.source.path))
    facts = database.read_facts(order.instrument)
    market = Market(order.costs, facts.atr_by_year)
    candidates = [Candidates(market.terms(judged_in_worlds(config)), market) for config in order.settings]
    _refuse_what_no_world_judges(candidates)
    strategies: list[Strategy] = []
    with database.surveyed(order.instrument, facts.catalogue) as surveying:
        with closing(database.read_waiting(order.instrument, facts.catalogue)) as rows:
            for batch in batches(rows):
                for of_setting in candidates:
                    of_setting.add(batch)
                strategies += [row._replace(yearly_results=None, filter_params=None) for row in batch]
        survey = surveying.result()
    if not strategies:
        raise NothingToCalibrate(
            f"{database.path} has no canonical strategies of {order.instrument}; nothing to calibrate"
        )
    run.listener(Screened(len(strategies), _count(_questions(candidates))))
    by_id = {row.strategy_id: row for row in sorted(strategies, key=attrgetter("strategy_id"))}
    return Seen(facts, survey, by_id, candidates, database.read_days(order.instrument), of_file)


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
    work = Walkforwards(where(run, seen, groups), run.order.config.window_rules)
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
    errors = {row.strategy_id: reason for row in seen.strategies.values() if (reason := unusable(row, order.config))}
    by_key: dict[OutcomeKey, list[Look]] = {}
    for row in seen.strategies.values():
        if row.strategy_id not in errors:
            look = Look(row.strategy_id, str(row.filter_type), row.sample_size)
            by_key.setdefault(row.outcome_key, []).append(look)
    groups = [Group(key, tuple(looks)) for key, looks in by_key.items()]
    run.listener(Asking("Adding up trades", _count(groups)))
    with_panel = order.companions and sum(row.sample_size or 0 for row in seen.strategies.values()) <= MOST_TRADES
    if order.companions and not with_panel:
        run.listener(Said(f"without companion statistics: more than {MOST_TRADES:,} trades", warning=True))
    work = Observing(where(run, seen, groups), order.config.window_rules, seen.days, with_panel=with_panel)
    parts: list[Observed] = []
    panels: list[csr_matrix] = []
    rows: dict[str, Selector] = {}
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
