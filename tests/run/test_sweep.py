"""A sweep promotes, under every combination, exactly what separate runs promote."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from dask_validator import RunConfig, validate
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_sweep
from dask_validator.events import ignore
from dask_validator.model import Status
from dask_validator.run.sweep import run_sweep

FLAGS: dict[str, list[Any]] = {
    "min_sample": [60],
    "stress_multiplier": [0.5, 4.0],
    "min_sharpe": [0.15],
    "max_drawdown": [9.0],
    "min_win_rate": [0.5],
    "exclude_years": [[2020], [2019, 2021]],
    "min_years_positive_pct": [0.5, 0.8],
    "min_trades_per_year": [12],
    "no_regime_waivers": [True],
    "waived_years": ["positive"],
    "no_walkforward": [True],
    "wf_test_months": [4],
    "wf_min_train_months": [30],
    "wf_min_trades": [10, 25],
    "wf_min_windows": [1, 5],
    "wf_min_pct_positive": [0.5, 0.8],
    "strict_filters": [True],
    "wf_window_trades": [20],
    "gate": [["fdr"]],
    "fdr_method": ["by", "raw"],
    "fdr_sides": [2],
    "gate_alpha": [0.2],
    "fdr_group_by": [["orb_label"]],
    "min_sharpe_ann": [1.0],
    "small_sample": [120, 300],
    "small_wf_min_windows": [1],
    "small_wf_min_trades": [20],
    "small_min_trades_per_year": [3],
    "era_starts": [[2018, 2021, 2024]],
    "era_min_trades": [10],
    "era_min_exp": [0.1],
    "holdout_from": ["2024-01-01"],
    "holdout_min_trades": [5],
    "holdout_few": ["pass"],
    "holdout_min_exp": [0.1],
    "holdout_min_ratio": [0.5],
}
TRIED, SHARE = 20, 0.2


def drawn() -> list[RunConfig]:
    """Settings in which about every fifth flag has one of these values."""
    random = Random(16)
    return [
        RunConfig(**{name: random.choice(values) for name, values in FLAGS.items() if random.random() < SHARE})
        for _ in range(TRIED)
    ]


@pytest.fixture(scope="module")
def waiting(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded small database in which all strategies wait: then a run judges what a sweep judges."""
    path = Path(shutil.copy(small_source, tmp_path_factory.mktemp("sweep") / "all.duckdb"))
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE experimental_strategies SET validation_status = NULL")
    return path


def swept(database: Path, settings: list[RunConfig]) -> list[list[str]]:
    """Whom each of the settings promotes."""
    with open_executor(1) as executor:
        asked = prepared_sweep(database, "MGC", settings[0], {"min_sample": [30]})._replace(settings=settings)
        found = run_sweep(asked, executor, ignore)
    return [found.promoted_by(i) for i in range(len(settings))]


def run(database: Path, config: RunConfig) -> list[str]:
    """Whom a dry run promotes."""
    verdicts = validate(database, "MGC", config, dry_run=True, workers=1, progress=False).verdicts
    return [verdicts.ids[i] for i in verdicts.of(Status.PASSED)]


def test_settings_promote_what_runs_promote(waiting: Path) -> None:
    """Thresholds, what gates see of years, stress, windows, eras and holdouts, and what facts depend on, mixed."""
    settings = drawn()
    promoted = swept(waiting, settings)

    assert promoted == [run(waiting, config) for config in settings]
    assert len({tuple(each) for each in promoted}) > TRIED / 2
    assert sum(map(bool, promoted)) > TRIED / 2
    assert {name for config in settings for name in FLAGS if getattr(config, name) != getattr(RunConfig(), name)} == {
        *FLAGS
    }
