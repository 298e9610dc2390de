"""The filters that the invented researcher tried on every key, and the days each one selects."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dask_validator.config import SEASON_ZONES
from dask_validator.demo.market import (
    CONTINUES,
    DELAY,
    DIRECTION,
    DOUBLE_BREAK,
    LONG,
    REL_VOL,
    SHORT,
    SIZE,
    Features,
    Floats,
)
from dask_validator.rules.day_masks import Mask
from dask_validator.rules.seasons import winter_days

SIZES = (4.0, 5.0, 6.0, 8.0)
SEASONED = ("NO_FILTER", "ORB_G4", "ORB_G5", "ORB_G6", "ORB_G4_CONT", "ORB_G5_NOFRI", "ORB_G4_FAST10")


class Bound(NamedTuple):
    """One condition on one column of a session, or on the weekday."""

    column: str
    holds: Callable[[Floats, float], Mask]
    value: float


def _size(name: str, least: float) -> dict[str, tuple[Bound, ...]]:
    return {name: (Bound(SIZE, operator.ge, least),)}


_SIZES = {name: bounds for n in SIZES for name, bounds in _size(f"ORB_G{n:.0f}", n).items()}
_PARTS = {
    "NOFRI": Bound("weekday", operator.ne, 4),
    "NOMON": Bound("weekday", operator.ne, 0),
    "NOTUE": Bound("weekday", operator.ne, 1),
    "FAST5": Bound(DELAY, operator.le, 5),
    "FAST10": Bound(DELAY, operator.le, 10),
    "CONT": Bound(CONTINUES, operator.eq, True),
}
_SINGLE = Bound(DOUBLE_BREAK, operator.ne, True)
# The researcher knew relative volume, and filters that the validator does not apply by default.
RESEARCH_FILTERS: dict[str, tuple[Bound, ...]] = {
    "NO_FILTER": (),
    **_SIZES,
    **_size("M6E_G4", 0.0004),
    **_size("M6E_G6", 0.0006),
    **_size("M6E_G8", 0.0008),
    **{f"{name}_{part}": (*size, bound) for name, size in _SIZES.items() for part, bound in _PARTS.items()},
    "VOL_RV12_N20": (Bound(REL_VOL, operator.ge, 1.2),),
    "DIR_LONG": (Bound(DIRECTION, operator.eq, LONG),),
    "DIR_SHORT": (Bound(DIRECTION, operator.eq, SHORT),),
    "ORB_G4_L12": (*_SIZES["ORB_G4"], Bound(SIZE, operator.lt, 12)),
    "ORB_G5_L12": (*_SIZES["ORB_G5"], Bound(SIZE, operator.lt, 12)),
    "NO_DBL_BREAK": (_SINGLE,),
    "ORB_G5_NODBL": (*_SIZES["ORB_G5"], _SINGLE),
}


class Variant(NamedTuple):
    """A filter, in one season (`W`, `S`) or in both (empty)."""

    filter_type: str
    season: str = ""


def variants(label: str | None) -> list[Variant]:
    """All that can be tried in a session, the plainest first: of two with the same days the first is canonical."""
    all_year = [Variant(name) for name in sorted(RESEARCH_FILTERS, key=lambda name: (name != "NO_FILTER", name))]
    seasoned = [Variant(name, season) for name in SEASONED for season in "WS"]
    return all_year + (seasoned if label in SEASON_ZONES else [])


def selected_days(variant: Variant, session: Features) -> Mask:
    """Days on which the researcher's backtest trades, shape (n_days,)."""
    mask = np.ones(session.days.size, dtype=np.bool_)
    for column, holds, value in RESEARCH_FILTERS[variant.filter_type]:
        mask &= holds(session.weekday if column == "weekday" else session.columns[column], value)
    if variant.season:
        mask &= winter_days(SEASON_ZONES[session.label], session.days) == (variant.season == "W")
    return mask


def filter_params(filter_type: str) -> str:
    """The JSON that users' pipelines store beside the name; composites have a base and an overlay."""
    base, _, part = filter_type.rpartition("_")
    if part in _OVERLAYS:
        params = {"base": _plain(base), "overlay": _OVERLAYS[part]}
        description = " + ".join(str(half["description"]) for half in params.values())
        return json.dumps({"filter_type": filter_type, "description": description, **params})
    return json.dumps(_plain(filter_type))


_OVERLAYS: dict[str, dict[str, object]] = {
    "NOFRI": {"filter_type": "DOW_NOFRI", "description": "Skip Friday", "skip_days": [4]},
    "NOMON": {"filter_type": "DOW_NOMON", "description": "Skip Monday", "skip_days": [0]},
    "NOTUE": {"filter_type": "DOW_NOTUE", "description": "Skip Tuesday", "skip_days": [1]},
    "FAST5": {"filter_type": "BRK_FAST5", "description": "Break within 5 min of ORB end", "max_delay_min": 5.0},
    "FAST10": {"filter_type": "BRK_FAST10", "description": "Break within 10 min of ORB end", "max_delay_min": 10.0},
    "CONT": {
        "filter_type": "BRK_CONT",
        "description": "Break bar continues in break direction",
        "require_continues": True,
    },
    "NODBL": {"filter_type": "NO_DBL_BREAK", "description": "Skip double-break days", "exclude": True},
}
_PLAIN: dict[str, dict[str, object]] = {
    "NO_FILTER": {"description": "No filter (all days)"},
    "VOL_RV12_N20": {
        "description": "Relative volume >= 1.2 (20-day lookback)",
        "min_rel_vol": 1.2,
        "lookback_days": 20,
    },
    "DIR_LONG": {"description": "Long breakouts only", "direction": "long"},
    "DIR_SHORT": {"description": "Short breakouts only", "direction": "short"},
    "NO_DBL_BREAK": {"description": "Skip double-break days", "exclude": True},
    **{f"ORB_G{n:.0f}": {"description": f"ORB size >= {n:.0f} points", "min_size": n, "max_size": None} for n in SIZES},
    **{
        f"ORB_G{n:.0f}_L12": {
            "description": f"ORB size >= {n:.0f} and < 12 points",
            "min_size": n,
            "max_size": 12.0,
        }
        for n in SIZES
    },
    **{
        f"M6E_G{n:.0f}": {
            "description": f"ORB size >= {n / 1e4:.4f} ({n:.0f} pips)",
            "min_size": n / 1e4,
            "max_size": None,
        }
        for n in SIZES
    },
}


def _plain(filter_type: str) -> dict[str, object]:
    return {"filter_type": filter_type, **_PLAIN[filter_type]}
