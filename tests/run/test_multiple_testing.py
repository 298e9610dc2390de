"""Phase 7: gates that look at all strategies at once, asked for one by one, from the command to the tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dask_validator import InputError, NotCommitted, RunConfig, calibrate, explain, validate
from dask_validator.demo import build_demo
from dask_validator.rules.fdr import adjusted_p_values, one_sided
from dask_validator.store import writer
from dask_validator.views.result import RunResult
from tests.conftest import Command
from tests.support.tiny import change, rows_by_id, tiny_database

LOOSE: dict[str, Any] = {"no_regime_waivers": True, "min_years_positive_pct": 0.6, "worlds": 100}
ANSWERS = ("experimental_strategies", "validated_setups")
OURS = ("dask_validator_results", "dask_validator_windows")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred invented strategies of which nobody has judged any."""
    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    build_demo(path, strategies=400, seed=1)
    return path


@pytest.fixture
def copied(demo: Path, tmp_path: Path) -> Path:
    """For one test to write to."""
    return Path(shutil.copy(demo, tmp_path / "demo.duckdb"))


def judged(database: Path, **flags: Any) -> RunResult:
    """A run with loose thresholds; the JSONL lies beside the database."""
    settings = {**LOOSE, "workers": 1, **flags}
    return validate(database, wf_output=database.parent / "wf.jsonl", progress=False, **settings)


def tables(database: Path, names: tuple[str, ...] = (*ANSWERS, *OURS)) -> dict[str, list[str]]:
    """All rows but for moments and run ids."""
    moments = {"validated_setups": "EXCLUDE (promoted_at, retired_at)"} | dict.fromkeys(OURS, "EXCLUDE (run_id)")
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = {
            name: connection.execute(f"SELECT * {moments.get(name, '')} FROM {name} ORDER BY ALL") for name in names
        }
        return {name: list(map(repr, found.fetchall())) for name, found in rows.items()}


def lines(database: Path) -> list[dict[str, Any]]:
    """Of the JSONL, without moments and run ids."""
    text = (database.parent / "wf.jsonl").read_text()
    return [{**json.loads(line), "timestamp": None, "run_id": None} for line in text.splitlines()]


def test_without_a_gate_nothing_is_asked(copied: Path, tmp_path: Path) -> None:
    """`--gate none` leaves the very tables and lines of a run without the flag, and phase 7 is not counted."""
    (tmp_path / "other").mkdir()
    other = Path(shutil.copy(copied, tmp_path / "other" / "demo.duckdb"))
    first, second = judged(copied), judged(other, gate=["luck", "none"])

    assert tables(copied) == tables(other)
    assert lines(copied) == lines(other)
    assert "7" not in first.summary["rejected_by_phase"] | second.summary["rejected_by_phase"]
    assert "calibration" not in second.summary


@pytest.mark.parametrize("gate", ["luck", "stepm"])
def test_it_rejects_what_luck_explains(copied: Path, gate: str) -> None:
    """Whoever does not hold is REJECTED at phase 7, with the number in the note; all others stay as they were."""
    before = judged(copied, dry_run=True)
    result = judged(copied, gate=[gate])
    rows = rows_by_id(copied, "dask_validator_results")
    column, most = {"luck": ("luck_bound", 0.10), "stepm": ("stepm_p", 0.05)}[gate]
    notes = {name: row["validation_notes"] for name, row in rows_by_id(copied, "experimental_strategies").items()}
    passed_before = {verdict.strategy_id for verdict in before.verdicts if verdict.status == "PASSED"}
    holds = {name for name in passed_before if rows[name][column] is not None and rows[name][column] <= most}
    fell = {name for name, row in rows.items() if row["phase"] == 7}

    assert {name for name, row in rows.items() if row["verdict"] == "PASSED"} == holds
    assert fell == passed_before - holds
    assert len(holds) > 2
    assert len(fell) > 2
    assert all(notes[name].startswith("Phase 7: ") for name in fell)
    assert {rows[name]["gate"] for name in fell} == {column}
    assert result.summary["rejected_by_phase"]["7"] == len(fell)


