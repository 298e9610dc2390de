"""What a run returns to Python: the summary as a dict, verdicts and windows as tables, plots."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from heapq import nlargest
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.errors import InputError
from dask_validator.model import WindowResult, window_results
from dask_validator.rules.counting import STATUSES
from dask_validator.rules.gates import GATES, HELD, OF_UNIVERSE
from dask_validator.rules.of_all import SHOWN
from dask_validator.rules.promotion import split_columns
from dask_validator.rules.verdicts import Verdicts
from dask_validator.rules.window_gates import window_columns
from dask_validator.run.outcome import Outcome
from dask_validator.views import result_html
from dask_validator.views.funnel import steps

if TYPE_CHECKING:
    import pandas as pd
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from dask_validator.explanation.words import Explanation


class RunResult(Outcome):
    """A finished run, with what Python and notebooks ask of it; the attributes are those of `run.outcome.Outcome`."""

    @classmethod
    def of(cls, outcome: Outcome) -> RunResult:
        """The same run."""
        known = {field.name: getattr(outcome, field.name) for field in fields(Outcome)}
        if outcome.calibration is not None:
            from dask_validator.views.calibration_result import CalibrationResult

            known["calibration"] = CalibrationResult.of(outcome.calibration)
        return cls(**known)

    def explain(self, strategy_id: str) -> Explanation:
        """Why this strategy passed or fell; what the run has not computed is, read-only.

        Raises
        ------
        InputError
            This run did not process such a strategy, or the database cannot be read.
        """
        from dask_validator.explanation.find import explain_verdict

        position = self.verdicts.find(strategy_id)
        if position is None or self.order is None:
            raise InputError(f"got the strategy {strategy_id!r}; needed one that this run has processed (.strategies)")
        return explain_verdict(self.order, self.verdicts, position, self.summary["run_id"])

    @cached_property
    def strategies(self) -> pd.DataFrame:
        """One row per processed strategy: verdict, phase, note, walk-forward and season numbers (R, 4 decimals)."""
        import pandas as pd

        frame = pd.DataFrame(_strategy_columns(self.verdicts))
        counts = {name: pd.array(list(map(whole, frame[name])), dtype="Int64") for name in _COUNTS}
        return frame.assign(**counts).astype(dict.fromkeys(_FLAGS, "boolean"))

    @cached_property
    def windows(self) -> pd.DataFrame:
        """One row per strategy and test window `[window_start, window_end)`; expectancy in R per trade."""
        import pandas as pd

        rows = [
            (self.verdicts.ids[i], *window)
            for i, facts in self.verdicts.windowed()
            for window in window_results(facts.windows, self.verdicts.config_of(i).window_trades)
        ]
        frame = pd.DataFrame(rows, columns=["strategy_id", *WindowResult._fields])
        floats = dict.fromkeys(("test_exp_r", "test_wr", "test_sharpe", "is_exp_r"), "float64")
        frame = frame.astype({"test_n": "int64", "test_pass": "bool", **floats})
        return frame if self.verdicts.terms.config.wf_in_sample else frame.drop(columns="is_exp_r")

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.summary[name]} {name}" for name in ("passed", "rejected", "skipped", "failed"))
        return f"<RunResult {self.summary['instrument']}: {counts}>"

    def _repr_html_(self) -> str:
        """The funnel and what follows from it, for a notebook."""
        return result_html.render(self.summary, steps(self.summary), self.warnings)

    def plot_funnel(self) -> figure:
        """Bokeh figure: strategies left after each phase."""
        from dask_validator.views import plots

        title = f"{self.summary['instrument']}: {self.summary['passed']:,} of {self.summary['rows']:,} passed"
        return plots.funnel_figure(steps(self.summary), title)

    def plot_windows(self, strategy_id: str) -> figure:
        """Bokeh figure: expectancy of one strategy by test window, per trade, in the unit of the results.

        Raises
        ------
        InputError
            No such strategy in this run, or it has no windows.
        """
        from dask_validator.views import plots

        windows, needed = self._windows_of(strategy_id)
        return plots.windows_figure(strategy_id, windows, needed, self.verdicts.terms.unit)

    def plot_speedup(self) -> figure:
        """Bokeh figure: seconds of the whole run, replayed for 1 to 64 workers, and as measured.

        Raises
        ------
        InputError
            No task was computed in this run.
        """
        from dask_validator.views import plots

        if not self.forecasts or self.summary["walkforward"] is None:
            raise InputError("plot_speedup() has no task to replay: this run computed none (none was needed, or left)")
        return plots.speedup_figure(self.forecasts, self.summary["walkforward"]["workers"], self.summary["total_s"])

    def _windows_of(self, strategy_id: str) -> tuple[Sequence[WindowResult], int]:
        """And the trades that make them valid."""
        verdicts, position = self.verdicts, self.verdicts.find(strategy_id)
        if position is None:
            raise InputError(
                f"strategy_id got {strategy_id!r}, which is not in this run; "
                f"known are {_some(verdicts.ids, like=strategy_id)}"
            )
        facts = verdicts.walked[position]
        if facts is None or not len(facts.windows):
            known = _some([verdicts.ids[i] for i, facts in verdicts.windowed() if len(facts.windows)])
            why = verdicts.note(position)
            raise InputError(f"{strategy_id!r} has no test windows ({why}); strategies with some are {known}")
        needed = verdicts.config_of(position).window_trades
        return window_results(facts.windows, needed), needed


def _some(names: Sequence[str], like: object = "") -> str:
    """A few of perhaps a million names: those that begin most like the one that was asked for."""
    named = nlargest(3, names, key=lambda name: _alike(name, str(like)))
    more = len(names) - len(named)
    return (", ".join(map(repr, named)) or "none") + (f" and {more:,} more" if more else "")


def _alike(name: str, other: str) -> int:
    """How many letters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))


