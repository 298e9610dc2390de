"""`runs()`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dask_validator.store.past_runs import list_runs
from dask_validator.views.monitor.past import COUNTS, flags_of, plain_values

if TYPE_CHECKING:
    import pandas as pd


def runs(db: str | Path, instrument: str | None = None) -> pd.DataFrame:
    """The committed runs of a database, the latest first, also those that were taken back.

    Returns
    -------
    DataFrame
        One row a run: `run_id`, `instrument`, `started_at` and `finished_at` (UTC), `flags` that differ from the
        defaults, as one types them, counts of strategies, `seconds` until the commit, `undone`.

    Raises
    ------
    InputError
        The database cannot be read or has nothing of the instrument, or a record is damaged.
    """
    import pandas as pd

    found = list_runs(db, instrument)
    columns = ("run_id", "instrument", "started_at", "finished_at", "flags", *COUNTS, "seconds", "undone")
    frame = pd.DataFrame([plain_values(run) | {"flags": flags_of(run)} for run in found], columns=list(columns))
    moments = {name: pd.to_datetime(frame[name], utc=True, format="ISO8601") for name in ("started_at", "finished_at")}
    kinds = dict.fromkeys(COUNTS, "int64") | {"seconds": "float64", "undone": "bool"}
    return frame.assign(**moments).astype(kinds)
