"""`export()`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import warn

from dask_validator.run import outputs
from dask_validator.run.loading import load_outcome
from dask_validator.store.table_files import check_format, write_table
from dask_validator.views.exported import DAYS, Exported, exported
from dask_validator.views.result import RunResult
from dask_validator.wording.sentences import taken_back

if TYPE_CHECKING:
    import pandas as pd


def export(
    db: str | Path,
    path: str | Path,
    *,
    run_id: str | None = None,
    instrument: str = "MGC",
    what: str = "promoted",
    wait_for_lock: float = 0.0,
) -> pd.DataFrame:
    """Write a table of a committed run to a file, and return it.

    Parameters
    ----------
    path
        Ends in `.csv`, `.parquet` or `.json`; a file that is there is replaced as a whole.
    run_id
        Default: the latest run of the instrument that was not taken back.
    what
        `"promoted"`, `"verdicts"`: a row per strategy, as `RunResult.promoted` and `.strategies` have it; `"windows"`,
        `"trades"`: a row per test window, and per trade of those that were promoted.
    wait_for_lock
        Seconds to wait while somebody writes to the database.

    Raises
    ------
    InputError
        There is no such run, the database cannot be read, or the file must not or cannot be written.
    """
    found = write_export(Path(db), Path(path), run_id, instrument, what, wait_s=wait_for_lock)
    for warning in found.warnings:
        warn(warning, stacklevel=2)
    return found.frame


def write_export(
    db: Path,
    path: Path,
    run_id: str | None,
    instrument: str,
    what: str,
    *,
    wait_s: float = 0.0,
    say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """The same, with what is lacking and to be known."""
    check_format("--output", path)
    outputs.check(outputs.Files(db, instrument, table=path, table_flag="--output"))
    result = RunResult.of(load_outcome(db, instrument, run_id, wait_s=wait_s, say=say))
    found = exported(result, what)
    write_table(found.frame, path, [name for name in DAYS if name in found.frame.columns])
    undone = [taken_back(result.summary["run_id"])] if result.undone else []
    lacking = [f"without the trades of {strategy_id}: {reason}" for strategy_id, reason in found.lacking.items()]
    return found._replace(warnings=[*undone, *lacking])
