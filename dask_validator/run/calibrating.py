"""What a calibration is asked, and what it has found on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.events import Listener
from dask_validator.journal.blocks import Blocks
from dask_validator.model import Strategy
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.costs import Costs
from dask_validator.rules.verdicts import Verdicts
from dask_validator.system.same_file import Identity
from dask_validator.universe.calendars import Observed
from dask_validator.universe.worlds import Design
from dask_validator.work.compute import Computer
from dask_validator.work.piece import Group
from dask_validator.work.work import Where, columns, days_by_session, selectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from dask_validator.rules.day_masks import Selector
    from dask_validator.store.database import Database
    from dask_validator.store.reader import Facts, Survey

CANONICAL = "is_canonical"  # in SQL: as for the false discovery rate


class CalibrationOrder(NamedTuple):
    """One instrument, the settings that share the worlds, and the worlds."""

    database: Database
    instrument: str
    settings: Sequence[RunConfig]
    costs: Costs
    companions: bool = False  # whether what goes with a report is wanted too

    @property
    def config(self) -> RunConfig:
        """The first of the settings; those that are looked at together have its windows and filters."""
        return self.settings[0]

    @property
    def design(self) -> Design:
        """The worlds."""
        return Design.of(self.config)


class Calibrating(NamedTuple):
    """What stays the same."""

    order: CalibrationOrder
    computer: Computer
    listener: Listener
    blocks: Blocks


class Seen(NamedTuple):
    """All that one look at the database has found."""

    facts: Facts
    survey: Survey
    strategies: Mapping[str, Strategy]  # by id, in its order, without their long texts
    candidates: Sequence[Candidates]  # by setting
    days: NDArray[np.int32]  # trading days, ascending
    of_file: Identity | None


class Universe(NamedTuple):
    """All strategies, as a run decides and as the worlds see them."""

    seen: Seen
    verdicts: Sequence[Verdicts]  # by setting
    observed: Observed  # of those that can be put into worlds, in order of strategy_id
    rows: Mapping[str, Selector]  # by strategy_id, what selects the trades that its row was made of
    errors: Mapping[str, str]  # by strategy_id, why it cannot
    panel: csr_matrix | None = None  # what they were paid by day, in the order of `observed`


def where(run: Calibrating, seen: Seen, groups: Sequence[Group]) -> Where:
    """Where the outcomes of these groups lie, and which days count for them."""
    order, strict = run.order, run.order.config.strict_filters
    used = selectors(groups, strict)
    features = order.database.read_features(order.instrument, columns(used, strict))
    sessions = days_by_session(used, features, strict)
    layout = seen.survey.outcomes.extents
    return Where(layout, sessions, order.database.source, order.instrument, seen.of_file, strict)


def refuse_incomplete(run: Calibrating) -> None:
    """Raise Incomplete where the workers were lost."""
    if run.computer.ended_early is not None:
        raise run.computer.ended_early