def test_who_has_no_number_fails_closed(copied: Path) -> None:
    """A strategy whose stored numbers do not follow from its outcomes is not calibrated: no gate lets it pass."""
    before = judged(copied, dry_run=True)
    name = next(verdict.strategy_id for verdict in before.verdicts if verdict.status == "PASSED")
    change(
        copied, f"UPDATE experimental_strategies SET expectancy_r = expectancy_r + 0.01 WHERE strategy_id = '{name}'"
    )

    result = judged(copied, gate=["luck"])

    assert rows_by_id(copied, "experimental_strategies")[name]["validation_notes"].startswith("Phase 7: not calibrated")
    assert rows_by_id(copied, "dask_validator_results")[name]["luck_bound"] is None
    assert result.calibration is not None
    assert "do not follow" in result.calibration.not_calibrated[name]


def test_a_rejected_setup_is_retired(copied: Path) -> None:
    """A gate that is asked for later takes live setups back that it does not let pass."""
    judged(copied)
    live = set(rows_by_id(copied, "validated_setups"))
    change(copied, "UPDATE experimental_strategies SET validation_status = NULL")

    result = judged(copied, gate=["luck"])
    setups = rows_by_id(copied, "validated_setups")

    fell = {verdict.strategy_id for verdict in result.verdicts if verdict.phase == 7}
    assert fell
    assert fell <= live
    assert {setups[name]["status"] for name in fell} == {"retired"}


@pytest.mark.parametrize(
    ("method", "sides"), [("bh", 1), ("by", 1), ("raw", 1), ("bh", 2), (None, None)], ids=lambda value: str(value)
)
def test_the_false_discovery_rate_as_a_gate(copied: Path, method: Any, sides: int | None) -> None:
    """It corrects over all canonical strategies of the instrument, by the method and on the sides asked for."""
    with duckdb.connect(str(copied)) as connection:
        found = connection.execute(
            "SELECT strategy_id, p_value, expectancy_r FROM experimental_strategies "
            "WHERE instrument = 'MGC' AND is_canonical AND p_value IS NOT NULL"
        ).fetchall()
    ids, p_values, expectancies = zip(*found, strict=True)
    tested, means = np.array(p_values), np.array(expectancies)
    wanted = adjusted_p_values(tested if sides == 2 else one_sided(tested, means), method or "bh")
    expected = dict(zip(ids, wanted.tolist(), strict=True))

    judged(copied, gate=["fdr"], fdr_method=method, fdr_sides=sides)
    rows = rows_by_id(copied, "dask_validator_results")

    assert {name: row["fdr_p"] for name, row in rows.items() if name in expected} == expected
    assert {name for name, row in rows.items() if row["verdict"] == "PASSED"} <= {
        name for name, p_value in expected.items() if p_value < 0.05
    }


def test_the_columns_of_setups_follow_the_correction_only_where_it_is_named(copied: Path, tmp_path: Path) -> None:
    """`fdr_significant` and `fdr_adjusted_p` stay two-sided Benjamini-Hochberg under `--gate fdr` alone."""
    (tmp_path / "other").mkdir()
    other = Path(shutil.copy(copied, tmp_path / "other" / "demo.duckdb"))
    judged(copied, gate=["fdr"])
    judged(other, fdr_method="by")
    usual = rows_by_id(copied, "dask_validator_results")
    named = rows_by_id(other, "dask_validator_results")

    assert {name: row["adjusted_p"] for name, row in usual.items()} != {
        name: row["adjusted_p"] for name, row in named.items()
    }
    promoted = rows_by_id(other, "validated_setups")
    assert promoted
    assert all(row["fdr_adjusted_p"] == round(named[name]["fdr_p"], 6) for name, row in promoted.items())


