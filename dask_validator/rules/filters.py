"""Which days a strategy trades (rules.md, section 5).

A filter is data: bounds on columns of the day's `daily_features` row. It becomes a boolean mask over days.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import UnusableStrategy

FIXED_SESSIONS = {"0900", "1000", "1100", "1130", "1800", "2300", "0030"}
DYNAMIC_SESSIONS = {"CME_OPEN", "US_EQUITY_OPEN", "US_DATA_OPEN", "LONDON_OPEN", "US_POST_EQUITY", "CME_CLOSE"}
SESSIONS = frozenset(FIXED_SESSIONS | DYNAMIC_SESSIONS)

Mask = NDArray[np.bool_]
SIZE, DELAY, CONTINUES, DIRECTION, DOUBLE_BREAK = (
    "size",
    "break_delay_min",
    "break_bar_continues",
    "break_dir",
    "double_break",
)
LONG, SHORT = 1.0, -1.0  # how `break_dir` is coded in Features


class Features(NamedTuple):
    """`daily_features` of one symbol, `orb_minutes` and session; arrays of shape (n_days,), NaN for NULL."""

    label: str
    days: NDArray[np.int64]  # days since 1970-01-01, ascending
    weekday: NDArray[np.float64]  # 0 = Monday
    columns: Mapping[str, NDArray[np.float64]]  # by the part of the name after `orb_{label}_`


class Bound(NamedTuple):
    """One condition on one column; `weekday` is the day of the week, other names are session columns."""

    column: str
    holds: Callable[[NDArray[np.float64], float], Mask]
    value: float


Filter = tuple[Bound, ...]
NEVER: Filter = (Bound("weekday", operator.lt, -np.inf),)

_SIZES = {f"ORB_G{n}": (Bound(SIZE, operator.ge, float(n)),) for n in (4, 5, 6, 8)}
_COMPOSITES = {
    "NOFRI": Bound("weekday", operator.ne, 4),
    "NOMON": Bound("weekday", operator.ne, 0),
    "NOTUE": Bound("weekday", operator.ne, 1),
    "FAST5": Bound(DELAY, operator.le, 5),
    "FAST10": Bound(DELAY, operator.le, 10),
    "CONT": Bound(CONTINUES, operator.eq, True),
}
FILTERS: dict[str, Filter] = {
    **_SIZES,
    "M6E_G4": (Bound(SIZE, operator.ge, 0.0004),),
    "M6E_G6": (Bound(SIZE, operator.ge, 0.0006),),
    "M6E_G8": (Bound(SIZE, operator.ge, 0.0008),),
    **{f"{name}_{part}": (*size, bound) for name, size in _SIZES.items() for part, bound in _COMPOSITES.items()},
    "VOL_RV12_N20": NEVER,
}
STRICT_FILTERS: dict[str, Filter] = {
    "DIR_LONG": (Bound(DIRECTION, operator.eq, LONG),),
    "DIR_SHORT": (Bound(DIRECTION, operator.eq, SHORT),),
    "ORB_G4_L12": (*_SIZES["ORB_G4"], Bound(SIZE, operator.lt, 12)),
    "ORB_G5_L12": (*_SIZES["ORB_G5"], Bound(SIZE, operator.lt, 12)),
    "NO_DBL_BREAK": (Bound(DOUBLE_BREAK, operator.ne, True),),
}


def is_known(filter_type: str, strict: bool) -> bool:
    """Whether the name is one the rules apply, rather than treat as 'every day'."""
    return filter_type == "NO_FILTER" or filter_type in FILTERS or (strict and filter_type in STRICT_FILTERS)


def resolve(filter_type: str, strict: bool) -> Filter | None:
    """The filter of that name; None means every day, with or without a features row.

    Raises
    ------
    UnusableStrategy
        An unknown name while `strict`.
    """
    if filter_type == "NO_FILTER":
        return None
    if filter_type in FILTERS:
        return FILTERS[filter_type]
    if not strict:
        return None
    if filter_type in STRICT_FILTERS:
        return STRICT_FILTERS[filter_type]
    raise UnusableStrategy(f"filter_type {filter_type!r} is unknown and --strict-filters is on")


def select_days(bounds: Filter, features: Features) -> Mask:
    """Eligible days, shape (n_days,). NULL (NaN) fails every bound but `!=`.

    Raises
    ------
    UnusableStrategy
        A column that `daily_features` does not have for this session.
    """
    mask = np.ones(features.days.size, dtype=np.bool_)
    for column, holds, value in bounds:
        mask &= holds(_column(features, column), value)
    return mask


def _column(features: Features, name: str) -> NDArray[np.float64]:
    if name == "weekday":
        return features.weekday
    try:
        return features.columns[name]
    except KeyError:
        raise UnusableStrategy(f"daily_features has no column orb_{features.label}_{name}") from None
