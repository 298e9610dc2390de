"""Walk-forward: anchored training, non-overlapping test windows (rules.md, section 3): the facts of phase 6.

No threshold enters here: what is made of the windows is in `window_gates`.

Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, ch. 11, describes the method.
All sums add doubles left to right in day order: `np.bincount` does, `np.sum` and `math.fsum` do not.
"""

from __future__ import annotations

import calendar
import math
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import MAX_MONTHS, WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import EPOCH, OTHER, WIN, WINDOW_TABLE, Outcomes, Walked

MAX_R = 1e150  # sums of squares stay finite
LAST_YEAR = date.max.year - MAX_MONTHS // 12  # leaves Python's calendar room for a window
FIRST_DAY, LAST_DAY = (date.min - EPOCH).days, (date(LAST_YEAR, 12, 31) - EPOCH).days


def walkforward(outcomes: Outcomes, rules: WindowRules) -> Walked:
    """The test windows of the outcomes that passed the strategy's filter, in day order.

    Raises
    ------
    UnusableStrategy
        An outcome that cannot be used.
    """
    count = outcomes.days.size
    if count == 0:
        return Walked(0, _NO_WINDOWS)
    check_outcomes(outcomes)
    bounds = bounds_within(int(outcomes.days[0]), int(outcomes.days[-1]), rules)
    return Walked(count, _windows(outcomes, bounds) if bounds.size > 1 else _NO_WINDOWS)


_NO_WINDOWS = np.empty(0, dtype=WINDOW_TABLE)


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


def window_bounds(first_day: int, last_day: int, rules: WindowRules) -> list[date]:
    """Starts of all test windows and the end of the last; one bound alone means no window."""
    bounds = [add_months(EPOCH + timedelta(days=first_day), rules.min_train_months)]
    last = EPOCH + timedelta(days=last_day)
    while bounds[-1] <= last:
        bounds.append(add_months(bounds[-1], rules.test_months))
    return bounds


@lru_cache(maxsize=10_000)
def bounds_within(first_day: int, last_day: int, rules: WindowRules) -> NDArray[np.int32]:
    """`window_bounds` in days since 1970-01-01; most strategies of a task share theirs."""
    return np.array([(bound - EPOCH).days for bound in window_bounds(first_day, last_day, rules)], dtype=np.int32)


def _windows(outcomes: Outcomes, bounds: NDArray[np.int32]) -> NDArray[np.void]:
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
    table = np.empty(count, dtype=WINDOW_TABLE)
    table["start"], table["end"], table["test_n"] = bounds[:-1], bounds[1:], n
    table["test_exp_r"], table["test_wr"] = _rounded(exp_r), _rounded(wr)
    table["test_sharpe"] = _rounded(_sharpe_ratios(window, n, tested.pnl_r))
    return table


def _rounded(values: NDArray[np.float64]) -> list[float]:
    """Python's `round` to 4 decimals, not numpy's; NaN stays."""
    return [round(value, 4) for value in values.tolist()]


def _sharpe_ratios(window: NDArray[np.int64], n: NDArray[np.int64], pnl_r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over sample standard deviation (ddof 1) of R per window; NaN where undefined."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.bincount(window, weights=pnl_r, minlength=n.size) / n
        deviation = pnl_r - mean[window]
        std = np.sqrt(np.bincount(window, weights=deviation * deviation, minlength=n.size) / (n - 1))
        return np.where((n >= 2) & (std > 0), mean / std, np.nan)
