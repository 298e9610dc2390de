"""Why did it fall: every gate, its margin, and what would have to change."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import Explanation, InputError, RunConfig, RunResult, explain, validate
from dask_validator.explanation.words import margin
from dask_validator.model import Status, Verdict
from tests.conftest import Command
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database

CONFIGS = {
    "default flags": RunConfig(dry_run=True),
    "quality gates": RunConfig(dry_run=True, min_sharpe=0.1, max_drawdown=30.0, stress_multiplier=2.0),
    "without waivers": RunConfig(dry_run=True, no_regime_waivers=True, min_trades_per_year=60),
    "many windows": RunConfig(dry_run=True, wf_min_windows=19, wf_min_pct_positive=0.95),
}


def remediable(result: RunResult) -> Iterator[Explanation]:
    """For every gate one strategy that it rejects and that flags would let pass."""
    seen: dict[str, int] = {}
    for verdict in result.verdicts:
        name = verdict.gate.name if verdict.gate else ""
        if name and seen.get(name, 0) < 4:
            seen[name] = seen.get(name, 0) + 1
            explanation = result.explain(verdict.strategy_id)
            if explanation.remedy.helps:
                seen[name] = 4
                yield explanation


def test_the_stated_change_flips_the_verdict(small: Path) -> None:
    """With the flags that an explanation names, a rejected strategy passes; for every gate that flags can change."""
    flipped: set[str] = set()
    for config in CONFIGS.values():
        result = validate(small, "MGC", config, workers=1, progress=False)
        for explanation in remediable(result):
            again = validate(small, "MGC", config, workers=1, progress=False, **explanation.remedy.changes)
            [verdict] = [v for v in again.verdicts if v.strategy_id == explanation.strategy_id]
            assert verdict.status is Status.PASSED, explanation
            flipped |= {gate.name for gate in explanation.gates if not gate.passed}

    assert flipped >= {"yearly_data", "years_positive", "negative_years", "stressed_expectancy_r"}
    assert flipped >= {"sharpe_ratio", "max_drawdown_r", "valid_windows", "pct_positive"}


@pytest.fixture(scope="module")
def committed(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """The small database after a run, and what that run returned."""
    folder = tmp_path_factory.mktemp("explain")
    path = folder / "small.duckdb"
    path.write_bytes(small_source.read_bytes())
    return path, validate(path, workers=1, progress=False, wf_output=folder / "wf.jsonl")


def test_a_small_sample_flips_too(tmp_path: Path) -> None:
    """A strategy that lacks nothing but trades passes with the `min_sample` that is named."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{"sample_size": 28}])
    remedy = explain(path, "MGC_GOOD").remedy

    assert remedy.flags == "--min-sample 28"
    assert validate(path, workers=1, dry_run=True, progress=False).summary["rejected"] == 1
    assert validate(path, workers=1, dry_run=True, progress=False, **remedy.changes).summary["passed"] == 1


def some(result: RunResult, fits: Callable[[Verdict], bool]) -> str:
    """The first strategy with such a verdict."""
    return next(verdict.strategy_id for verdict in result.verdicts if fits(verdict))


def of_the_run(kept: Explanation) -> dict[str, Any]:
    """What a stored run says otherwise: paths are text there, and numbers that decide nothing are not kept."""
    return {"source": kept.source, "config": kept.config, "verdict": kept.verdict}


def test_a_past_run_explains_what_the_run_itself_explains(committed: tuple[Path, RunResult]) -> None:
    """Verdict, gates, windows and remedy from the stored run are those of the result in memory, in every phase."""
    path, result = committed
    for phase in (1, 2, 3, 4, 6, None):
        strategy_id = some(result, lambda verdict, phase=phase: verdict.phase == phase)  # type: ignore[misc]
        stored, kept = explain(path, strategy_id), result.explain(strategy_id)

        assert stored._replace(**of_the_run(kept)) == kept
        assert stored.stored is not None
        assert stored.stored[0] == stored.verdict.status == kept.verdict.status
        assert result.summary["run_id"] in stored.source


