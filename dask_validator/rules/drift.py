"""What has become of numbers since a strategy was promoted: of its gates, of its test windows, of its days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import UNKNOWN, WINDOW_TABLE, Walked
from dask_validator.rules.differences import OWN, SAME, Booleans, Cause, Differences, of_inputs, same
from dask_validator.rules.gates import GATES, POSITION, RESULTS

Window = NDArray[np.void]
WHAT = ("verdict", "trades", "expectancy", "windows", "numbers")
_OF_TRADES = {"sample_size", "outcomes", "total_oos_trades", "holdout_trades"}
_OF_WINDOWS = {"windows", "valid_windows", "pct_positive"}
_OF_ROWS = np.array([gate.column is not None for gate in GATES])


class Drift(NamedTuple):
    """Of the strategies of a comparison, columns of shape (n,) but for the first.

    Attributes
    ----------
    gates
        Whether what a gate sees is another number, shape (n, n_gates); not of gates over all strategies.
    windows
        Whether any test window is another one.
    days
        Whether there are more or fewer days with an outcome, or others at the ends.
    untouched
        Whether the verdict and all numbers are as they were.
    cause
        `Cause.value` of what has changed of all that the numbers follow from; 0 where nothing has.
    """

    gates: Booleans
    windows: Booleans
    days: Booleans
    untouched: Booleans
    cause: NDArray[np.int64]

    def what(self, found: Differences, i: int) -> tuple[str, ...]:
        """Of WHAT, those that have changed."""
        kinds = {kind_of(position) for position in np.flatnonzero(self.gates[i]).tolist()}
        kinds |= {"windows"} if self.windows[i] else set()
        kinds |= {"trades"} if self.days[i] else set()
        kinds |= {"verdict"} if found.kind[i] != SAME else set()
        return tuple(name for name in WHAT if name in kinds)


def kind_of(position: int) -> str:
    """What the number of a gate is about, of WHAT."""
    gate = GATES[position]
    if gate.name in _OF_TRADES:
        return "trades"
    if gate.unit == RESULTS and gate.name != "max_drawdown_r":
        return "expectancy"
    return "windows" if gate.name in _OF_WINDOWS else "numbers"


def drift(found: Differences, before: Sequence[Walked | None], after: Sequence[Walked | None]) -> Drift:
    """What has changed between two judgements; the facts of walk-forward are those of the same strategies."""
    seen = [side.observed for side in (found.before, found.after)]
    gates = ~same(*seen)
    gates[:, [i for i in range(len(GATES)) if i not in OWN]] = False
    unknown = [np.isnan(observed) for observed in seen]
    kept = ~(unknown[0].all(axis=0) | unknown[1].all(axis=0))  # earlier versions have not kept rows
    gates &= ~(unknown[0] | unknown[1]) | (_OF_ROWS & kept)  # of others, NaN is what was not looked at
    pairs = list(zip(before, after, strict=True))
    windows = np.array([_other_windows(*pair) for pair in pairs], dtype=np.bool_)
    days = np.array([_other_days(*pair) for pair in pairs], dtype=np.bool_)
    untouched = ~(gates.any(axis=1) | windows | days) & (found.kind == SAME)
    return Drift(gates, windows, days, untouched, found.cause | _causes(found, gates, windows | days))


def _causes(found: Differences, gates: Booleans, walked: Booleans) -> NDArray[np.int64]:
    """Of every number that has changed, what differs of all that it follows from; hashes also by themselves."""
    count, inputs = len(gates), found.inputs
    cause = np.zeros(count, dtype=np.int64)
    for position, gate in enumerate(GATES):
        moved = gates[:, position] | (walked & (position == POSITION["windows"]))
        cause |= np.where(moved, of_inputs(inputs, gate, count), 0)
    for hashes, each in ((inputs.rows, Cause.ROW), (inputs.outcomes, Cause.OUTCOMES)):
        if hashes is not None:
            cause |= np.where(hashes, each.value, 0)
    return cause


def _other_windows(before: Walked | None, after: Walked | None) -> bool:
    """None was not looked at: the verdict says so."""
    return before is not None and after is not None and bool(other_windows(before.windows, after.windows))


def other_windows(before: Window, after: Window) -> list[tuple[Window | None, Window | None]]:
    """Windows that differ, by their first day in time order, before and after; None where there is none."""
    tables = [{int(row["start"]): row for row in table} for table in (before, after)]
    starts = sorted({*tables[0], *tables[1]})
    pairs = [(tables[0].get(start), tables[1].get(start)) for start in starts]
    return [pair for pair in pairs if not _is_same(*pair)]


def _is_same(before: Window | None, after: Window | None) -> bool:
    if before is None or after is None:
        return False
    return all(
        before[name] == after[name] or (before[name] != before[name]) & (after[name] != after[name])
        for name in WINDOW_TABLE.names or ()
    )


def _other_days(before: Walked | None, after: Walked | None) -> bool:
    if before is None or after is None or UNKNOWN in (before.trade_days, after.trade_days):
        return False
    return before[2:] != after[2:]
