"""A run of the past, as far as it is recorded: what it came to, as the run itself had returned it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.errors import InputError
from dask_validator.model import R
from dask_validator.run.instruments import costs_of, kept_costs
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.sources.chosen import source_of
from dask_validator.store.database import Database
from dask_validator.store.past_runs import needed_past_run
from dask_validator.store.reader import all_imported
from dask_validator.store.selection import EVERY, WAITING, Selection

if TYPE_CHECKING:
    from dask_validator.config import RunConfig
    from dask_validator.rules.costs import Costs
    from dask_validator.rules.verdicts import Verdicts
    from dask_validator.store.past_runs import PastRun

_BESIDE = ("stages", "start_up_s", "cores", "costs", "selection", "waives", "warnings")  # the summary, in its record


def load_outcome(
    path: str | Path,
    instrument: str,
    run_id: str | None = None,
    *,
    wait_s: float = 0.0,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """The run of that name, else the latest of the instrument.

    Not recorded are what the commit itself took, `calibration` beyond its summary, and of `order` whether it resumed.

    Raises
    ------
    InputError
        There is no such run, its rows are no longer there, or an earlier version made it and kept none.
    """
    database = Database.at(path, source_of(path), to_write=False, wait_s=wait_s, say=say)
    with database.kept_open():
        run = needed_past_run(path, instrument, run_id)
        verdicts = _verdicts(run)
        order = _order(run, database, verdicts.ids)
    return Outcome(
        summary=_summary(run, database),
        verdicts=verdicts,
        warnings=run.summary.get("warnings", []),
        timings=tuple(run.timings),
        stages=run.summary.get("stages", {}),
        start_up_s=run.summary.get("start_up_s"),
        order=order,
        waiting=len(verdicts),
        cores=run.summary.get("cores"),
        undone=run.undone,
    )


def _verdicts(run: PastRun) -> Verdicts:
    if run.lines:
        kept = "which kept only the lines of its walk-forward: report and explain read these"
        raise InputError(f"run {run.run_id} was made by an earlier version of dask_validator, {kept}")
    verdicts, rows = run.verdicts(), run.summary["rows"]
    if len(verdicts) != rows:
        raise InputError(f"dask_validator_results has {len(verdicts):,} of the {rows:,} rows of run {run.run_id}")
    return verdicts


def _summary(run: PastRun, database: Database) -> dict[str, Any]:
    """As the run had returned it, but where the database is now."""
    beside = {*_BESIDE, "unit"} if run.summary.get("unit", R) == R else {*_BESIDE}
    found = {name: value for name, value in run.summary.items() if name not in beside}
    return {**found, "db": str(database.path)}


def _order(run: PastRun, database: Database, ids: Sequence[str]) -> Order:
    config, selection = run.config, Selection(run.summary.get("selection", WAITING.which))
    if not selection.is_known:  # its record counts ids that were named
        selection = EVERY._replace(ids=tuple(ids))
    database = replace(database, promotion=config.promotion, selection=selection)
    return Order(database, run.instrument, config, costs_of_past(run, config), run_id=run.run_id)


def costs_of_past(run: PastRun, config: RunConfig) -> Costs:
    """What a round trip cost in that run, or does now, if an earlier version made it. Raises InputError."""
    imported = partial(all_imported, run.path, run.instrument)
    return kept_costs(run.summary) or costs_of(run.instrument, config.instruments, config.costs, imported)
