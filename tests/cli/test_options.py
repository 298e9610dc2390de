"""Every option earns its name: it changes a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_validator import validate
from tests.conftest import Command

CHANGES: dict[str, Any] = {
    "min_sample": 100,
    "stress_multiplier": 6.0,
    "min_sharpe": 0.1,
    "max_drawdown": 20.0,
    "exclude_years": (2020,),
    "min_trades_per_year": 20,
    "no_regime_waivers": True,
    "no_walkforward": True,
    "wf_test_months": 12,
    "wf_min_train_months": 84,
    "wf_min_trades": 60,
    "wf_min_windows": 14,
    "wf_min_pct_positive": 1.0,
    "strict_filters": True,
}


@pytest.fixture(scope="module")
def default(small_source: Path) -> dict[str, Any]:
    """Verdicts by id with the default settings."""
    return verdicts(small_source)


def verdicts(database: Path, **flags: Any) -> dict[str, Any]:
    """Verdict, phase and windows by strategy."""
    frame = validate(database, workers=1, dry_run=True, progress=False, **flags).strategies
    return frame.set_index("strategy_id")[["verdict", "phase", "n_total_windows"]].astype(str).to_dict("index")


@pytest.mark.parametrize("name", CHANGES)
def test_rule_flag_changes_verdicts(name: str, small_source: Path, default: dict[str, Any]) -> None:
    """Each rule flag, alone, changes at least one strategy's verdict."""
    assert verdicts(small_source, **{name: CHANGES[name]}) != default


def test_years_positive_needs_waivers_off(small_source: Path) -> None:
    """`--min-years-positive-pct` is consulted only where no year can be waived."""
    strict = verdicts(small_source, no_regime_waivers=True)

    assert verdicts(small_source, no_regime_waivers=True, min_years_positive_pct=0.5) != strict


@pytest.mark.parametrize(
    "years",
    [["--exclude-years", "2020", "2021"], ["--exclude-years", "2020", "--exclude-years", "2021"]],
    ids=["list", "repeated"],
)
def test_exclude_years_as_a_list_or_repeated(years: list[str], small: Path, command: Command) -> None:
    """Both spellings exclude both years."""
    ran = command("run", "--db", small, "--workers", 1, "--dry-run", "--json", *years)
    expected = validate(small, workers=1, dry_run=True, progress=False, exclude_years=(2020, 2021)).summary

    assert ran.code == 0, ran.stderr
    assert ran.summary["rejected_by_phase"] == expected["rejected_by_phase"]


def test_the_summary_is_on_stdout_and_the_rest_on_stderr(small: Path, command: Command) -> None:
    """`run > night.log` keeps what the run has found; what it says on its way is for whoever watches."""
    ran = command("run", "--db", small, "--workers", 1, "--dry-run")

    assert "rejected in phase 3" in ran.stdout
    assert "P-values: " in ran.stdout
    assert "Screened 591" in ran.stderr
    assert "unknown filters" in ran.stderr
    assert not set(ran.stdout.splitlines()) & set(ran.stderr.splitlines())


def test_json_is_the_last_line_and_the_rest_goes_to_stderr(small: Path, command: Command) -> None:
    """`--json` leaves stdout to the summary, ready for a pipe."""
    ran = command("run", "--db", small, "--workers", 1, "--dry-run", "--json")

    assert len(ran.stdout.splitlines()) == 1
    assert list(ran.summary) == [
        *("run_id", "instrument", "db", "dry_run", "rows", "passed", "rejected", "skipped", "failed"),
        *("rejected_by_phase", "walkforward", "fdr", "retired", "total_s", "committed"),
    ]
    assert "rejected in phase 3" in ran.stderr


def test_quiet_keeps_warnings_only(small: Path, command: Command) -> None:
    """`-q` says nothing but what the user must know."""
    ran = command("run", "--db", small, "--workers", 1, "--dry-run", "-q")

    assert ran.stdout == ""
    assert all(line.startswith("warning: ") for line in ran.stderr.splitlines())


def test_speedup_is_the_ratio_of_its_parts(small: Path, command: Command) -> None:
    """The figures of the walk-forward are those the log can be checked with."""
    figures = command("run", "--db", small, "--workers", 2, "--dry-run", "--json").summary["walkforward"]

    assert figures["workers"] == 2
    assert figures["speedup"] == pytest.approx(figures["sum_s"] / figures["wall_s"], rel=0.01)
    assert figures["cpu_speedup"] == pytest.approx(figures["cpu_s"] / figures["wall_s"], rel=0.01)