def test_any_number_of_workers_gives_the_same_verdicts(copied: Path, tmp_path: Path) -> None:
    """Tables, lines and observed numbers of a run with all gates are those of a serial one."""
    (tmp_path / "other").mkdir()
    other = Path(shutil.copy(copied, tmp_path / "other" / "demo.duckdb"))
    judged(copied, gate=["fdr", "luck", "stepm"])
    judged(other, gate=["stepm", "luck", "fdr"], workers=2)

    assert tables(copied) == tables(other)
    assert lines(copied) == lines(other)


def test_lines_of_the_jsonl_have_the_values_at_their_end(copied: Path) -> None:
    """`passed` is of walk-forward as before; the numbers of the gates that are on come last."""
    judged(copied, dry_run=False, gate=["luck", "stepm"])
    rows = rows_by_id(copied, "dask_validator_results")

    for line in lines(copied):
        row = rows[line["strategy_id"]]
        assert list(line)[-2:] == ["luck_bound", "stepm_p"]
        assert (line["luck_bound"], line["stepm_p"]) == (row["luck_bound"], row["stepm_p"])
        assert line["passed"] is (row["phase"] != 6)
        assert (line["rejection_reason"] is None) is line["passed"]


def test_explain_says_what_it_saw_and_what_would_help(copied: Path) -> None:
    """By the run's own numbers: the gate with its value, and the flag with which the strategy would pass."""
    judged(copied, gate=["luck"])
    rows = rows_by_id(copied, "dask_validator_results")
    name, row = next((name, row) for name, row in rows.items() if row["phase"] == 7 and row["luck_bound"] < 1)

    found = explain(copied, name)
    gate = next(gate for gate in found.gates if gate.name == "luck_bound")

    assert (gate.observed, gate.threshold, gate.passed) == (row["luck_bound"], 0.10, False)
    assert found.verdict.note == rows_by_id(copied, "experimental_strategies")[name]["validation_notes"]
    assert found.agrees
    assert found.luck["z"] == row["z"]
    assert found.luck["z_stitched"] == row["z_stitched"]
    assert f"{row['z_stitched']:.2f} in the test windows alone, which it was chosen on too" in str(found)
    assert set(found.remedy.changes) == {"gate_share"}
    again = judged(copied, dry_run=True, gate=["luck"], **found.remedy.changes)
    assert again.summary["rows"] == 0  # all are judged
    change(copied, "UPDATE experimental_strategies SET validation_status = NULL")
    again = judged(copied, dry_run=True, gate=["luck"], **found.remedy.changes)
    assert next(verdict for verdict in again.verdicts if verdict.strategy_id == name).status == "PASSED"


