"""Tasks that put strategies into worlds: what they come to adds up, however it is cut."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_validator.universe import evidence
from dask_validator.universe.simulation import draws
from dask_validator.work import plan, worlds
from tests.support.calibrations import calibrate_on, five_keys, told

FLAGS: dict[str, Any] = {"worlds": 40, "null_seed": 3, "min_sample": 50, "no_walkforward": True}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, never written."""
    return five_keys(tmp_path_factory.mktemp("keys") / "keys.duckdb")


@pytest.fixture(scope="module")
def whole(database: Path) -> dict[str, Any]:
    """Everything that one task says in one lot of worlds."""
    return told(calibrate_on(None, database, **FLAGS))


def test_a_task_for_each_key(database: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of strategies are added up, and their maxima are maxima of all: to the last byte."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))

    assert told(calibrate_on(None, database, **FLAGS)) == whole


def test_a_few_worlds_at_a_time(database: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lots of seven worlds are the same worlds: to the last byte."""
    monkeypatch.setattr(worlds, "draws", partial(draws, at_once=7))

    assert told(calibrate_on(None, database, **FLAGS)) == whole


def test_more_candidates_than_can_be_followed(
    database: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of them still has its place in the maxima: who is followed has the p-value that it had."""
    before = calibrate_on(None, database, **FLAGS).strategies
    monkeypatch.setattr(evidence, "MOST_CANDIDATES", 2)
    after = calibrate_on(None, database, **FLAGS).strategies

    followed = ~np.isnan(after.stepm_p)
    assert (~np.isnan(before.stepm_p)).sum() > followed.sum() == 2
    for name in ("stepm_p", "maxt_p"):
        assert getattr(after, name)[followed].tolist() == getattr(before, name)[followed].tolist()
    assert told(calibrate_on(None, database, **FLAGS))["counts"] == whole["counts"]
