"""What a run is asked to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dask_validator.config import RunConfig
from dask_validator.rules.costs import Costs

if TYPE_CHECKING:
    from pathlib import Path

    from dask_validator.store.database import Database
    from dask_validator.store.selection import Selection


class Order(NamedTuple):
    """Strategies of one instrument, validated by these rules."""

    database: Database
    instrument: str
    config: RunConfig
    costs: Costs
    resume: bool = False  # what has failed in an earlier run is computed again
    commit_wait_s: float = 10.0  # for somebody else's lock
    blocks: Path | None = None  # the journal of null worlds; None: nothing is kept
    run_id: str = ""  # the name that it is to have; it finds one itself where it has none
    keep_runs: int | None = None  # how many of the instrument stay on record; None: all

    @property
    def selection(self) -> Selection:
        """Which strategies."""
        return self.database.selection
