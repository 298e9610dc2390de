"""`load_run()`."""

from __future__ import annotations

from pathlib import Path

from dask_validator.run.loading import load_outcome
from dask_validator.views.result import RunResult


def load_run(
    db: str | Path, run_id: str | None = None, instrument: str = "MGC", *, wait_for_lock: float = 0.0
) -> RunResult:
    """A committed run, as `validate` had returned it.

    Parameters
    ----------
    db
        The DuckDB file; nothing is written.
    run_id
        Of whatever instrument. Default: the latest of the instrument that was not taken back.
    wait_for_lock
        Seconds to wait while somebody writes to the database.

    The record is part of the commit, and cannot know how long that takes: `summary["total_s"]` ends before it and is
    the one number of the summary that differs from what `validate` had returned; `stages` and `forecasts` end there
    too. Not recorded are `calibration`, which is None (what it came to is in the summary and in `strategies`), and in
    `order` whether FAILED strategies were waiting too. `summary["db"]` is where the file is now.

    Raises
    ------
    InputError
        There is no such run, its rows are no longer there, an earlier version made it and kept none, or the database
        cannot be read.
    """
    return RunResult.of(load_outcome(db, instrument, run_id, wait_s=wait_for_lock))
