"""What each trading plan earned, day by day: mostly noise, a few edges, some of them gone by half-time."""

from __future__ import annotations

from enum import StrEnum
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import SEASON_ZONES
from dask_validator.demo.market import ORB_MINUTES, RANGE_SHARE, SIZE, Floats, Market
from dask_validator.rules.costs import Costs
from dask_validator.rules.seasons import winter_days

USUAL_RR = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
ENTRIES = (*(("E0", bars) for bars in range(1, 6)), *(("E1", bars) for bars in range(1, 6)), ("E3", 1))
RISK_SHARE = {"E0": 1.0, "E1": 1.1, "E3": 0.8}  # stop distance as a share of the opening range

WIN, LOSS, SCRATCH, EARLY_EXIT, NO_ENTRY = range(5)
NOT_RECORDED, SCRATCHED, LEFT_EARLY, NOT_ENTERED = 0.04, 0.08, 0.015, 0.06  # shares of days
MAX_COST_R = 0.5
RECENT = 0.12  # share of keys that were recorded only in later years


class Kind(StrEnum):
    """What is true of a strategy, which only its inventor knows."""

    EDGE = "edge"
    DECAYED = "decayed"  # an edge once, none any more
    SEASONAL = "seasonal"  # an edge, but in winter only
    NOISE = "noise"


class Key(NamedTuple):
    """A trading plan before filters: what selects outcomes."""

    orb_label: str
    orb_minutes: int
    rr_target: float
    confirm_bars: int
    entry_model: str


class KeyOutcomes(NamedTuple):
    """Outcomes of one key in day order; arrays of shape (n_outcomes,)."""

    key: Key
    kind: Kind
    day_index: NDArray[np.int64]  # into Market.days
    code: NDArray[np.int64]  # WIN to NO_ENTRY
    pnl_r: Floats  # after costs; NaN without an entry
    risk_points: Floats


def outcome_keys(n: int, seed: int) -> list[Key]:
    """`n` different keys in random order; unusual R targets only when the usual ones do not suffice."""
    rng = np.random.default_rng([seed, 1])
    plans = [(label, minutes, *entry) for label in RANGE_SHARE for minutes in ORB_MINUTES for entry in ENTRIES]
    further = (rr for step in count(1) if (rr := round(1 + 0.05 * step, 2)) not in USUAL_RR)
    targets = [*USUAL_RR, *islice(further, max(0, -(-n // len(plans)) - len(USUAL_RR)))]
    keys = [Key(label, minutes, rr, bars, model) for rr in targets for label, minutes, model, bars in plans]
    return [keys[i] for i in rng.permutation(len(keys))[:n]]


def make_outcomes(market: Market, key: Key, costs: Costs, rng: np.random.Generator) -> KeyOutcomes:
    """Trade one key through the market.

    The expectancy after costs, not the win rate, is drawn first: an edge is then the same edge, and noise the same
    noise, on whichever days a filter selects.
    """
    size = market.sessions[key.orb_minutes, key.orb_label].columns[SIZE]
    day_index = np.flatnonzero(~np.isnan(size) & (rng.random(size.size) >= NOT_RECORDED))
    if rng.random() < RECENT:
        day_index = day_index[int(rng.uniform(0.5, 0.85) * day_index.size) :]
    days = market.days[day_index]
    risk_points = np.round(size[day_index] * RISK_SHARE[key.entry_model], 2)
    cost_r = _cost_r(risk_points, costs)
    kind = _kind(key.orb_label, rng)
    expectancy_r = _expectancy_r(kind, key.orb_label, days, rng)
    win_rate = (1 + expectancy_r + cost_r) / (1 + key.rr_target)
    code = np.where(rng.random(days.size) < win_rate, WIN, LOSS)
    endings = np.cumsum([SCRATCHED, LEFT_EARLY, NOT_ENTERED])
    ending = SCRATCH + np.searchsorted(endings, rng.random(days.size), side="right")
    code = np.where(ending <= NO_ENTRY, ending, code)
    left_early_r = -0.7 * rng.random(days.size)
    pnl_r = np.choose(code, [key.rr_target - cost_r, -1 - cost_r, 0.0, left_early_r, np.nan])
    return KeyOutcomes(key, kind, day_index, code, np.round(pnl_r, 4), risk_points)


def _cost_r(risk_points: Floats, costs: Costs) -> Floats:
    """Friction of a round trip as a share of the risk, at most `MAX_COST_R`."""
    floor = costs.min_ticks_floor * costs.tick_size
    friction = costs.commission_rt + costs.spread_doubled + costs.slippage
    return np.minimum(friction / (np.maximum(risk_points, floor) * costs.point_value), MAX_COST_R)


def _kind(label: str, rng: np.random.Generator) -> Kind:
    shares = {Kind.EDGE: 0.05, Kind.DECAYED: 0.06, Kind.SEASONAL: 0.09 if label in SEASON_ZONES else 0.0}
    return list(Kind)[rng.choice(len(Kind), p=[*shares.values(), 1 - sum(shares.values())])]


def _expectancy_r(kind: Kind, label: str, days: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """True expectancy per trade after costs, in R, for each day; shape of `days`."""
    nothing, edge = rng.uniform(-0.12, 0.0), rng.triangular(0.15, 0.40, 0.40)
    if kind is Kind.EDGE:
        return np.full(days.size, edge)
    if kind is Kind.SEASONAL:
        return np.where(winter_days(SEASON_ZONES[label], days), 2 * edge, nothing)
    if kind is Kind.DECAYED:
        return np.where(days < np.median(days), 1.5 * edge, nothing)
    return np.full(days.size, nothing)
