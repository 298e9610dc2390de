"""A run taken back: `undo()`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.api.preparing import grant_access
from dask_validator.config import Safeguards
from dask_validator.events import Listener, Said, ignore
from dask_validator.journal.others import is_another_run
from dask_validator.sources.chosen import source_of
from dask_validator.store.connection import check_is_file
from dask_validator.store.database import Database
from dask_validator.store.past_runs import needed_past_run
from dask_validator.store.patience import Patience
from dask_validator.system.surroundings import settle

if TYPE_CHECKING:
    from dask_validator.store.undo import Undone


def undo(db: str | Path, run_id: str, **access: Any) -> Undone:
    """Take back the latest run of an instrument: what it wrote to strategies and setups is as it was before.

    The JSONL keeps its lines, columns that the run added to older tables stay, and the run stays on record, marked
    `undone`. The run before it can be taken back next. Journals are left alone.

    Parameters
    ----------
    access
        `wait_for_lock`, `memory_limit` and `allow_external_views`, as the command has them.

    Returns
    -------
    Undone
        How many strategies and setups are as they were, and how many setups are gone.

    Raises
    ------
    InputError
        No such run, one that is undone already or has kept nothing of what was there before it, a later one of the
        instrument, rows or columns that were changed since, setups that others refer to, or a database that cannot be
        written. It is as it was.
    """
    settle()
    return undo_run(db, run_id, Safeguards(**access))


def undo_run(db: str | Path, run_id: str, safeguards: Safeguards, listener: Listener = ignore) -> Undone:
    """The same for a command. Raises InputError."""
    from dask_validator.store.undo import undo

    check_is_file(db)
    grant_access(db, safeguards)
    wait_s = safeguards.wait_for_lock
    look = partial(Database.at, db, source_of(db), wait_s=wait_s, say=lambda text: listener(Said(text)))
    path = look(to_write=False).path
    instrument = needed_past_run(db, "", run_id).instrument
    passing = partial(is_another_run, database=path, instrument=instrument)
    look(to_write=True, passing=passing)
    return undo(path, run_id, Patience(wait_s, passing=passing))
