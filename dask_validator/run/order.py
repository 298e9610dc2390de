"""What a run is asked to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dask_validator.config import RunConfig
from dask_validator.rules.costs import Costs

if TYPE_CHECKING:
    from pathlib import Path

    from dask_validator.store.database import Database


class Order(NamedTuple):
    """One instrument's waiting strategies, validated by these rules."""

    database: Database
    instrument: str
    config: RunConfig
    costs: Costs
    resume: bool = False  # FAILED strategies are waiting too
    commit_wait_s: float = 10.0  # for somebody else's lock
    blocks: Path | None = None  # the journal of null worlds; None: nothing is kept
