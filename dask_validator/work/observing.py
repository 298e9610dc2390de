"""What the trades of each strategy come to by year and window: the data, as null worlds see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Filter
from dask_validator.model import TaskTiming
from dask_validator.rules.day_masks import Mask
from dask_validator.universe.calendars import Observed, joined
from dask_validator.universe.cells import Cut, Taken, cut
from dask_validator.universe.panel import panel, stacked
from dask_validator.universe.payoffs import Payoffs, payoffs, unusable
from dask_validator.work.piece import GroupDays, Piece, timed
from dask_validator.work.work import Where, Work

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

UNUSABLE = "a win or a loss that it takes has no usable pnl_r"


class Look(NamedTuple):
    """What is asked about one strategy."""

    strategy_id: str
    filter: Filter  # of its walk-forward
    strict: Filter | None  # the one by which its row may have been made, if not by the same
    sample_size: float | None  # of its row

    def filters(self) -> Iterator[Filter]:
        """What picks the days that matter to it."""
        yield self.filter
        if self.strict is not None:
            yield self.strict


class ObservingTask(NamedTuple):
    """The input of one task."""

    rules: WindowRules
    days: NDArray[np.int32]  # trading days of the instrument, ascending
    with_panel: bool
    piece: Piece


class Found(NamedTuple):
    """The strategies of a task as far as they can be seen."""

    observed: Observed
    rows: Mapping[str, Filter]  # by strategy_id, what selects the trades that its row was made of
    errors: Mapping[str, str]  # by strategy_id, why it cannot be put into worlds
    panel: csr_matrix | None  # what each was paid by day, in the order of `observed`, where that is asked for
    timing: TaskTiming | None


class Observing(Work[ObservingTask, Found]):
    """What strategies' trades come to."""

    kind = "observe"

    def __init__(self, where: Where, rules: WindowRules, days: NDArray[np.int32], *, with_panel: bool) -> None:
        super().__init__(where)
        self._rules, self._days, self._with_panel = rules, days, with_panel

    @property
    def function(self) -> Callable[[ObservingTask], Found]:
        """What answers a task."""
        return observing_task

    def task(self, piece: Piece) -> ObservingTask:
        """With the trading days of the instrument."""
        return ObservingTask(self._rules, self._days, self._with_panel, piece)

    def lost(self, task: ObservingTask, reason: str) -> Found:
        """What stands for the result of a task that nobody could compute."""
        return Found(joined([]), {}, {request.strategy_id: reason for request in task.piece.asked}, None, None)


def observing_task(task: ObservingTask) -> Found:
    """Add up every strategy's trades of the data. Raises InputError where they cannot be read."""
    found: list[Observed] = []
    panels: list[csr_matrix] = []
    rows: dict[str, Filter] = {}
    errors: dict[str, str] = {}
    with timed(len(task.piece.asked)) as timing:
        for group, days in task.piece.read():
            paid, bad = payoffs(days.outcomes, task.days), unusable(days.outcomes, task.days)
            taken: dict[str, Taken] = {}
            for request in group.requests:
                try:
                    rows[request.strategy_id], taken[request.strategy_id] = _taken(days, request, bad)
                except UnusableStrategy as error:
                    errors[request.strategy_id] = str(error)
            pieces = cut(days.outcomes, task.days, list(taken.values()), task.rules)
            found.append(observed(list(taken), pieces, paid))
            if task.with_panel:
                panels.append(panel(pieces.rows(), paid.pay))
        return Found(joined(found), rows, errors, stacked(panels) if panels else None, timing())


def _taken(days: GroupDays, request: Look, unusable: Mask) -> tuple[Filter, Taken]:
    """What the row was made of: the filter applied strictly, if that makes as many trades as the row says."""
    walked = days.taken(request.strategy_id, request.filter)
    if (walked & unusable).any():  # what the filter admits strictly it admits always
        raise UnusableStrategy(UNUSABLE)
    if request.strict is not None:
        row = _strictly(days, request.strategy_id, request.strict)
        if row is not None and days.trades(row) == request.sample_size:
            return request.strict, Taken(row, walked)
    return request.filter, Taken(walked, walked)


def _strictly(days: GroupDays, strategy_id: str, strict: Filter) -> Mask | None:
    try:
        return days.taken(strategy_id, strict)
    except UnusableStrategy:  # a column that is not there
        return None


def observed(ids: list[str], pieces: Cut, paid: Payoffs) -> Observed:
    """The sums of one key's strategies in the data."""
    arranged = pieces.cells.arranged(pieces.strategies)
    sums = arranged.sums(pieces.paid(paid.pay[:, None]))
    squared = paid.pay * paid.pay
    squares = np.asarray(pieces.rows() @ squared, dtype=np.float64)
    of_windows = arranged.windows.sums(pieces.paid(squared[:, None]))[:, 0]
    return Observed(ids, arranged.calendar, sums, squares, of_windows)
