"""What a run comes to, as one frozen value: the same for a dry run, a committed one, and one that could not commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from dask_validator.model import TaskTiming
from dask_validator.rules.verdicts import Verdicts
from dask_validator.run.forecast import Forecast, replay
from dask_validator.work.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.run.order import Order
    from dask_validator.store.fingerprints import Seen
    from dask_validator.store.past_runs import LastRun
    from dask_validator.universe.calibration import Calibration


@dataclass(frozen=True)
class Outcome:
    """A run, complete.

    Attributes
    ----------
    summary
        The object that `--json` prints.
    verdicts
        One per processed strategy, in `strategy_id` order.
    warnings
        Sentences the user should read, grouped: one per unknown filter name, and the like.
    timings
        One per task, as its worker measured it.
    stages
        Wall-clock seconds by stage of the run.
    start_up_s
        Seconds that the worker processes took to start, beside the screening; None when there were none to start.
    order
        What the run was asked to do.
    waiting
        selection = {} if self.order is None else {"selection": self.order.selection.said}
        terms = self.verdicts.terms
        beside = {"waives": terms.waives, "unit": terms.unit, "warnings": list(self.warnings)}
        return {**self.measured, **costs, **selection, **beside}
    last_run
        The run before this one; known only when there were none.
    cores
        That the workers had between them; None where they are this machine's, and nobody has counted.
    calibration
        What null worlds say, where the run was asked for them.
    undone
        Whether it was taken back since.
    seen
        What it was made of; None where that is recorded.
    """

    summary: Mapping[str, Any]
    verdicts: Verdicts
    warnings: Sequence[str] = ()
    timings: Sequence[TaskTiming] = ()
    stages: Mapping[str, float] = field(default_factory=dict)
    start_up_s: float | None = None
    order: Order | None = None
    waiting: int | None = None
    last_run: LastRun | None = None
    cores: int | None = None
    calibration: Calibration | None = None
    undone: bool = False
    seen: Seen | None = field(default=None, repr=False, compare=False)

    def ended(self, watch: Stopwatch, *, committed: bool) -> Self:
        """The same run some seconds later, with what the commit has come to."""
        summary = {**self.summary, "total_s": round(watch.total_s, 3), "committed": committed}
        return replace(self, summary=summary, stages=dict(watch.stages), seen=None if committed else self.seen)

    @property
    def kept(self) -> dict[str, Any]:
        """What is recorded of the run beside the summary."""
        costs = {} if self.order is None else {"costs": self.order.costs._asdict()}
        selection = {} if self.order is None else {"selection": self.order.selection.said}
        terms = self.verdicts.terms
        beside = {"waives": terms.waives, "unit": terms.unit, "warnings": list(self.warnings)}
        return {**self.measured, **costs, **selection, **beside}

    @property
    def measured(self) -> dict[str, Any]:
        """What a forecast needs beside the summary and the timings, by the names of the fields."""
        return {"stages": dict(self.stages), "start_up_s": self.start_up_s, "cores": self.cores}

    @cached_property
    def forecasts(self) -> list[Forecast]:
        """What 1 to 64 workers would take; empty when no task was computed, and of runs with null worlds."""
        return replay(self.timings, self.summary["total_s"], **self.measured)
