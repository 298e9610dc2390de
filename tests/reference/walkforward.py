"""Phase 6."""

from __future__ import annotations

import calendar
import math
from datetime import date
from typing import Any

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


def one_window(start: date, end: date, outcomes: list[Outcome], settings: Settings) -> dict[str, Any]:
    """The numbers of the test window from `start` to before `end` (rules.md, section 3, per window)."""
    wins = []
    losses = []
    traded = []
    for outcome in outcomes:
        day, kind, _ = outcome
        if not start <= day < end:
            continue
        if kind == "win":
            wins.append(traded_r(outcome))
            traded.append(traded_r(outcome))
        elif kind == "loss":
            losses.append(traded_r(outcome))
            traded.append(traded_r(outcome))

    test_n = len(traded)
    test_exp_r = None
    test_wr = None
    test_sharpe = None
    if test_n > 0:
        wr = len(wins) / test_n
        mean_win = mean(wins) if wins else 0.0
        mean_loss = mean(losses) if losses else 0.0
        test_exp_r = round(wr * mean_win - (1 - wr) * abs(mean_loss), 4)
        test_wr = round(wr, 4)
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


def walkforward(outcomes: list[Outcome], settings: Settings) -> dict[str, Any]:
    """The walk-forward of a strategy's outcomes, given in day order; `rule` names the one that failed, if any.

    rules.md, section 3.
    """
    for outcome in outcomes:
        if outcome[1] in ("win", "loss"):
            traded_r(outcome)

    windows = []
    if outcomes:
        first = outcomes[0][0]
        last = outcomes[-1][0]
        start = add_months(first, settings.wf_min_train_months)
        while start <= last:
            end = add_months(start, settings.wf_test_months)
            windows.append(one_window(start, end, outcomes, settings))
            start = end

    valid = [window for window in windows if window["test_n"] >= settings.wf_min_trades]
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
    elif total_oos_trades < settings.wf_min_trades * settings.wf_min_windows:
        rule = "total_trades"

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
        "rule": rule,
    }
