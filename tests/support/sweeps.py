"""Whom many settings promote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dask_validator import RunConfig
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_sweep
from dask_validator.events import ignore
from dask_validator.run.sweep import run_sweep
from dask_validator.store.selection import EVERY, Selection


def promoted_under(database: Path, settings: Sequence[RunConfig], selection: Selection = EVERY) -> list[list[str]]:
    """The ids, by setting: any settings, in place of combinations of values."""
    with open_executor(1) as executor:
        asked = prepared_sweep(database, "MGC", settings[0], {"min_sample": [30]}, selection=selection)
        found = run_sweep(asked._replace(settings=settings), executor, ignore)
    return [found.promoted_by(i) for i in range(len(settings))]
