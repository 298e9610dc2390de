"""The numbers of a strategy whose trades were imported (docs/trades.md), in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from .arithmetic import mean, total

Trade = tuple[date, float]  # day and result, in the order of the exits


def numbers(trades: Sequence[Trade]) -> dict[str, Any]:
    """The columns of the strategy's row, but p."""
    paid = [(day, result) for day, result in trades if result != 0]
    results = [result for _, result in paid]
    wins, losses = [r for r in results if r > 0], [r for r in results if r < 0]
    n = len(results)
    if n == 0:
        return {"sample_size": 0, "yearly_results": {}}
    win_rate = len(wins) / n
    expectancy = win_rate * (mean(wins) if wins else 0.0) - (1 - win_rate) * abs(mean(losses) if losses else 0.0)
    sharpe = sharpe_ratio(results)
    years = max(((trades[-1][0] - trades[0][0]).days + 1) / 365.25, 0.25)
    return {
        "sample_size": n,
        "win_rate": round(win_rate, 4),
        "expectancy_r": round(expectancy, 4),
        "sharpe_ratio": None if sharpe is None else round(sharpe, 4),
        "max_drawdown_r": round(drawdown(results), 4),
        "trades_per_year": round(n / years, 4),
        "sharpe_ann": None if sharpe is None else round(sharpe * math.sqrt(n / years), 4),
        "yearly_results": yearly(paid),
    }


def sharpe_ratio(results: list[float]) -> float | None:
    """Mean over sample standard deviation, None where that says nothing."""
    if len(results) < 2:
        return None
    average = mean(results)
    std = math.sqrt(total([(r - average) * (r - average) for r in results]) / (len(results) - 1))
    return average / std if std > 0 else None


def drawdown(results: list[float]) -> float:
    """The largest fall from the highest so far, which starts at 0."""
    equity = highest = largest = 0.0
    for result in results:
        equity = equity + result
        highest = max(highest, equity)
        largest = max(largest, highest - equity)
    return largest


def yearly(paid: Sequence[Trade]) -> dict[str, Mapping[str, float]]:
    """By calendar year."""
    found = {}
    for year in sorted({day.year for day, _ in paid}):
        own = [result for day, result in paid if day.year == year]
        wins = len([result for result in own if result > 0])
        found[str(year)] = {
            "trades": len(own),
            "wins": wins,
            "total_r": round(total(own), 4),
            "win_rate": round(wins / len(own), 4),
            "avg_r": round(total(own) / len(own), 4),
        }
    return found
