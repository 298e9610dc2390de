"""Phase 6: what is made of test windows (rules.md, section 3), over any number of strategies at once.

All sums add doubles left to right in the order of the windows, as `np.bincount` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import UNKNOWN, Judged, Walked, WalkforwardResult, window_results
from dask_validator.rules.gates import POSITION

MAX_IMBALANCE = 5.0


class Pooled(NamedTuple):
    """The valid windows of each strategy taken together; columns of shape (n_strategies,)."""

    valid: NDArray[np.int64]
    positive: NDArray[np.int64]
    trades: NDArray[np.int64]
    exp_r: NDArray[np.float64]  # trade-weighted mean of the windows' rounded R per trade, 0.0 without trades

    @property
    def pct_positive(self) -> NDArray[np.float64]:
        """Share of the valid windows, 0.0 without any."""
        return _ratio(self.positive, self.valid)


def pooled(tables: Sequence[NDArray[np.void]], min_trades: int | Sequence[int]) -> Pooled:
    """Sum up the test windows of each strategy; those with fewer trades (one number, or each its own) are not valid."""
    count, sizes = len(tables), [len(table) for table in tables]
    windows = np.concatenate(tables) if tables else np.empty(0, dtype=[("test_n", int), ("test_exp_r", float)])
    owner = np.repeat(np.arange(count), sizes)
    is_valid = windows["test_n"] >= np.repeat(np.broadcast_to(min_trades, count), sizes)
    owner, n, exp_r = owner[is_valid], windows["test_n"][is_valid].astype(np.int64), windows["test_exp_r"][is_valid]
    trades = np.bincount(owner, weights=n, minlength=count).astype(np.int64)
    weighted = np.bincount(owner, weights=n * exp_r, minlength=count)
    return Pooled(
        np.bincount(owner, minlength=count),
        np.bincount(owner[exp_r > 0], minlength=count),
        trades,
        _ratio(weighted, trades),
    )


def _ratio(over: NDArray[Any], under: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio = np.zeros(len(under))
    np.divide(over, under, out=ratio, where=under != 0)
    return ratio


def observe(walked: Sequence[Walked], min_trades: int, into: NDArray[np.float64], rows: Sequence[int]) -> None:
    """Fill in the numbers of phase 6: for each of the strategies its row of `into`, of shape (n, n_gates)."""
    found = pooled([facts.windows for facts in walked], min_trades)
    columns: dict[str, Any] = {
        "outcomes": [np.nan if facts.outcomes == UNKNOWN else facts.outcomes for facts in walked],
        "windows": [len(facts.windows) for facts in walked],
        "valid_windows": found.valid,
        "pct_positive": found.pct_positive,
        "agg_oos_exp_r": found.exp_r,
        "total_oos_trades": found.trades,
    }
    for name, column in columns.items():
        into[list(rows), POSITION[name]] = column


class WindowColumns(NamedTuple):
    """What is said of walk-forward, as columns of shape (n_strategies,) under the names of WalkforwardResult."""

    n_total_windows: list[int]
    n_valid_windows: list[int]
    n_positive_windows: list[int]
    pct_positive: list[float]  # 4 decimals
    agg_oos_exp_r: list[float]  # 4 decimals
    total_oos_trades: list[int]
    window_imbalance_ratio: list[float | None]  # largest over smallest valid window, 1 decimal; None below two
    window_imbalanced: list[bool]


def window_columns(walked: Sequence[Walked], min_trades: int) -> WindowColumns:
    """Sum up each strategy's windows."""
    found = pooled([facts.windows for facts in walked], min_trades)
    ratios = [_imbalance(facts.windows["test_n"], min_trades) for facts in walked]
    return WindowColumns(
        [len(facts.windows) for facts in walked],
        found.valid.tolist(),
        found.positive.tolist(),
        [round(share, 4) for share in found.pct_positive.tolist()],
        [round(exp_r, 4) for exp_r in found.exp_r.tolist()],
        found.trades.tolist(),
        [None if ratio is None else round(ratio, 1) for ratio in ratios],
        [ratio is not None and ratio > MAX_IMBALANCE for ratio in ratios],
    )


def _imbalance(sizes: NDArray[np.int32], min_trades: int) -> float | None:
    valid = [size for size in sizes.tolist() if size >= min_trades]
    return max(valid) / min(valid) if len(valid) > 1 else None


def result_of(walked: Walked, failed: Judged | None, min_trades: int) -> WalkforwardResult:
    """All that is said of one strategy's walk-forward, by the gate that rejected it."""
    numbers = {name: column[0] for name, column in window_columns([walked], min_trades)._asdict().items()}
    return WalkforwardResult(**numbers, failed=failed, windows=window_results(walked.windows, min_trades))
