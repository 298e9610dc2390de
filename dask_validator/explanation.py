"""Why a strategy passed or fell: every gate with its value, its windows, and what would have to change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.config import RunConfig, WalkforwardRules
from dask_validator.errors import InputError, UnusableStrategy
from dask_validator.explained import Explanation
from dask_validator.grouping import columns, days_by_session, selectors
from dask_validator.instruments import costs_of
from dask_validator.model import (
    EPOCH,
    Answer,
    Gate,
    Request,
    SplitRule,
    Status,
    Strategy,
    Verdict,
    WalkforwardResult,
    WindowResult,
)
from dask_validator.order import Order
from dask_validator.rules import notes
from dask_validator.rules.fdr import Correction
from dask_validator.rules.remedies import Remedy, screening_remedy, walkforward_remedy
from dask_validator.rules.screening import every_gate
from dask_validator.rules.walkforward import Window, judge, out_of_sample
from dask_validator.store.connection import check_is_file, release
from dask_validator.store.database import Database
from dask_validator.store.past_runs import PastRun, latest_runs, read_past_run, read_run_of
from dask_validator.task import Group, InDatabase, WalkforwardTask, identity, walkforward_task
from dask_validator.verdicts import consider, corrected_p_value, decide, split_of, unusable

if TYPE_CHECKING:
    from dask_validator.store.reader import Facts, Stored


def explain(
    db: str | Path, strategy_id: str, *, run_id: str | None = None, instruments: str | Path | None = None
) -> Explanation:
    """Explain one strategy by the flags and windows of a past run; what no run has stored is computed, read-only.

    Parameters
    ----------
    run_id
        Default: the latest run in which the strategy reached walk-forward, else the latest of its instrument, else
        the default flags.
    instruments
        TOML with the costs of further symbols. Default: the one of the run.

    Raises
    ------
    InputError
        No such strategy or run, or the database cannot be read. Nothing is ever written.
    """
    check_is_file(db)
    database = Database.at(db, to_write=False)
    stored = database.read_strategy(strategy_id)
    run, walked = _past(database, stored, run_id)
    config = run.config if run else RunConfig()
    costs = costs_of(stored.instrument, instruments or config.instruments)
    source = (
        f"run {run.run_id} of {run.finished_at:%Y-%m-%d %H:%M} UTC" if run else "the default flags: no run is stored"
    )
    return _explain(Order(database, stored.instrument, config, costs), stored, walked, source)


def explain_verdict(order: Order, verdict: Verdict, run_id: str) -> Explanation:
    """Explain one verdict of a run that is still in memory, committed or not."""
    stored = order.database.read_strategy(verdict.strategy_id)
    return _explain(order, stored, verdict.walkforward, f"run {run_id}")


def _past(database: Database, stored: Stored, run_id: str | None) -> tuple[PastRun | None, WalkforwardResult | None]:
    """The run to explain by, and its walk-forward of the strategy, if that came so far."""
    strategy_id, instrument = stored.strategy.strategy_id, stored.instrument
    record: Mapping[str, Any] | None = None
    if run_id is None:
        run, record = read_run_of(database.path, instrument, strategy_id) or (None, None)
        run = run or read_past_run(database.path, instrument)
    else:
        run = read_past_run(database.path, instrument, run_id)
        if run is None or run.instrument != instrument:
            there = ", ".join(name for name, symbol in latest_runs(database.path) if symbol == instrument) or "none"
            raise InputError(f"--run got {run_id!r}; needed a run of {instrument}; the latest are: {there}")
        record = run.record(strategy_id)
    return run, _walked(record, run.config.walkforward_rules) if run and record else None


def _walked(record: Mapping[str, Any], rules: WalkforwardRules) -> WalkforwardResult | None:
    """Judged again from the stored windows; None without windows, as it is not stored of what there was too little."""
    rows = [_window(WindowResult(**window)) for window in record["windows"]]
    return judge(rows, rules) if rows else None


def _window(row: WindowResult) -> Window:
    start, end = ((date.fromisoformat(day) - EPOCH).days for day in (row.window_start, row.window_end))
    exp_r, wr, sharpe = (math.nan if value is None else value for value in row[3:6])
    return start, end, row.test_n, exp_r, wr, sharpe, row.test_pass


def _explain(order: Order, stored: Stored, walked: WalkforwardResult | None, source: str) -> Explanation:
    strategy, config = stored.strategy, order.config
    facts = order.database.read_facts(order.instrument)
    considered = consider(strategy, config, order.costs, facts.atr_by_year)
    answer = _answer(order, strategy, walked)
    if walked is None and answer.walkforward is not None:
        source += "; walk-forward computed now"
    correction = Correction.over(facts.p_values)
    verdict = (
        considered if isinstance(considered, Verdict) else decide(considered, answer, correction, facts.setups_not_null)
    )
    p_value = corrected_p_value(strategy)
    return Explanation(
        strategy.strategy_id,
        order.instrument,
        verdict,
        (stored.status, stored.note) if stored.status else None,
        source,
        config,
        _gates(order, strategy, facts, answer),
        answer.walkforward.windows if answer.walkforward else (),
        verdict.split or answer.split or strategy.stored_split,
        strategy.p_value,
        None if p_value is None else correction.of(p_value),
        Remedy({}, ()) if verdict.status is Status.PASSED else _remedy(order, strategy, facts, answer, verdict),
    )


def _answer(order: Order, strategy: Strategy, walked: WalkforwardResult | None) -> Answer:
    """What a worker would have said, also of a strategy that screening rejects."""
    split = split_of(strategy)
    rule = split if isinstance(split, SplitRule) else None
    walks = walked is None and not order.config.no_walkforward
    if unusable(strategy, order.config) is not None or not (walks or rule):
        return Answer(strategy.strategy_id, walked, None, None, None, 0.0)
    answer = _computed(order, strategy, Request(strategy.strategy_id, strategy.filter_type, walks, rule))
    return answer if walks else answer._replace(walkforward=walked)


def _computed(order: Order, strategy: Strategy, request: Request) -> Answer:
    group, strict, path = Group(strategy.outcome_key, (request,)), order.config.strict_filters, str(order.database.path)
    used = selectors([group], strict)
    features = order.database.read_features(order.instrument, columns(used, strict))
    source = InDatabase(path, identity(path), order.instrument, None)
    sessions = days_by_session(used, features, strict)
    task = WalkforwardTask(order.config.walkforward_rules, strict, (group,), sessions, source)
    try:
        return walkforward_task(task).answers[0]
    finally:
        release()


def _gates(order: Order, strategy: Strategy, facts: Facts, answer: Answer) -> tuple[Gate, ...]:
    gates: tuple[Gate, ...] = ()
    if (walked := answer.walkforward) is not None:
        rules = order.config.walkforward_rules
        gates = out_of_sample(_tested(walked), rules.min_trades).gates(rules)
        if not walked.windows and walked.failed:
            gates = (walked.failed,)
    try:
        return every_gate(strategy, order.config.screen_rules, order.costs, facts.atr_by_year) + gates
    except UnusableStrategy:  # which the verdict or the remedy tells
        return gates


def _tested(walked: WalkforwardResult) -> list[tuple[int, float]]:
    return [(window.test_n, window.test_exp_r or 0.0) for window in walked.windows]


def _remedy(order: Order, strategy: Strategy, facts: Facts, answer: Answer, verdict: Verdict) -> Remedy:
    """The changes to all gates together, and all that no flag changes."""
    blocks: list[str | None] = [
        verdict.remark if verdict.status is Status.FAILED else None,
        "it must be canonical: aliases are skipped" if verdict.status is Status.SKIPPED else None,
        unusable(strategy, order.config),
        answer.error,
        answer.split_error,
        notes.missing([strategy.missing]) if strategy.missing else None,
    ]
    changes: dict[str, Any] = {}
    try:
        screening = screening_remedy(strategy, order.config, order.costs, facts.atr_by_year)
        changes, blocks = screening.changes, [*blocks, *screening.lacking]
    except UnusableStrategy as error:
        blocks.append(str(error))
    if walked := answer.walkforward:
        if walked.windows:
            walking = walkforward_remedy(_tested(walked), order.config)
            changes, blocks = changes | walking.changes, [*blocks, *walking.lacking]
        elif walked.failed:
            blocks.append(f"there must be test windows: {notes.reason(walked.failed)}")
    return Remedy(changes, tuple(dict.fromkeys(filter(None, blocks))))
