"""Walk-forward: anchored training, non-overlapping test windows (rules.md, section 3; phase 6).

Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, ch. 11, describes the method.
All sums add doubles left to right in day order: `np.bincount` does, `np.sum` and `math.fsum` do not.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import MAX_MONTHS, WalkforwardRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import EPOCH, OTHER, WIN, WINDOW_TABLE, Gate, Outcomes, WalkforwardResult

MAX_IMBALANCE = 5.0
MAX_R = 1e150  # sums of squares stay finite
LAST_YEAR = date.max.year - MAX_MONTHS // 12  # leaves Python's calendar room for a window
FIRST_DAY, LAST_DAY = (date.min - EPOCH).days, (date(LAST_YEAR, 12, 31) - EPOCH).days


def walkforward(outcomes: Outcomes, rules: WalkforwardRules) -> WalkforwardResult:
    """Judge the outcomes that passed the strategy's filter, in day order.

    Raises
    ------
    UnusableStrategy
        An outcome that cannot be used.
    """
    if outcomes.days.size == 0:
        return _without_windows(Gate(6, "outcomes", 0, 1, False))
    check_outcomes(outcomes)
    bounds = _bounds(int(outcomes.days[0]), int(outcomes.days[-1]), rules)
    if bounds.size < 2:
        return _without_windows(Gate(6, "windows", 0, 1, False, str(outcomes.days.size)))
    return judge(_windows(outcomes, bounds, rules.min_trades), rules)


def check_outcomes(outcomes: Outcomes) -> None:
    """Raise UnusableStrategy for a day that is in no calendar, or a win or loss whose `pnl_r` cannot be added up."""
    days = outcomes.days  # ascending
    if days.size and not FIRST_DAY <= days[0] <= days[-1] <= LAST_DAY:
        raise UnusableStrategy(f"outcome(s) without a usable trading_day; needed one in the years 1 to {LAST_YEAR}")
    bad = (outcomes.code != OTHER) & ~(np.abs(outcomes.pnl_r) <= MAX_R)
    if bad.any():
        day = EPOCH + timedelta(days=int(outcomes.days[bad.argmax()]))
        value = float(outcomes.pnl_r[bad.argmax()])
        raise UnusableStrategy(
            f"{int(bad.sum())} win(s) or loss(es) without a usable pnl_r, the first on {day} "
            f"({'NULL or NaN' if math.isnan(value) else value})"
        )


def add_months(start: date, months: int) -> date:
    """Calendar months later, clamped to the last day of the month."""
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month0 + 1, min(start.day, calendar.monthrange(year, month0 + 1)[1]))


def window_bounds(first_day: int, last_day: int, rules: WalkforwardRules) -> list[date]:
    """Starts of all test windows and the end of the last; one bound alone means no window."""
    bounds = [add_months(EPOCH + timedelta(days=first_day), rules.min_train_months)]
    last = EPOCH + timedelta(days=last_day)
    while bounds[-1] <= last:
        bounds.append(add_months(bounds[-1], rules.test_months))
    return bounds


@lru_cache(maxsize=10_000)
def _bounds(first_day: int, last_day: int, rules: WalkforwardRules) -> NDArray[np.int32]:
    """`window_bounds` in days since 1970-01-01; most strategies of a task share theirs."""
    return np.array([(bound - EPOCH).days for bound in window_bounds(first_day, last_day, rules)], dtype=np.int32)


Window = tuple[int, int, int, float, float, float, bool]  # a row of WINDOW_TABLE


def _windows(outcomes: Outcomes, bounds: NDArray[np.int32], min_trades: int) -> list[Window]:
    count = bounds.size - 1
    tested = outcomes.where((outcomes.code != OTHER) & (outcomes.days >= bounds[0]))
    window = np.searchsorted(bounds, tested.days, side="right") - 1
    won = tested.code == WIN
    cell = 2 * window + won  # losses and wins of each window, each added in day order
    losses, wins = np.bincount(cell, minlength=2 * count).reshape(count, 2).T
    loss_r, win_r = np.bincount(cell, weights=tested.pnl_r, minlength=2 * count).reshape(count, 2).T
    n = wins + losses
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        wr = wins / n
        mean_win = np.where(wins > 0, win_r / wins, 0.0)
        mean_loss = np.where(losses > 0, loss_r / losses, 0.0)
        exp_r = wr * mean_win - (1 - wr) * np.abs(mean_loss)
    columns = n, exp_r, wr, _sharpe_ratios(window, n, tested.pnl_r)
    days = bounds.tolist()
    rows = zip(days, days[1:], *(column.tolist() for column in columns), strict=False)
    return [_rounded(*row, min_trades=min_trades) for row in rows]


def _rounded(start: int, end: int, n: int, exp_r: float, wr: float, sharpe: float, *, min_trades: int) -> Window:
    """Python's `round`, not numpy's; NaN without trades."""
    exp_r = round(exp_r, 4)
    return start, end, n, exp_r, round(wr, 4), round(sharpe, 4), n >= min_trades and exp_r > 0


def _sharpe_ratios(window: NDArray[np.int64], n: NDArray[np.int64], pnl_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over sample standard deviation (ddof 1) of R per window; NaN where undefined."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.bincount(window, weights=pnl_r, minlength=n.size) / n
        deviation = pnl_r - mean[window]
        std = np.sqrt(np.bincount(window, weights=deviation * deviation, minlength=n.size) / (n - 1))
        return np.where((n >= 2) & (std > 0), mean / std, np.nan)


class OutOfSample(NamedTuple):
    """All valid windows of a strategy taken together."""

    windows: int
    positive: int
    trades: int
    exp_r: float  # trade-weighted mean of the windows' rounded R per trade, 0.0 without trades

    @property
    def pct_positive(self) -> float:
        """Share of the windows, 0.0 without any."""
        return self.positive / self.windows if self.windows else 0.0

    def gates(self, rules: WalkforwardRules) -> tuple[Gate, ...]:
        """The pass rule, in the order in which the first failure gives the reason."""
        share, trades = rules.min_pct_positive, rules.min_trades * rules.min_windows
        return (
            Gate(6, "valid_windows", self.windows, rules.min_windows, self.windows >= rules.min_windows),
            Gate(6, "pct_positive", self.pct_positive, share, self.pct_positive >= share),
            Gate(6, "agg_oos_exp_r", self.exp_r, 0.0, self.exp_r > 0),
            Gate(6, "total_oos_trades", self.trades, trades, self.trades >= trades),
        )


def out_of_sample(windows: Iterable[tuple[int, float]], min_trades: int) -> OutOfSample:
    """Sum up test windows, each `(test_n, test_exp_r)`; those with fewer trades are not valid."""
    valid = [(n, exp_r) for n, exp_r in windows if n >= min_trades]
    total = sum(n for n, _ in valid)
    weighted = 0.0
    for n, exp_r in valid:  # not sum(): it compensates from Python 3.12 on
        weighted += n * exp_r
    return OutOfSample(len(valid), sum(exp_r > 0 for _, exp_r in valid), total, weighted / total if total else 0.0)


def judge(windows: Sequence[Window], rules: WalkforwardRules) -> WalkforwardResult:
    """The pass rule over all test windows, at least one."""
    tested = [(n, exp_r) for _, _, n, exp_r, *_ in windows]
    summed = out_of_sample(tested, rules.min_trades)
    sizes = [n for n, _ in tested if n >= rules.min_trades]
    ratio = max(sizes) / min(sizes) if len(sizes) > 1 else None
    return WalkforwardResult(
        n_total_windows=len(windows),
        n_valid_windows=summed.windows,
        n_positive_windows=summed.positive,
        pct_positive=round(summed.pct_positive, 4),
        agg_oos_exp_r=round(summed.exp_r, 4),
        total_oos_trades=summed.trades,
        failed=next((gate for gate in summed.gates(rules) if not gate.passed), None),
        window_table=np.array(windows, dtype=WINDOW_TABLE),
        window_imbalance_ratio=None if ratio is None else round(ratio, 1),
        window_imbalanced=ratio is not None and ratio > MAX_IMBALANCE,
    )


def _without_windows(gate: Gate) -> WalkforwardResult:
    return WalkforwardResult(0, 0, 0, 0.0, 0.0, 0, gate, np.empty(0, dtype=WINDOW_TABLE), None, False)
