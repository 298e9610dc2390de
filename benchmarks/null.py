"""Whether what calibrations predict comes true, tried on noise: `make null`. Never a test: by chance alone it may fail.

usage: null.py [--calendars N] [--payoffs N] [--keys N] [--worlds N] [--seed N] [--results FILE]

No strategy of these databases has an edge. What is made up, and how:

- Days, volatility (four of ten years are DORMANT), opening ranges, costs, which days a plan was recorded on, which of
  its trades were scratched, its filters and how rows follow from trades are those of a demonstration; about one plan in
  eight starts late. All that is the calendar.
- A trade pays `rr_target` R (1 to 4) when it wins and -1 R when it loses, less its costs, which fall with volatility.
  It wins with probability (1 + costs) / (1 + `rr_target`): its mean is 0 on every day, hence for every filter and
  season, and it is skewed the more the larger the target is.
- Trades of a day go together: whether one wins is decided by a normal deviate that correlates by 0.7 with that of
  another plan of the session, by 0.2 with that of a plan of another session, and not at all with another day.
- Strategies whose rows a calibration could not follow (of filters that only the researcher knew) are left out.

Each calendar gets several draws of payoffs, each of them a database of its own, calibrated by itself. Its interval is
compared with its own number of promotions, and with those of the other payoffs of its calendar.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import click
import duckdb
import numpy as np
from bench import Report, machine
from scipy.special import ndtr

from dask_validator import calibrate
from dask_validator.demo import schema
from dask_validator.demo.backtest import VARIANTS_PER_KEY, backtest
from dask_validator.demo.features import feature_columns
from dask_validator.demo.market import RANGE_SHARE, Columns, Floats, Market, make_market
from dask_validator.demo.outcomes import LOSS, WIN, Key, KeyOutcomes, Kind, make_outcomes, outcome_keys
from dask_validator.filters.shipped import shipped
from dask_validator.run.instruments import costs_of

INSTRUMENT = "MGC"
OF_DAY, OF_SESSION = 0.2, 0.5  # shares of the variance of a plan's deviate
FOLLOWED = {*shipped("names")["always"], *shipped("names")["strict"]}
LEAST_SHARE = 0.8  # of the databases, inside the interval
FLAGS = {"no_regime_waivers": [False, True], "min_years_positive_pct": [1.0, 0.6]}
SETTINGS = {"default flags": 0, "`--no-regime-waivers --min-years-positive-pct 0.6`": 3}  # among the combinations


class Calendar(NamedTuple):
    """Who trades when."""

    seed: int
    market: Market
    keys: Sequence[Key]


class Predicted(NamedTuple):
    """What the worlds say of one database under one setting, and what it promotes."""

    calendar: int
    payoffs: int
    null_mean: float
    low: float
    high: float
    promoted: int
    strategies: int
    not_calibrated: int

    def holds(self, promoted: int) -> bool:
        """Whether the interval has it."""
        return self.low <= promoted <= self.high


def sessions(days: int, rng: np.random.Generator) -> dict[str, Floats]:
    """By session what its plans share, by day; of variance OF_DAY + OF_SESSION."""
    shared = math.sqrt(OF_DAY) * rng.standard_normal(days)
    return {label: shared + math.sqrt(OF_SESSION) * rng.standard_normal(days) for label in RANGE_SHARE}


def without_edge(recorded: KeyOutcomes, deviates: Floats) -> KeyOutcomes:
    """The same days, costs and endings, but wins and losses of mean 0; `deviates` are standard normal, by day."""
    traded, target = recorded.code <= LOSS, recorded.key.rr_target
    cost = np.where(recorded.code == WIN, target, -1.0) - recorded.pnl_r
    wins = ndtr(deviates[recorded.day_index]) < (1 + cost) / (1 + target)
    code = np.where(traded, np.where(wins, WIN, LOSS), recorded.code)
    pnl_r = np.where(traded, np.round(np.where(wins, target, -1.0) - cost, 4), recorded.pnl_r)
    return recorded._replace(kind=Kind.NOISE, code=code, pnl_r=pnl_r)


def noise(calendar: Calendar, payoffs: int) -> Iterator[tuple[Columns, Columns]]:
    """Outcomes and strategies of each plan."""
    seed, market, keys = calendar
    costs, fresh = costs_of(INSTRUMENT), np.random.default_rng([seed, 11, payoffs])
    of_session = sessions(market.days.size, fresh)
    for index, key in enumerate(keys):
        rng = np.random.default_rng([seed, 10, index])  # the same for all payoffs of the calendar
        own = math.sqrt(1 - OF_DAY - OF_SESSION) * fresh.standard_normal(market.days.size)
        outcomes = without_edge(make_outcomes(market, key, costs, rng), of_session[key.orb_label] + own)
        rows = backtest(INSTRUMENT, market, outcomes, costs, rng)
        followed = np.array([name in FOLLOWED for name in rows["filter_type"]])
        columns = {
            "key_index": np.full(outcomes.code.size, index),
            "day": market.days[outcomes.day_index].astype(np.int32),
            "code": outcomes.code.astype(np.int32),
            "pnl_r": outcomes.pnl_r,
        }
        yield columns, {name: column[followed] for name, column in rows.items()}


def build(path: Path, calendar: Calendar, payoffs: int) -> None:
    """A database as users have it."""
    seed, market, keys = calendar
    outcomes, strategies = (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*noise(calendar, payoffs), strict=True)
    )
    plans = {name: np.array([getattr(key, name) for key in keys]) for name in Key._fields}
    with duckdb.connect(str(path)) as connection:
        load(connection, schema.FEATURES, feature_columns(market, seed), [INSTRUMENT])
        connection.execute(schema.FEATURES_KEY)
        connection.execute(schema.TABLES)
        load(connection, schema.KEYS, {"key_index": np.arange(len(keys)), **plans}, [INSTRUMENT])
        load(connection, schema.OUTCOMES, outcomes)
        load(connection, schema.STRATEGIES, strategies)


def load(connection: duckdb.DuckDBPyConnection, statement: str, batch: Columns, names: Sequence[str] = ()) -> None:
    """Run a statement that reads the table `batch`."""
    connection.register("batch", batch)
    connection.execute(statement, list(names))
    connection.unregister("batch")


def predicted(calendar: Calendar, payoffs: int, worlds: int) -> dict[str, Predicted]:
    """Make a database and calibrate it under all settings at once."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "noise.duckdb"
        build(db, calendar, payoffs)
        found = calibrate(db, INSTRUMENT, workers=1, progress=False, worlds=worlds, **FLAGS)
    rows = {}
    for name, position in SETTINGS.items():
        of = found.settings[position]
        numbers = of.numbers
        interval = (numbers.null_mean, numbers.null_q05, numbers.null_q95)
        counts = (of.promoted, of.strategies, of.not_calibrated)
        rows[name] = Predicted(calendar.seed, payoffs, *interval, *counts)
    return rows


