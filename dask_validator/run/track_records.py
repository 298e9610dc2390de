"""What imported trades come to: the numbers that a backtest would have stored of each strategy (docs/trades.md).

Wins and losses only, but for the span of days; all sums add doubles left to right, in the order of the exits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.promoted.equity import deepest_fall

Doubles = NDArray[np.float64]
DAYS_PER_YEAR, SHORTEST_YEARS = 365.25, 0.25  # a few weeks of trades say little of a year
LEAST_TESTED = 5  # trades
LEAST_P = 1e-16


class Trades(NamedTuple):
    """Trades of some strategies, those of each together and in the order of their exits."""

    counts: NDArray[np.int64]  # of each strategy, shape (n_strategies,)
    days: NDArray[np.int32]  # since 1970-01-01, shape (n_trades,)
    result: Doubles
    cost: Doubles  # NaN where it is unknown


class Sums(NamedTuple):
    """Wins and losses added up by group; columns of shape (n_groups,)."""

    n: NDArray[np.int64]
    wins: NDArray[np.int64]
    total: Doubles
    won: Doubles
    lost: Doubles

    @classmethod
    def of(cls, owner: NDArray[np.int64], result: Doubles, groups: int) -> Sums:
        """Of results that are not zero."""
        return cls(
            np.bincount(owner, minlength=groups),
            np.bincount(owner[result > 0], minlength=groups),
            summed(owner, result, groups),
            summed(owner, np.maximum(result, 0.0), groups),
            summed(owner, np.minimum(result, 0.0), groups),
        )


def track_records(trades: Trades) -> dict[str, list[Any]]:
    """Columns by name, each of n_strategies values, None where there is nothing to say; results have 4 decimals.

    `trades_hash` is equal for strategies with the same results on the same days.
    """
    count = trades.counts.size
    owner = np.repeat(np.arange(count), trades.counts)
    traded = trades.result != 0
    own, result = owner[traded], trades.result[traded]
    sums = Sums.of(own, result, count)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean, win_rate = sums.total / sums.n, sums.wins / sums.n
        sharpe = _sharpe_ratios(own, result, mean, sums.n)
        per_year = sums.n / _years(trades)
        columns = {
            "win_rate": win_rate,
            "expectancy_r": win_rate * _mean(sums.won, sums.wins)
            - (1 - win_rate) * np.abs(_mean(sums.lost, sums.n - sums.wins)),
            "sharpe_ratio": sharpe,
            "max_drawdown_r": np.where(sums.n > 0, _drawdowns(own, result, count), np.nan),
            "trades_per_year": np.where(sums.n > 0, per_year, np.nan),
            "sharpe_ann": sharpe * np.sqrt(per_year),
        }
    known = ~np.isnan(trades.cost) & traded
    costs = np.bincount(owner[known], minlength=count)
    mean_cost = np.where(costs > 0, _mean(summed(owner[known], trades.cost[known], count), costs), np.nan)
    return {
        "sample_size": sums.n.tolist(),
        **{name: [_rounded(value) for value in column.tolist()] for name, column in columns.items()},
        "yearly_results": _yearly_results(own, trades.days[traded], result, count),
        "p_value": _p_values(sharpe, sums.n),
        "mean_result": _or_none(mean),
        "mean_cost": _or_none(mean_cost),
        "costs": costs.tolist(),
        "trades_hash": _hashes(trades),
    }


def summed(owner: NDArray[np.int64], values: Doubles, groups: int) -> Doubles:
    """Of each group, added in the order in which they are given."""
    return np.bincount(owner, weights=values, minlength=groups).astype(np.float64)


def _mean(total: Doubles, n: NDArray[np.int64]) -> Doubles:
    """An empty group's mean is 0."""
    return np.divide(total, n, out=np.zeros(total.size), where=n > 0)


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _or_none(column: Doubles) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in column.tolist()]


def _years(trades: Trades) -> Doubles:
    """From the first day to the last, days without a win or a loss included."""
    ends = np.cumsum(trades.counts)
    span = trades.days[ends - 1] - trades.days[ends - trades.counts] + 1
    years: Doubles = np.maximum(span / DAYS_PER_YEAR, SHORTEST_YEARS)
    return years


def _sharpe_ratios(own: NDArray[np.int64], result: Doubles, mean: Doubles, n: NDArray[np.int64]) -> Doubles:
    """Mean over sample standard deviation (ddof 1) of a trade; NaN where undefined."""
    deviation = result - mean[own]
    std = np.sqrt(np.bincount(own, weights=deviation * deviation, minlength=n.size) / (n - 1))
    return np.where((n >= 2) & (std > 0), mean / std, np.nan)


def _drawdowns(own: NDArray[np.int64], result: Doubles, count: int) -> Doubles:
    """The largest fall of each strategy's cumulated result from its highest so far, which starts at 0."""
    edges = np.searchsorted(own, np.arange(count + 1)).tolist()
    found = np.zeros(count)
    for strategy, (start, end) in enumerate(pairwise(edges)):
        found[strategy] = deepest_fall(result[start:end])
    return found


def _yearly_results(own: NDArray[np.int64], days: NDArray[np.int32], result: Doubles, count: int) -> list[str]:
    """JSON by strategy: year -> trades, wins, total, win rate, mean; years without a trade are absent."""
    year = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    begins = np.flatnonzero(np.diff(own, prepend=-1) | np.diff(year, prepend=-1))
    cell = np.zeros(own.size, dtype=np.int64)
    cell[begins[1:]] = 1
    sums = Sums.of(np.cumsum(cell), result, begins.size)
    years: list[dict[int, Mapping[str, float]]] = [{} for _ in range(count)]
    rows = zip(own[begins].tolist(), year[begins].tolist(), *(column.tolist() for column in sums[:3]), strict=True)
    for strategy, number, n, wins, total in rows:
        of_year = {"trades": n, "wins": wins, "total_r": round(total, 4)}
        years[strategy][number] = of_year | {"win_rate": round(wins / n, 4), "avg_r": round(total / n, 4)}
    return [json.dumps(of_strategy) for of_strategy in years]


def _p_values(sharpe: Doubles, n: NDArray[np.int64]) -> list[float | None]:
    """Two-sided, of Student's t-test of the mean against 0; 6 decimals."""
    from scipy.special import stdtr

    with np.errstate(invalid="ignore"):
        tested = (n >= LEAST_TESTED) & ~np.isnan(sharpe)
        p = 2 * stdtr(np.maximum(n - 1, 1), -np.abs(sharpe) * np.sqrt(n))
    return [max(round(value, 6), LEAST_P) if is_tested else None for value, is_tested in zip(p, tested, strict=True)]


def _hashes(trades: Trades) -> list[str]:
    edges = np.concatenate([[0], np.cumsum(trades.counts)]).tolist()
    parts = ((trades.days[s:e].tobytes(), trades.result[s:e].tobytes()) for s, e in pairwise(edges))
    return [hashlib.blake2b(days + result, digest_size=16).hexdigest() for days, result in parts]
