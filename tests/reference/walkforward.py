"""Phase 6."""

from __future__ import annotations

import calendar
import math
from datetime import date, timedelta
from typing import Any, NamedTuple

from .arithmetic import mean, total
from .errors import Unusable
from .settings import Settings

Outcome = tuple[date, str, float | None]


def add_months(day: date, months: int) -> date:
    """The same day `months` later, clamped to that month's last day (rules.md, section 3)."""
    month = day.month - 1 + months
    year = day.year + month // 12
    month = month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def traded_r(outcome: Outcome) -> float:
    """The result of a win or a loss, which must be a finite number (rules.md, section 1)."""
    day, kind, pnl_r = outcome
    if pnl_r is None or not math.isfinite(pnl_r):
        raise Unusable(f"the {kind} of {day} has pnl_r {pnl_r}")
    return pnl_r


class Trades(NamedTuple):
    """The results of wins and losses, and of both together in day order."""

    wins: list[float]
    losses: list[float]
    both: list[float]


def trades(outcomes: list[Outcome]) -> Trades:
    """What was won and lost (rules.md, section 3, per window)."""
    found = Trades([], [], [])
    for outcome in outcomes:
        if outcome[1] == "win":
            found.wins.append(traded_r(outcome))
            found.both.append(traded_r(outcome))
        elif outcome[1] == "loss":
            found.losses.append(traded_r(outcome))
            found.both.append(traded_r(outcome))
    return found


def expectancy(found: Trades) -> float | None:
    """`test_exp_r`, rounded; None without trades (rules.md, section 3, per window)."""
    if not found.both:
        return None
    wr = len(found.wins) / len(found.both)
    mean_win = mean(found.wins) if found.wins else 0.0
    mean_loss = mean(found.losses) if found.losses else 0.0
    return round(wr * mean_win - (1 - wr) * abs(mean_loss), 4)


def one_window(start: date, end: date, outcomes: list[Outcome], settings: Settings) -> dict[str, Any]:
    """The numbers of the test window from `start` to before `end` (rules.md, section 3, per window)."""
    found = trades([outcome for outcome in outcomes if start <= outcome[0] < end])
    traded = found.both
    test_n = len(traded)
    test_exp_r = expectancy(found)
    test_wr = round(len(found.wins) / test_n, 4) if test_n > 0 else None
    test_sharpe = None
    if test_n >= 2:
        average = mean(traded)
        squares = []
        for value in traded:
            squares.append((value - average) * (value - average))
        std = math.sqrt(total(squares) / (test_n - 1))
        if std != 0:
            test_sharpe = round(average / std, 4)

    return {
        "window_start": start.isoformat(),
        "window_end": end.isoformat(),
        "test_n": test_n,
        "test_exp_r": test_exp_r,
        "test_wr": test_wr,
        "test_sharpe": test_sharpe,
        "test_pass": test_exp_r is not None and test_n >= settings.wf_min_trades and test_exp_r > 0,
    }


def calendar_windows(outcomes: list[Outcome], settings: Settings) -> list[dict[str, Any]]:
    """Windows of so many months after the anchor (rules.md, sections 3 and 9)."""
    windows = []
    last = outcomes[-1][0]
    start = add_months(anchor(outcomes, settings), settings.wf_min_train_months)
    while start <= last:
        end = add_months(start, settings.wf_test_months)
        window = one_window(start, end, outcomes, settings)
        if settings.wf_in_sample:
            window["is_exp_r"] = in_sample([outcome for outcome in outcomes if outcome[0] < start], settings)
        windows.append(window)
        start = end
    return windows


def windows_by_trades(outcomes: list[Outcome], settings: Settings) -> list[dict[str, Any]]:
    """Windows of so many wins and losses each, as long as they are full (rules.md, section 9)."""
    first_day = anchor(outcomes, settings)
    kept = [outcome for outcome in outcomes if outcome[0] >= first_day and outcome[1] in ("win", "loss")]
    number = settings.wf_window_trades
    assert number is not None
    windows = []
    start = number if settings.wf_train_trades is None else settings.wf_train_trades
    while start + number <= len(kept):
        tested = kept[start : start + number]
        window = one_window(tested[0][0], tested[-1][0] + timedelta(days=1), tested, settings)
        window["test_pass"] = window["test_exp_r"] > 0
        if settings.wf_in_sample:
            window["is_exp_r"] = in_sample(kept[:start], settings)
        windows.append(window)
        start = start + number
    return windows


