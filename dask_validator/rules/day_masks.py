"""The days that each filter selects, as bits: small enough to travel with a task, made once for all that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import UnusableStrategy
from dask_validator.model import SplitRule
from dask_validator.rules.filters import Features, Filter, Mask, resolve, select_days
from dask_validator.rules.seasons import split_bounds


class Strictly(NamedTuple):
    """A filter as `--strict-filters` applies it, whatever the run does."""

    filter_type: str


Selector = str | SplitRule | Strictly  # a filter_type, or the rule of a season split


class SessionDays(NamedTuple):
    """Days of one session that have a features row, and which of them each selector admits."""

    label: str
    days: NDArray[np.int32]  # shape (n_days,), ascending, since 1970-01-01
    masks: Mapping[Selector, bytes | str]  # n_days bits; a text says why the selector cannot be applied

    def only(self, selectors: Iterable[Selector]) -> SessionDays:
        """The same days with these masks alone."""
        return self._replace(masks={selector: self.masks[selector] for selector in selectors})

    def mask(self, selector: Selector) -> Mask:
        """Admitted days, shape (n_days,).

        Raises
        ------
        UnusableStrategy
            The selector needs a column that `daily_features` does not have for this session.
        """
        bits = self.masks[selector]
        if isinstance(bits, str):
            raise UnusableStrategy(bits)
        return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=self.days.size).view(np.bool_)


def no_days(label: str) -> SessionDays:
    """Of a session in which no strategy minds the day."""
    return SessionDays(label, np.empty(0, dtype=np.int32), {})


def bounds_of(selector: Selector, strict: bool) -> Filter | None:
    """The selector as bounds on columns; None admits every day, with or without a features row."""
    if isinstance(selector, SplitRule):
        return split_bounds(selector)
    return resolve(selector, strict) if isinstance(selector, str) else resolve(selector.filter_type, strict=True)


def session_days(features: Features, selectors: Iterable[Selector], strict: bool) -> SessionDays:
    """Apply every selector to the days of a session."""
    masks = {selector: _packed(features, bounds_of(selector, strict) or ()) for selector in selectors}
    return SessionDays(features.label, features.days.astype(np.int32, copy=False), masks)


def _packed(features: Features, bounds: Filter) -> bytes | str:
    try:
        return np.packbits(select_days(bounds, features)).tobytes()
    except UnusableStrategy as error:
        return str(error)
