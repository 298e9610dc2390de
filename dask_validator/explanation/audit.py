"""An audit of what was promoted: what a command, Python and notebooks say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dask_validator.explanation.changes import changes, costs_changed, number_text, verdict_text
from dask_validator.model import Walked, window_results
from dask_validator.rules.differences import Cause
from dask_validator.rules.drift import other_windows
from dask_validator.rules.gates import GATES
from dask_validator.run.audit import Audited
from dask_validator.store.active_setups import Setup

if TYPE_CHECKING:
    import pandas as pd

    from dask_validator.model import WindowResult

NO_NUMBER = "data only"
_CAUSES = {
    Cause.NUMBERS: "row",
    Cause.ROW: "row",
    Cause.OUTCOMES: "outcomes",
    Cause.FEATURES: "daily_features",
    Cause.OTHERS: "the other strategies",
    Cause.UNKNOWN: "unknown",
}


class Drifted(NamedTuple):
    """One active setup whose strategy is no longer what its run promoted.

    Attributes
    ----------
    what
        Of `verdict`, `trades`, `expectancy`, `windows`, `numbers`; `data only` where its row or outcomes are others and
        no number has moved.
    causes
        What differs of all that its numbers follow from: row, outcomes, daily_features, costs.
    details
        Each difference in words.
    """

    strategy_id: str
    instrument: str
    run_id: str
    what: tuple[str, ...]
    causes: tuple[str, ...]
    details: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """The active setups of a database, computed again by the rules of the runs that promoted them.

    Attributes
    ----------
    runs
        What was found, by the run that promoted them.
    unpromoted
        Setups that no run of ours has promoted: nobody knows by which rules they were.
    """

    runs: tuple[Audited, ...]
    unpromoted: tuple[Setup, ...]

    @cached_property
    def drifted(self) -> list[Drifted]:
        """Setups of which something differs, by run, in order of `strategy_id`."""
        return [each for run in self.runs for each in _drifted(run)]

    @property
    def gone(self) -> list[tuple[str, str]]:
        """Setups whose strategy is no longer there, and the run that promoted it."""
        return [(strategy_id, run.run_id) for run in self.runs for strategy_id in run.gone]

    @property
    def refused(self) -> list[Audited]:
        """Runs whose setups cannot be computed again."""
        return [run for run in self.runs if run.refused is not None]

    @property
    def differs(self) -> bool:
        """Whether anything is not as it was promoted, or cannot be told."""
        return bool(self.drifted or self.gone or self.refused)

    @cached_property
    def totals(self) -> dict[str, int]:
        """Setups, counted."""
        ours = sum(len(run.setups) for run in self.runs)
        refused = sum(len(run.setups) - len(run.gone) for run in self.refused)
        silent = sum(each.what == (NO_NUMBER,) for each in self.drifted)
        return {
            "active": ours + len(self.unpromoted),
            "as_promoted": ours - refused - len(self.drifted) - len(self.gone),
            "differing": len(self.drifted) - silent,
            "data_only": silent,
            "gone": len(self.gone),
            "not_computed": refused,
            "unpromoted": len(self.unpromoted),
        }

    @cached_property
    def differences(self) -> pd.DataFrame:
        """One row for each setup of which something differs."""
        import pandas as pd

        rows = [
            {**each._asdict(), "what": ", ".join(each.what), "causes": ", ".join(each.causes)} for each in self.drifted
        ]
        frame = pd.DataFrame(rows, columns=Drifted._fields)
        return frame.assign(details=["; ".join(details) for details in frame["details"]])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "totals": self.totals,
            "differs": self.differs,
            "drifted": [each._asdict() for each in self.drifted],
            "gone": [{"strategy_id": strategy_id, "run_id": run_id} for strategy_id, run_id in self.gone],
            "not_computed": [
                {"run_id": run.run_id, "setups": list(run.setups), "reason": run.refused} for run in self.refused
            ],
            "unpromoted": [
                {"strategy_id": each.strategy_id, "instrument": each.instrument} for each in self.unpromoted
            ],
            "runs": [
                {
                    "run_id": run.run_id,
                    "instrument": run.instrument,
                    "finished_at": run.finished_at.isoformat(),
                    "setups": len(run.setups),
                    "remarks": list(run.remarks),
                }
                for run in self.runs
            ],
        }

    def __repr__(self) -> str:
        return f"<Audit of {self.totals['active']:,} active setups: {self.totals['differing']:,} differ>"


def _drifted(run: Audited) -> Iterator[Drifted]:
    if run.found is None or run.moved is None:
        return
    for i in np.flatnonzero(~run.moved.untouched | (run.moved.cause != 0)).tolist():
        cause = Cause(int(run.moved.cause[i]))
        causes = [_CAUSES[each] for each in cause if each in _CAUSES]
        causes += ["costs"] if Cause.RULES in cause and run.found.inputs.costs else []
        what = (NO_NUMBER,) if run.moved.untouched[i] else run.moved.what(run.found, i)
        name = str(run.found.before.ids[i])
        yield Drifted(name, run.instrument, run.run_id, what, tuple(dict.fromkeys(causes)), tuple(_details(run, i)))


def _details(run: Audited, i: int) -> Iterator[str]:
    found, moved = run.found, run.moved
    assert found is not None
    assert moved is not None
    strategy_id = str(found.before.ids[i])
    for change in changes(found, [i]):
        ends = ((change.before, change.before_phase), (change.after, change.after_phase))
        yield f"{' -> '.join(verdict_text(*end) for end in ends)}: {change.decided}"
    for position in np.flatnonzero(moved.gates[i]).tolist():
        gate = GATES[position]
        numbers = (gate.number(float(side.observed[i, position])) for side in (found.before, found.after))
        texts = ("unknown" if number is None else number_text(number) for number in numbers)
        yield f"{gate.title(found.after.terms.unit)} {' -> '.join(texts)}"
    before, after = ((facts or {}).get(strategy_id) for facts in (run.before, run.after))
    if before is not None and after is not None:
        yield from _of_walk(before, after, days=bool(moved.days[i]))
    if Cause.RULES in Cause(int(moved.cause[i])):
        yield from costs_changed(found.inputs.costs)


def _of_walk(before: Walked, after: Walked, *, days: bool) -> Iterator[str]:
    if days:
        yield f"days with an outcome {before.trade_days:,} -> {after.trade_days:,}"
    for one, two in other_windows(before.windows, after.windows):
        results = [None if window is None else window_results(window.reshape(1), 1)[0] for window in (one, two)]
        [known, *_] = (result for result in results if result is not None)
        ends = dict.fromkeys("none" if result is None else result.window_end for result in results)
        numbers = " -> ".join("none" if result is None else _window(result) for result in results)
        yield f"{known.window_start} to {' -> '.join(ends)}: trades {numbers}"


def _window(window: WindowResult) -> str:
    earned = "" if window.test_exp_r is None else f" at {window.test_exp_r:+.4f}"
    return f"{window.test_n:,}{earned}"
