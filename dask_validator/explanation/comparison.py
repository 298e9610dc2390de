"""Two runs compared: what a command, Python and notebooks say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import flag
from dask_validator.errors import InputError
from dask_validator.explanation.changes import ONLY_IN_FILES, Change, changes
from dask_validator.model import Status
from dask_validator.rules.counting import CODE, STATUSES
from dask_validator.rules.differences import KINDS, SAME, Differences, Side, differences, matched
from dask_validator.rules.gates import GATES, HELD

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Compared:
    """One of the two: what it is called, what it has decided, and what it has not kept."""

    run_id: str
    instrument: str
    name: str  # with its date
    side: Side
    untold: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two runs of one instrument: whose verdict is another one, which gate decided, and what has changed.

    Attributes
    ----------
    before, after
        The two.
    found
        Of the strategies that are in both.
    only_before, only_after
        The verdicts on those that are in one only.
    """

    before: Compared
    after: Compared
    found: Differences
    only_before: Side
    only_after: Side

    @classmethod
    def of(cls, before: Compared, after: Compared) -> Comparison:
        """Compare them.

        Raises
        ------
        InputError
            They are of two instruments.
        """
        if before.instrument != after.instrument:
            raise InputError(
                f"got {before.name} of {before.instrument} and {after.name} of {after.instrument}; "
                "needed two runs of one instrument: no strategy is in both"
            )
        both = matched(before.side, after.side)
        return cls(before, after, differences(both.before, both.after), both.only_before, both.only_after)

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Counts: of each run, of both, and of those whose verdict has changed, by the kind of change."""
        same = self.found.kind == SAME
        return {
            "before": _counts(self.before.side),
            "after": _counts(self.after.side),
            "only_before": _counts(self.only_before),
            "only_after": _counts(self.only_after),
            "in_both": len(same),
            **{str(kind): int((self.found.kind == i).sum()) for i, kind in enumerate(KINDS)},
            "same": int(same.sum()),
            "same_with_other_numbers": int((same & self.found.numbers).sum()),
        }

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """What differs of what the runs were made of; None where nobody knows."""
        inputs = self.found.inputs
        return {
            "flags": {name if name in ONLY_IN_FILES else flag(name): pair for name, pair in inputs.flags.items()},
            "costs": dict(inputs.costs),
            "rows": _count(inputs.rows),
            "outcomes": _count(inputs.outcomes),
            "daily_features": inputs.features,
        }

    @property
    def untold(self) -> tuple[str, ...]:
        """What cannot be told, in words."""
        alike = self.before.side.hashed_by == self.after.side.hashed_by
        versions = f"DuckDB {self.before.side.hashed_by} and {self.after.side.hashed_by}"
        hashes = () if alike else (f"{versions} hash differently: whether rows or outcomes have changed is unknown",)
        return (*self.before.untold, *self.after.untold, *hashes)

    @cached_property
    def changed(self) -> list[Change]:
        """Each strategy with another verdict; gained ones first, then lost, moved and shifted ones."""
        return changes(self.found)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row for each of them: verdicts, the gate that decided, what it saw and needed, and why."""
        import pandas as pd

        frame = pd.DataFrame([as_row(change) for change in self.changed], columns=COLUMNS)
        return frame.astype({"before_phase": "Int64", "after_phase": "Int64", **dict.fromkeys(NUMBERS, "float64")})

    @cached_property
    def only_in_one(self) -> pd.DataFrame:
        """One row for each strategy that one run alone has judged, and its verdict there."""
        import pandas as pd

        sides = ((self.before.run_id, self.only_before), (self.after.run_id, self.only_after))
        rows = [(run_id, *row) for run_id, side in sides for row in verdicts_of(side)]
        frame = pd.DataFrame(rows, columns=["run_id", "strategy_id", "verdict", "phase", "gate"])
        return frame.astype({"phase": "Int64"})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = {
            "instrument": self.before.instrument,
            "before": {"run_id": self.before.run_id, "name": self.before.name},
            "after": {"run_id": self.after.run_id, "name": self.after.name},
        }
        alone = {"only_before": self.only_before, "only_after": self.only_after}
        return {
            **names,
            "totals": self.totals,
            "inputs": self.inputs,
            "untold": list(self.untold),
            "changes": [change._asdict() for change in self.changed],
            **{
                name: [dict(zip(("strategy_id", "verdict", "phase", "gate"), row, strict=True)) for row in verdicts]
                for name, verdicts in ((name, verdicts_of(side)) for name, side in alone.items())
            },
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.totals[str(kind)]:,} {kind}" for kind in KINDS)
        return f"<Comparison of {self.before.name} and {self.after.name}: {counts}>"


NUMBERS = ("seen_before", "seen_after", "needed_before", "needed_after")
COLUMNS = [name for name in Change._fields if name not in ("seen", "needed")]
COLUMNS[COLUMNS.index("causes") : COLUMNS.index("causes")] = NUMBERS


def as_row(change: Change) -> list[Any]:
    """The values of COLUMNS."""
    pairs = dict(zip(NUMBERS, (*change.seen, *change.needed), strict=True))
    values: Mapping[str, Any] = change._asdict() | pairs | {"causes": ", ".join(change.causes)}
    return [values[name] for name in COLUMNS]


def verdicts_of(side: Side) -> list[tuple[str, str, int | None, str | None]]:
    """Strategy, verdict, phase and gate that rejected."""
    gates = [None if gate == HELD else GATES[gate] for gate in side.gate.tolist()]
    return [
        (strategy_id, str(STATUSES[status]), gate.phase if gate else None, gate.name if gate else None)
        for strategy_id, status, gate in zip(side.ids.tolist(), side.status.tolist(), gates, strict=True)
    ]


def _counts(side: Side) -> dict[str, int]:
    return {"strategies": len(side.ids), "passed": int((side.status == CODE[Status.PASSED]).sum())}


def _count(which: NDArray[np.bool_] | None) -> int | None:
    return None if which is None else int(which.sum())
