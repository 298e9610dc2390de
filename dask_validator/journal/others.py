"""Other runs on the same database: their read locks pass, so they are worth waiting for."""

from __future__ import annotations

import os
from glob import escape
from pathlib import Path

from dask_validator.journal.journal import default_path, left_in
from dask_validator.journal.lines import is_kept


def is_another_run(pid: int, database: Path, instrument: str) -> bool:
    """Whether the process, or one that it descends from, runs the validator on this database for another instrument."""
    import psutil  # takes longer to import than to ask

    journals = set(database.parent.glob(f"{escape(database.name)}.*.journal")) - {default_path(database, instrument)}
    runs = {_pid(journal) for journal in journals}
    try:
        process = psutil.Process(pid)
        family = {pid, *(parent.pid for parent in process.parents())}
    except psutil.Error:  # it has just ended, or is on another machine or in another container
        return False
    return bool(family & (runs - {None, os.getpid()}))


def _pid(journal: Path) -> int | None:
    """Who keeps this journal now."""
    return left_in(journal).pid if is_kept(journal) else None
