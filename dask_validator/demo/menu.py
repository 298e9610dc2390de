"""The filters that the invented researcher tried on every key, and the days each one selects."""

from __future__ import annotations

import json
import operator
from typing import NamedTuple

import numpy as np

from dask_validator.demo.market import REL_VOL
from dask_validator.rules.filters import (
    DOUBLE_BREAK,
    FILTERS,
    STRICT_FILTERS,
    Bound,
    Features,
    Filter,
    Mask,
    select_days,
)
from dask_validator.rules.seasons import SEASON_ZONES, winter_days

SIZES = (4.0, 5.0, 6.0, 8.0)
SEASONED = ("NO_FILTER", "ORB_G4", "ORB_G5", "ORB_G6", "ORB_G4_CONT", "ORB_G5_NOFRI", "ORB_G4_FAST10")
# The researcher knew relative volume, and filters that the validator does not apply by default.
RESEARCH_FILTERS: dict[str, Filter] = {
    **FILTERS,
    **STRICT_FILTERS,
    "NO_FILTER": (),
    "VOL_RV12_N20": (Bound(REL_VOL, operator.ge, 1.2),),
    "ORB_G5_NODBL": (*FILTERS["ORB_G5"], Bound(DOUBLE_BREAK, operator.ne, True)),
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
    mask = select_days(RESEARCH_FILTERS[variant.filter_type], session)
    if variant.season:
        mask &= winter_days(session.label, session.days) == (variant.season == "W")
    return np.asarray(mask)


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
