"""Outcomes that travel with the task, to workers that do not see the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dask_validator.model import OutcomeKey, Outcomes


class Carried(NamedTuple):
    """Outcomes of each key of one task, read where the file is."""

    outcomes: tuple[Outcomes, ...]

    def read(self, keys: Sequence[OutcomeKey]) -> Sequence[Outcomes]:
        """Outcomes of each key."""
        return self.outcomes

    def only(self, positions: Sequence[int]) -> Carried:
        """The outcomes of the keys at these positions."""
        return Carried(tuple(self.outcomes[position] for position in positions))
