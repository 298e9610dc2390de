"""Calibrations, what is calibrated in them, and all that they say, to be compared with other calibrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distributed import Client

from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_calibration
from dask_validator.config import RunConfig, combinations
from dask_validator.events import Listener, ignore
from dask_validator.run.calibrate import run_calibration
from dask_validator.universe.calibration import Calibration
from tests.support.backtests import backtest
from tests.support.tiny import change, tiny_database

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
    CASE WHEN number < 100 THEN 'scratch' WHEN number < 470 + 60 * rr_target THEN 'loss' ELSE 'win' END AS outcome,
    1.0 + (number % 97) / 200 AS pnl_r FROM orb_outcomes
) AS drawn
WHERE trading_day = drawn.day AND rr_target = drawn.rr AND orb_outcomes.outcome IS NOT NULL
"""


def five_keys(path: Path) -> Path:
    """A database of five keys, of which some lose, one is late, one has ended; every third day breaks twice.

    2021 is a quiet year. Eleven strategies follow from their outcomes, four do not, one is not canonical.
    """
    tiny_database(
        path,
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


def told(found: Calibration) -> dict[str, Any]:
    """Everything, to the last byte."""
    return {
        "settings": [setting.config for setting in found.settings],
        "json": found.to_dict(),
        "counts": found.counts.tobytes(),
        "ids": list(found.strategies.ids),
        **{name: column.tobytes() for name, column in found.strategies._asdict().items() if name != "ids"},
        "not_calibrated": dict(found.not_calibrated),
        "spa": dict(found.spa),
    }


def calibrate_on(client: Client | None, database: Path, listener: Listener = ignore, **flags: Any) -> Calibration:
    """What `calibrate(database, client=client)` does, with a listener; serially without a client."""
    several = {name: values for name, values in flags.items() if isinstance(values, list)}
    config = RunConfig(**{name: value for name, value in flags.items() if name not in several})
    workers = None if client else 1
    with (
        prepared_calibration(database, "MGC", combinations(config, several), listener=listener) as (order, blocks),
        open_executor(workers, client) as executor,
    ):
        return run_calibration(order, executor, listener, blocks)
