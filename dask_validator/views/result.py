"""What a run returns to Python: the summary as a dict, verdicts and windows as tables, plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from heapq import nlargest
from itertools import takewhile
from typing import TYPE_CHECKING, Any
from warnings import warn

from dask_validator.errors import InputError
from dask_validator.model import Status, WindowResult, window_results
from dask_validator.run.forecast import NOT_REPLAYED, has_worlds
from dask_validator.run.outcome import Outcome
from dask_validator.store.present import read_parameters
from dask_validator.views import result_html
from dask_validator.views.frames import strategies_frame, windows_frame
from dask_validator.views.funnel import steps

if TYPE_CHECKING:
    import pandas as pd
    from bokeh.plotting import figure

    from dask_validator.explanation.comparison import Comparison
    from dask_validator.explanation.words import Explanation
    from dask_validator.model import Outcomes
    from dask_validator.promoted.trades import Trades
    from dask_validator.promoted.twins import Twins
    from dask_validator.run.order import Order


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

    def compare(self, other: Outcome) -> Comparison:
        """What has changed from this run to the other one, and why.

        Raises
        ------
        InputError
            The other one is of another instrument, or the database cannot be read.
        """
        from dask_validator.explanation.compared import of_outcome
        from dask_validator.explanation.comparison import Comparison

        return Comparison.of(of_outcome(self), of_outcome(other))

    @cached_property
    def strategies(self) -> pd.DataFrame:
        """One row per processed strategy: what it trades, verdict, every number behind it (R), season split.

        What it trades is read from its row when this is first asked for; where that cannot be, a warning says why, and
        these columns are empty.
        """
        parameters: Mapping[str, Iterable[Any]] = {}
        try:
            parameters = read_parameters(self.summary["db"], self.summary["instrument"])
        except InputError as error:
            warn(f"without what strategies trade: {error}", stacklevel=3)
        return strategies_frame(self.verdicts, parameters)

    @cached_property
    def promoted(self) -> pd.DataFrame:
        """The rows of `strategies` that passed."""
        passed = self.strategies[self.strategies["verdict"] == str(Status.PASSED)]
        frame: pd.DataFrame = passed.drop(columns=["verdict", "phase", "gate"]).reset_index(drop=True)
        return frame

    @cached_property
    def windows(self) -> pd.DataFrame:
        """One row per strategy and test window `[window_start, window_end)`; expectancy in R per trade."""
        return windows_frame(self.verdicts)

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
            No task was computed in this run, or null worlds were.
        """
        from dask_validator.views import plots

        if self.timings and has_worlds(self.stages):
            raise InputError(f"plot_speedup() has nothing to draw. {NOT_REPLAYED}")
        if not self.forecasts or self.summary["walkforward"] is None:
            raise InputError("plot_speedup() has no task to replay: this run computed none (none was needed, or left)")
        return plots.speedup_figure(self.forecasts, self.summary["walkforward"]["workers"], self.summary["total_s"])

    def trades(self, strategy_id: str) -> pd.DataFrame:
        """The trades of a strategy: the outcomes on days that its filter takes, as this run applied it.

        Read from the database when asked for, and only as long as they are those of the run.

        Returns
        -------
        DataFrame
            One row a trade, in day order: `trading_day`; `result`, in the unit of the results; `counts_as`, win, loss
            or scratch; `cumulative`, the sum of wins and losses until then; `window`, the number from 1 of the test
            window that counts it, with its `window_start` and, exclusive, `window_end`: missing where none does, as of
            every scratch. Of imported trades also `side`, `symbol`, `entry_time` and `exit_time`.

        Raises
        ------
        InputError
            This run did not process such a strategy, its trades cannot be used or are no longer those of the run, or
            the database cannot be read.
        """
        from dask_validator.run.taken import told
        from dask_validator.views.promoted import trades_frame

        with self._order.database.kept_open():
            trades = self._taken(strategy_id)
            return trades_frame(trades, told(self._order, strategy_id, trades))

    def plot_equity(self, strategy_id: str) -> figure:
        """Bokeh figure: the sum of wins and losses of one strategy, trade by trade, with its test windows shaded.

        Raises
        ------
        InputError
            As `trades`, or it has neither a win nor a loss.
        """
        from dask_validator.views import plots

        trades = self._taken(strategy_id)
        if not trades.counted.days.size:
            raise InputError(f"{strategy_id!r} has neither a win nor a loss: there is nothing to draw")
        return plots.equity_figure(strategy_id, trades, self.verdicts.terms.unit)

    def twins(self) -> pd.DataFrame:
        """Groups of promoted strategies that win and lose the same on the same days: one result under several names.

        Returns
        -------
        DataFrame
            One row a group, the largest first; a strategy without a twin is a group of its own, so that the rows count
            the distinct results. `group`, a number from 1; `size`; `representative`, the first member by name;
            `trades`, wins and losses; `members`, a list.

        Raises
        ------
        InputError
            The trades of a promoted strategy cannot be had, as of `trades`.
        """
        from dask_validator.views.promoted import twins_frame

        return twins_frame(self._twins)

    def correlation(self, strategy_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """How promoted strategies go together: Pearson's correlation of what they win and lose by day.

        On a day without a trade a strategy has won nothing: it counts as 0, as whoever trades all of them would see it.
        Days are those with any outcome of the instrument.

        Parameters
        ----------
        strategy_ids
            Promoted strategies. Default: the representative of each group of `twins()`, as twins correlate by 1.

        Returns
        -------
        DataFrame
            Rows and columns by `strategy_id`; NaN where all days of a strategy are alike.

        Raises
        ------
        InputError
            A strategy that this run did not promote, more than 3,000 of them, or as of `trades`.
        """
        from dask_validator.views.promoted import correlation_frame

        ids = [group.representative for group in self._twins] if strategy_ids is None else list(strategy_ids)
        if unknown := [name for name in ids if name not in self._counted]:
            promoted = _some(list(self._counted), like=unknown[0])
            raise InputError(f"strategy_ids got {unknown[0]!r}, which this run did not promote; known are {promoted}")
        days = self._order.database.read_days(self._order.instrument)
        return correlation_frame({name: self._counted[name] for name in ids}, days)

    @cached_property
    def _twins(self) -> Sequence[Twins]:
        from dask_validator.promoted.twins import twins

        return twins(self._counted.items())

    @cached_property
    def _counted(self) -> Mapping[str, Outcomes]:
        """Wins and losses of each promoted strategy, by `strategy_id`."""
        positions = self.verdicts.of(Status.PASSED)
        found = self._of_run(positions)
        if lost := {strategy_id: text for strategy_id, text in found.items() if isinstance(text, str)}:
            first = min(lost)
            raise InputError(
                f"{len(lost):,} of {len(found):,} promoted strategies have no trades to be shown, the first of them "
                f"{first!r}: {lost[first]}; validate again"
            )
        ids = (self.verdicts.ids[i] for i in positions)
        return {name: found[name].counted for name in ids}  # type: ignore[union-attr]

    def _taken(self, strategy_id: str) -> Trades:
        """The trades of one strategy."""
        [trades] = self._of_run([self._position(strategy_id)]).values()
        if isinstance(trades, str):
            raise InputError(f"{strategy_id!r} has no trades to be shown: {trades}")
        return trades

    def _of_run(self, positions: Iterable[int]) -> Mapping[str, Trades | str]:
        """Trades by `strategy_id`, or why there are none."""
        from dask_validator.run.taken import Known, taken

        run_id = self.summary["run_id"] if self.summary["committed"] else None
        return dict(taken(self._order, Known.of(self._order, self.verdicts, positions, run_id)))

    @property
    def _order(self) -> Order:
        if self.order is None:
            raise InputError("this result does not say what the run was asked to do; use that of validate()")
        return self.order

    def _position(self, strategy_id: str) -> int:
        position = self.verdicts.find(strategy_id)
        if position is None:
            raise InputError(
                f"strategy_id got {strategy_id!r}, which is not in this run; "
                f"known are {_some(self.verdicts.ids, like=strategy_id)}"
            )
        return position

    def _windows_of(self, strategy_id: str) -> tuple[Sequence[WindowResult], int]:
        """And the trades that make them valid."""
        verdicts, position = self.verdicts, self._position(strategy_id)
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
