"""`load_run`: a committed run comes back as `validate` had returned it, or is refused in a line."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dask_validator import InputError, load_run, validate, validate_trades
from dask_validator.run.outcome import Outcome
from dask_validator.views.result import RunResult
from tests.support.calibrations import five_keys
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database
from tests.support.trade_logs import log

FIELDS = {field.name for field in dataclasses.fields(Outcome)}
FRAMES = ("strategies", "promoted", "windows")
OF_THE_COMMIT = {"commit", "jsonl"}
MANY_FLAGS: dict[str, Any] = {
    "wf_in_sample": True,
    "small_sample": 60,
    "small_wf_min_trades": 5,
    "fdr_method": "by",
    "gate": ("fdr",),
    "era_starts": (2016, 2020, 2024),
    "holdout_from": "2025-01-01",
    "wf_last_day": "2024-12-31",
}


def validated(path: Path, **flags: Any) -> RunResult:
    """Serially, the JSONL beside the database."""
    return validate(path, wf_output=str(path.with_name("wf.jsonl")), workers=1, progress=False, **flags)


def differing(a: RunResult, b: RunResult) -> set[str]:
    """Fields and frames of two results that are not equal to the last digit."""
    names = {field.name for field in dataclasses.fields(type(a.verdicts))}
    found = {name for name in names if not _same(getattr(a.verdicts, name), getattr(b.verdicts, name))}
    found |= {name for name in FIELDS - {"verdicts"} if not _same(getattr(a, name), getattr(b, name))}
    return found | {name for name in FRAMES if not getattr(a, name).equals(getattr(b, name))}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        if a.dtype.names:
            return a.dtype == b.dtype and all(_same(a[name], b[name]) for name in a.dtype.names)
        return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return repr(a) == repr(b) if isinstance(a, float) else bool(a == b)


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"no_walkforward": True, "min_sharpe": 0.1},
        MANY_FLAGS,
    ],
    ids=["defaults", "no walk-forward", "many flags"],
)
def test_every_field_is_that_of_the_run(small: Path, flags: dict[str, Any]) -> None:
    """Verdicts, frames, warnings, timings and settings come back; what the commit itself took is not recorded."""
    result = validated(small, **flags)
    loaded = load_run(small, result.summary["run_id"])

    assert differing(loaded, result) <= {"summary", "stages", "order"}
    assert loaded.summary == result.summary | {"total_s": loaded.summary["total_s"]}
    assert list(loaded.summary) == list(result.summary)
    assert 0 < loaded.summary["total_s"] <= result.summary["total_s"]
    assert loaded.stages.items() <= result.stages.items()
    assert result.stages.keys() - loaded.stages.keys() <= OF_THE_COMMIT
    assert loaded.order is not None
    assert result.order is not None
    assert loaded.order._replace(blocks=None) == result.order._replace(blocks=None)


def test_what_null_worlds_said_is_in_frames_and_summary(tmp_path: Path) -> None:
    """The calibration itself is not recorded; its summary and the numbers of every strategy are."""
    path = five_keys(tmp_path / "five.duckdb")
    result = validated(path, calibrate=True, worlds=20)
    loaded = load_run(path)

    assert differing(loaded, result) <= {"summary", "stages", "order", "calibration"}
    assert loaded.calibration is None
    assert loaded.summary["calibration"] == result.summary["calibration"]
    assert loaded.strategies["z"].notna().any()


def test_imported_trades_come_back_in_their_unit(tmp_path: Path) -> None:
    """Unit and phase 4 that was not judged are said as they were."""
    result = validate_trades(log(4, 300), unit="r", progress=False)
    loaded = load_run(result.summary["db"], instrument="TRADES")

    assert differing(loaded, result) <= {"summary", "stages", "order"}
    assert loaded.summary["cost_stress_not_judged"] == result.summary["cost_stress_not_judged"] > 0


def test_a_loaded_run_can_be_asked_what_the_run_could(small: Path) -> None:
    """Explanations, plots and the table of a notebook work on it, also where the file has moved."""
    result = validated(small)
    moved = Path(shutil.move(small, small.with_name("moved.duckdb")))
    loaded = load_run(moved)
    strategy_id = loaded.promoted["strategy_id"][0]

    assert loaded.summary["db"] == str(moved)
    assert loaded.explain(strategy_id).verdict == result.verdicts[result.verdicts.find(strategy_id) or 0]
    assert loaded.plot_windows(strategy_id).renderers
    assert f"committed as run {result.summary['run_id']}" in loaded._repr_html_()


def test_runs_that_cannot_come_back_are_refused_in_a_line(tmp_path: Path) -> None:
    """No run, an unknown one, one whose rows are gone, one of an earlier version: each says what is the matter."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_B"}])
    with pytest.raises(InputError, match=r"no committed run of MGC; it has none at all"):
        load_run(path)
    run_id = validated(path).summary["run_id"]
    with pytest.raises(InputError, match=rf"no committed run 'X'; the latest are {run_id} \(MGC\)"):
        load_run(path, "X")
    earlier = Path(shutil.copy(path, tmp_path / "earlier.duckdb"))
    as_an_earlier_version_left_it(earlier)
    with pytest.raises(InputError, match=rf"run {run_id} was made by an earlier version"):
        load_run(earlier)
    change(path, "DELETE FROM dask_validator_results WHERE strategy_id = 'MGC_B'")
    with pytest.raises(InputError, match=rf"has 1 of the 2 rows of run {run_id}"):
        load_run(path)


def test_which_strategies_were_validated_comes_back(tmp_path: Path) -> None:
    """By status as by name: what is asked of the result later is asked of the same strategies."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_B"}])
    for strategies in ("waiting", "all", ["MGC_B"]):
        result, loaded = validated(path, strategies=strategies), load_run(path)

        assert loaded.order is not None
        assert result.order is not None
        assert loaded.order.selection == result.order.selection
        assert loaded.strategies.equals(result.strategies)


def test_frames_of_a_run_of_the_past_are_of_that_run(tmp_path: Path) -> None:
    """A later run with other flags changes nothing in what an earlier one is loaded as."""
    path = tiny_database(tmp_path / "tiny.duckdb")
    first = validated(path)
    change(path, "UPDATE experimental_strategies SET validation_status = NULL")
    validated(path, min_sample=1000)

    pd.testing.assert_frame_equal(load_run(path, first.summary["run_id"]).strategies, first.strategies)
    assert load_run(path).strategies["verdict"].tolist() == ["REJECTED"]
