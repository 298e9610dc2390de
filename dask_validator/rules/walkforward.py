"""Walk-forward: anchored training, non-overlapping test windows (rules.md, sections 3 and 9): the facts of phase 6.

No threshold enters here: what is made of the windows is in `window_gates`.

Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, ch. 11, describes the method.
All sums add doubles left to right in day order: `np.bincount` and `np.cumsum` do, `np.sum` and `math.fsum` do not.
"""

from __future__ import annotations

import calendar
import math
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import LAST_YEAR, WindowRules
from dask_validator.errors import UnusableStrategy
from dask_validator.model import EPOCH, NOWHERE, OTHER, WIN, WINDOW_TABLE, Holdout, Outcomes, Walked

MAX_R = 1e150  # sums of squares stay finite
FIRST_DAY, LAST_DAY = (date.min - EPOCH).days, (date(LAST_YEAR, 12, 31) - EPOCH).days
Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]


def walkforward(outcomes: Outcomes, rules: WindowRules) -> Walked:
    """The test windows of the outcomes that passed the strategy's filter, in day order.

    Raises
    ------
    UnusableStrategy
        An outcome that cannot be used.
    """
    days = _trade_days(outcomes.days)
    if rules.last_day is not None:
        outcomes = outcomes.where(outcomes.days <= rules.last_day)
    count = outcomes.days.size
    if count == 0:
        return Walked(0, _NO_WINDOWS, *days)
    check_outcomes(outcomes)
    cut = _windows_of_trades if rules.window_trades else _windows_of_months
    return Walked(count, cut(outcomes, rules), *days)


def _trade_days(days: NDArray[np.int32]) -> tuple[int, ...]:
    """How many, the first and the last, whatever walk-forward looks at; nothing of days that no calendar has."""
    if not days.size:
        return (0,)
    first, last = int(days[0]), int(days[-1])
    return (1 + int(np.count_nonzero(np.diff(days))), first, last) if FIRST_DAY <= first <= last <= LAST_DAY else ()


def holdout_of(outcomes: Outcomes, first_day: int) -> Holdout:
    """What was won and lost from that day on. Raises UnusableStrategy for an outcome of them that cannot be used."""
    late = outcomes.where(outcomes.days >= first_day)
    check_outcomes(late)
    r = late.pnl_r[late.code != OTHER]
    return Holdout(r.size, float(np.cumsum(r)[-1] / r.size) if r.size else None)


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
    bounds = [add_months(EPOCH + timedelta(days=_anchor(first_day, rules)), rules.min_train_months)]
    last = EPOCH + timedelta(days=last_day)
    while bounds[-1] <= last:
        bounds.append(add_months(bounds[-1], rules.test_months))
    return bounds


def _anchor(first_day: int, rules: WindowRules) -> int:
    return first_day if rules.first_day is None else max(first_day, rules.first_day)


@lru_cache(maxsize=10_000)
def bounds_within(first_day: int, last_day: int, rules: WindowRules) -> NDArray[np.int32]:
    """`window_bounds` in days since 1970-01-01; most strategies of a task share theirs."""
    return np.array([(bound - EPOCH).days for bound in window_bounds(first_day, last_day, rules)], dtype=np.int32)


class _Cut(NamedTuple):
    """Which outcomes count in which window."""

    counted: Counts  # their positions
    window: Counts  # of each of them, from 0


def membership(outcomes: Outcomes, rules: WindowRules) -> Counts:
    """Of each outcome, in day order, the test window that counts it, from 0, or NOWHERE; shape (n_outcomes,)."""
    found = np.full(outcomes.days.size, NOWHERE)
    if rules.last_day is not None:
        outcomes = outcomes.where(outcomes.days <= rules.last_day)  # the first of them
    if outcomes.days.size:
        by_trades = bool(rules.window_trades)
        cut = _cut_by_trades(outcomes, rules) if by_trades else _cut_by_months(outcomes, _bounds_of(outcomes, rules))
        found[cut.counted] = cut.window
    return found


def _bounds_of(outcomes: Outcomes, rules: WindowRules) -> NDArray[np.int32]:
    return bounds_within(int(outcomes.days[0]), int(outcomes.days[-1]), rules)


def _cut_by_months(outcomes: Outcomes, bounds: NDArray[np.int32]) -> _Cut:
    counted = np.flatnonzero((outcomes.code != OTHER) & (outcomes.days >= bounds[0]))
    return _Cut(counted, np.searchsorted(bounds, outcomes.days[counted], side="right") - 1)


