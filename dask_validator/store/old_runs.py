"""What is left of older runs, dropped where only the latest are to be kept."""

from __future__ import annotations

from collections.abc import Iterator

from dask_validator.store.active_setups import PROMOTED
from dask_validator.store.before import HOLDING
from dask_validator.store.our_tables import OUR_TABLES
from dask_validator.store.setups import Statement

# Undone runs do not count. By the time of their commits, but never the run that is just committing.
_OLDER = f"""
    CREATE TEMP TABLE older_runs AS
    SELECT run_id, run_id IN (SELECT run_id FROM ({PROMOTED.format(stands="undone IS NOT TRUE")})) AS has_promoted
    FROM (SELECT run_id, count(*) FILTER (undone IS NOT TRUE) OVER (
        ORDER BY finished_at DESC, run_id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later
        FROM dask_validator_runs WHERE instrument = $1)
    WHERE later >= $2 AND run_id <> $3
"""


def dropped(instrument: str, run_id: str, keep_runs: int | None) -> Iterator[Statement]:
    """All rows of the instrument's runs after which so many stand; setups and verdicts are the user's, and stay.

    Of a run that has promoted a setup which is still active, only what `undo` would need goes: without that, it cannot
    be taken back when later runs that had to be taken back first are no longer known.
    """
    if keep_runs is None:
        return
    yield Statement(_OLDER, (instrument, keep_runs, run_id))
    for table, columns in OUR_TABLES.items():
        which = "" if table in HOLDING else "WHERE NOT has_promoted"
        yield Statement(f"DELETE FROM {table} WHERE {next(iter(columns))} IN (SELECT run_id FROM older_runs {which})")
