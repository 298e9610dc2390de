"""Which strategies a run validates: by status, by ids, again; and what is written is of these alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import InputError, validate
from dask_validator.api.preparing import prepared
from dask_validator.events import Event, TaskDone
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run.run import run_validation
from dask_validator.store import writer
from dask_validator.store.selection import EVERY, Selection
from tests.conftest import Command, Ran, everything_in
from tests.journal.test_unfinished_append import resealed
from tests.run.test_commit_later import offered
from tests.store.test_writer import Opener, commit_replaced
from tests.support.runs import answers, config
from tests.support.tiny import Row, change, rows_by_id, tiny_database

STRATEGIES: list[Row] = [
    {"strategy_id": "W_GOOD"},
    {"strategy_id": "W_EMPTY", "validation_status": "", "sample_size": 3},
    {"strategy_id": "P_GOOD", "validation_status": "PASSED"},
    {"strategy_id": "P_BAD", "validation_status": "PASSED", "sample_size": 31},
    {"strategy_id": "R_GOOD", "validation_status": "REJECTED"},
    {"strategy_id": "R_BAD", "validation_status": "REJECTED", "expectancy_r": -0.5},
    {"strategy_id": "F_GOOD", "validation_status": "FAILED"},
    {"strategy_id": "S_ALIAS", "validation_status": "SKIPPED", "is_canonical": False},
    {"strategy_id": "MES_PASSED", "instrument": "MES", "validation_status": "PASSED"},
]
IDS = {str(row["strategy_id"]) for row in STRATEGIES if "instrument" not in row}
SETUPS: list[Row] = [{"strategy_id": "P_GOOD"}, {"strategy_id": "P_BAD"}]
STRICTER = ["--min-sample", 50]
BY_WORD = {
    "waiting": {"W_GOOD", "W_EMPTY"},
    "passed": {"P_GOOD", "P_BAD"},
    "rejected": {"R_GOOD", "R_BAD"},
    "failed": {"F_GOOD"},
    "all": IDS,
}
Copy = Callable[..., Path]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strategy of every status; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("source") / "source.duckdb", STRATEGIES, setups=SETUPS)


@pytest.fixture
def night(source: Path, tmp_path: Path) -> Path:
    """A copy, in a folder of its own."""
    (tmp_path / "night").mkdir()
    return Path(shutil.copy(source, tmp_path / "night" / "gold.db"))


def flags(database: Path, *more: object) -> list[object]:
    """Of every run here."""
    return ["--db", database, "--workers", 1, "--wf-output", database.parent / "wf.jsonl", *more]


def judged(database: Path) -> set[str]:
    """The strategies of all runs of ours."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute("SELECT strategy_id FROM dask_validator_results").fetchall()
    return {name for (name,) in found}


def rows_of(database: Path) -> dict[str, str]:
    """Every strategy, as a text in which NaN equals NaN."""
    return {name: repr(row) for name, row in rows_by_id(database, "experimental_strategies").items()}


def statuses(database: Path, table: str = "experimental_strategies", column: str = "validation_status") -> Any:
    """By strategy_id."""
    return {name: row[column] for name, row in rows_by_id(database, table, column).items()}


def uncommitted(called: Command, database: Path, *more: object) -> Ran:
    """A run that computes everything and whose commit finds the disk full."""
    with commit_replaced(partial(writer.commit, connect=Opener(range(5, 6)))):
        ran = called("run", *flags(database, *more))
    assert ran.code == 4, ran.stderr
    return ran


@pytest.mark.parametrize("word", BY_WORD)
def test_those_of_a_status_and_no_others(called: Command, night: Path, word: str) -> None:
    """A run judges exactly the strategies of the status asked for; every other row keeps every value."""
    before = rows_of(night)
    ran = called("run", *flags(night, "--strategies", word, "--json"))

    assert (ran.code, ran.summary["rows"]) == (0, len(BY_WORD[word]))
    assert judged(night) == BY_WORD[word]
    assert {name: row for name, row in rows_of(night).items() if name not in BY_WORD[word]} == {
        name: row for name, row in before.items() if name not in BY_WORD[word]
    }


