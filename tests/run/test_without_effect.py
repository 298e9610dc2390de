"""Settings that mean nothing without another one: whoever gives them is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dask_validator import RunConfig, validate
from dask_validator.config import flag
from dask_validator.config.run_config import SWITCHED_BY
from tests.support.tiny import tiny_database

QUIET: Any = {"workers": 1, "progress": False, "dry_run": True}
GIVEN: dict[str, Any] = {"holdout_few": "pass", "wf_in_sample_min": 16, "era_min_exp": 0.5, "holdout_min_exp": 0.5}
SWITCHES: dict[str, Any] = {
    "era_starts": (2020, 2021),
    "holdout_from": date(2023, 1, 1),
    "small_sample": 10,
    "wf_in_sample": True,
}


@pytest.mark.parametrize("name", sorted(SWITCHED_BY))
def test_a_setting_without_its_switch_is_told(name: str, tmp_path: Path) -> None:
    """A threshold of a gate that is off decides nothing: the run says so, and no longer where the gate is on."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}])
    switch = SWITCHED_BY[name]
    of_windows = {"small_wf_window_trades": 5} if name == "small_wf_train_trades" else {}
    config = RunConfig(**{name: GIVEN.get(name, 7)}, **of_windows)
    said = validate(database, config=config, **QUIET).warnings
    switched = validate(database, config=config, **{switch: SWITCHES[switch]}, **QUIET).warnings

    named = [text for text in said if f"without {flag(switch)} nothing asks for" in text]
    assert [flag(name) in text for text in named] == [True]
    assert not any("nothing asks for" in text for text in switched)
