"""Walk-forward: anchored training, non-overlapping test windows (rules.md, sections 3 and 9): the facts of phase 6.

No threshold enters here: what is made of the windows is in `window_gates`.

Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, ch. 11, describes the method.
All sums add doubles left to right in day order: `np.bincount` and `np.cumsum` do, `np.sum` and `math.fsum` do not.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Sequence
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


def walkforwards(strategies: Sequence[Outcomes], rules: WindowRules) -> list[Walked]:
    """The test windows of each strategy, from the outcomes that passed its filter, in day order.

    Raises
    ------
    UnusableStrategy
        An outcome of one of them that cannot be used.
    """
    days = [_trade_days(outcomes.days) for outcomes in strategies]
    if rules.last_day is not None:
        strategies = [outcomes.where(outcomes.days <= rules.last_day) for outcomes in strategies]
    filled = [outcomes for outcomes in strategies if outcomes.days.size]
    check_outcomes(joined(filled)[0])
    windows = iter(_windows(filled, rules) if filled else [])
    return [
        Walked(outcomes.days.size, next(windows) if outcomes.days.size else _NO_WINDOWS, *known)
        for outcomes, known in zip(strategies, days, strict=True)
    ]


def joined(strategies: Sequence[Outcomes]) -> tuple[Outcomes, Counts]:
    """The outcomes of many strategies, one after the other, and whose each is, shape (n_outcomes,)."""
    columns = zip(*(outcomes[:3] for outcomes in (_NO_OUTCOMES, *strategies)), strict=True)
    days, code, pnl_r = (np.concatenate(column) for column in columns)
    sizes = np.array([outcomes.days.size for outcomes in strategies], dtype=np.int64)
    return Outcomes(days, code, pnl_r), np.arange(len(strategies)).repeat(sizes)


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
_NO_OUTCOMES = Outcomes(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.uint8), np.empty(0))


def check_outcomes(outcomes: Outcomes) -> None:
    """Raise UnusableStrategy for a day that is in no calendar, or a win or loss whose `pnl_r` cannot be added up."""
    days = outcomes.days
    if days.size and not FIRST_DAY <= days.min() <= days.max() <= LAST_DAY:
        raise UnusableStrategy(f"outcome(s) without a usable trading_day; needed one in the years 1 to {LAST_YEAR}")
    bad = (outcomes.code != OTHER) & ~(np.abs(outcomes.pnl_r) <= MAX_R)
    if bad.any():
        day = EPOCH + timedelta(days=int(outcomes.days[bad.argmax()]))
        value = float(outcomes.pnl_r[bad.argmax()])
        raise UnusableStrategy(
            f"{int(bad.sum())} win(s) or loss(es) without a usable pnl_r, the first on {day} "
            f"({'NULL or NaN' if math.isnan(value) else value})"
        )


def check_taken(outcomes: Outcomes, taken: Sequence[NDArray[np.bool_]]) -> None:
    """The same of what each of some strategies takes, by masks of shape (n_outcomes,): mostly nothing is bad at all."""
    try:
        check_outcomes(outcomes)
    except UnusableStrategy:
        for mask in taken:
            check_outcomes(outcomes.where(mask))


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
    starts: NDArray[np.int32]  # of the windows, days since 1970-01-01
    ends: NDArray[np.int32]


def membership(outcomes: Outcomes, rules: WindowRules) -> Counts:
    """Of each outcome, in day order, the test window that counts it, from 0, or NOWHERE; shape (n_outcomes,)."""
    found = np.full(outcomes.days.size, NOWHERE)
    if rules.last_day is not None:
        outcomes = outcomes.where(outcomes.days <= rules.last_day)  # the first of them
    if outcomes.days.size:
        cut = _cut(outcomes, rules)
        found[cut.counted] = cut.window
    return found


def _cut(outcomes: Outcomes, rules: WindowRules) -> _Cut:
    return _cut_by_trades(outcomes, rules) if rules.window_trades else _cut_by_months(outcomes, rules)


def _cut_by_months(outcomes: Outcomes, rules: WindowRules) -> _Cut:
    bounds = bounds_within(int(outcomes.days[0]), int(outcomes.days[-1]), rules)
    counted = np.flatnonzero((outcomes.code != OTHER) & (outcomes.days >= bounds[0]))
    window = np.searchsorted(bounds, outcomes.days[counted], side="right") - 1
    return _Cut(counted, window, bounds[:-1], bounds[1:])


def _cut_by_trades(outcomes: Outcomes, rules: WindowRules) -> _Cut:
    size = rules.window_trades or 1
    tested = _traded_since_start(outcomes, rules)[rules.train_trades or 0 :]
    count = tested.size // size
    tested = tested[: size * count]
    days = outcomes.days[tested]
    return _Cut(tested, np.arange(count).repeat(size), days[::size], days[size - 1 :: size] + 1)


def _traded_since_start(outcomes: Outcomes, rules: WindowRules) -> Counts:
    return np.flatnonzero((outcomes.code != OTHER) & (outcomes.days >= _anchor(int(outcomes.days[0]), rules)))


def _windows(strategies: Sequence[Outcomes], rules: WindowRules) -> list[NDArray[np.void]]:
    """The windows of all strategies are one count."""
    cuts = [_cut(outcomes, rules) for outcomes in strategies]
    tested, owner = joined([outcomes.take(cut.counted) for outcomes, cut in zip(strategies, cuts, strict=True)])
    sizes = np.array([cut.starts.size for cut in cuts])
    ends = np.cumsum(sizes)
    table = _tested(tested, (ends - sizes)[owner] + np.concatenate([cut.window for cut in cuts]), int(ends[-1]))
    table["start"] = np.concatenate([cut.starts for cut in cuts])
    table["end"] = np.concatenate([cut.ends for cut in cuts])
    tables = np.split(table, ends[:-1])
    if rules.in_sample_min is not None:
        for outcomes, cut, windows in zip(strategies, cuts, tables, strict=True):
            windows["is_exp_r"] = _in_sample(outcomes, cut, rules, rules.in_sample_min)
    return tables


def _in_sample(outcomes: Outcomes, cut: _Cut, rules: WindowRules, least: int) -> Doubles:
    """Expectancy in the training of each window, if that is of so many outcomes; scratches count, but not by trades."""
    if rules.window_trades:
        traded = outcomes.take(_traded_since_start(outcomes, rules))
        ends = seen = (rules.train_trades or 0) + rules.window_trades * np.arange(cut.starts.size)
    else:
        traded = outcomes.where(outcomes.code != OTHER)
        ends, seen = np.searchsorted(traded.days, cut.starts), np.searchsorted(outcomes.days, cut.starts)
    return np.where(seen >= least, _rounded(_trained(traded, ends)), np.nan)


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
