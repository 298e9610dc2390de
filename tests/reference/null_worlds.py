"""Worlds without an edge: one world, one strategy and one day after the other (statistics.md, sections 2 to 6.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy

from .settings import Settings
from .walkforward import Outcome, add_months

UNITS = 10_000  # in one R (section 2)
LEAST_POOL = 250  # days (section 3.1)
LEAST_VARIANCE = 1e-6  # R^2, in a world (section 6.3)
DORMANT_TRADES = 5  # section 4

L = TypeVar("L", bound=Hashable)
Payoff = Mapping[date, int]  # units that a day pays


class Trader(NamedTuple):
    """One strategy: the outcomes that its row was made of, those that walk-forward takes, dollars at risk."""

    key: Hashable
    row: Sequence[Outcome]
    walked: Sequence[Outcome]
    risk_dollars: float


class Universe(NamedTuple):
    """All outcomes of an instrument that are not NULL, by key; its strategies; its years by `atr_20`; its costs."""

    keys: Mapping[Any, Sequence[Outcome]]
    traders: Sequence[Trader]
    atr_by_year: Mapping[int, float]
    costs: Mapping[str, float]

    @property
    def days(self) -> list[date]:
        """D (section 2)."""
        return sorted({day for outcomes in self.keys.values() for day, _, _ in outcomes})


class Worlds(NamedTuple):
    """How many, from what seed, in blocks of how many days."""

    count: int
    seed: int
    block_days: float


class Moments(NamedTuple):
    """What phase 5 looks at; None where it is unknown."""

    deviation: float | None  # of a trade, in R
    sharpe_ratio: float | None  # as stored; a world has the deviation instead
    win_rate: float | None


class Cell(NamedTuple):
    """Trades, and what they pay in units."""

    trades: int
    total: float


class Cells(NamedTuple):
    """A strategy's trades by year and window, of its row and of its walk-forward, in order (section 5)."""

    row: Mapping[tuple[int, int | None], Cell]
    walked: Mapping[tuple[int, int | None], Cell]


# Section 2.


def traded(outcomes: Sequence[Outcome]) -> list[date]:
    """The day of each win and each loss."""
    return [day for day, kind, _ in outcomes if kind in ("win", "loss")]


def pay(outcomes: Sequence[Outcome]) -> dict[date, int]:
    """Units by day, rounded trade by trade, then summed; a day with a trade that nobody knows pays nothing known."""
    found: dict[date, int] = {}
    unknown = {day for day, kind, pnl_r in outcomes if kind in ("win", "loss") and pnl_r is None}
    for day, kind, pnl_r in outcomes:
        if kind in ("win", "loss") and pnl_r is not None and day not in unknown:
            found[day] = found.get(day, 0) + round(pnl_r * UNITS)
    return found


# Section 3.1.


