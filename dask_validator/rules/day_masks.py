"""The days that each filter selects, as bits: small enough to travel with a task, made once for all that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Filter

Mask = NDArray[np.bool_]


class SessionDays(NamedTuple):
    """Days of one session that have a features row, and which of them each filter admits."""

    days: NDArray[np.int32]  # shape (n_days,), ascending, since 1970-01-01
    masks: Mapping[Filter, bytes | str]  # n_days bits; a text says why the filter cannot be applied
    zone: str | None = None  # whose clock changes make seasons, if any

    def only(self, filters: Iterable[Filter]) -> SessionDays:
        """The same days with these masks alone."""
        return self._replace(masks={selecting: self.masks[selecting] for selecting in filters})

    def mask(self, selecting: Filter) -> Mask:
        """Admitted days, shape (n_days,).

        Raises
        ------
        UnusableStrategy
            The filter needs a column that `daily_features` does not have, or cannot be evaluated.
        """
        bits = self.masks[selecting]
        if isinstance(bits, str):
            raise UnusableStrategy(bits)
        return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=self.days.size).view(np.bool_)
