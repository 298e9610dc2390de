"""Verdicts by options of a rules file are explained, remedied and reported like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_validator import RunResult, explain, validate
from tests.conftest import Command
from tests.recorded_2026_06 import RULES, SMALL_RUNS, build

OF_PHASE = {8: "min_wfe", 9: "holdout_min_exp", 10: "era_min_exp"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded inputs, validated by the rules of 2026-06."""
    path = tmp_path_factory.mktemp("recorded") / "small.duckdb"
    build(SMALL_RUNS, path)
    ran(path, dry_run=False)
    return path


def ran(database: Path, **flags: Any) -> RunResult:
    """A run of one instrument by these rules."""
    given: dict[str, Any] = {"dry_run": True, "workers": 1, "progress": False, **flags}
    return validate(database, "MGC", rules=RULES / "main.toml", wf_output=database.with_suffix(".jsonl"), **given)


def rejected(database: Path, phase: int) -> list[Any]:
    """Explanations of the strategies that a phase has rejected."""
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(
            "SELECT strategy_id FROM dask_validator_results WHERE phase = ? ORDER BY ALL LIMIT 8", [phase]
        ).fetchall()
    return [explain(database, strategy_id) for (strategy_id,) in found]


@pytest.mark.parametrize("phase", OF_PHASE)
def test_the_gate_that_decides_is_explained(database: Path, phase: int) -> None:
    """Today's explanation is the verdict that is stored; the gate is among those that fail, with its number."""
    explanations = rejected(database, phase)
    assert explanations
    for explanation in explanations:
        failing = {gate.name for gate in explanation.gates if not gate.passed}
        assert explanation.agrees
        assert explanation.verdict.gate.phase == phase
        assert explanation.verdict.gate.name in failing


@pytest.mark.parametrize("phase", OF_PHASE)
def test_the_flag_of_the_gate_is_named(database: Path, phase: int) -> None:
    """Its remedy moves the threshold of the gate that decides, whatever else has to change."""
    for explanation in rejected(database, phase):
        changes = explanation.remedy.changes
        if explanation.verdict.gate.name.endswith("exp_r") or phase == 8:
            assert OF_PHASE[phase] in changes
            assert not changes[OF_PHASE[phase]] > explanation.verdict.gate.observed


def test_flags_of_efficiency_let_it_pass(database: Path, tmp_path: Path) -> None:
    """With the flags that the remedy names the strategy passes: the run says so too."""
    helped = [each for each in rejected(database, 8) if each.remedy.helps]
    assert helped
    fresh = tmp_path / "fresh.duckdb"
    build(SMALL_RUNS, fresh)
    for explanation in helped[:2]:
        again = ran(fresh, **explanation.remedy.changes).strategies.set_index("strategy_id")
        assert again.loc[explanation.strategy_id, "verdict"] == "PASSED"


def test_the_report_has_their_phases(database: Path, tmp_path: Path, called: Command) -> None:
    """The funnel of the report names eras, holdout and efficiency, with what each removed."""
    page = tmp_path / "report.html"
    written = called("report", "--db", database, "--instrument", "MGC", "--output", page)

    assert (written.code, written.stderr.count("warning")) == (0, 0)
    text = page.read_text()
    assert all(name in text for name in ("phase 10: eras", "phase 9: holdout", "phase 8: efficiency"))


def test_frames_have_what_was_asked_for(tmp_path: Path) -> None:
    """The expectancy of the training is a column of the windows where rules ask for it, and of no others."""
    fresh = tmp_path / "fresh.duckdb"
    build(SMALL_RUNS, fresh)
    asked, plain = ran(fresh).windows, validate(fresh, "MGC", dry_run=True, workers=1, progress=False).windows

    assert asked["is_exp_r"].notna().any()
    assert "is_exp_r" not in plain