def test_without_the_flag_those_that_wait(called: Command, night: Path) -> None:
    """The nightly run is as it was."""
    assert called("run", *flags(night)).code == 0
    assert judged(night) == BY_WORD["waiting"]


def test_setups_follow_the_new_verdicts(called: Command, night: Path) -> None:
    """A promoted strategy that no longer passes is retired, one that passes now is promoted, aliases stay skipped."""
    ran = called("run", *flags(night, "--strategies", "all", *STRICTER, "--json"))

    assert ran.summary["retired"] == 1
    assert statuses(night, "validated_setups", "status") == {
        **dict.fromkeys(("W_GOOD", "P_GOOD", "R_GOOD", "F_GOOD"), "active"),
        "P_BAD": "retired",
    }
    assert statuses(night)["S_ALIAS"] == "SKIPPED"


def test_what_if_is_what_would_be(called: Command, night: Path) -> None:
    """A dry run over judged strategies changes nothing and says what a run decides when all are set to wait by hand."""
    asked = ["--strategies", "all", *STRICTER, "--json"]
    before = everything_in(night.parent)
    tried = called("run", *flags(night, *asked, "--dry-run")).summary
    assert everything_in(night.parent) == before
    change(night, "UPDATE experimental_strategies SET validation_status = NULL WHERE instrument = 'MGC'")
    done = called("run", *flags(night, *STRICTER, "--json")).summary

    same = ("rows", "passed", "rejected", "skipped", "failed", "rejected_by_phase", "fdr", "retired")
    assert {name: tried[name] for name in same} == {name: done[name] for name in same}
    assert (tried["passed"], tried["retired"]) == (4, 1)


def test_again_and_again(called: Command, night: Path) -> None:
    """Validating everything a second time by the same rules changes no table."""
    assert called("run", *flags(night, "--strategies", "all")).code == 0
    once = answers(night)
    assert called("run", *flags(night, "--strategies", "all")).code == 0
    again = answers(night)

    assert {name: rows for name, rows in again.items() if name != "lines"} == {
        name: rows for name, rows in once.items() if name != "lines"
    }
    assert again["lines"] == once["lines"] * 2


def test_ids_of_a_file(called: Command, night: Path, tmp_path: Path) -> None:
    """One id a line, whatever its status; blank lines, spaces, repetitions, Windows' line ends and a BOM do no harm."""
    listed = tmp_path / "ids.txt"
    listed.write_bytes(b"\xef\xbb\xbfP_BAD\r\n\r\n  W_GOOD \r\nS_ALIAS\nP_BAD\n\n")
    ran = called("run", *flags(night, "--ids", listed, *STRICTER, "--json"))

    assert (ran.code, ran.summary["rows"], ran.summary["skipped"], ran.summary["retired"]) == (0, 3, 1, 1)
    assert judged(night) == {"P_BAD", "W_GOOD", "S_ALIAS"}


