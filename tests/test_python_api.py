"""`validate()` and what it returns, from a script and from a notebook."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import dask_validator
from dask_validator import InputError, RunConfig, ValidatorError, validate


def test_result_has_summary_strategies_and_windows(small: Path) -> None:
    """The summary adds up, one table has a row per processed strategy, the other one per test window."""
    result = validate(small, workers=1, dry_run=True, progress=False)

    summary = result.summary
    assert summary["rows"] == sum(summary[name] for name in ("passed", "rejected", "skipped", "failed"))
    assert sum(summary["rejected_by_phase"].values()) == summary["rejected"]
    assert len(result.strategies) == summary["rows"]
    assert (result.strategies["verdict"] == "PASSED").sum() == summary["passed"]
    reached = result.strategies["n_total_windows"].sum()
    assert len(result.windows) == reached > 0


COUNTS = (
    *("phase", "n_total_windows", "n_valid_windows", "n_positive_windows", "total_oos_trades"),
    *("dst_winter_n", "dst_summer_n", "years_tested"),
)


def test_counts_are_whole_numbers(small: Path, tmp_path: Path) -> None:
    """Phases and counts are integers in the tables, missing or not, and a run without a row has the same types."""
    result = validate(small, wf_output=tmp_path / "wf.jsonl", workers=1, progress=False)
    frame, windows = result.strategies, result.windows
    nothing = validate(small, wf_output=tmp_path / "wf.jsonl", workers=1, progress=False)
    phases = [None if phase is pd.NA else phase for phase in frame["phase"].tolist()]

    assert [str(frame[name].dtype) for name in COUNTS] == ["Int64"] * len(COUNTS)
    assert [str(frame[name].dtype) for name in ("all_years_positive", "window_imbalanced")] == ["boolean"] * 2
    assert phases == [verdict.phase for verdict in result.verdicts]
    assert (str(windows["test_n"].dtype), str(windows["test_pass"].dtype)) == ("int64", "bool")
    assert nothing.strategies.dtypes[list(COUNTS)].equals(frame.dtypes[list(COUNTS)])
    assert nothing.windows.dtypes[["test_n", "test_pass"]].equals(windows.dtypes[["test_n", "test_pass"]])


def test_keywords_are_the_fields_of_the_config(small: Path) -> None:
    """A single flag needs no RunConfig; a misspelt one is refused with the list of known ones."""
    by_keyword = validate(small, workers=1, dry_run=True, min_sample=100, progress=False)
    by_config = validate(small, "MGC", RunConfig(min_sample=100, dry_run=True), workers=1, progress=False)

    assert by_keyword.summary["rejected_by_phase"] == by_config.summary["rejected_by_phase"]
    with pytest.raises(InputError, match=r"min_samples.*min_sample"):
        validate(small, workers=1, min_samples=100)


@pytest.mark.parametrize(
    "flags",
    [
        {"wf_test_months": 6.0},
        {"min_sample": "50"},
        {"exclude_years": ("2020",)},
        {"exclude_years": 2020},
        {"no_walkforward": "false"},
        {"min_sharpe": float("nan")},
        {"wf_output": None},
    ],
    ids=str,
)
def test_wrong_types_are_refused(flags: dict[str, object]) -> None:
    """A setting of the wrong type is an error of the call, never the verdict on a strategy."""
    with pytest.raises(InputError, match=r"--.* got .*; needed"):
        RunConfig(**flags)  # type: ignore[arg-type]


def test_config_is_frozen() -> None:
    """Settings cannot change under a run."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().min_sample = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "arguments", [{"workers": 0}, {"workers": -1}, {"workers": "2"}, {"workers": 2, "client": object()}]
)
def test_unusable_places_to_run_are_refused(small: Path, arguments: dict[str, object]) -> None:
    """No workers, or two places at once, is an error before any work."""
    before = small.read_bytes()

    with pytest.raises(InputError, match="got"):
        validate(small, **arguments)  # type: ignore[arg-type]

    assert small.read_bytes() == before


def test_a_script_without_the_guard_gets_one_line(small: Path) -> None:
    """Worker processes import the script again; without the guard that would end in hundreds of lines."""
    script = small.parent / "script.py"
    script.write_text(f"import dask_validator\ndask_validator.validate({str(small)!r}, workers=2)\n")

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert '`if __name__ == "__main__":`' in done.stderr


def test_a_script_with_the_guard_runs(small: Path) -> None:
    """The documented way to call `validate` from a script works with worker processes."""
    script = small.parent / "script.py"
    call = f"print(dask_validator.validate({str(small)!r}, workers=2, dry_run=True, progress=False))"
    script.write_text(f"import dask_validator\nif __name__ == '__main__':\n    {call}\n")

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "<RunResult MGC: 44 passed, 512 rejected, 35 skipped, 0 failed>\n"


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be imported, and every error is one family."""
    for name in dask_validator.__all__:
        assert getattr(dask_validator, name).__doc__
    assert issubclass(InputError, ValidatorError)
    with pytest.raises(AttributeError):
        dask_validator.nothing  # noqa: B018


def test_duckdb_draws_no_bar_among_what_is_printed(small: Path) -> None:
    """Where nobody has given a file, as with `python -c` and in a notebook, DuckDB would draw its own progress."""
    shown = "print(opened.execute(\"SELECT current_setting('enable_progress_bar')\").fetchall())"
    code = f"from dask_validator.store.connection import reading\nwith reading({str(small)!r}) as opened: {shown}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[(False,)]\n"