def era_starts(days: int, least_pool: int = LEAST_POOL) -> list[int]:
    """Where each era begins that has days enough to draw from."""
    return [0] + [start for start in (days // 2, 3 * days // 4) if days - start >= least_pool]


def source_days(worlds: Worlds, world: int, days: int, least_pool: int = LEAST_POOL) -> list[tuple[int, int]]:
    """Era and source day of each day of one world."""
    found = []
    starts = era_starts(days, least_pool)
    for era, start in enumerate(starts):
        end = starts[era + 1] if era + 1 < len(starts) else days
        pool = days - start
        rng = numpy.random.default_rng([worlds.seed, world, era])
        jump = [float(number) < 1 / worlds.block_days for number in rng.random(end - start)]
        fresh = [int(number) for number in rng.integers(0, pool, end - start)]
        last = 0
        for t in range(end - start):
            if jump[t]:
                last = t
            found.append((era, start + (fresh[last] + t - last) % pool))
    return found


# Sections 3.2 and 3.3.


def stand_ins(traded: Sequence[bool], seen: Sequence[bool]) -> list[int]:
    """The day whose payoff stands for each source day."""
    on = [s for s in range(len(seen)) if traded[s]]
    first = min(s for s in range(len(seen)) if seen[s])
    last = max(s for s in range(len(seen)) if seen[s])
    length = last - first + 1
    found = []
    for s in range(len(seen)):
        position = first + (s - first) % length
        if not traded[position]:
            later = first + (position - first + length // 2) % length
            position = next((day for day in on if day >= later), on[0])
        found.append(position)
    return found


def without_edge(outcomes: Sequence[Outcome], days: Sequence[date], least_pool: int = LEAST_POOL) -> list[list[int]]:
    """F of one key, by era and source day."""
    paid, seen = pay(outcomes), {day for day, _, _ in outcomes}
    sources = stand_ins([day in paid for day in days], [day in seen for day in days])
    vector = [paid[days[source]] for source in sources]
    found = []
    for start in era_starts(len(days), least_pool):
        mean = round(Fraction(sum(vector[start:]), len(days) - start))
        found.append([payoff - mean for payoff in vector])
    return found


# Section 3.4: a strategy keeps its own days.


def window_starts(walked: Sequence[Outcome], settings: Settings) -> list[date]:
    """First day of each test window, which ends where the next one begins (rules.md, section 3)."""
    starts: list[date] = []
    if walked:
        start = add_months(walked[0][0], settings.wf_min_train_months)
        while start <= walked[-1][0]:
            starts.append(start)
            start = add_months(start, settings.wf_test_months)
    return starts


def window_of(day: date, starts: Sequence[date]) -> int | None:
    """The window that a day lies in; None in training."""
    reached = [number for number, start in enumerate(starts) if start <= day]
    return reached[-1] if reached else None


def added(days: Sequence[date], payoff: Payoff, label: Callable[[date], L]) -> dict[L, Cell]:
    """Trades by label in order of the days, each day paid once however many trades it has."""
    found: dict[L, Cell] = {}
    for place, day in enumerate(days):
        trades, total = found.get(label(day), (0, 0))
        again = place > 0 and days[place - 1] == day
        found[label(day)] = Cell(trades + 1, total + (0 if again else payoff[day]))
    return found


def cells(trader: Trader, payoff: Payoff, settings: Settings) -> Cells:
    """The strategy's cells."""
    starts = window_starts(trader.walked, settings)
    if trader.row == trader.walked:
        both = added(traded(trader.row), payoff, lambda day: (day.year, window_of(day, starts)))
        return Cells(both, both)
    return Cells(
        added(traded(trader.row), payoff, lambda day: (day.year, None)),
        added(traded(trader.walked), payoff, lambda day: (0, window_of(day, starts))),
    )


def summed(
    cells: Mapping[tuple[int, int | None], Cell], mu: float, part: Callable[[int, int | None], L]
) -> dict[L, Cell]:
    """Cells added in their order, after each trade was given `mu` (section 3.5)."""
    found: dict[L, Cell] = {}
    for (year, window), cell in cells.items():
        total = cell.total + cell.trades * mu if mu else cell.total
        label = part(year, window)
        before = found.get(label)
        found[label] = Cell(before.trades + cell.trades, before.total + total) if before else Cell(cell.trades, total)
    return found


# Section 4.


def positive(cell: Cell) -> bool:
    """The mean rounds to 0.0001 R or more."""
    return 2 * cell.total > cell.trades


def robust_years(years: Mapping[int, Cell], settings: Settings, atr_by_year: Mapping[int, float]) -> bool:
    """Phase 3."""
    included = {
        year: cell
        for year, cell in years.items()
        if year not in settings.exclude_years and cell.trades >= settings.min_trades_per_year
    }
    good = [year for year, cell in included.items() if positive(cell)]
    if not included:
        return False
    if settings.no_regime_waivers or not atr_by_year:
        return len(good) / len(included) >= settings.min_years_positive_pct
    bad = [year for year in included if year not in good]
    waived = [year for year in bad if atr_by_year.get(year, math.inf) < 20 and included[year].trades <= DORMANT_TRADES]
    return waived == bad and len(good) > 0


def walks_forward(windows: Mapping[int | None, Cell], settings: Settings) -> bool:
    """Phase 6."""
    valid = [cell for window, cell in windows.items() if window is not None and cell.trades >= settings.wf_min_trades]
    if len(valid) < settings.wf_min_windows:
        return False
    total = valid[0].total
    for cell in valid[1:]:
        total = total + cell.total
    share = len([cell for cell in valid if positive(cell)]) / len(valid)
    return share >= settings.wf_min_pct_positive and total > 0


def extra_friction(costs: Mapping[str, float], multiplier: float) -> float:
    """Dollars of a round trip (rules.md, section 2, phase 4)."""
    usual = costs["commission_rt"] + costs["spread_doubled"] + costs["slippage"]
    stressed = (
        costs["commission_rt"] * multiplier + costs["spread_doubled"] * multiplier + costs["slippage"] * multiplier
    )
    return stressed - usual


def quality(total: Cell, moments: Moments, settings: Settings) -> bool:
    """Phase 5."""
    sharpe = moments.sharpe_ratio
    if moments.deviation is not None:
        sharpe = total.total / (total.trades * UNITS) / moments.deviation
    if settings.min_sharpe is not None and not (sharpe is not None and sharpe >= settings.min_sharpe):
        return False
    win_rate = moments.win_rate
    return settings.min_win_rate is None or (win_rate is not None and win_rate >= settings.min_win_rate)


def passes(of: Cells, trader: Trader, moments: Moments, settings: Settings, universe: Universe, mu: float = 0) -> bool:
    """Whether a strategy passes phases 1 to 6."""
    total = summed(of.row, mu, lambda year, window: None).get(None, Cell(0, 0))
    extra = extra_friction(universe.costs, settings.stress_multiplier)
    return (
        total.trades >= settings.min_sample
        and positive(total)
        and robust_years(summed(of.row, mu, lambda year, window: year), settings, universe.atr_by_year)
        and total.total > total.trades * UNITS * extra / trader.risk_dollars
        and quality(total, moments, settings)
        and (settings.no_walkforward or walks_forward(summed(of.walked, mu, lambda year, window: window), settings))
    )


# Section 6.3.


def variance(total: int, squares: float, trades: int) -> float | None:
    """In R^2, from the sum in units and the sum of squares in R^2."""
    return (squares - total * total / (trades * UNITS**2)) / (trades - 1) if trades > 1 else None


def student(total: int, variance: float, trades: int) -> float:
    """t of the mean."""
    return total / trades / UNITS / (math.sqrt(variance) / math.sqrt(trades))


def wallace(t: float, trades: int) -> float:
    """The normal deviate of t (Wallace 1959)."""
    d = trades - 1
    size = (8 * d + 1) / (8 * d + 3) * math.sqrt(d * math.log1p(t * t / d))
    return math.copysign(size, t) if t else 0.0


class Evidence(NamedTuple):
    """One strategy in the data: z, and by null (u, c, l) what a trade pays and what its deviate is moved by."""

    z: float | None
    mus: tuple[float, float, float]
    shifts: tuple[float, float, float]


def evidence(trader: Trader, outcomes: Sequence[Outcome], min_sample: int) -> Evidence:
    """Sections 3.5, 6.3 and 6.6."""
    payoff, days = pay(outcomes), traded(trader.row)
    total, trades = sum(payoff[day] for day in set(days)), len(days)
    spread = variance(total, sum(payoff[day] ** 2 for day in set(days)) / UNITS**2, trades)
    t = student(total, spread, trades) if spread else None
    z = wallace(t, trades) if t is not None and trades >= min_sample else None
    sure = -math.sqrt(2 * math.log(math.log(trades))) if trades >= 3 else -math.inf
    mean = total / trades
    mus = (0.0, mean if t is not None and t <= sure else 0.0, min(0.0, mean))
    shifts = (0.0, z if z is not None and z <= sure else 0.0, min(0.0, z or 0.0))
    return Evidence(z, mus, shifts)


def z_stitched(trader: Trader, outcomes: Sequence[Outcome], settings: Settings) -> float | None:
    """Section 4: z of the trades of valid windows."""
    payoff, starts, windows = pay(outcomes), window_starts(trader.walked, settings), dict[int, list[date]]()
    for day in traded(trader.walked):
        if (window := window_of(day, starts)) is not None:
            windows.setdefault(window, []).append(day)
    days = [day for of in windows.values() if len(of) >= settings.wf_min_trades for day in of]
    if settings.no_walkforward or len(days) < 2:
        return None
    total, squares = sum(payoff[day] for day in set(days)), sum(payoff[day] ** 2 for day in set(days))
    spread = variance(total, squares / UNITS**2, len(days))
    return wallace(student(total, spread, len(days)), len(days)) if spread else None


# All of it.


class InWorld(NamedTuple):
    """One strategy in one world."""

    passed: list[list[bool]]  # by setting, then by null (u, c, l)
    z: float  # -inf where it is not defined


def in_world(
    trader: Trader, payoff: Payoff, mus: Sequence[float], settings: Sequence[Settings], universe: Universe
) -> InWorld:
    """Gates and deviate."""
    days = traded(trader.row)
    total, trades = sum(payoff[day] for day in set(days)), len(days)
    squares = sum(round(Fraction(payoff[day] ** 2, 10**6)) for day in set(days)) / 100
    spread = variance(total, squares, trades)
    if spread is not None and spread <= LEAST_VARIANCE:
        spread = None
    moments = Moments(math.sqrt(spread) if spread else None, None, sum(payoff[day] > 0 for day in set(days)) / trades)
    of = {(flags.wf_test_months, flags.wf_min_train_months): flags for flags in settings}
    cut = {months: cells(trader, payoff, flags) for months, flags in of.items()}
    passed = [
        [
            passes(cut[flags.wf_test_months, flags.wf_min_train_months], trader, moments, flags, universe, mu)
            for mu in mus
        ]
        for flags in settings
    ]
    z = wallace(student(total, spread, trades), trades) if spread and trades >= settings[0].min_sample else -math.inf
    return InWorld(passed, z)


def in_data(trader: Trader, stored: Moments, setting: Settings, universe: Universe) -> bool:
    """The same gates on what the days have paid (section 4)."""
    payoff = pay(universe.keys[trader.key])
    return passes(cells(trader, payoff, setting), trader, stored, setting, universe)


def every_world(
    universe: Universe,
    settings: Sequence[Settings],
    worlds: Worlds,
    mus: Sequence[Sequence[float]],
    least_pool: int = LEAST_POOL,
) -> list[list[InWorld]]:
    """By world, then by strategy; `mus` of each strategy, by null."""
    days = universe.days
    tables = {key: without_edge(outcomes, days, least_pool) for key, outcomes in universe.keys.items() if pay(outcomes)}
    found = []
    for world in range(worlds.count):
        drawn = source_days(worlds, world, len(days), least_pool)
        paid = {
            key: {day: table[era][source] for day, (era, source) in zip(days, drawn, strict=True)}
            for key, table in tables.items()
        }
        found.append(
            [
                in_world(trader, paid[trader.key], of, settings, universe)
                for trader, of in zip(universe.traders, mus, strict=True)
            ]
        )
    return found
