"""Calibrations of a few trades whose luck can be worked out by hand (statistics.md, section 14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_validator import CalibrationResult, calibrate
from tests.support.backtests import days_by_hand

WORLDS, SEED = 20_000, 7
LOOSE: dict[str, Any] = {
    **dict.fromkeys(("min_sample", "wf_min_trades", "wf_min_windows", "wf_test_months", "wf_min_train_months"), 1),
    "stress_multiplier": 1.0,
}
FRICTION, RISK = 8.40, 100.0  # dollars of a round trip of MGC, and at risk
TRAINING, TESTED = date(2021, 1, 1), date(2021, 2, 3)
UP_DOWN = {TRAINING: 1.0, TESTED: -1.0}
U, C, L = range(3)  # nulls


def calibrated(
    path: Path, *keys: Mapping[date, float], worlds: int = WORLDS, block_days: float = 2, **more: Any
) -> CalibrationResult:
    """Of a database of these trades, in this process."""
    database = days_by_hand(path / "hand.duckdb", keys, more.pop("strategies", ()), more.pop("features", None))
    flags = LOOSE | {"worlds": worlds, "block_days": block_days, "null_seed": SEED} | more
    return calibrate(database, workers=1, progress=False, **flags)


@pytest.mark.parametrize(("block_days", "lucky"), [(1, 4_974), (1e9, 0), (2, 2_488)])
def test_one_key_of_two_trades(tmp_path: Path, block_days: float, lucky: int) -> None:
    """Won, then lost: both days must draw the won one, in 1/(4b) of the worlds; a key's mean changes no world."""
    found = calibrated(tmp_path, UP_DOWN, {TRAINING: 3.0, TESTED: 1.0}, block_days=block_days)

    assert (found.strategies.luck * WORLDS).tolist() == [lucky, lucky]
    assert found.strategies.promoted.tolist() == [False, True]
    assert found.counts[0, U].sum() == 2 * lucky
    assert not found.not_calibrated


def test_two_names_of_one_key(tmp_path: Path) -> None:
    """What is one strategy under two names is promoted twice or not at all: no world tells them apart."""
    names = [{"strategy_id": name, "rr_target": 1} for name in ("MGC_A", "MGC_B")]
    found = calibrated(tmp_path, UP_DOWN, strategies=names)

    assert np.unique(found.counts[0, U]).tolist() == [0, 2]
    assert found.strategies.luck.tolist() == [0.1244, 0.1244]


def test_a_key_and_its_mirror(tmp_path: Path) -> None:
    """All keys draw the same source days: where one is lucky its mirror is not, and N is 1 in 1/(2b) of the worlds."""
    found = calibrated(tmp_path, UP_DOWN, {day: -pnl_r for day, pnl_r in UP_DOWN.items()})

    assert np.unique(found.counts[0, U]).tolist() == [0, 1]
    assert abs(found.counts[0, U].mean() - 1 / 4) <= 4 * np.sqrt(3 / 16 / WORLDS)


def test_extra_costs(tmp_path: Path) -> None:
    """The luckiest world earns 1 R a trade: extra costs of 0.99 R leave some luck, of 1.01 R none."""
    multipliers = [1 + extra_r * RISK / FRICTION for extra_r in (0.99, 1.01)]
    found = calibrated(tmp_path, UP_DOWN, stress_multiplier=multipliers)

    assert found.counts[:, U].sum(axis=1).tolist() == [2_488, 0]


def test_a_losing_strategy(tmp_path: Path) -> None:
    """A mean of -1 R eats what luck could give (null l); two trades prove no sure loser (null c)."""
    found = calibrated(tmp_path, {TRAINING: 0.0, TESTED: -2.0})

    assert found.counts[0].sum(axis=1).tolist() == [2_488, 2_488, 0]


@pytest.mark.parametrize(("atr", "luck"), [(25.0, 0.2917), (10.0, 0.32725)], ids=["8/27", "1/3"])
def test_a_dormant_year(tmp_path: Path, atr: float, luck: float) -> None:
    """A losing year of low volatility and few trades is waived in the worlds as in the data."""
    days = {date(2021, 12, 30): -1.2, date(2022, 2, 3): 0.2, date(2022, 2, 4): 1.0}
    found = calibrated(tmp_path, days, block_days=1, features={"year(trading_day) = 2021": {"atr_20": atr}})

    assert found.strategies.luck.tolist() == [luck]