def test_what_could_not_be_committed_is_committed_later(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """`commit` writes the verdicts of phase 7 that the run itself would have written."""
    (tmp_path / "other").mkdir()
    other = Path(shutil.copy(copied, tmp_path / "other" / "demo.duckdb"))
    judged(other, gate=["luck"])
    with monkeypatch.context() as patch:
        patch.setattr(writer, "commit", _refuse)
        with pytest.raises(NotCommitted):
            judged(copied, gate=["luck"])

    done = command("commit", "--db", copied, "--wf-output", tmp_path / "wf.jsonl")

    assert done.code == 0, done.stderr
    assert "What the run has not kept of the null worlds is computed now, in this process alone" in done.stderr
    assert tables(copied) == tables(other)


def _refuse(*_: object, **__: object) -> None:
    raise NotCommitted("computed, but not written: held by a test")


def test_too_few_worlds_are_refused(tmp_path: Path) -> None:
    """With fewer worlds than 1 / alpha no p-value could be as small as alpha."""
    with pytest.raises(InputError, match="at least 100"):
        RunConfig(gate=("stepm",), gate_alpha=0.01, worlds=50)
    with pytest.raises(InputError, match="--worlds got 5"):
        RunConfig(worlds=5)


def test_a_gate_without_a_name_is_one_line(tmp_path: Path) -> None:
    """Bad names are refused before anything is read."""
    database = tiny_database(tmp_path / "tiny.duckdb")

    with pytest.raises(InputError, match=r"--gate got .* needed of fdr, luck, stepm, or none"):
        validate(database, gate=("fortune",), progress=False)


def test_a_run_leaves_what_a_calibration_has_kept(copied: Path) -> None:
    """No run, with gates or without, takes away files that lie beside the database and are not its own."""
    mine = [Path(f"{copied}.MGC.luck{end}") for end in ("", ".journal", "-0123456789ab.journal")]
    for path in mine:
        path.write_text("my notes")
    judged(copied)
    change(copied, "UPDATE experimental_strategies SET validation_status = NULL")
    judged(copied, gate=["luck"])

    assert [path.read_text() for path in mine] == ["my notes"] * 3
    left = {path.name for path in copied.parent.glob("*.journal")}
    assert left == {path.name for path in mine if path.suffix == ".journal"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE experimental_strategies SET is_canonical = FALSE",
        "UPDATE experimental_strategies SET expectancy_r = expectancy_r + 0.01",
    ],
    ids=["aliases only", "nobody can be calibrated"],
)
def test_a_gate_without_worlds_fails_closed(copied: Path, statement: str) -> None:
    """Where no strategy can be put into worlds the run goes on, says so, and the gate lets nobody pass."""
    change(copied, statement)
    result = judged(copied, gate=["luck"])

    assert result.summary["committed"]
    assert result.summary["passed"] == 0
    assert result.calibration is None
    notes = {row["validation_notes"] for row in rows_by_id(copied, "experimental_strategies").values()}
    assert not any(note and note.startswith("All phases passed") for note in notes)


def test_a_past_run_is_explained_by_the_numbers_that_it_has_kept(copied: Path) -> None:
    """Also of a strategy that no deviate is defined of, and after p-values in the users' table have changed."""
    result = judged(copied, gate=["luck"], min_sample=60)
    rows = rows_by_id(copied, "dask_validator_results")
    small = next(name for name, row in rows.items() if row["z"] is None and row["luck"] is not None)
    tested = next(name for name, row in rows.items() if row["p_value"] is not None)
    before = explain(copied, tested)
    change(copied, "UPDATE experimental_strategies SET p_value = 0.9")

    assert explain(copied, small).luck == result.explain(small).luck
    assert "z is not defined" in str(explain(copied, small))
    after = explain(copied, tested)
    assert (after.p_value, after.discovery, after.earns) == (before.p_value, before.discovery, before.earns)


def test_a_folder_that_takes_no_journal_is_no_reason_to_end(copied: Path, command: Command) -> None:
    """What cannot be kept is a warning: the numbers are the same."""
    flags = ("calibrate", "--db", copied, "--workers", 1, "--worlds", 50, "--no-regime-waivers", "--json")
    usual = command(*flags)
    nowhere = command(*flags, "--journal", "/proc/nowhere")

    assert nowhere.code == usual.code == 0, nowhere.stderr
    assert nowhere.summary == usual.summary
    assert "nothing can be taken over" in nowhere.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"worlds": [50, 100]}, "--worlds got"),
        ({"null_seed": [0, 1]}, "--null-seed got"),
        ({"block_days": [1.0, 5.0]}, "--block-days got"),
        ({"instruments": ["a.toml", "b.toml"]}, "--instruments got"),
        ({"min_sample": []}, "min_sample got"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_vary_is_refused(copied: Path, flags: dict[str, Any], says: str) -> None:
    """Settings share their worlds and costs: of those there is one, and of no flag there are none."""
    with pytest.raises(InputError, match=says):
        calibrate(copied, progress=False, workers=1, **flags)
