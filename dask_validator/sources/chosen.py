"""Which source the outcomes of a database come from."""

from __future__ import annotations

from pathlib import Path

from dask_validator.sources.orb_outcomes import OrbOutcomes
from dask_validator.sources.source import Source


def source_of(database: str | Path) -> Source:
    """The one of a database at any path: its table of outcomes."""
    return OrbOutcomes(Path(database).absolute())
