"""What a run returns: the summary as a dict, verdicts and windows as tables."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import nlargest
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator import result_html
from dask_validator.errors import InputError
from dask_validator.model import Status, TaskTiming, Verdict, WalkforwardResult, WindowResult
from dask_validator.rules.notes import note
from dask_validator.rules.promotion import split_columns
from dask_validator.tuning import USUAL_START_UP_S, Forecast, Measured, forecast, usable_cores

if TYPE_CHECKING:
    import pandas as pd
    from bokeh.plotting import figure

    from dask_validator.explained import Explanation
    from dask_validator.order import Order
    from dask_validator.store.past_runs import LastRun

PHASE_NAMES = {
    1: "sample size",
    2: "expectancy",
    3: "yearly robustness",
    4: "cost stress",
    5: "quality gates",
    6: "walk-forward",
}


@dataclass(frozen=True)
class RunResult:
    """A finished run.

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
        How many strategies were waiting; None for a run of the past.
    last_run
        The run before this one; known only when nothing was waiting.
    cores
        That the workers had between them; None where they are this machine's, and nobody has counted.
    """

    summary: dict[str, Any]
    verdicts: Sequence[Verdict]
    warnings: list[str] = field(default_factory=list)
    timings: Sequence[TaskTiming] = ()
    stages: Mapping[str, float] = field(default_factory=dict)
    start_up_s: float | None = None
    order: Order | None = None
    waiting: int | None = None
    last_run: LastRun | None = None
    cores: int | None = None

    def explain(self, strategy_id: str) -> Explanation:
        """Why this strategy passed or fell; what the run has not computed is, read-only.

        Raises
        ------
        InputError
            This run did not process such a strategy, or the database cannot be read.
        """
        from dask_validator.explanation import explain_verdict

        verdict = next((verdict for verdict in self.verdicts if verdict.strategy_id == strategy_id), None)
        if verdict is None or self.order is None:
            raise InputError(f"got the strategy {strategy_id!r}; needed one that this run has processed (.strategies)")
        return explain_verdict(self.order, verdict, self.summary["run_id"])

    @property
    def measured(self) -> dict[str, Any]:
        """What a forecast needs beside the summary and the timings, by the names of the fields."""
        return {"stages": dict(self.stages), "start_up_s": self.start_up_s, "cores": self.cores}

    @cached_property
    def forecasts(self) -> list[Forecast]:
        """What 1 to 64 workers would take; empty when no task was computed."""
        if not self.timings:
            return []
        tasks = [timing.wall_s for timing in sorted(self.timings, key=lambda timing: timing.started)]
        meanwhile_s = self.stages["screening"] + self.stages["grouping"]
        parallel_s = self.stages["computing"] + self.stages["waiting for workers"]
        other_serial_s = self.summary["total_s"] - meanwhile_s - parallel_s
        start_up_s = USUAL_START_UP_S if self.start_up_s is None else self.start_up_s
        cores = usable_cores() if self.cores is None else self.cores
        return forecast(Measured(tasks, meanwhile_s, other_serial_s, start_up_s), cores=cores)

    @cached_property
    def strategies(self) -> pd.DataFrame:
        """One row per processed strategy: verdict, phase, note, walk-forward and season numbers (R, 4 decimals)."""
        import pandas as pd

        rows = [_strategy_row(verdict) for verdict in self.verdicts]
        frame = pd.DataFrame(rows, columns=list(_strategy_row(_NOTHING)))
        counts = {name: pd.array(list(map(whole, frame[name])), dtype="Int64") for name in _COUNTS}
        return frame.assign(**counts).astype(dict.fromkeys(_FLAGS, "boolean"))

    @cached_property
    def windows(self) -> pd.DataFrame:
        """One row per strategy and test window `[window_start, window_end)`; expectancy in R per trade."""
        import pandas as pd

        rows = [
            (verdict.strategy_id, *window)
            for verdict in self.verdicts
            if verdict.walkforward
            for window in verdict.walkforward.windows
        ]
        frame = pd.DataFrame(rows, columns=["strategy_id", *WindowResult._fields])
        floats = dict.fromkeys(("test_exp_r", "test_wr", "test_sharpe"), "float64")
        return frame.astype({"test_n": "int64", "test_pass": "bool", **floats})

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.summary[name]} {name}" for name in ("passed", "rejected", "skipped", "failed"))
        return f"<RunResult {self.summary['instrument']}: {counts}>"

    def _repr_html_(self) -> str:
        """The funnel and what follows from it, for a notebook."""
        return result_html.render(self.summary, steps(self.summary), self.warnings)

    def plot_funnel(self) -> figure:
        """Bokeh figure: strategies left after each phase."""
        from dask_validator import figures

        title = f"{self.summary['instrument']}: {self.summary['passed']:,} of {self.summary['rows']:,} passed"
        return figures.funnel_figure(steps(self.summary), title)

    def plot_windows(self, strategy_id: str) -> figure:
        """Bokeh figure: expectancy of one strategy by test window, in R per trade.

        Raises
        ------
        InputError
            No such strategy in this run, or it has no windows.
        """
        from dask_validator import figures

        min_trades = self.order.config.wf_min_trades if self.order else 1
        return figures.windows_figure(strategy_id, self._windows_of(strategy_id), min_trades)

    def plot_speedup(self) -> figure:
        """Bokeh figure: seconds of the whole run, replayed for 1 to 64 workers, and as measured.

        Raises
        ------
        InputError
            No task was computed in this run.
        """
        from dask_validator import figures

        if not self.forecasts or self.summary["walkforward"] is None:
            raise InputError("plot_speedup() has no task to replay: this run computed none (none was needed, or left)")
        return figures.speedup_figure(self.forecasts, self.summary["walkforward"]["workers"], self.summary["total_s"])

    def _windows_of(self, strategy_id: str) -> Sequence[WindowResult]:
        found = next((verdict for verdict in self.verdicts if verdict.strategy_id == strategy_id), None)
        if found is None:
            known = _some([verdict.strategy_id for verdict in self.verdicts], like=strategy_id)
            raise InputError(f"strategy_id got {strategy_id!r}, which is not in this run; known are {known}")
        if not _has_windows(found):
            known = _some([verdict.strategy_id for verdict in self.verdicts if _has_windows(verdict)])
            raise InputError(f"{strategy_id!r} has no test windows ({note(found)}); strategies with some are {known}")
        assert found.walkforward is not None
        return found.walkforward.windows


def _has_windows(verdict: Verdict) -> bool:
    return verdict.walkforward is not None and verdict.walkforward.n_total_windows > 0


def _some(names: Sequence[str], like: object = "") -> str:
    """A few of perhaps a million names: those that begin most like the one that was asked for."""
    named = nlargest(3, names, key=lambda name: _alike(name, str(like)))
    more = len(names) - len(named)
    return (", ".join(map(repr, named)) or "none") + (f" and {more:,} more" if more else "")


def _alike(name: str, other: str) -> int:
    """How many letters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))