def anchor(outcomes: list[Outcome], settings: Settings) -> date:
    """The day from which windows are counted (rules.md, section 9)."""
    first = outcomes[0][0]
    return first if settings.wf_first_day is None else max(first, settings.wf_first_day)


def in_sample(training: list[Outcome], settings: Settings) -> float | None:
    """`is_exp_r`; None when there is too little to train on (rules.md, section 9)."""
    if len(training) < settings.wf_in_sample_min:
        return None
    return expectancy(trades(training))


def efficiency(valid: list[dict[str, Any]]) -> float | None:
    """`wfe`: what is left out of sample of what was there in sample (rules.md, section 9)."""
    weight = 0
    outside = 0.0
    inside = 0.0
    for window in valid:
        if window["is_exp_r"] is None or not window["is_exp_r"] > 0 or window["test_exp_r"] is None:
            continue
        weight = weight + window["test_n"]
        outside = outside + window["test_n"] * window["test_exp_r"]
        inside = inside + window["test_n"] * window["is_exp_r"]
    if weight == 0:
        return None
    return round((outside / weight) / (inside / weight), 4)


def walkforward(outcomes: list[Outcome], settings: Settings) -> dict[str, Any]:
    """The walk-forward of a strategy's outcomes, given in day order; `rule` names the one that failed, if any.

    rules.md, sections 3 and 9.
    """
    if settings.wf_last_day is not None:
        outcomes = [outcome for outcome in outcomes if outcome[0] <= settings.wf_last_day]
    for outcome in outcomes:
        if outcome[1] in ("win", "loss"):
            traded_r(outcome)

    windows = []
    min_trades = settings.wf_min_trades
    if settings.wf_window_trades is not None:
        min_trades = settings.wf_window_trades
    if outcomes:
        cut = calendar_windows if settings.wf_window_trades is None else windows_by_trades
        windows = cut(outcomes, settings)

    valid = [window for window in windows if window["test_n"] >= min_trades]
    positive = [window for window in valid if window["test_exp_r"] > 0]
    pct_positive = len(positive) / len(valid) if valid else 0.0

    total_oos_trades = 0
    weighted = 0.0
    for window in valid:
        total_oos_trades = total_oos_trades + window["test_n"]
        weighted = weighted + window["test_n"] * window["test_exp_r"]
    agg_oos_exp_r = weighted / total_oos_trades if total_oos_trades > 0 else 0.0

    ratio = None
    if len(valid) >= 2:
        sizes = [window["test_n"] for window in valid]
        ratio = max(sizes) / min(sizes)

    rule = None
    if not outcomes:
        rule = "no_outcomes"
    elif not windows:
        rule = "no_windows"
    elif len(valid) < settings.wf_min_windows:
        rule = "min_windows"
    elif pct_positive < settings.wf_min_pct_positive:
        rule = "pct_positive"
    elif not agg_oos_exp_r > 0:
        rule = "expectancy"
    elif total_oos_trades < min_trades * settings.wf_min_windows:
        rule = "total_trades"

    of_training = {"wfe": efficiency(valid)} if settings.wf_in_sample else {}
    return {
        "n_total_windows": len(windows),
        "n_valid_windows": len(valid),
        "n_positive_windows": len(positive),
        "pct_positive": round(pct_positive, 4),
        "agg_oos_exp_r": round(agg_oos_exp_r, 4),
        "total_oos_trades": total_oos_trades,
        "passed": rule is None,
        "windows": windows,
        "window_imbalance_ratio": None if ratio is None else round(ratio, 1),
        "window_imbalanced": ratio is not None and ratio > 5,
        **of_training,
        "rule": rule,
    }
