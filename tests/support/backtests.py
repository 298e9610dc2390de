"""Rows of strategies that follow from their outcomes, as a backtest leaves them: what calibrations need."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from tests.reference.filters import eligible
from tests.reference.seasons import in_season
from tests.reference.tables import Tables
from tests.reference.walkforward import Outcome
from tests.support.tiny import Changes, Row, tiny_database, update

DIGITS = 4  # of the numbers in a row


def taken(tables: Tables, row: Mapping[str, Any], *, strict: bool) -> list[Outcome]:
    """The outcomes on days that the strategy trades."""
    return [
        outcome
        for outcome in tables.outcomes(row)
        if eligible(
            row["filter_type"],
            row["orb_label"],
            outcome[0],
            tables.features.get((row["orb_minutes"], outcome[0])),
            strict,
        )
        and in_season(row["strategy_id"], row["orb_label"], outcome[0])
    ]


def backtest(path: Path, strict: Collection[str] = (), left_alone: Collection[str] = ()) -> Path:
    """Write what every strategy of MGC has earned into its row.

    Parameters
    ----------
    strict
        Strategies whose rows were made with `--strict-filters`.
    left_alone
        Strategies whose rows say something else.
    """
    with duckdb.connect(str(path)) as connection:
        tables = Tables(connection, "MGC")
        for row in tables.strategies():
            name = row["strategy_id"]
            if name not in left_alone:
                outcomes = taken(tables, row, strict=name in strict)
                update(connection, "experimental_strategies", f"strategy_id = '{name}'", numbers(outcomes))
    return path


def numbers(outcomes: Sequence[Outcome]) -> Row:
    """The columns that follow from outcomes."""
    paid = [(day.year, pnl_r) for day, kind, pnl_r in outcomes if kind in ("win", "loss") and pnl_r is not None]
    of_year: dict[int, list[float]] = {}
    for year, pnl_r in paid:
        of_year.setdefault(year, []).append(pnl_r)
    every = [pnl_r for _, pnl_r in paid]
    yearly = {str(year): {"trades": len(of), "avg_r": mean(of)} for year, of in of_year.items()}
    spread = math.sqrt(sum((pnl_r - sum(every) / len(every)) ** 2 for pnl_r in every) / max(1, len(every) - 1))
    return {
        "sample_size": len(every),
        "expectancy_r": mean(every),
        "win_rate": round(len([outcome for outcome in outcomes if outcome[1] == "win"]) / len(every), DIGITS),
        "sharpe_ratio": round(sum(every) / len(every) / spread, DIGITS) if spread else None,
        "yearly_results": json.dumps(yearly),
    }


def mean(values: Sequence[float]) -> float:
    """As a row has it."""
    return round(math.fsum(values) / len(values), DIGITS)


def days_by_hand(
    path: Path,
    keys: Sequence[Mapping[date, float]],
    strategies: Sequence[Row] = (),
    features: Changes | None = None,
) -> Path:
    """A database of these trades only, R by day; the first key has target 1 R, the second 2 R, and so on.

    Parameters
    ----------
    strategies
        Default: one for each key, that takes all days.
    """
    rows = [{"strategy_id": f"MGC_{rr}", "rr_target": rr} for rr in range(1, len(keys) + 1)]
    outcomes: dict[str, Row] = {"TRUE": {"outcome": None, "pnl_r": None}}
    for rr, key in enumerate(keys, 1):
        for day, pnl_r in key.items():
            outcome = {"outcome": "win" if pnl_r > 0 else "loss", "pnl_r": pnl_r}
            outcomes[f"rr_target = {rr} AND trading_day = DATE '{day}'"] = outcome
    every = [{"filter_type": "NO_FILTER", "filter_params": None, **row} for row in strategies or rows]
    return backtest(tiny_database(path, every, outcomes=outcomes, features=features))
