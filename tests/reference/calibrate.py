"""One whole calibration (statistics.md, sections 2, 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from . import luck
from .filters import STRICT_ONLY, eligible
from .null_worlds import (
    UNITS,
    Evidence,
    InWorld,
    Moments,
    Trader,
    Universe,
    Worlds,
    every_world,
    evidence,
    in_data,
    z_stitched,
)
from .null_worlds import traded as trading_days
from .screening import stressed_expectancy
from .seasons import in_season
from .settings import Settings
from .tables import Tables
from .validate import validate
from .walkforward import Outcome

KEY = ("orb_minutes", "orb_label", "entry_model", "rr_target", "confirm_bars")
CLOSE_R = 0.001
REJECTABLE = 1.645
NULLS = ("u", "c", "l")


class Calibrated(NamedTuple):
    """Everything that is reported; by strategy under the first setting, without those that have no such number."""

    left_out: set[str]
    promoted: list[set[str]]  # by setting
    counts: list[list[list[int]]]  # by setting, null and world
    luck: dict[str, float]
    z: dict[str, float]
    z_stitched: dict[str, float]
    luck_q: dict[str, float]
    luck_bound: dict[str, float]
    stepm_p: dict[str, float]
    maxt_p: dict[str, float]
    spa: dict[str, float]


def calibrate(
    con: duckdb.DuckDBPyConnection,
    settings: Sequence[Settings],
    costs: Mapping[str, float],
    worlds: Worlds,
    instrument: str = "MGC",
) -> Calibrated:
    """Of all canonical strategies of a database in which all are waiting."""
    tables = Tables(con, instrument)
    rows = {row["strategy_id"]: row for row in tables.strategies() if row["is_canonical"] is not False}
    verdicts = [validate(con, instrument, flags, costs)["strategies"] for flags in settings]
    keys = every_key(con, instrument)
    found = {
        name: trader(tables, row, keys, settings[0], costs)
        for name, row in rows.items()
        if all(of_setting[name]["status"] != "FAILED" for of_setting in verdicts)
    }
    following = {name: of for name, of in found.items() if follows(of, rows[name])}
    universe = Universe(keys, list(following.values()), tables.atr_by_year(), costs)
    promoted = [{name for name in following if of_setting[name]["status"] == "PASSED"} for of_setting in verdicts]
    apart = {
        name
        for name, of in following.items()
        for flags, passed in zip(settings, promoted, strict=True)
        if in_data(of, stored(rows[name]), flags, universe) != (name in passed)
    }
    kept = {name: of for name, of in following.items() if name not in apart}
    of_data = {name: evidence(of, keys[of.key], settings[0].min_sample) for name, of in kept.items()}
    universe = universe._replace(traders=list(kept.values()))
    drawn = every_world(universe, settings, worlds, [of.mus for of in of_data.values()])
    of_worlds = [dict(zip(kept, world, strict=True)) for world in drawn]
    of_windows = {name: z_stitched(of, keys[of.key], settings[0]) for name, of in kept.items()}
    return reported(set(rows) - set(kept), [passed - apart for passed in promoted], of_data, of_windows, of_worlds)


def every_key(con: duckdb.DuckDBPyConnection, instrument: str) -> dict[Any, list[Outcome]]:
    """The outcomes of every key, also of those that no strategy uses."""
    found: dict[Any, list[Outcome]] = {}
    for *key, day, outcome, pnl_r in con.execute(
        f"SELECT {', '.join(KEY)}, trading_day, outcome, pnl_r FROM orb_outcomes "
        "WHERE symbol = ? AND outcome IS NOT NULL ORDER BY trading_day",
        [instrument],
    ).fetchall():
        found.setdefault(tuple(key), []).append((day, outcome, pnl_r))
    return found


def trader(
    tables: Tables,
    row: Mapping[str, Any],
    keys: Mapping[Any, Sequence[Outcome]],
    flags: Settings,
    costs: Mapping[str, float],
) -> Trader:
    """The strategy's days: those of its row are the strict ones, where so many trades were stored."""
    key = tuple(row[name] for name in KEY)

    def taken(strict: bool) -> list[Outcome]:
        return [
            outcome
            for outcome in keys[key]
            if eligible(
                row["filter_type"],
                row["orb_label"],
                outcome[0],
                tables.features.get((row["orb_minutes"], outcome[0])),
                strict,
            )
            and in_season(row["strategy_id"], row["orb_label"], outcome[0])
        ]

    walked = taken(flags.strict_filters)
    of_row = taken(True) if row["filter_type"] in STRICT_ONLY else walked
    if len(trading_days(of_row)) != row["sample_size"]:
        of_row = walked
    return Trader(key, of_row, walked, risk_dollars(row, costs))


def risk_dollars(row: Mapping[str, Any], costs: Mapping[str, float]) -> float:
    """Dollars at risk in a trade: what makes a friction of a dollar one R dearer (rules.md, section 2, phase 4)."""
    of_nothing = {**row, "expectancy_r": 0.0}
    friction = costs["commission_rt"] + costs["spread_doubled"] + costs["slippage"]
    return friction / -stressed_expectancy(of_nothing, 2.0, costs)


def follows(of: Trader, row: Mapping[str, Any]) -> bool:
    """Whether the stored numbers follow from the outcomes."""
    paid = [round(pnl_r * UNITS) for _, kind, pnl_r in of.row if kind in ("win", "loss") and pnl_r is not None]
    if not paid or len(paid) != row["sample_size"]:
        return False
    return abs(sum(paid) / (len(paid) * UNITS) - row["expectancy_r"]) <= CLOSE_R


def stored(row: Mapping[str, Any]) -> Moments:
    """What the row says of phase 5."""
    return Moments(None, row["sharpe_ratio"], row["win_rate"])


def reported(
    left_out: set[str],
    promoted: Sequence[set[str]],
    of_data: Mapping[str, Evidence],
    of_windows: Mapping[str, float | None],
    of_worlds: Sequence[Mapping[str, InWorld]],
) -> Calibrated:
    """Section 6."""
    counts = [
        [[sum(of.passed[setting][null] for of in world.values()) for world in of_worlds] for null in range(len(NULLS))]
        for setting in range(len(promoted))
    ]
    z = {name: of.z for name, of in of_data.items() if of.z is not None}
    strong = {name: deviate for name, deviate in z.items() if deviate > REJECTABLE}
    of_promoted = {name: z[name] for name in sorted(promoted[0]) if name in z}
    deviates = [{name: of.z for name, of in world.items()} for world in of_worlds]
    lucky = [[of.z for of in world.values() if of.passed[0][0]] for world in of_worlds]
    return Calibrated(
        left_out,
        list(promoted),
        counts,
        {name: sum(world[name].passed[0][0] for world in of_worlds) / len(of_worlds) for name in of_data},
        z,
        {name: deviate for name, deviate in of_windows.items() if deviate is not None},
        luck.luck_q(of_promoted, lucky),
        luck.luck_bound(of_promoted, lucky),
        luck.step_down(strong, deviates),
        luck.of_the_maximum(strong, deviates),
        {
            null: luck.best(z, {name: of.shifts[place] for name, of in of_data.items()}, deviates)
            for place, null in enumerate(NULLS)
        },
    )