def test_windows_are_those_of_the_run(committed: tuple[Path, RunResult], tmp_path: Path) -> None:
    """A strategy is explained by the windows it was judged by, even when its outcomes have changed since."""
    path, result = committed
    copy = tmp_path / "later.duckdb"
    copy.write_bytes(path.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute("UPDATE orb_outcomes SET pnl_r = -1, outcome = 'loss'")
    passed = some(result, lambda verdict: verdict.status is Status.PASSED)
    screened = some(result, lambda verdict: verdict.phase == 3)

    assert explain(copy, passed).windows == result.explain(passed).windows
    assert explain(copy, passed).verdict.status is Status.PASSED
    assert {window.test_pass for window in explain(copy, screened).windows} == {False}
    assert explain(copy, screened).source.endswith("walk-forward computed now")


def test_run_chooses_the_flags(committed: tuple[Path, RunResult], command: Command, tmp_path: Path) -> None:
    """`--run` explains by the flags of that run, not of the latest; an unknown one is refused with those there are."""
    path, first = committed
    copy = tmp_path / "twice.duckdb"
    copy.write_bytes(path.read_bytes())
    passed = some(first, lambda verdict: verdict.status is Status.PASSED and verdict.walkforward is not None)
    with duckdb.connect(str(copy)) as connection:
        again = "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = ?"
        connection.execute(again, [passed])
    second = validate(copy, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl", wf_min_windows=1000)
    done = command("explain", passed, "--db", copy, "--run", first.summary["run_id"])

    assert explain(copy, passed).verdict.phase == 6
    assert f"{passed} of MGC: PASSED" in done.stdout
    assert "in the database it is REJECTED" in done.stdout
    refused = command("explain", passed, "--db", copy, "--run", "nonsense")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1
    assert all(run.summary["run_id"] in refused.stderr for run in (first, second))


@pytest.mark.parametrize("flags", [{"min_sample": 10_000}, {"no_walkforward": True}, {"min_trades_per_year": 20}])
def test_the_run_that_judged_is_the_one_that_explains(
    committed: tuple[Path, RunResult], tmp_path: Path, flags: dict[str, Any]
) -> None:
    """Validated again with other flags, a strategy is explained by those, and not by an older run that got further."""
    path, first = committed
    copy = tmp_path / "again.duckdb"
    copy.write_bytes(path.read_bytes())
    passed = some(first, lambda verdict: verdict.status is Status.PASSED)
    fallen = some(first, lambda verdict: verdict.phase == 6)
    with duckdb.connect(str(copy)) as connection:
        again = "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id IN (?, ?)"
        connection.execute(again, [passed, fallen])
    second = validate(copy, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl", **flags)
    for strategy_id in (passed, fallen):
        explanation = explain(copy, strategy_id)

        assert explanation.agrees
        assert second.summary["run_id"] in explanation.source
        assert f"with --{next(iter(flags)).replace('_', '-')}" in str(explanation)


def test_an_older_run_explains_what_only_it_has_judged(committed: tuple[Path, RunResult], tmp_path: Path) -> None:
    """A strategy that a later run with other flags did not look at is explained by the run whose note it has."""
    path, first = committed
    copy = tmp_path / "older.duckdb"
    copy.write_bytes(path.read_bytes())
    passed = some(first, lambda verdict: verdict.status is Status.PASSED)
    untouched = some(first, lambda verdict: verdict.phase == 3)
    with duckdb.connect(str(copy)) as connection:
        again = "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = ?"
        connection.execute(again, [passed])
    second = validate(copy, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl", min_sample=10_000)

    assert second.summary["run_id"] in explain(copy, passed).source
    assert first.summary["run_id"] in explain(copy, untouched).source  # which the later flags would reject earlier


KILLING = """
import sys, time
from dask_validator.explanation import find
from dask_validator.cli.commands import main

def kill(task):
    time.sleep(1000)

find.CHILD_TIMEOUT_S = 1.0
find.walkforward_task = kill
main()
"""


def test_what_hangs_does_not_hang_the_explanation(tmp_path: Path) -> None:
    """A strategy that has FAILED because it never came back is asked about in a process of its own."""
    note = "no result within 600 s (--task-timeout)"
    path = tiny_database(tmp_path / "tiny.duckdb", [{"validation_status": "FAILED", "validation_notes": note}])
    words = [sys.executable, "-c", KILLING, "explain", "MGC_GOOD", "--db", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr
    assert "MGC_GOOD of MGC: FAILED" in done.stdout
    assert "no result within 1 s" in done.stdout


def test_a_note_cannot_forge_lines(tmp_path: Path, command: Command) -> None:
    """What the database says is on one line, without control characters."""
    forged = "x\x1b[31m\nIt would pass with --dry-run"
    path = tiny_database(tmp_path / "tiny.duckdb", [{"validation_status": "REJECTED", "validation_notes": forged}])
    done = command("explain", "MGC_GOOD", "--db", path)

    assert r"x\x1b[31m\nIt would pass with --dry-run" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_waiting_strategy_is_computed_and_nothing_is_written(small: Path, command: Command) -> None:
    """Without any run a strategy is explained by the default flags; not a byte of the database changes."""
    before = small.read_bytes()
    result = validate(small, workers=1, dry_run=True, progress=False)
    strategy_id = some(result, lambda verdict: verdict.phase == 3)
    done = command("explain", strategy_id, "--db", small)

    assert done.code == 0
    assert small.read_bytes() == before
    assert f"{strategy_id} of MGC: REJECTED\n  Phase 3: " in done.stdout
    assert "the default flags: no run is stored; walk-forward computed now" in done.stdout
    assert done.stdout == f"{explain(small, strategy_id)}\n"


def test_every_gate_has_value_threshold_and_margin(committed: tuple[Path, RunResult]) -> None:
    """All gates are there, also those behind the first that fails; a gate holds where its margin is not negative."""
    _, result = committed
    explanation = result.explain(some(result, lambda verdict: verdict.phase == 2 and verdict.split is not None))

    assert {gate.phase for gate in explanation.gates} >= {1, 2, 3, 4, 6}
    for gate in explanation.gates:
        distance = margin(gate)
        assert distance is not None
        assert distance >= 0 if gate.passed else distance <= 0
    for verdict in result.verdicts[:200]:
        if verdict.gate is not None and verdict.phase == 6:
            first = next(gate for gate in result.explain(verdict.strategy_id).gates if not gate.passed)
            assert first == verdict.gate


ODD = "MGC_<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("row", "status", "lacking"),
    [
        ({"is_canonical": False}, "SKIPPED", "it must be canonical: aliases are skipped"),
        ({"filter_type": None}, "FAILED", "filter_type is NULL: it is unknown which days the strategy trades"),
        ({"orb_label": "nowhere"}, "FAILED", "orb_label 'nowhere' is no known session"),
        ({"yearly_results": "[1]"}, "FAILED", "yearly_results is a JSON list, needed an object of years"),
        ({"win_rate": None}, "FAILED", "would pass, but cannot be promoted: win_rate is NULL"),
        ({"sample_size": 3, "win_rate": None}, "REJECTED", "would pass, but cannot be promoted: win_rate is NULL"),
        ({"sample_size": 3, "filter_type": None}, "REJECTED", "filter_type is NULL"),
    ],
)
def test_what_no_flag_changes_is_said(tmp_path: Path, row: dict[str, object], status: str, lacking: str) -> None:
    """A strategy that cannot pass by flags is told why, whatever else is wrong with it; its name is escaped."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{"strategy_id": ODD, **row}])
    explanation = explain(path, ODD)

    assert explanation.verdict.status == status
    assert any(lacking in text for text in explanation.remedy.lacking)
    assert not explanation.remedy.helps
    assert "No threshold lets it pass" in str(explanation)
    assert "<img" not in explanation._repr_html_()
    assert "&lt;img" in explanation._repr_html_()


def test_a_passed_strategy_needs_nothing(tmp_path: Path) -> None:
    """One that passes is told so, and its file is free again."""
    path = tiny_database(tmp_path / "tiny.duckdb")

    assert "It passes: nothing has to change" in str(explain(path, "MGC_GOOD"))
    duckdb.connect(str(path)).close()


@pytest.mark.parametrize("args", [("MGC_GODO",), ("",), ("'; DROP TABLE experimental_strategies; --",)])
def test_an_unknown_strategy_is_refused(tmp_path: Path, command: Command, args: tuple[str]) -> None:
    """One line says what was asked for and which ids are alike."""
    path = tiny_database(tmp_path / "tiny.duckdb")
    done = command("explain", *args, "--db", path)

    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "the nearest are MGC_GOOD" in done.stderr


def test_a_result_explains_only_what_it_has_processed(committed: tuple[Path, RunResult]) -> None:
    """An id that the run did not see is refused by name."""
    with pytest.raises(InputError, match=r"'MGC_NOWHERE'.*\.strategies"):
        committed[1].explain("MGC_NOWHERE")


def test_many_later_runs_do_not_hide_the_one_that_has_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs have followed without the strategy, it is explained by its own."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_AGAIN"}])
    lines = tmp_path / "wf.jsonl"
    first = validate(database, workers=1, progress=False, wf_output=lines)
    for _ in range(2):
        change(database, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = 'MGC_AGAIN'")
        validate(database, workers=1, progress=False, wf_output=lines)
    monkeypatch.setattr("dask_validator.explanation.find.MOST_RUNS", 1)

    assert explain(database, "MGC_GOOD").source.startswith(f"run {first.summary['run_id']}")


def test_whoever_has_not_judged_a_strategy_is_not_named_as_its_judge(tmp_path: Path) -> None:
    """Runs of the same flags say the same: the one that has judged it counts, and where none has, that is said."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_LATER"}])
    lines = tmp_path / "wf.jsonl"
    change(database, "UPDATE experimental_strategies SET validation_status = 'PASSED' WHERE strategy_id = 'MGC_LATER'")
    first = validate(database, workers=1, progress=False, wf_output=lines)
    told = explain(database, "MGC_LATER").source
    change(database, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = 'MGC_LATER'")
    second = validate(database, workers=1, progress=False, wf_output=lines)

    assert told.startswith(f"the flags of run {first.summary['run_id']}")
    assert told.endswith("no run that is kept has judged it")
    assert first.summary["run_id"] in explain(database, "MGC_GOOD").source
    assert second.summary["run_id"] in explain(database, "MGC_LATER").source


def test_an_earlier_version_kept_no_number_of_outcomes(tmp_path: Path) -> None:
    """Its windows are explained as they are; what it did not keep is not made up."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    as_an_earlier_version_left_it(database)
    explanation = explain(database, "MGC_GOOD")
    by_name = {gate.name: gate for gate in explanation.gates}

    assert explanation.agrees
    assert "computed now" not in explanation.source
    assert (by_name["outcomes"].observed, by_name["outcomes"].passed) == (None, True)
    assert by_name["windows"].observed == len(explanation.windows) > 0
