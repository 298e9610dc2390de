"""Ten years of invented trading days: gold-like prices, volatility that triples, thirteen sessions a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import SEASON_ZONES
from dask_validator.rules.seasons import winter_days

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]  # columns of a table by name; NaN and None for NULL

FIRST_DAY, END_DAY = "2016-01-04", "2026-01-01"
ORB_MINUTES = (5, 15, 30)
# Columns of a session, by the part of the name after `orb_{label}_`.
SIZE, DELAY, CONTINUES, DIRECTION = "size", "break_delay_min", "break_bar_continues", "break_dir"
DOUBLE_BREAK, REL_VOL = "double_break", "rel_vol"
LONG, SHORT = 1.0, -1.0  # how DIRECTION is coded
TICK = 0.1

ATR_BY_YEAR = {
    2016: 12.0,
    2017: 11.5,
    2018: 13.0,
    2019: 16.5,
    2020: 26.0,
    2021: 22.5,
    2022: 24.0,
    2023: 24.5,
    2024: 29.0,
    2025: 35.0,
}
# Median 5-minute opening range as a share of ATR.
RANGE_SHARE = {
    "0900": 0.28,
    "1000": 0.25,
    "1100": 0.18,
    "1130": 0.17,
    "1800": 0.27,
    "2300": 0.38,
    "0030": 0.42,
    "CME_OPEN": 0.29,
    "US_EQUITY_OPEN": 0.45,
    "US_DATA_OPEN": 0.41,
    "LONDON_OPEN": 0.29,
    "US_POST_EQUITY": 0.22,
    "CME_CLOSE": 0.15,
}
SIZE_SPREAD = 0.33  # standard deviation of log size around its median
NO_RANGE, NO_BREAK = 0.03, 0.03  # shares of days


class Features(NamedTuple):
    """What one session was like; arrays of shape (n_days,), NaN for NULL."""

    label: str
    days: NDArray[np.int64]  # days since 1970-01-01, ascending
    weekday: NDArray[np.float64]  # 0 = Monday
    columns: Mapping[str, NDArray[np.float64]]


class Market(NamedTuple):
    """Everything that happened; arrays of shape (n_days,), NaN for NULL."""

    days: NDArray[np.int64]  # days since 1970-01-01, business days, ascending
    daily: Mapping[str, NDArray[Any]]  # columns of `daily_features` that no session owns
    sessions: Mapping[tuple[int, str], Features]  # by orb_minutes and label


def make_market(seed: int) -> Market:
    """Business days of 2016-2025; the same seed makes the same market."""
    rng = np.random.default_rng([seed, 0])
    dates = np.arange(FIRST_DAY, END_DAY, dtype="datetime64[D]")
    days = dates[np.is_busday(dates)].astype(np.int64)
    atr = _atr(rng, days)
    sessions = {}
    for label, share in RANGE_SHARE.items():
        surprise = np.exp(SIZE_SPREAD * rng.standard_normal(days.size))  # a wild day is wild at 5 and at 30 minutes
        for minutes in ORB_MINUTES:
            size = atr * share * surprise * np.sqrt(minutes / 5)
            sessions[minutes, label] = _session(rng, days, label, size)
    return Market(days, _daily(rng, days, atr), sessions)


def weekdays(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Day of the week, 0 = Monday, of days since 1970-01-01 (a Thursday)."""
    return (days + 3) % 7


def years(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Calendar year of days since 1970-01-01."""
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def _atr(rng: np.random.Generator, days: NDArray[np.int64]) -> Floats:
    """ATR in points: the years' levels joined by straight lines, times a slow wobble."""
    mid_years = [np.datetime64(f"{year}-07-01", "D").astype(np.int64) for year in ATR_BY_YEAR]
    level = np.interp(days, mid_years, list(ATR_BY_YEAR.values()))
    steps = rng.standard_normal(days.size + 60)
    wobble = np.convolve(steps, np.ones(60) / 60, mode="valid")[: days.size]
    return np.asarray(np.round(level * np.exp(0.5 * wobble), 2))


def _session(rng: np.random.Generator, days: NDArray[np.int64], label: str, size: Floats) -> Features:
    n = days.size
    size = np.where(rng.random(n) < NO_RANGE, np.nan, np.maximum(np.round(size / TICK), 2) * TICK)
    quiet = np.isnan(size) | (rng.random(n) < NO_BREAK)
    columns = {
        SIZE: np.round(size, 1),
        DIRECTION: np.where(rng.random(n) < 0.52, LONG, SHORT),
        DELAY: np.floor(rng.exponential(9.0, n)),
        CONTINUES: (rng.random(n) < 0.6).astype(np.float64),
        DOUBLE_BREAK: (rng.random(n) < 0.3).astype(np.float64),
        REL_VOL: np.round(np.exp(0.4 * rng.standard_normal(n)), 4),
    }
    for name in (DIRECTION, DELAY, CONTINUES, DOUBLE_BREAK):
        columns[name][quiet] = np.nan
    return Features(label, days, weekdays(days).astype(np.float64), columns)


def _daily(rng: np.random.Generator, days: NDArray[np.int64], atr: Floats) -> Columns:
    """Prices in points and calendar flags that real tables carry along; the rules read two of the columns."""
    close = np.maximum(1100 + np.cumsum(0.6 * atr * rng.standard_normal(days.size) + 0.9), 400.0)
    previous = np.append(np.nan, close[:-1])
    opened = previous + 0.1 * atr * rng.standard_normal(days.size)
    high = np.fmax(opened, close) + 0.3 * atr * rng.random(days.size)
    low = np.fmin(opened, close) - 0.3 * atr * rng.random(days.size)
    points = {
        "daily_open": opened,
        "daily_high": high,
        "daily_low": low,
        "daily_close": close,
        "gap_open_points": opened - previous,
        "prev_day_high": np.append(np.nan, high[:-1]),
        "prev_day_low": np.append(np.nan, low[:-1]),
        "prev_day_close": previous,
        "prev_day_range": np.append(np.nan, (high - low)[:-1]),
        "overnight_range": 0.4 * atr * rng.random(days.size),
        "rsi_14_at_0900": 100 * rng.beta(6, 6, days.size),
        "atr_vel_ratio": np.exp(0.1 * rng.standard_normal(days.size)),
        "atr_20": atr,
    }
    rounded = {name: np.round(column, 2) for name, column in points.items()}
    bars = rng.integers(1200, 1381, days.size).astype(np.int32)
    return {"bar_count_1m": bars, **rounded, **_calendar(days)}


def _calendar(days: NDArray[np.int64]) -> Columns:
    weekday = weekdays(days)
    dates = days.astype("datetime64[D]")
    day_of_month = (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1
    return {
        "us_dst": ~winter_days(SEASON_ZONES["0900"], days),
        "uk_dst": ~winter_days(SEASON_ZONES["1800"], days),
        "is_nfp_day": (weekday == 4) & (day_of_month <= 7),
        "is_opex_day": (weekday == 4) & (day_of_month >= 15) & (day_of_month <= 21),
        "is_friday": weekday == 4,
        "is_monday": weekday == 0,
        "is_tuesday": weekday == 1,
        "day_of_week": weekday.astype(np.int32),
    }
