"""What was promoted, computed again: by the rules of the run that promoted it, on the data as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dask_validator.config import RunConfig, flag
from dask_validator.errors import InputError
from dask_validator.events import Listener, ignore
from dask_validator.journal.journal import Journal
from dask_validator.model import Walked
from dask_validator.rules import jsonl
from dask_validator.rules.costs import Costs
from dask_validator.rules.differences import Differences, differences, matched
from dask_validator.rules.drift import Drift, drift
from dask_validator.run.instruments import costs_of, kept_costs
from dask_validator.run.order import Order
from dask_validator.run.run import run_validation
from dask_validator.run.sides import side_now
from dask_validator.sources.chosen import source_of
from dask_validator.store.active_setups import Setup, read_active_setups
from dask_validator.store.connection import reading
from dask_validator.store.database import Database
from dask_validator.store.past_runs import PastRun, needed_past_run
from dask_validator.store.reader import all_imported
from dask_validator.store.selection import Selection
from dask_validator.store.sides import read_side, still_there

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor

Facts = Mapping[str, Walked | None]  # of walk-forward, by strategy


@dataclass(frozen=True)
class Audited:
    """The active setups that one run has promoted.

    Attributes
    ----------
    setups
        Their strategies, ascending.
    gone
        Those whose strategy is no longer there.
    found, moved
        What differs, of the others; None where they cannot be computed again.
    before, after
        Facts of their walk-forward, in the run and now.
    remarks
        What is not as it was, and was taken otherwise.
    refused
        Why they cannot be computed again.
    """

    run_id: str
    instrument: str
    finished_at: datetime
    setups: tuple[str, ...]
    gone: tuple[str, ...] = ()
    found: Differences | None = None
    moved: Drift | None = None
    before: Facts | None = None
    after: Facts | None = None
    remarks: tuple[str, ...] = ()
    refused: str | None = None


def audit_setups(
    path: str | Path, instrument: str | None, executor: Executor, listener: Listener = ignore
) -> tuple[list[Audited], list[Setup]]:
    """By run, what has become of the active setups of one instrument, or of all; and those that no run has promoted.

    Raises
    ------
    InputError
        The database cannot be read, or has nothing of the instrument.
    """
    database = Database.at(path, source_of(path), to_write=False)
    with reading(path):  # so that nobody changes it meanwhile
        setups = read_active_setups(path, instrument)
        ours = sorted((setup for setup in setups if setup.run_id), key=lambda setup: (setup.instrument, setup.run_id))
        groups = [
            _audited(database, str(run_id), [setup.strategy_id for setup in of_run], executor, listener)
            for (_, run_id), of_run in groupby(ours, key=lambda setup: (setup.instrument, setup.run_id))
        ]
    return groups, [setup for setup in setups if setup.run_id is None]


def _audited(database: Database, run_id: str, setups: Sequence[str], executor: Executor, listener: Listener) -> Audited:
    run = needed_past_run(database.path, "", run_id)
    there = still_there(database.path, run.instrument, np.array(setups, dtype=np.object_))
    gone = tuple(sorted({*setups} - {*there}))
    begun = Audited(run.run_id, run.instrument, run.finished_at, tuple(setups), gone)
    if not there:
        return begun
    try:
        order, remarks = _order(database, run, there)
        return replace(_compared(begun, run, order, executor, listener), remarks=remarks)
    except InputError as error:
        return replace(begun, refused=str(error))


def _order(database: Database, run: PastRun, ids: Sequence[str]) -> tuple[Order, tuple[str, ...]]:
    """What that run was asked to do, of these strategies, and what had to be taken otherwise."""
    config, remarks = replace(run.config, dry_run=True, calibrate=False), []
    if config.fdr_k_file is not None and not Path(config.fdr_k_file).exists():
        remarks.append(f"{_gone('fdr_k_file', config)}: gate fdr is not judged again")
        config = replace(config, fdr_k_file=None, gate=tuple(name for name in config.gate if name != "fdr"))
    costs, doubt = _costs(run, config)
    database = replace(database, promotion=config.promotion, selection=Selection.of(ids))
    return Order(database, run.instrument, config, costs), (*remarks, *doubt)


def _gone(name: str, config: RunConfig) -> str:
    return f"{flag(name)} {getattr(config, name)}, which the run was given, is not there"


def _costs(run: PastRun, config: RunConfig) -> tuple[Costs, list[str]]:
    """As the file of the run, its rules or the table of known ones have them now, else as they were recorded."""
    kept = kept_costs(run.summary)
    is_gone = config.instruments is not None and not Path(config.instruments).exists()
    if kept is not None and is_gone:
        return kept, [f"{_gone('instruments', config)}: costs are those that it recorded"]
    imported = partial(all_imported, run.path, run.instrument)
    return costs_of(run.instrument, config.instruments, config.costs, imported), []


def _compared(begun: Audited, run: PastRun, order: Order, executor: Executor, listener: Listener) -> Audited:
    before, facts_before = read_side(run, kept_costs(run.summary)), _facts(run)
    with Journal(None, order.database.path, run.instrument) as journal:
        outcome = run_validation(order, executor, listener, journal)
    after = side_now(outcome)
    # Flags are those of the run, but for what is gone: nothing of that is to be said of every strategy.
    after = after._replace(terms=before.terms._replace(waives=after.terms.waives))
    both = matched(before, after)
    found = differences(both.before, both.after)
    facts_after = dict(zip(outcome.verdicts.ids, outcome.verdicts.walked, strict=True))
    ids = found.before.ids.tolist()
    moved = drift(found, *([facts.get(name) for name in ids] for facts in (facts_before, facts_after)))
    return replace(begun, found=found, moved=moved, before=facts_before, after=facts_after)


def _facts(run: PastRun) -> Facts:
    if run.lines:
        return {line["strategy_id"]: jsonl.walked_of(line) for line in run.records()}
    verdicts = run.verdicts()
    return dict(zip(verdicts.ids, verdicts.walked, strict=True))
