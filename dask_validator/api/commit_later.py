"""What a run computed and could not commit, written later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dask_validator.api.preparing import (
    NO_SAFEGUARDS,
    blocks_path,
    command_line,
    database_at,
    files_of,
    grant_access,
    journal_of,
    patience_s,
)
from dask_validator.config import RunConfig, Safeguards
from dask_validator.errors import InputError
from dask_validator.events import Listener, Said, ignore
from dask_validator.execution.serial import NoExecutor, SerialExecutor
from dask_validator.run import outputs
from dask_validator.run.commit import finish_append, refuse_other_output, selection_left
from dask_validator.run.instruments import checked_costs
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation
from dask_validator.store.connection import check_is_file
from dask_validator.store.selection import WAITING

if TYPE_CHECKING:
    pass


def commit_kept(
    db: str | Path,
    instrument: str,
    wf_output: str | Path,
    safeguards: Safeguards = NO_SAFEGUARDS,
    listener: Listener = ignore,
) -> Outcome | None:
    """Write what a run computed but could not commit; None when only lines of the JSONL were left to append.

    Raises
    ------
    InputError
        There is nothing to commit, the data have changed so that it no longer holds, or `wf_output` is not the JSONL of
        that run; nothing was written.
    NotCommitted
        It still cannot be written; it is still kept.
    """
    check_is_file(db)
    grant_access(db, safeguards)
    run = command_line("run", db, instrument, safeguards, wf_output)
    outputs.check(files_of(db, instrument, safeguards, RunConfig(wf_output=wf_output)), appends=True)
    with journal_of(db, instrument, safeguards) as journal:
        left = journal.recovered
        if not left.is_computed:
            unfinished = f"it has {len(left.answers):,} results of a run that did not end, go on with {run} --resume"
            raise InputError(
                f"{journal.path} has nothing to commit; {unfinished if left.inputs else f'start with {run}'}"
            )
        selection = selection_left(left.settings, as_found=True)
        status = selection._replace(ids=None) if selection.is_known else WAITING  # who is gone by now is left alone
        database = database_at(db, instrument, safeguards, listener, to_write=True, selection=status)
        if said := finish_append(database, journal, instrument, wf_output):
            listener(Said(said))
            return None
        commit_wait_s = patience_s(safeguards)
        try:
            config, costs = RunConfig(**left.settings["config"]), checked_costs(left.settings["costs"])
            database = replace(database, promotion=config.promotion, selection=selection.checked())
        except (TypeError, ValueError, InputError):
            raise InputError(f"{journal.path} is of another version of dask_validator; run again: {run}") from None
        if not config.no_walkforward:
            refuse_other_output(journal, wf_output)
        config = replace(config, wf_output=wf_output)
        blocks = blocks_path(db, instrument)
        order = Order(database, instrument, config, costs, left.settings["resume"], commit_wait_s, blocks)
        order = order._replace(keep_runs=left.settings.get("keep_runs"))
        worlds_on = SerialExecutor(safeguards.task_timeout)
        return run_validation(order, NoExecutor(), listener, journal, only_commits=True, worlds_on=worlds_on)
