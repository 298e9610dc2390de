"""Whole calibrations of small databases, equal to those of the slow twin in every number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from dask_validator import CalibrationResult, RunConfig, calibrate
from dask_validator.config import combinations
from tests.reference import calibrate as twin
from tests.reference.null_worlds import Worlds, as_settings
from tests.reference.screening import COSTS
from tests.support.backtests import backtest
from tests.support.tiny import change, tiny_database

WORLDS = Worlds(24, 5, 4.0)
STRATEGIES: list[dict[str, Any]] = [
    {"strategy_id": "MGC_ALL", "filter_type": "NO_FILTER"},
    {"strategy_id": "MGC_LARGE"},
    {"strategy_id": "MGC_LARGE_W"},
    {"strategy_id": "MGC_FAST", "filter_type": "ORB_G4_FAST5"},
    {"strategy_id": "MGC_COSTLY", "filter_type": "ORB_G4_NOFRI", "median_risk_points": 1.0},
    {"strategy_id": "MGC_STRICT", "rr_target": 2, "filter_type": "NO_DBL_BREAK"},
    {"strategy_id": "MGC_NOT_STRICT", "rr_target": 2, "filter_type": "DIR_LONG"},
    {"strategy_id": "MGC_MYSTERY", "rr_target": 2, "filter_type": "MYSTERY"},
    {"strategy_id": "MGC_LATE", "rr_target": 3, "orb_label": "1000", "filter_type": "NO_FILTER"},
    {"strategy_id": "MGC_LATE_NOMON", "rr_target": 3, "orb_label": "1000", "filter_type": "ORB_G4_NOMON"},
    {"strategy_id": "MGC_OVER", "rr_target": 4, "filter_type": "NO_FILTER"},
    {"strategy_id": "MGC_NEVER", "filter_type": "VOL_RV12_N20", "sample_size": 0},
    {"strategy_id": "MGC_OTHER_MEAN", "expectancy_r": 0.9},
    {"strategy_id": "MGC_OTHER_DAYS", "sample_size": 31},
    {"strategy_id": "MGC_FAILED", "filter_type": None},
    {"strategy_id": "MGC_NOT_CANONICAL", "rr_target": 5, "is_canonical": False},
]
ODD = ["MGC_NEVER", "MGC_OTHER_MEAN", "MGC_OTHER_DAYS", "MGC_FAILED", "MGC_NOT_CANONICAL"]
PAYS = """
UPDATE orb_outcomes SET outcome = drawn.outcome, pnl_r = CASE drawn.outcome WHEN 'loss' THEN -1 ELSE drawn.pnl_r END
FROM (
    SELECT trading_day AS day, rr_target AS rr, hash(trading_day, rr_target) % 1000 AS number,
    CASE WHEN number < 100 THEN 'scratch' WHEN number < 510 + 35 * rr_target THEN 'loss' ELSE 'win' END AS outcome,
    1.0 + (number % 97) / 200 AS pnl_r FROM orb_outcomes
) AS drawn
WHERE trading_day = drawn.day AND rr_target = drawn.rr AND orb_outcomes.outcome IS NOT NULL
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five keys, some of which lose, one of them late, one ended; every third day breaks twice; 2021 is a quiet year."""
    path = tiny_database(
        tmp_path_factory.mktemp("twin") / "twin.duckdb",
        STRATEGIES,
        features={
            "day(trading_day) % 3 = 0": {"orb_0900_double_break": True},
            "year(trading_day) = 2021": {"atr_20": 12.0},
        },
        outcomes={
            "rr_target = 3 AND trading_day < DATE '2022-04-01'": {"outcome": None},
            "rr_target = 4 AND trading_day > DATE '2022-09-01'": {"outcome": None},
            "rr_target = 5 AND outcome IS NULL": {"outcome": "early_exit"},  # days that no strategy has
        },
    )
    change(path, PAYS)
    return backtest(path, strict=["MGC_STRICT"], left_alone=ODD)


def by_id(found: CalibrationResult, column: NDArray[np.float64]) -> dict[str, float]:
    """What is known."""
    return {name: value for name, value in zip(found.strategies.ids, column.tolist(), strict=True) if value == value}


@pytest.mark.parametrize(
    ("flags", "several"),
    [
        pytest.param(
            {"min_sample": 50, "wf_min_trades": 8},
            {"no_regime_waivers": [True, False], "min_years_positive_pct": [0.5, 1.0]},
            id="walk-forward",
        ),
        pytest.param(
            {"exclude_years": (2023,), "no_walkforward": True, "stress_multiplier": 1.2},
            {"min_sharpe": [None, 0.02], "min_win_rate": [0.44, 0.4]},
            id="quality",
        ),
    ],
)
def test_every_number(database: Path, flags: dict[str, Any], several: dict[str, Any]) -> None:
    """Who is calibrated, who is promoted, counts by world and null, and every number of every strategy."""
    drawn = {"worlds": WORLDS.count, "block_days": WORLDS.block_days, "null_seed": WORLDS.seed}
    found = calibrate(database, workers=1, progress=False, **flags, **several, **drawn)
    settings = [as_settings(config) for config in combinations(RunConfig(**flags), several)]
    with duckdb.connect(str(database), read_only=True) as connection:
        expected = twin.calibrate(connection, settings, COSTS["MGC"], WORLDS)

    strategies = found.strategies
    assert set(found.not_calibrated) == expected.left_out
    assert [of.promoted for of in found.settings] == [len(passed) for passed in expected.promoted]
    assert {name for name, is_promoted in zip(strategies.ids, strategies.promoted, strict=True) if is_promoted} == (
        expected.promoted[0]
    )
    assert found.counts.tolist() == expected.counts
    assert by_id(found, strategies.luck) == expected.luck
    assert by_id(found, strategies.z) == pytest.approx(expected.z, rel=1e-12)
    for name in ("luck_q", "luck_bound", "stepm_p", "maxt_p"):
        assert by_id(found, getattr(strategies, name)) == getattr(expected, name), name
    assert found.spa == expected.spa
