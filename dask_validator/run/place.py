"""Where the outcomes of an instrument lie, and which days count for what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dask_validator.work.work import Where, filters_of

if TYPE_CHECKING:
    from dask_validator.store.database import Database
    from dask_validator.store.filter_days import Reading
    from dask_validator.store.reader import Survey
    from dask_validator.system.same_file import Identity
    from dask_validator.work.piece import Group


def place_of(
    database: Database,
    instrument: str,
    groups: Sequence[Group],
    *,
    reading: Reading,
    survey: Survey,
    of_file: Identity | None,
) -> Where:
    """For the tasks of these groups. Raises InputError for a filter that is not allowed."""
    sessions = database.read_session_days(instrument, filters_of(groups), reading)
    return Where(survey.outcomes.extents, sessions, database.source, instrument, of_file, reading.costs)