# Columns of the strategies, where a value may be missing: pandas would make floats and objects of them.
_COUNTS = (
    *("phase", "n_total_windows", "n_valid_windows", "n_positive_windows", "total_oos_trades"),
    *("dst_winter_n", "dst_summer_n", "years_tested"),
)
_FLAGS = ("window_imbalanced", "all_years_positive", "significant", "earns")


def whole(value: Any) -> int | None:
    """A count; None for what is none, as a season split may have that the database stores as a float."""
    holds = value is not None and math.isfinite(value) and value == int(value) and abs(value) < 2**63
    return int(value) if holds else None


def _strategy_columns(verdicts: Verdicts) -> dict[str, list[Any]]:
    """The columns of `RunResult.strategies`, None where there is nothing to say."""
    rows = range(len(verdicts))
    windowed = verdicts.windowed()
    walked = window_columns([facts for _, facts in windowed], verdicts.window_trades[[i for i, _ in windowed]])
    splits = [split_columns(split) for split in verdicts.splits]
    standings = [verdicts.standings.get(i) for i in rows]
    return {
        "strategy_id": list(verdicts.ids),
        "verdict": [str(STATUSES[code]) for code in verdicts.status],
        "phase": [None if gate == HELD else GATES[gate].phase for gate in verdicts.gate],
        "note": [verdicts.note(i) for i in rows],
        **{name: _spread(column, [i for i, _ in windowed], len(rows)) for name, column in walked._asdict().items()},
        **{name: [split[name] for split in splits] for name in split_columns(None)},
        "years_tested": [standing and standing.years_tested for standing in standings],
        "all_years_positive": [standing and standing.all_years_positive for standing in standings],
        **_evidence(verdicts),
        "regime_waivers": [
            json.dumps(standing.regime_waivers) if standing and standing.regime_waivers else None
            for standing in standings
        ],
    }


def _evidence(verdicts: Verdicts) -> dict[str, list[Any]]:
    """p-values, and what is said of all strategies at once; NaN where nobody has asked."""
    tested, unknown = ~np.isnan(verdicts.p_value), np.full(len(verdicts), np.nan)
    columns: dict[str, NDArray[Any]] = {"p_value": verdicts.p_value, "adjusted_p": verdicts.adjusted_p}
    columns |= {GATES[position].name: verdicts.observed[:, position] for position in OF_UNIVERSE}
    columns |= {name: verdicts.shown.get(name, unknown) for name in SHOWN}
    flags = {
        name: [bool(flag) if known else None for flag, known in zip(getattr(verdicts, name), tested, strict=True)]
        for name in ("significant", "earns")
    }
    return {name: column.tolist() for name, column in columns.items()} | flags


def _spread(column: Sequence[Any], positions: Sequence[int], size: int) -> list[Any]:
    """A column of some strategies as one of all."""
    found = dict(zip(positions, column, strict=True))
    return [found.get(i) for i in range(size)]
