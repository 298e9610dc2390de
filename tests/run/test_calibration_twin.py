"""Whole calibrations of small databases, equal to those of the slow twin in every number."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from dask_validator import CalibrationResult, RunConfig, calibrate
from dask_validator.config import combinations
from tests.reference import calibrate as twin
from tests.reference.null_worlds import Worlds
from tests.reference.screening import COSTS
from tests.reference.settings import Settings
from tests.support.calibrations import five_keys
from tests.support.tiny import change

WORLDS = Worlds(24, 5, 4.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, never written."""
    return five_keys(tmp_path_factory.mktemp("twin") / "twin.duckdb")


@pytest.fixture(scope="module")
def torn(whole: Path) -> Path:
    """The same, with a trade of one key that nobody knows, on a day that most of its strategies do not take."""
    path = Path(shutil.copy(whole, whole.with_name("torn.duckdb")))
    quiet = "SELECT min(trading_day) FROM daily_features WHERE orb_0900_size < 4"
    change(
        path,
        f"UPDATE orb_outcomes SET outcome = 'loss', pnl_r = NULL WHERE rr_target = 1.5 AND trading_day = ({quiet})",
    )
    return path


def by_id(found: CalibrationResult, column: NDArray[np.float64]) -> dict[str, float]:
    """What is known."""
    return {name: value for name, value in zip(found.strategies.ids, column.tolist(), strict=True) if value == value}


@pytest.mark.parametrize(
    ("made", "flags", "several"),
    [
        pytest.param(
            "whole",
            {"min_sample": 50, "wf_min_trades": 8},
            {"no_regime_waivers": [True, False], "min_years_positive_pct": [0.5, 1.0]},
            id="walk-forward",
        ),
        pytest.param(
            "torn", {"min_sample": 50, "no_walkforward": True}, {"min_years_positive_pct": [0.5]}, id="a trade unknown"
        ),
        pytest.param(
            "whole",
            {"exclude_years": (2023,), "no_walkforward": True, "stress_multiplier": 1.2},
            {"min_sharpe": [None, 0.02], "min_win_rate": [0.44, 0.4]},
            id="quality",
        ),
    ],
)
def test_every_number(
    made: str, flags: dict[str, Any], several: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Who is calibrated, who is promoted, counts by world and null, and every number of every strategy."""
    database = request.getfixturevalue(made)
    drawn = {"worlds": WORLDS.count, "block_days": WORLDS.block_days, "null_seed": WORLDS.seed}
    found = calibrate(database, workers=1, progress=False, **flags, **several, **drawn)
    settings = [Settings.of(config) for config in combinations(RunConfig(**flags), several)]
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
    assert by_id(found, strategies.z_stitched) == pytest.approx(expected.z_stitched, rel=1e-12)
    for name in ("luck_q", "luck_bound", "stepm_p", "maxt_p"):
        assert by_id(found, getattr(strategies, name)) == getattr(expected, name), name
    assert found.spa == expected.spa
