"""What a researcher would have recorded: each strategy's statistics over the whole of history, in sample."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.demo.market import Columns, Floats, Market, years
from dask_validator.demo.menu import Variant, filter_params, selected_days, variants
from dask_validator.demo.outcomes import EARLY_EXIT, LOSS, NO_ENTRY, SCRATCH, WIN, Key, KeyOutcomes, Kind
from dask_validator.rules.costs import Costs
from dask_validator.rules.day_masks import Mask

VARIANTS_PER_KEY = 21


class Trades(NamedTuple):
    """Wins and losses of one key, and who took them."""

    taken: Mask  # (n_variants, n_trades)
    pnl_r: Floats  # (n_trades,)
    won: Mask  # (n_trades,)
    year: NDArray[np.int64]  # (n_trades,)
    risk_points: Floats  # (n_trades,)


def backtest(instrument: str, market: Market, outcomes: KeyOutcomes, costs: Costs, rng: np.random.Generator) -> Columns:
    """Try `VARIANTS_PER_KEY` filters on one key: columns of `experimental_strategies`, and `kind`, the truth."""
    key = outcomes.key
    session = market.sessions[key.orb_minutes, key.orb_label]
    menu = variants(session.label)
    tried = [menu[i] for i in sorted(rng.choice(len(menu), VARIANTS_PER_KEY, replace=False))]
    selected = np.array([selected_days(variant, session)[outcomes.day_index] for variant in tried])
    traded = (outcomes.code == WIN) | (outcomes.code == LOSS)
    trades = Trades(
        selected[:, traded],
        outcomes.pnl_r[traded],
        outcomes.code[traded] == WIN,
        years(market.days[outcomes.day_index[traded]]),
        outcomes.risk_points[traded],
    )
    plans = _plans(instrument, key, tried)
    columns = plans | _performance(trades) | _dollars(trades, costs) | _signals(selected, outcomes.code)
    columns["yearly_results"] = _yearly_results(trades)
    columns |= _aliases(selected[:, outcomes.code != NO_ENTRY], plans["strategy_id"])
    columns["kind"] = np.array([str(_true_kind(outcomes.kind, variant)) for variant in tried], dtype=object)
    return columns


def strategy_id(instrument: str, key: Key, variant: Variant) -> str:
    """For example `MGC_0030_E0_RR1.0_CB2_ORB_G5_NOTUE_W`; ranges longer than 5 minutes add `_O15`, `_O30`."""
    name = f"{instrument}_{key.orb_label}_{key.entry_model}_RR{key.rr_target}_CB{key.confirm_bars}"
    minutes = "" if key.orb_minutes == 5 else f"_O{key.orb_minutes}"
    season = f"_{variant.season}" if variant.season else ""
    return f"{name}_{variant.filter_type}{minutes}{season}"


def _plans(instrument: str, key: Key, tried: list[Variant]) -> Columns:
    columns = {
        "strategy_id": [strategy_id(instrument, key, variant) for variant in tried],
        "filter_type": [variant.filter_type for variant in tried],
        "filter_params": [filter_params(variant.filter_type) for variant in tried],
    }
    same_for_all = {"instrument": instrument, **key._asdict()}
    columns |= {name: [value] * len(tried) for name, value in same_for_all.items()}
    return {name: np.array(values, dtype=object) for name, values in columns.items()}


def _true_kind(kind: Kind, variant: Variant) -> Kind:
    """A seasonal edge is a plain edge to those who trade winters only, and nothing to those who trade summers."""
    if kind is Kind.SEASONAL and variant.season:
        return Kind.EDGE if variant.season == "W" else Kind.NOISE
    return kind


def _performance(trades: Trades) -> Columns:
    """Expectancy, Sharpe ratio, drawdown and a two-sided test of mean R against 0 (normal approximation)."""
    taken, pnl_r, won = trades.taken, trades.pnl_r, trades.won
    n, wins = taken.sum(axis=1), (taken & won).sum(axis=1)
    per_year = n / max(1, np.unique(trades.year).size)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = taken @ pnl_r / n
        std = np.sqrt((taken * (pnl_r - mean[:, None]) ** 2).sum(axis=1) / (n - 1))
        sharpe = np.where(std > 0, mean / std, np.nan)
        equity = np.cumsum(taken * pnl_r, axis=1)
        peak = np.maximum(np.maximum.accumulate(equity, axis=1), 0.0)
        columns = {
            "win_rate": wins / n,
            "avg_win_r": (taken & won) @ pnl_r / wins,
            "avg_loss_r": -((taken & ~won) @ pnl_r) / (n - wins),
            "expectancy_r": mean,
            "sharpe_ratio": sharpe,
            "max_drawdown_r": np.where(n > 0, (peak - equity).max(axis=1, initial=0.0), np.nan),
            "trades_per_year": per_year,
            "sharpe_ann": sharpe * np.sqrt(per_year),
        }
    t = np.abs(sharpe) * np.sqrt(n)
    p_value = np.array([math.erfc(value / math.sqrt(2)) for value in t.tolist()])
    rounded = {name: np.round(column, 4) for name, column in columns.items()}
    return {**rounded, "sample_size": n, "p_value": np.round(p_value, 6)}


def _dollars(trades: Trades, costs: Costs) -> Columns:
    """Risk, wins and losses of one contract."""
    risk = trades.risk_points
    dollars = np.maximum(risk, costs.min_ticks_floor * costs.tick_size) * costs.point_value
    pnl = np.abs(trades.pnl_r) * dollars
    return {
        "median_risk_points": _median(trades.taken, risk),
        "avg_risk_points": _mean(trades.taken, risk),
        "median_risk_dollars": _median(trades.taken, dollars),
        "avg_risk_dollars": _mean(trades.taken, dollars),
        "avg_win_dollars": _mean(trades.taken & trades.won, pnl),
        "avg_loss_dollars": _mean(trades.taken & ~trades.won, pnl),
    }


def _mean(taken: Mask, values: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.round(taken @ values / taken.sum(axis=1), 4))


def _median(taken: Mask, values: Floats) -> Floats:
    return np.array([round(float(np.median(values[row])), 4) if row.any() else np.nan for row in taken])


def _yearly_results(trades: Trades) -> NDArray[Any]:
    """JSON by variant: year -> trades, wins, total R, win rate, average R; years without a trade are absent."""
    calendar = np.unique(trades.year)
    in_year = (trades.year[:, None] == calendar).astype(np.float64)
    counts, wins, totals = (
        (trades.taken @ (in_year * weight[:, None])).tolist()
        for weight in (np.ones(trades.pnl_r.size), trades.won, trades.pnl_r)
    )
    by_variant = [
        {
            year: {
                "trades": int(n),
                "wins": int(won),
                "total_r": round(total, 4),
                "win_rate": round(won / n, 4),
                "avg_r": round(total / n, 4),
            }
            for year, n, won, total in zip(calendar.tolist(), *rows, strict=True)
            if n
        }
        for rows in zip(counts, wins, totals, strict=True)
    ]
    return np.array([json.dumps(by_year) for by_year in by_variant], dtype=object)


def _signals(selected: Mask, code: NDArray[np.int64]) -> Columns:
    return {
        "entry_signals": (selected & (code != NO_ENTRY)).sum(axis=1),
        "scratch_count": (selected & (code == SCRATCH)).sum(axis=1),
        "early_exit_count": (selected & (code == EARLY_EXIT)).sum(axis=1),
    }


def _aliases(entered: Mask, ids: NDArray[Any]) -> Columns:
    """Of the variants that entered on the same days the first is canonical, the others are its aliases."""
    hashes = [hashlib.md5(np.packbits(row).tobytes(), usedforsecurity=False).hexdigest() for row in entered]
    first: dict[str, str] = {}
    heads = [first.setdefault(digest, id_) for digest, id_ in zip(hashes, ids, strict=True)]
    return {
        "trade_day_hash": np.array(hashes, dtype=object),
        "is_canonical": np.array(heads == ids),
        "canonical_strategy_id": np.array(
            [None if head == id_ else head for head, id_ in zip(heads, ids, strict=True)], dtype=object
        ),
    }
