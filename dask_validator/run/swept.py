"""What a sweep comes to, as one frozen value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig

COUNTS = ("promoted", "stay", "lost", "new")
COLUMNS = (*COUNTS, "as_given")  # behind the flags


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Promotions under many settings.

    Attributes
    ----------
    given
        The settings without the sweep: flags with one value, rules, else the defaults.
    settings, flags, alone
        What was tried, and the fields in which it was to differ: in every combination, or each alone.
    strategies
        How many were looked at.
    today
        Of these the ones that are promoted now: they have an active setup.
    ids
        Strategies that one setting at least promotes, ascending.
    promoted
        Whether each setting promotes each of them, shape (n_settings, n_ids).
    """

    instrument: str
    db: str
    given: RunConfig
    settings: Sequence[RunConfig]
    flags: tuple[str, ...]
    alone: bool
    strategies: int
    today: frozenset[str]
    ids: Sequence[str]
    promoted: NDArray[np.bool_]
    total_s: float

    def promoted_by(self, setting: int) -> list[str]:
        """The strategies that one of the settings promotes."""
        return [self.ids[i] for i in np.flatnonzero(self.promoted[setting]).tolist()]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One a setting: its values, COUNTS, and whether these are the settings as given."""
        of_today = np.array([strategy_id in self.today for strategy_id in self.ids], dtype=np.bool_)
        found = []
        for config, promoted in zip(self.settings, self.promoted, strict=True):
            stay, count = int((promoted & of_today).sum()), int(promoted.sum())
            counts = (count, stay, len(self.today) - stay, count - stay)
            values = {name: getattr(config, name) for name in self.flags}
            found.append({**values, **dict(zip(COUNTS, counts, strict=True)), "as_given": config == self.given})
        return found

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "instrument": self.instrument,
            "db": self.db,
            "strategies": self.strategies,
            "promoted_today": len(self.today),
            "flags": list(self.flags),
            "one_at_a_time": self.alone,
            "combinations": [{name: _plain(value) for name, value in row.items()} for row in self.rows],
            "total_s": self.total_s,
        }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, date | Path) else value
