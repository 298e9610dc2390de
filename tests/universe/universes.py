"""Generated universes, for the package and its twin alike: few days, few keys, payoffs that tie at half a unit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from dask_validator.config import RunConfig
from tests.reference.null_worlds import UNITS, Moments, Trader, Universe, Worlds
from tests.reference.screening import COSTS
from tests.reference.walkforward import Outcome

FIRST, APART, DAYS = date(2018, 11, 15), 9, 60  # three calendar years
LEAST_POOL = 3  # so that a dozen days have three eras
KINDS = st.sampled_from(["win", "win", "loss", "loss", "loss", "scratch", "early_exit"])
SMALL = st.sampled_from([-2, -1, -1, 0, 0, 1, 1, 1, 2, 3])  # units: sums tie at half a unit a trade
USUAL = st.sampled_from([-10_000, -9_000, -1, 0, 1, 5_000, 12_345, 15_000, 20_000])
# What float32 rounds: odd numbers about and above 2^24, and sums of a few about 2^22.
LARGE = st.builds(
    lambda sign, size, more: sign * (size + more),
    st.sampled_from([-1, 1]),
    st.sampled_from([2**22, 2**23, 2**24, 2**25]),
    st.integers(-3, 3),
)


class Case(NamedTuple):
    """A universe, what is asked of it, and what the rows say of phase 5."""

    universe: Universe
    settings: Sequence[RunConfig]  # of one kind: with the same windows
    worlds: Worlds
    stored: Sequence[Moments]


@st.composite
def outcomes(draw: st.DrawFn, days: Sequence[date], units: st.SearchStrategy[int]) -> list[Outcome]:
    """Of one key, which may begin late, end early, and have several trades on a day; at least one is won."""
    first = draw(st.integers(0, len(days) - 1))
    last = draw(st.integers(first, len(days) - 1))
    on = [day for day in days[first : last + 1] for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2])))]
    found = [(day, draw(KINDS), draw(units) / UNITS) for day in on or [days[first]]]
    chosen = draw(st.integers(0, len(found) - 1))
    return [(day, "win" if i == chosen else kind, pnl_r) for i, (day, kind, pnl_r) in enumerate(found)]


@st.composite
def taken(draw: st.DrawFn, of_key: Sequence[Outcome], *, some_trade: bool) -> list[Outcome]:
    """Those on the days that a filter admits."""
    days = sorted({day for day, _, _ in of_key})
    admitted = draw(st.sets(st.sampled_from(days))) if draw(st.booleans()) else set(days)
    found = [outcome for outcome in of_key if outcome[0] in admitted]
    if some_trade and not any(kind in ("win", "loss") for _, kind, _ in found):
        return list(of_key)
    return found


@st.composite
def traders(draw: st.DrawFn, key: str, of_key: Sequence[Outcome]) -> Trader:
    """A strategy of the key; sometimes its row was made of other days than walk-forward takes."""
    row = draw(taken(of_key, some_trade=True))
    walked = row if draw(st.integers(0, 3)) else draw(taken(of_key, some_trade=False))
    return Trader(key, row, walked, draw(st.sampled_from([10.0, 42.0, 84.0, 30_000.0, 8.4e7])))


SETTINGS = st.fixed_dictionaries(
    {
        "min_sample": st.integers(0, 4),
        "stress_multiplier": st.sampled_from([1.0, 1.5, 2.0, 11.0]),
        "min_sharpe": st.sampled_from([None, None, -0.0317, 0.1234, 0.4567]),
        "min_win_rate": st.sampled_from([None, None, 0.0, 0.25, 0.5, 2 / 3]),
        "exclude_years": st.sampled_from([(), (), (2019,), (2018, 2020)]),
        "min_years_positive_pct": st.sampled_from([0.0, 0.5, 2 / 3, 1.0]),
        "min_trades_per_year": st.integers(0, 2),
        "no_regime_waivers": st.booleans(),
        "no_walkforward": st.sampled_from([True, True, False, False, False]),
        "wf_min_trades": st.integers(1, 3),
        "wf_min_windows": st.integers(1, 2),
        "wf_min_pct_positive": st.sampled_from([0.0, 0.5, 0.6, 1.0]),
    }
)
STORED = st.builds(Moments, st.none(), st.sampled_from([None, -0.2, 0.1, 0.5]), st.sampled_from([None, 0.25, 0.4, 0.7]))


@st.composite
def cases(draw: st.DrawFn, units: st.SearchStrategy[int]) -> Case:
    """A universe of up to eight strategies in four worlds."""
    offsets = sorted(draw(st.sets(st.integers(0, DAYS), min_size=2, max_size=16)))
    days = [FIRST + timedelta(days=APART * offset) for offset in offsets]
    keys = {name: draw(outcomes(days, units)) for name in "ABC"[: draw(st.integers(1, 3))]}
    chosen = [draw(st.sampled_from(sorted(keys))) for _ in range(draw(st.integers(1, 6)))]
    found = [draw(traders(key, keys[key])) for key in sorted(chosen)]
    atr = draw(st.dictionaries(st.sampled_from([2018, 2019, 2020]), st.sampled_from([19.9, 20.0, 25.0])))
    months = {"wf_test_months": draw(st.integers(1, 4)), "wf_min_train_months": draw(st.integers(1, 4))}
    settings = [RunConfig(**draw(SETTINGS), **months) for _ in range(draw(st.integers(1, 3)))]
    # Seeds that no other test has: the package remembers draws, and these are of eras of their own.
    worlds = Worlds(4, draw(st.integers(10**6, 10**6 + 50)), draw(st.sampled_from([1.0, 2.0, 5.5, 1e12])))
    return Case(Universe(keys, found, atr, COSTS["MGC"]), settings, worlds, [draw(STORED) for _ in found])
