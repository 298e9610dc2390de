"""Phase 6: what is made of test windows (rules.md, section 3), over any number of strategies at once.

All sums add doubles left to right in the order of the windows, as `np.bincount` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.model import UNKNOWN, WINDOW_TABLE, Judged, Walked, WalkforwardResult, window_results
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


def pooled(tables: Sequence[NDArray[np.void]], min_trades: int | Sequence[int] | NDArray[np.int64]) -> Pooled:
    """Sum up the test windows of each strategy; those with fewer trades (one number, or each its own) are not valid."""
    count, sizes = len(tables), [len(table) for table in tables]
    kind = tables[0].dtype if tables else [("test_n", int), ("test_exp_r", float)]  # else found out, table by table
    windows = np.concatenate([np.empty(0, dtype=kind), *tables], dtype=kind)
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


def efficiencies(tables: Sequence[NDArray[np.void]], min_trades: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Walk-forward efficiency: R per trade in valid test windows over that in their training, 4 decimals.

    Of windows that earned in training, both weighted by the trades of the test; NaN without any. Shape (n_strategies,).
    """
    count, sizes = len(tables), [len(table) for table in tables]
    windows = np.concatenate([np.empty(0, dtype=WINDOW_TABLE), *tables], dtype=WINDOW_TABLE)
    owner, n = np.repeat(np.arange(count), sizes), windows["test_n"].astype(np.int64)
    counts = (n >= np.repeat(np.broadcast_to(min_trades, count), sizes)) & (n > 0) & (windows["is_exp_r"] > 0)
    owner, n = owner[counts], n[counts]
    trades = np.bincount(owner, weights=n, minlength=count)
    tested, trained = (
        np.bincount(owner, weights=windows[name][counts] * n, minlength=count) for name in ("test_exp_r", "is_exp_r")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (tested / trades) / (trained / trades)
    return np.array([round(value, 4) for value in ratio.tolist()], dtype=np.float64)


def least_trades(sample_sizes: NDArray[np.float64], config: RunConfig) -> NDArray[np.int64]:
    """Trades that make a window of each strategy valid, shape (n_strategies,)."""
    small = sample_sizes < config.small_sample
    return np.where(small, config.of_small_samples.window_trades, config.window_trades).astype(np.int64)


def observe(walked: Sequence[Walked], config: RunConfig, into: NDArray[np.float64], rows: Sequence[int]) -> None:
    """Fill in the numbers of phase 6: for each of the strategies its row of `into`, of shape (n, n_gates)."""
    min_trades = least_trades(into[list(rows), POSITION["sample_size"]], config)
    tables = [facts.windows for facts in walked]
    found = pooled(tables, min_trades)
    columns: dict[str, Any] = {
        "outcomes": [np.nan if facts.outcomes == UNKNOWN else facts.outcomes for facts in walked],
        "windows": [len(facts.windows) for facts in walked],
        "valid_windows": found.valid,
        "pct_positive": found.pct_positive,
        "agg_oos_exp_r": found.exp_r,
        "total_oos_trades": found.trades,
        "wfe": efficiencies(tables, min_trades) if config.wf_in_sample else np.nan,
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


def window_columns(walked: Sequence[Walked], min_trades: NDArray[np.int64]) -> WindowColumns:
    """Sum up each strategy's windows."""
    found = pooled([facts.windows for facts in walked], min_trades)
    ratios = [
        _imbalance(facts.windows["test_n"], least) for facts, least in zip(walked, min_trades.tolist(), strict=True)
    ]
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
    numbers = {name: column[0] for name, column in window_columns([walked], np.array([min_trades]))._asdict().items()}
    return WalkforwardResult(**numbers, failed=failed, windows=window_results(walked.windows, min_trades))