def funnel(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What each phase took away, from all processed rows down to the passed ones."""
    rejected = summary["rejected_by_phase"]
    return [
        ("processed", summary["rows"]),
        ("skipped (aliases)", summary["skipped"]),
        *((f"rejected in phase {phase} ({name})", rejected[str(phase)]) for phase, name in PHASE_NAMES.items()),
        ("failed", summary["failed"]),
        ("passed", summary["passed"]),
    ]


class Step(NamedTuple):
    """One step of the funnel: how many strategies it took away, and how many it left."""

    name: str
    removed: int
    left: int


def steps(summary: Mapping[str, Any]) -> list[Step]:
    """The funnel with what each of its steps leaves."""
    (first, left), *removals, (last, _) = funnel(summary)
    found = [Step(first, 0, left)]
    for name, removed in removals:
        left -= removed
        found.append(Step(name, removed, left))
    return [*found, Step(last, 0, left)]


def count_verdicts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """`rows = passed + rejected + skipped + failed`, and the rejections by phase."""
    statuses = Counter(verdict.status for verdict in verdicts)
    phases = Counter(verdict.phase for verdict in verdicts if verdict.status is Status.REJECTED)
    return {
        "rows": len(verdicts),
        "passed": statuses[Status.PASSED],
        "rejected": statuses[Status.REJECTED],
        "skipped": statuses[Status.SKIPPED],
        "failed": statuses[Status.FAILED],
        "rejected_by_phase": {str(phase): phases[phase] for phase in PHASE_NAMES},
    }


_NOTHING = Verdict("", Status.SKIPPED)
_NUMBERS = [name for name in WalkforwardResult._fields if name not in ("failed", "window_table")]


# Columns of the strategies, where a value may be missing: pandas would make floats and objects of them.
_COUNTS = (
    *("phase", "n_total_windows", "n_valid_windows", "n_positive_windows", "total_oos_trades"),
    *("dst_winter_n", "dst_summer_n", "years_tested"),
)
_FLAGS = ("window_imbalanced", "all_years_positive")


def whole(value: Any) -> int | None:
    """A count; None for what is none, as a season split may have that the database stores as a float."""
    holds = value is not None and math.isfinite(value) and value == int(value) and abs(value) < 2**63
    return int(value) if holds else None


def _strategy_row(verdict: Verdict) -> dict[str, Any]:
    return {
        "strategy_id": verdict.strategy_id,
        "verdict": str(verdict.status),
        "phase": verdict.phase,
        "note": note(verdict),
        **{name: getattr(verdict.walkforward, name, None) for name in _NUMBERS},
        **split_columns(verdict.split),
        "years_tested": verdict.years_tested,
        "all_years_positive": verdict.all_years_positive,
        "regime_waivers": json.dumps(verdict.regime_waivers) if verdict.regime_waivers else None,
    }