def _windows_of_months(outcomes: Outcomes, rules: WindowRules) -> NDArray[np.void]:
    bounds = _bounds_of(outcomes, rules)
    if bounds.size < 2:
        return _NO_WINDOWS
    cut = _cut_by_months(outcomes, bounds)
    table = _tested(outcomes.take(cut.counted), cut.window, bounds.size - 1)
    table["start"], table["end"] = bounds[:-1], bounds[1:]
    if rules.in_sample_min is not None:
        traded = outcomes.where(outcomes.code != OTHER)
        ends = np.searchsorted(traded.days, bounds[:-1])
        enough = np.searchsorted(outcomes.days, bounds[:-1]) >= rules.in_sample_min  # scratches count here
        table["is_exp_r"] = np.where(enough, _rounded(_trained(traded, ends)), np.nan)
    return table


def _cut_by_trades(outcomes: Outcomes, rules: WindowRules) -> _Cut:
    size, training = rules.window_trades or 1, rules.train_trades or 0
    since = _anchor(int(outcomes.days[0]), rules)
    tested = np.flatnonzero((outcomes.code != OTHER) & (outcomes.days >= since))[training:]
    count = tested.size // size
    return _Cut(tested[: size * count], np.arange(count).repeat(size))


def _windows_of_trades(outcomes: Outcomes, rules: WindowRules) -> NDArray[np.void]:
    size, training = rules.window_trades or 1, rules.train_trades or 0
    cut = _cut_by_trades(outcomes, rules)
    count = cut.counted.size // size
    if count == 0:
        return _NO_WINDOWS
    tested = outcomes.take(cut.counted)
    table = _tested(tested, cut.window, count)
    table["start"], table["end"] = tested.days[::size], tested.days[size - 1 :: size] + 1
    if rules.in_sample_min is not None:
        since = _anchor(int(outcomes.days[0]), rules)
        traded = outcomes.where((outcomes.code != OTHER) & (outcomes.days >= since))
        starts = training + size * np.arange(count)
        table["is_exp_r"] = np.where(starts >= rules.in_sample_min, _rounded(_trained(traded, starts)), np.nan)
    return table


def _tested(tested: Outcomes, window: NDArray[np.int64], count: int) -> NDArray[np.void]:
    """Sum up the wins and losses of each window; `window` has shape (n_outcomes,)."""
    won = tested.code == WIN
    cell = 2 * window + won  # losses and wins of each window, each added in day order
    losses, wins = np.bincount(cell, minlength=2 * count).reshape(count, 2).T
    loss_r, win_r = np.bincount(cell, weights=tested.pnl_r, minlength=2 * count).astype(np.float64).reshape(count, 2).T
    n = wins + losses
    with np.errstate(divide="ignore", invalid="ignore"):
        wr = wins / n
    table = np.empty(count, dtype=WINDOW_TABLE)
    table["test_n"], table["is_exp_r"] = n, np.nan
    table["test_exp_r"], table["test_wr"] = _rounded(_expectancy(wins, losses, win_r, loss_r)), _rounded(wr)
    table["test_sharpe"] = _rounded(_sharpe_ratios(window, n, tested.pnl_r))
    return table


def _trained(traded: Outcomes, ends: NDArray[np.int64]) -> Doubles:
    """Expectancy of the first so many wins and losses, for each of `ends`; NaN of none."""
    won = traded.code == WIN
    wins, losses = (_summed(part)[ends] for part in (won, ~won))
    of_r = [_summed(np.where(part, traded.pnl_r, 0.0))[ends] for part in (won, ~won)]
    return _expectancy(wins, losses, of_r[0], of_r[1])


def _summed(values: NDArray[Any]) -> NDArray[Any]:
    """Sums of the first none, one, two ... of them."""
    return np.concatenate([[0], np.cumsum(values)])


def _expectancy(wins: Counts, losses: Counts, win_r: Doubles, loss_r: Doubles) -> Doubles:
    """Win rate times mean win, less loss rate times mean loss, in R; NaN without trades."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        wr = wins / (wins + losses)
        mean_win = np.where(wins > 0, win_r / wins, 0.0)
        mean_loss = np.where(losses > 0, loss_r / losses, 0.0)
        expectancy: Doubles = wr * mean_win - (1 - wr) * np.abs(mean_loss)
    return expectancy


def _rounded(values: Doubles) -> list[float]:
    """Python's `round` to 4 decimals, not numpy's; NaN stays."""
    return [round(value, 4) for value in values.tolist()]


def _sharpe_ratios(window: NDArray[np.int64], n: NDArray[np.int64], pnl_r: Doubles) -> Doubles:
    """Mean over sample standard deviation (ddof 1) of R per window; NaN where undefined."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.bincount(window, weights=pnl_r, minlength=n.size) / n
        deviation = pnl_r - mean[window]
        std = np.sqrt(np.bincount(window, weights=deviation * deviation, minlength=n.size) / (n - 1))
        return np.where((n >= 2) & (std > 0), mean / std, np.nan)
