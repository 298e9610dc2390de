"""The two sides of a comparison: a run that is recorded, or one that is still in memory."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dask_validator.errors import InputError
from dask_validator.explanation.comparison import Compared
from dask_validator.run.instruments import kept_costs
from dask_validator.run.outcome import Outcome
from dask_validator.run.sides import side_now
from dask_validator.store.past_runs import PastRun, needed_past_run, read_past_run
from dask_validator.store.sides import read_side

_OF_LINES = (
    "is of an earlier version, which has kept of strategies that reached walk-forward what their windows came to, and "
    "of others nothing: no row, no outcome and no verdict of phases 1 to 5 can be compared"
)


def recorded(db: str | Path, run_id: str) -> Compared:
    """A run that is recorded.

    Raises
    ------
    InputError
        There is none of that name, or nothing is left of its strategies.
    """
    return of_past(needed_past_run(db, "", run_id))


def of_past(run: PastRun) -> Compared:
    """The same of its record."""
    side, name = read_side(run, kept_costs(run.summary)), _name(run.run_id, run.finished_at)
    if not len(side.ids) and not run.lines and run.summary["rows"]:
        raise InputError(f"{name} has judged {run.summary['rows']:,} strategies, of which nothing is kept any more")
    return Compared(run.run_id, run.instrument, name, side, (f"{name} {_OF_LINES}",) if run.lines else ())


def of_outcome(outcome: Outcome) -> Compared:
    """A run that is still in memory: as it is recorded, if it is."""
    summary = outcome.summary
    if summary["committed"]:
        run = read_past_run(summary["db"], summary["instrument"], summary["run_id"])
        if run is not None:
            return of_past(run)
    name = f"{'dry run' if summary['dry_run'] else 'run'} {summary['run_id']}"
    side = side_now(outcome)
    untold = f"{name}: what it was made of is no longer there, so that no row and no outcome can be compared"
    return Compared(summary["run_id"], summary["instrument"], name, side, () if side.rows is not None else (untold,))


def _name(run_id: str, finished_at: datetime) -> str:
    return f"run {run_id} of {finished_at:%Y-%m-%d %H:%M} UTC"