def test_setups_that_a_dry_run_would_retire(called: Command, night: Path) -> None:
    """It says that they would be; only the run that retires them says that they are."""
    words = ["run", *flags(night, "--strategies", "passed", *STRICTER)]

    assert "\nSetups that would be retired: 1\n" in called(*words, "--dry-run").stdout
    assert "\nRetired setups: 1\n" in called(*words).stdout


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (b"P_GOOD\nTYPO\n", [], "got 1 id that is no strategy of MGC in {db}: 'TYPO' (not there); needed ids of"),
        (
            b"MES_PASSED\nP_GOOD",
            [],
            "'MES_PASSED' (of MES); needed ids of the instrument: leave out the others, or",
        ),
        (b"\n \n", [], "--ids got {ids}, which has no strategy_id; needed one a line"),
        (b"\xff\xfe\x00", [], "--ids got {ids}, which is not text in UTF-8; needed one strategy_id a line"),
        (None, [], "--ids got {ids}, which cannot be read (No such file or directory)"),
        (b"P_GOOD", ["--strategies", "all"], "--strategies and --ids exclude each other: give one of them"),
        (b"P_GOOD", ["--journal", "{ids}"], "--journal got {ids}, which is the --ids; give it a file of its own"),
    ],
    ids=["unknown", "of another instrument", "empty", "binary", "missing", "both", "journal"],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_list_that_is_none(
    called: Command, night: Path, tmp_path: Path, text: bytes | None, more: list[str], said: str, command: str
) -> None:
    """An id that is no strategy of the instrument, a file that is no list: one line, exit 2, nothing changed."""
    listed = tmp_path / "ids.txt"
    if text is not None:
        listed.write_bytes(text)
    before = everything_in(tmp_path)
    given = [each.format(ids=listed) for each in more]
    ran = called(command, "--db", night, "--ids", listed, *given)

    assert (ran.code, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert said.format(db=night, ids=listed) in ran.stderr
    assert everything_in(tmp_path) == before


def test_check_looks_at_the_same(called: Command, night: Path) -> None:
    """`check` counts and looks at what such a run would validate."""
    change(night, "UPDATE experimental_strategies SET filter_type = 'ODD' WHERE strategy_id IN ('P_BAD', 'W_GOOD')")
    passed = called("check", "--db", night, "--strategies", "passed").stdout

    assert "unknown filter 'ODD': 1 passed strategies" in passed
    assert "A run would validate 2 strategies with 1 outcome keys" in passed
    assert "unknown filter 'ODD': 2 strategies" in called("check", "--db", night, "--strategies", "all").stdout
    change(night, "DELETE FROM experimental_strategies WHERE validation_status = 'FAILED'")
    nothing = called("check", "--db", night, "--strategies", "failed").stdout
    assert "A run would do nothing: there are no failed strategies" in nothing


def test_warnings_name_what_was_selected(called: Command, night: Path) -> None:
    """What is said of passed strategies does not call them waiting."""
    change(night, "UPDATE experimental_strategies SET filter_type = 'ODD' WHERE strategy_id = 'P_GOOD'")
    assert "warning: 1 passed strategies use unknown" in called("run", *flags(night, "--strategies", "passed")).stderr


def test_in_python(night: Path) -> None:
    """A word, or a list of ids; what is neither is refused."""
    given: dict[str, Any] = {"workers": 1, "progress": False, "dry_run": True}
    assert len(validate(night, strategies="all", **given).strategies) == len(IDS)
    found = validate(night, strategies=["P_BAD", "R_GOOD", "P_BAD"], min_sample=50, **given).strategies
    assert dict(zip(found["strategy_id"], found["verdict"], strict=True)) == {"P_BAD": "REJECTED", "R_GOOD": "PASSED"}
    with pytest.raises(InputError, match="needed one of waiting, passed, rejected, failed, all, or a list of ids"):
        validate(night, strategies="PASS", **given)
    with pytest.raises(InputError, match="empty"):
        validate(night, strategies=[], **given)
    with pytest.raises(InputError, match=r"'NONE' \(not there\)"):
        validate(night, strategies=["NONE"], **given)


def test_commit_writes_what_was_selected(called: Command, night: Path) -> None:
    """Who gets or loses the status between a run and its `commit` is left alone, and those who lost it are named."""
    uncommitted(called, night, "--strategies", "passed", *STRICTER)
    change(night, "UPDATE experimental_strategies SET validation_status = 'PASSED' WHERE strategy_id = 'R_BAD'")
    change(night, "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE strategy_id = 'P_GOOD'")
    before = rows_of(night)
    ran = called("commit", "--db", night, "--wf-output", night.parent / "wf.jsonl", "--json")

    assert (ran.code, ran.summary["rows"], ran.summary["retired"]) == (0, 1, 1)
    assert judged(night) == {"P_BAD"}
    said = "1 strategies (0 of them waiting) are no longer as the run found them and left alone: P_GOOD\n"
    assert said in ran.stderr
    assert {name for name, row in rows_of(night).items() if row != before[name]} == {"P_BAD"}


def test_commit_of_ids(called: Command, night: Path, tmp_path: Path) -> None:
    """The list is kept with the results: its file may be gone, and so may a strategy."""
    listed = tmp_path / "ids.txt"
    listed.write_text("R_GOOD\nP_GOOD\n")
    uncommitted(called, night, "--ids", listed)
    listed.unlink()
    change(night, "DELETE FROM experimental_strategies WHERE strategy_id = 'R_GOOD'")
    ran = called("commit", "--db", night, "--wf-output", night.parent / "wf.jsonl")

    assert ran.code == 0, ran.stderr
    assert judged(night) == {"P_GOOD"}
    assert "left alone: R_GOOD" in ran.stderr


def test_commit_after_an_undo(called: Command, night: Path, tmp_path: Path) -> None:
    """Of strategies whose rows were put back meanwhile `commit` says once that they are left alone, and who waits."""
    earlier = called("run", *flags(night, "--json")).summary["run_id"]
    (listed := tmp_path / "ids.txt").write_text("W_GOOD\nP_GOOD\nR_BAD\n")
    uncommitted(called, night, "--ids", listed)
    assert called("undo", "--db", night, "--run", earlier).code == 0
    change(night, "DELETE FROM experimental_strategies WHERE strategy_id = 'R_BAD'")
    ran = called("commit", "--db", night, "--wf-output", night.parent / "wf.jsonl", "--json")

    assert (ran.code, ran.summary["rows"]) == (0, 1)
    said = "2 strategies (1 of them waiting) are no longer as the run found them and left alone: R_BAD, W_GOOD\n"
    assert said in ran.stderr
    assert "have no result" not in ran.stderr
    assert statuses(night)["W_GOOD"] is None


def test_journals_of_other_versions(called: Command, night: Path) -> None:
    """One that knew no selection was of waiting strategies; a selection that nobody knows is not guessed."""
    journal = Path(f"{night}.MGC.journal")
    committing = ["commit", "--db", night, "--wf-output", night.parent / "wf.jsonl"]
    uncommitted(called, night)
    journal.write_bytes(resealed(journal.read_bytes(), '"selection"', '"not yet"'))
    assert called(*committing).code == 0
    assert judged(night) == BY_WORD["waiting"]

    uncommitted(called, night, "--strategies", "passed")
    journal.write_bytes(resealed(journal.read_bytes(), '"passed"', '"future"'))
    refused = called(*committing)
    assert refused.code == 2
    assert f"{journal} is of another version of dask_validator; run again: " in refused.stderr
    assert called("run", *flags(night, "--strategies", "passed")).code == 0


@pytest.mark.parametrize("more", [[], ["--resume"], ["--strategies", "rejected"]], ids=" ".join)
def test_what_others_have_computed_is_not_lost(called: Command, night: Path, more: list[str]) -> None:
    """A run of other strategies does not give up what `commit` could write: it refuses, with the line that does."""
    uncommitted(called, night, "--strategies", "passed")
    before = everything_in(night.parent)
    refused = called("run", *flags(night, *more))

    assert (refused.code, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
    assert "other strategies (passed)" in refused.stderr
    assert "--discard" in refused.stderr
    assert everything_in(night.parent).keys() == before.keys()
    assert night.read_bytes() == before[night.name]
    assert called(*offered(refused.stderr, "commit")).code == 0
    assert judged(night) == BY_WORD["passed"]


def test_what_others_have_computed_is_given_up_when_asked(called: Command, night: Path) -> None:
    """With --discard, and in a dry run, other strategies may be validated at once."""
    uncommitted(called, night, "--strategies", "passed")
    assert called("run", *flags(night, "--strategies", "rejected", "--dry-run")).code == 0
    assert called("run", *flags(night, "--strategies", "rejected", "--discard")).code == 0
    assert judged(night) == BY_WORD["rejected"]


def interrupted(database: Path, selection: Selection) -> None:
    """A run that has kept its answers, and was stopped before it knew that these are all."""

    def interrupt(event: Event) -> None:
        if isinstance(event, TaskDone):
            raise KeyboardInterrupt

    at_work = prepared(database, "MGC", config(database), selection=selection)
    with at_work as (order, journal), pytest.raises(KeyboardInterrupt):
        run_validation(order, SerialExecutor(), interrupt, journal)


def test_another_run_than_the_one_before(called: Command, night: Path) -> None:
    """The nightly run takes over results of an interrupted run of all, and says what it gives up."""
    interrupted(night, EVERY)
    ran = called("run", *flags(night))

    assert ran.code == 0
    assert judged(night) == BY_WORD["waiting"]
    assert (
        f"{night}.MGC.journal was of a run of other strategies (all), which this run (waiting) gives up" in ran.stderr
    )
    assert "Took over 2 results" in ran.stderr
    assert "left alone" not in ran.stderr


def test_nothing_to_validate(called: Command, night: Path) -> None:
    """A run that finds nothing says of what there was nothing, and keeps what a run of others has left."""
    interrupted(night, Selection("passed"))
    change(night, "DELETE FROM experimental_strategies WHERE validation_status = 'FAILED'")
    ran = called("run", *flags(night, "--strategies", "failed"))

    assert (ran.code, ran.stdout) == (0, f"Nothing to validate: MGC in {night} has no failed strategies\n")
    assert "Took over 2 results" in called("run", *flags(night, "--strategies", "passed")).stderr
    assert judged(night) == BY_WORD["passed"]


def test_resume_retries_failed_ones_beside_waiting_ones_only(called: Command, night: Path) -> None:
    """`--resume` adds FAILED strategies to the waiting ones; who has asked for others gets others."""
    uncommitted(called, night, "--strategies", "passed")
    assert called("run", *flags(night, "--strategies", "passed", "--resume")).code == 0
    assert judged(night) == BY_WORD["passed"]


def test_changed_by_others_before_the_commit(called: Command, night: Path) -> None:
    """A strategy that has lost the status while it was computed is somebody else's: looked at again, left alone."""
    commit = writer.commit

    def overtaken(*given: Any, **named: Any) -> datetime:
        if statuses(night)["P_GOOD"] == "PASSED":
            change(
                night, "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE strategy_id = 'P_GOOD'"
            )
        return commit(*given, **named)

    with commit_replaced(overtaken):
        ran = called("run", *flags(night, "--strategies", "passed"))

    assert (ran.code, judged(night)) == (0, {"P_BAD"})
    assert "looking again" in ran.stderr
    assert "left alone: P_GOOD" in ran.stderr
    assert statuses(night)["P_GOOD"] == "REJECTED"


@pytest.mark.parametrize(
    ("read", "output", "command"),
    [
        ("--ids", "--report", "run"),
        ("--ids", "--wf-output", "run"),
        ("--rules", "--wf-output", "run"),
        ("--rules", "--journal", "check"),
        ("--rules", "--journal", "calibrate"),
        ("--fdr-k-file", "--wf-output", "run"),
    ],
)
def test_what_is_read_is_not_written_over(
    called: Command, night: Path, tmp_path: Path, read: str, output: str, command: str
) -> None:
    """An output that is a file which the same command reads is refused."""
    file = tmp_path / "read.toml"
    file.write_text(text := "#P_GOOD")
    ran = called(command, "--db", night, read, file, output, file)

    assert (ran.code, file.read_text()) == (2, text)
    assert ran.stderr == f"dask-validator: {output} got {file}, which is the {read}; give it a file of its own\n"
