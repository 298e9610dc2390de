"""`--dry-run` and `check` look, and change nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from dask_validator import InputError, validate
from tests.conftest import Command, everything_in
from tests.recorded import SMALL, except_ids
from tests.support.tiny import tiny_database

Found = tuple[dict[str, bytes], dict[str, int]]


def as_found(folder: Path) -> Found:
    """Bytes of every file, and times of every file and folder."""
    times = {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    return everything_in(folder), times


@pytest.mark.parametrize(
    "args",
    [
        ["run", "--dry-run", "--workers", 1],
        ["run", "--dry-run", "--workers", 1, "--wf-output", "kept/results.jsonl"],
        ["run", "--dry-run", "--workers", 2, "--no-dashboard"],
        ["check"],
        ["check", "--strict-filters"],
    ],
    ids=lambda args: " ".join(map(str, args)),
)
def test_nothing_changes(called: Command, small: Path, args: list[object]) -> None:
    """Bytes and times of the database, of an existing JSONL and of their folder stay as they were."""
    (small.parent / "kept").mkdir()
    (small.parent / "kept" / "results.jsonl").write_text('{"from": "an earlier run"}\n')
    before = as_found(small.parent)
    assert called(*args, "--db", small).code == 0
    assert as_found(small.parent) == before


def test_dry_run_reports_the_recorded_counts(called: Command, small: Path) -> None:
    """A dry run computes everything: its counts are the reference's, but for those where we fail closed."""
    recorded = json.loads((SMALL / "variants" / "v_dry_run" / "settings.json").read_text())
    summary = called("run", "--dry-run", "--workers", 1, "--json", "--db", small).summary
    assert summary["dry_run"]
    assert not summary["committed"]
    assert len(except_ids(SMALL)) >= 1
    assert (summary["passed"], summary["rejected"]) == (recorded["passed"] - 1, recorded["rejected"] + 1)
    assert summary["rows"] == sum(summary[status] for status in ("passed", "rejected", "skipped", "failed"))
    assert sum(summary["rejected_by_phase"].values()) == summary["rejected"]


@pytest.mark.parametrize("args", [["check"], ["run"], ["run", "--dry-run"], ["run", "--workers", "2"]], ids=" ".join)
def test_an_instrument_that_is_not_there(called: Command, small: Path, args: list[str]) -> None:
    """A symbol without any strategy is a slip: one line names those there are, and nothing is touched."""
    before = everything_in(small.parent)
    ran = called(*args, "--instrument", "MNQ", "--db", small)

    assert (ran.code, ran.stdout) == (2, "")
    has = "has no strategies of MNQ; it has those of MES, MGC: give one of these"
    assert ran.stderr == f"dask-validator: {small} {has}\n"
    assert everything_in(small.parent) == before


def test_an_instrument_that_is_not_there_in_python(small: Path) -> None:
    """`validate()` refuses it as the command does."""
    with pytest.raises(InputError, match="it has those of MES, MGC"):
        validate(small, "MNQ", workers=1)


def test_a_database_without_strategies(called: Command, tmp_path: Path) -> None:
    """Where there are none at all, that is said."""
    ran = called("check", "--db", tiny_database(tmp_path / "tiny.duckdb", []))

    assert ran.code == 2
    assert "has no strategies of MGC; experimental_strategies is empty" in ran.stderr


@pytest.mark.parametrize("args", [["check"], ["commit"], ["report", "--output", "r.html"]])
def test_only_one_instrument(called: Command, small: Path, args: list[str]) -> None:
    """Of two symbols none is dropped in silence: a command that takes one refuses both."""
    ran = called(*args, "--instrument", "MES", "--instrument", "MGC", "--db", small)

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == "dask-validator: --instrument got MES and MGC; needed one: give each its own command\n"


def test_dry_run_says_what_the_run_then_does(called: Command, small: Path) -> None:
    """The counts of a dry run are those of the run after it, retirements included."""
    flags = ["--workers", 1, "--json", "--db", small]
    tried, done = called("run", "--dry-run", *flags).summary, called("run", *flags).summary
    same = ("rows", "passed", "rejected", "skipped", "failed", "rejected_by_phase", "fdr", "retired")
    assert {name: tried[name] for name in same} == {name: done[name] for name in same}
    assert done["committed"]


def test_dry_run_of_a_file_that_cannot_be_written(called: Command, small: Path) -> None:
    """Read permission is enough for a dry run and for `check`."""
    small.chmod(0o444)
    assert called("run", "--dry-run", "--workers", 1, "--db", small).code == 0
    assert called("check", "--db", small).code == 0


def test_check_says_what_a_run_would_meet(
    called: Command, small: Path, connect: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    """`check` tells counts by status, every unknown filter, and how many strategies a run would validate."""
    connection = connect(small, read_only=True)
    rows = connection.execute(
        "SELECT coalesce(nullif(validation_status, ''), 'waiting') FROM experimental_strategies "
        "WHERE instrument = 'MGC'"
    ).fetchall()
    connection.close()
    counts = Counter(status for (status,) in rows)
    assert len(counts) > 1

    said = called("check", "--db", small).stdout
    words = said.replace(",", "").split("\n")
    for status, count in counts.items():
        assert any(line.split()[-3:] == [str(count), "strategies", status] for line in words), said
    assert "unknown filter 'MYSTERY_X'" in said
    assert "unknown filter 'NO_FILTER'" not in said
    assert f"would validate {counts['waiting']} strategies" in said
    assert "held by nobody" in said
    assert "would be refused" not in said


def test_check_knows_the_strict_filters(called: Command, small: Path) -> None:
    """With `--strict-filters` five more filters are known, and the others stay unknown."""
    said = called("check", "--db", small, "--strict-filters").stdout
    assert "unknown filter 'DIR_LONG'" not in said
    assert "unknown filter 'MYSTERY_X'" in said


def test_check_after_a_run(called: Command, small: Path) -> None:
    """When nothing waits, `check` says that a run would do nothing, and such a run changes no file."""
    assert called("run", "--workers", 1, "--db", small).code == 0
    assert "would do nothing" in called("check", "--db", small).stdout
    before = as_found(small.parent)
    again = called("run", "--workers", 1, "--json", "--db", small)
    assert again.code == 0
    assert again.summary["rows"] == 0
    assert not again.summary["committed"]
    (files, times), (files_before, times_before) = as_found(small.parent), before
    del times[str(small.parent)], times_before[str(small.parent)]  # the journal came and went
    assert (files, times) == (files_before, times_before)


def test_check_names_the_columns_that_a_run_adds(
    called: Command, small: Path, connect: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    """A run alters an older database, so `check` says beforehand which columns it would add."""
    connection = connect(small)
    connection.execute("ALTER TABLE validated_setups_archive RENAME TO archive")
    connection.execute("DROP TABLE archive")
    connection.execute("DROP TABLE edge_families")
    connection.execute("ALTER TABLE validated_setups DROP fdr_adjusted_p")
    connection.close()
    assert "validated_setups.fdr_adjusted_p" in called("check", "--db", small).stdout
