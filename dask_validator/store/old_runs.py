"""What is left of older runs, dropped where only the latest are to be kept."""

from __future__ import annotations

from collections.abc import Iterator

from dask_validator.store.our_tables import OUR_TABLES
from dask_validator.store.setups import Statement


def dropped(instrument: str, keep_runs: int | None) -> Iterator[Statement]:
    """All rows of the instrument's runs but the latest few; setups and verdicts are the user's, and stay."""
    if keep_runs is None:
        return
    older = (
        "SELECT run_id FROM dask_validator_runs WHERE instrument = ? ORDER BY finished_at DESC, run_id DESC OFFSET ?"
    )
    for table in reversed(OUR_TABLES):  # the records last, as they say which is older
        of_run = next(iter(OUR_TABLES[table]))
        yield Statement(f"DELETE FROM {table} WHERE {of_run} IN ({older})", (instrument, keep_runs))