def of_same_calendar(one: Predicted, rows: Sequence[Predicted]) -> list[bool]:
    """Whether its interval has what the other payoffs of its calendar promote."""
    others = [row for row in rows if row.calendar == one.calendar and row.payoffs != one.payoffs]
    return [one.holds(other.promoted) for other in others]


def summed(name: str, rows: Sequence[Predicted]) -> Sequence[str]:
    """One setting over all databases; a share outside what is asked stands out."""
    inside = sum(row.holds(row.promoted) for row in rows)
    others = [held for row in rows for held in of_same_calendar(row, rows)]
    of_own = f"{inside} of {len(rows)} ({inside / len(rows):.0%})"
    if inside < LEAST_SHARE * len(rows):
        of_own = f"**{of_own}: outside 80 to 100 %**"
        click.secho(f"{name}: the 90 % interval holds in only {inside} of {len(rows)}", fg="red", bold=True)
    realised = [row.promoted for row in rows]
    error = stdev(realised) / math.sqrt(len(rows))
    means = (f"{mean(row.null_mean for row in rows):.1f}", f"{mean(realised):.1f} ({error:.1f})")
    return name, *means, of_own, f"{sum(others)} of {len(others)} ({sum(others) / len(others):.0%})"


def table(report: Report, name: str, rows: Sequence[Predicted]) -> None:
    """Every database under one setting."""
    header = ("calendar", "payoffs", "strategies", "predicted", "90 % of worlds", "promoted", "inside", "others inside")
    lines = []
    for row in rows:
        others = of_same_calendar(row, rows)
        numbers = (f"{row.strategies:,}", f"{row.null_mean:.1f}", f"{row.low:.0f} to {row.high:.0f}", row.promoted)
        inside = "yes" if row.holds(row.promoted) else "**no**"
        lines.append((row.calendar, row.payoffs, *numbers, inside, f"{sum(others)} of {len(others)}"))
    report.table(f"Each database, {name}", header, lines)


def tried(seeds: Sequence[int], payoffs: int, keys: int, worlds: int) -> Iterator[dict[str, Predicted]]:
    """Every database of every calendar."""
    for seed in seeds:
        calendar = Calendar(seed, make_market(seed), outcome_keys(keys, seed))
        for number in range(payoffs):
            yield predicted(calendar, number, worlds)
            print(f"Calendar {seed}: {number + 1} of {payoffs} databases", flush=True)


def main() -> None:
    """Make, calibrate, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calendars", type=int, default=5)
    parser.add_argument("--payoffs", type=int, default=4, help="of each calendar, 2 or more")
    parser.add_argument("--keys", type=int, default=200, help=f"{VARIANTS_PER_KEY} strategies of each are tried")
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first calendar")
    parser.add_argument("--results", type=Path)
    chosen = parser.parse_args()
    report, clock = Report(), time.process_time()
    report.add(machine())
    seeds = range(chosen.seed, chosen.seed + chosen.calendars)
    found = list(tried(seeds, chosen.payoffs, chosen.keys, chosen.worlds))
    of_settings = {name: [rows[name] for rows in found] for name in SETTINGS}
    report.table(
        f"{len(found)} databases of noise, {chosen.worlds:,} worlds each, 90 % intervals (80 to 100 % is asked)",
        ("flags", "predicted", "promoted (standard error)", "databases inside", "others of the calendar inside"),
        [summed(name, rows) for name, rows in of_settings.items()],
    )
    left_out = sum(row.not_calibrated for row in next(iter(of_settings.values())))
    report.add(f"\nNot calibrated, in all: {left_out}. {time.process_time() - clock:.0f} CPU seconds, one process.")
    for name, rows in of_settings.items():
        table(report, name, rows)
    if chosen.results:
        report.write(chosen.results)


if __name__ == "__main__":
    main()
