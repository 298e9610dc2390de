"""Trade logs made by hand, and what an import leaves of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

NUMBERS = (
    *("sample_size", "win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r"),
    *("trades_per_year", "sharpe_ann", "yearly_results", "p_value"),
)
START = datetime(2019, 1, 2, 15, 30)


def log(strategies: int = 3, trades: int = 300, *, mean: float = 0.3, seed: int = 0, **columns: Any) -> pd.DataFrame:
    """Trades of some strategies over four years, three on some days; good enough to pass all default rules."""
    chance = np.random.default_rng(seed)
    parts = []
    for number in range(strategies):
        hours = np.sort(chance.choice(4 * 365 * 24, trades, replace=False))
        exits = [START + timedelta(hours=int(hour)) for hour in hours]
        results = np.round(chance.normal(mean, 1.0, trades), 3)
        parts.append(pd.DataFrame({"strategy_id": f"S{number}", "exit_time": exits, "r": results, **columns}))
    return pd.concat(parts, ignore_index=True)


def rows(database: Path, table: str = "experimental_strategies", order: str = "strategy_id") -> list[dict[str, Any]]:
    """All rows of a table."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(f"SELECT * FROM {table} ORDER BY {order}")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def by_id(database: Path, *names: str) -> dict[str, Any]:
    """Columns of each strategy's row; one alone is not in a tuple."""
    return {
        row["strategy_id"]: row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)
        for row in rows(database)
    }


def all_that_is_there(database: Path, leaving_out: Sequence[str] = ("created_at", "source")) -> dict[str, list[Any]]:
    """Every table of an import, in its own order."""
    tables = {"experimental_strategies": "strategy_id", "dask_validator_trades": "rowid"}
    tables |= {"dask_validator_trade_logs": "strategy_id"}
    return {
        table: [
            tuple(value for name, value in row.items() if name not in leaving_out)
            for row in rows(database, table, order)
        ]
        for table, order in tables.items()
    }


def years_of(row: dict[str, Any]) -> Any:
    """`yearly_results`, read."""
    return json.loads(row["yearly_results"])
