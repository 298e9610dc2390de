"""The market as `daily_features` shows it: one wide row a day for each length of the opening range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dask_validator.demo.market import (
    CONTINUES,
    DELAY,
    DIRECTION,
    DOUBLE_BREAK,
    LONG,
    ORB_MINUTES,
    RANGE_SHARE,
    REL_VOL,
    SIZE,
    Columns,
    Features,
    Floats,
    Market,
)


def feature_columns(market: Market, seed: int) -> Columns:
    """All columns but the symbol, of shape (3 * n_days,); NaN and None for NULL, days since 1970-01-01."""
    rng = np.random.default_rng([seed, 2])
    blocks = [_block(market, minutes, rng) for minutes in ORB_MINUTES]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _block(market: Market, minutes: int, rng: np.random.Generator) -> Columns:
    columns: Columns = {
        "trading_day": market.days.astype(np.int32),
        "orb_minutes": np.full(market.days.size, minutes, dtype=np.int32),
        **market.daily,
    }
    for label in RANGE_SHARE:
        columns |= _session(market.sessions[minutes, label], market.daily["daily_open"], rng)
    return columns


def _session(session: Features, price: Floats, rng: np.random.Generator) -> Columns:
    """What a session adds; the columns that no rule reads are there for the looks."""
    known, size, n = session.columns, session.columns[SIZE], session.days.size
    low = np.round(price + rng.normal(0, 3, n), 1)
    broke = ~np.isnan(known[DIRECTION])
    volume = np.round(np.where(np.isnan(size), np.nan, rng.gamma(4, 600, n)))
    columns: Columns = {
        "high": np.round(low + size, 1),
        "low": np.where(np.isnan(size), np.nan, low),
        "size": size,
        "volume": volume,
        "break_dir": _nullable(np.where(known[DIRECTION] == LONG, "long", "short"), broke),
        "break_delay_min": known[DELAY],
        "break_bar_continues": _nullable(known[CONTINUES] == 1, broke),
        "break_bar_volume": np.where(broke, np.round(volume / 4), np.nan),
        "outcome": _nullable(np.where(rng.random(n) < 0.45, "win", "loss"), broke),
        "mae_r": np.where(broke, np.round(rng.gamma(2, 0.3, n), 4), np.nan),
        "mfe_r": np.where(broke, np.round(rng.gamma(2, 0.5, n), 4), np.nan),
        "double_break": _nullable(known[DOUBLE_BREAK] == 1, broke),
        "compression_z": np.round(rng.standard_normal(n), 4),
    }
    named = {f"orb_{session.label}_{name}": column for name, column in columns.items()}
    return named | {f"rel_vol_{session.label}": known[REL_VOL]}


def _nullable(values: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    column = values.astype(object)
    column[~known] = None
    return column
