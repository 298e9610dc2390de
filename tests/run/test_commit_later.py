"""What cannot be written is kept, and written later without computing."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import RunConfig
from dask_validator.api import preparing
from dask_validator.api.preparing import prepared
from dask_validator.config import Safeguards
from dask_validator.events import Event, TaskDone
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run.run import run_validation
from dask_validator.store import writer
from dask_validator.work import plan, walkforward
from tests.conftest import Command, everything_in
from tests.support.commits import Opener, commit_replaced, run
from tests.support.tiny import change, line_ids, rows_by_id, tiny_database
from tests.support.uncommitted import (
    WORSE_OUTCOMES,
    Answers,
    Copy,
    Statement,
    flags_of,
    journal_of,
    kept_by,
    leave_uncommitted,
    offered,
    strategy,
    undecided,
    written,
)
from tests.test_locks import HOLDING, Other

BOUND_S = 90
pytestmark = pytest.mark.usefixtures("bounded")


def test_locked_for_longer_than_we_wait(
    inside: Command, command: Command, several: Path, undisturbed: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook left open over night costs a second command, which is printed, and nothing else."""
    holders: list[Other] = []

    def held(*given: Any, **named: Any) -> datetime:
        holders.append(Other(HOLDING, several, "reading"))
        return commit(*given, **named)

    commit = writer.commit
    monkeypatch.setattr(preparing, "PATIENCE_S", 0.2)
    with commit_replaced(held):
        ran = inside("run", *flags_of(several), "--json")
    holders[0].go_on()

    assert ran.code == 4
    assert f"held by PID {holders[0].pid}" in ran.stderr
    assert (ran.summary["rows"], ran.summary["committed"]) == (6, False)
    assert undecided(several)
    assert everything_in(several.parent).keys() == {"several.duckdb", journal_of(several).name}
    later = command(*offered(ran.stderr, "commit"))
    assert later.code == 0, later.stderr
    assert written(several) == undisturbed
    assert everything_in(several.parent).keys() == {"several.duckdb", "wf.jsonl"}


def without_clocks(summary: dict[str, Any]) -> dict[str, Any]:
    """What a summary says about the strategies."""
    judged = summary["walkforward"] and {name: summary["walkforward"][name] for name in ("strategies", "passed")}
    return {**summary, "walkforward": judged, "run_id": None, "db": None, "total_s": None}


@pytest.mark.parametrize(
    ("statements", "code"), [([], 0), ([strategy("filter_type = NULL")], 3)], ids=["all can be", "one cannot be"]
)
def test_what_commit_says(
    inside: Command, copied: Copy, monkeypatch: pytest.MonkeyPatch, statements: list[Statement], code: int
) -> None:
    """`commit` computes nothing and reports what the run itself would have, down to the exit code for FAILED ones."""
    several, undisturbed = copied("several", *statements), copied("undisturbed", *statements)
    leave_uncommitted(inside, several)

    def explode(task: object) -> None:
        raise AssertionError("commit computes")

    with monkeypatch.context() as patch:
        patch.setattr(walkforward, "walkforward_task", explode)
        later = inside("commit", *kept_by(several), "--json")

    assert later.code == code, later.stderr
    assert later.summary["committed"]
    assert later.summary["walkforward"]["tasks"] == 0
    assert without_clocks(later.summary) == without_clocks(run(undisturbed).summary)
    assert written(several) == written(undisturbed)


@pytest.mark.parametrize("before", [[], ["run"], ["run", "commit"]], ids=["no run", "a run", "a commit"])
def test_nothing_to_commit(inside: Command, several: Path, before: list[str]) -> None:
    """Without anything that waits to be written `commit` says so, and changes nothing."""
    if "commit" in before:
        leave_uncommitted(inside, several)
        assert inside("commit", *kept_by(several)).code == 0
    elif "run" in before:
        run(several)
    found = everything_in(several.parent)
    again = inside("commit", *kept_by(several))

    assert again.code == 2
    assert "nothing to commit" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert everything_in(several.parent) == found


def interrupted(database: Path, journal: Path) -> None:
    """A run that is interrupted after its first task."""

    def interrupt(event: Event) -> None:
        if isinstance(event, TaskDone):
            raise KeyboardInterrupt

    safeguards = Safeguards(journal=journal)
    config = RunConfig(wf_output=database.parent / "wf.jsonl")
    with pytest.MonkeyPatch.context() as patch, prepared(database, "MGC", config, safeguards) as (order, kept):
        patch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))
        with pytest.raises(KeyboardInterrupt):
            run_validation(order, SerialExecutor(), interrupt, kept)


@pytest.mark.parametrize("name", ["several.duckdb.MGC.journal", "my journal"])
def test_a_run_that_did_not_end(inside: Command, several: Path, copied: Copy, name: str) -> None:
    """`commit` never writes half a run: it offers the command that takes over what is there and computes the rest."""
    kept = several.parent / name
    interrupted(several, kept)
    before = several.read_bytes()
    refused = inside("commit", *kept_by(several), "--journal", kept)

    assert refused.code == 2
    assert several.read_bytes() == before
    assert everything_in(several.parent).keys() == {"several.duckdb", kept.name}
    words = offered(refused.stderr, "run")
    assert "--resume" in words
    resumed = inside(*words, *flags_of(several)[2:], "--json")
    assert resumed.code == 0, resumed.stderr
    assert resumed.summary["walkforward"]["reused"] > 0
    undisturbed = copied("undisturbed")
    run(undisturbed, resume=True)
    assert written(several) == written(undisturbed)


def test_outcomes_changed_since(inside: Command, several: Path, copied: Copy) -> None:
    """Results of other outcomes are not written any more: `commit` refuses, and a run computes them anew."""
    leave_uncommitted(inside, several)
    change(several, WORSE_OUTCOMES)
    before = several.read_bytes()
    refused = inside("commit", *kept_by(several))

    assert refused.code == 2
    assert "outcomes" in refused.stderr
    assert several.read_bytes() == before
    assert everything_in(several.parent).keys() == {"several.duckdb", journal_of(several).name}
    run(several)
    undisturbed = copied("undisturbed", WORSE_OUTCOMES)
    run(undisturbed)
    assert written(several) == written(undisturbed)


def test_a_row_changed_since(inside: Command, several: Path, copied: Copy) -> None:
    """A strategy that is another one by now is left waiting, which is said; all others are written."""
    other_filter = strategy("filter_type = 'ORB_G8'")
    leave_uncommitted(inside, several)
    change(several, other_filter)
    later = inside("commit", *kept_by(several), "--json")
    undisturbed = copied("undisturbed", other_filter)
    run(undisturbed)

    assert later.code == 0, later.stderr
    assert (later.summary["rows"], later.summary["committed"]) == (5, True)
    assert "1 strategies (1 of them waiting) are no longer as the run found them and left alone: MGC_2" in later.stderr
    assert "computed again" not in later.stderr
    ours, theirs = (rows_by_id(path, "experimental_strategies") for path in (several, undisturbed))
    assert ours.pop("MGC_2")["validation_status"] is None
    assert theirs.pop("MGC_2")["validation_status"] == "REJECTED"
    assert repr(ours) == repr(theirs)
    assert "MGC_2" not in line_ids(several.parent / "wf.jsonl")
    run(several)
    assert written(several) | {"lines": []} == written(undisturbed) | {"lines": []}
    assert sorted(line_ids(several.parent / "wf.jsonl")) == line_ids(undisturbed.parent / "wf.jsonl")


FLAGS: list[list[object]] = [
    ["--min-sample", 2],
    ["--exclude-years", 2021, 2022],
    ["--wf-test-months", 3, "--wf-min-train-months", 9],
    ["--no-walkforward"],
    ["--strict-filters"],
    ["--resume"],
]


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: str(flags[0]))
def test_flags_of_the_run(
    inside: Command, several: Path, copied: Copy, undisturbed: Answers, flags: list[object]
) -> None:
    """`commit` ends the run that was, with its rules, and retries the FAILED ones only if that one did."""
    leave_uncommitted(inside, several, *flags)
    later = inside("commit", *kept_by(several))
    at_once = copied("at once")
    ran = inside("run", *flags_of(at_once), *flags)

    assert later.code == ran.code
    assert written(several) == written(at_once) != undisturbed


def test_output_of_the_run(inside: Command, several: Path, tmp_path: Path) -> None:
    """A relative --wf-output means where the run was started; the line that goes on says so wherever it is typed."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    ran = leave_uncommitted(inside, several, "--wf-output", "data/lines.jsonl", cwd=tmp_path / "here")
    before = several.read_bytes()
    refused = inside("commit", "--db", several, cwd=tmp_path / "there")

    assert refused.code == 2
    assert len(refused.stderr.splitlines()) == 1
    assert f"--wf-output {tmp_path / 'here' / 'data' / 'lines.jsonl'}" in refused.stderr
    assert several.read_bytes() == before
    assert inside(*offered(ran.stderr, "commit"), cwd=tmp_path / "there").code == 0
    assert line_ids(tmp_path / "here" / "data" / "lines.jsonl") == ["MGC_2", "MGC_3", "MGC_GOOD", "MGC_NEVER"]
    assert everything_in(tmp_path / "there") == {}


def test_costs_of_the_run(inside: Command, tmp_path: Path) -> None:
    """The costs of a symbol that only the run was told about hold for `commit`, even when their file is gone."""
    costs = tmp_path / "costs.toml"
    costs.write_text(
        "[ABC]\npoint_value = 10.0\ncommission_rt = 1e6\nspread_doubled = 2.0\nslippage = 2.0\n"
        "tick_size = 0.1\nmin_ticks_floor = 10\n"
    )
    database = tiny_database(tmp_path / "tiny.duckdb", [{"instrument": "ABC"}])
    leave_uncommitted(inside, database, "--instrument", "ABC", "--instruments", costs)
    costs.unlink()

    assert inside("commit", *kept_by(database), "--instrument", "ABC").code == 0
    row = rows_by_id(database, "experimental_strategies")["MGC_GOOD"]
    assert row["validation_status"] == "REJECTED"
    assert "after stressed costs" in row["validation_notes"]


def test_commit_beside_somebody_else(inside: Command, several: Path) -> None:
    """`commit` too asks before it works who has the database, and keeps what there is."""
    leave_uncommitted(inside, several)
    holder = Other(HOLDING, several, "reading")
    refused = inside("commit", *kept_by(several))
    holder.go_on()

    assert refused.code == 2
    assert f"PID {holder.pid}" in refused.stderr
    assert undecided(several)
    assert inside("commit", *kept_by(several)).code == 0


def test_a_commit_that_fails_again(inside: Command, several: Path) -> None:
    """As long as it cannot be written it is kept, and the way to go on is said each time."""
    words = offered(leave_uncommitted(inside, several).stderr, "commit")
    for _ in range(2):
        with commit_replaced(partial(writer.commit, connect=Opener(range(7, 8)))):
            failed = inside(*words)
        assert failed.code == 4
        assert "no space left" in failed.stderr
        assert undecided(several)
        words = offered(failed.stderr, "commit")

    assert inside(*words).code == 0
    assert not undecided(several)


def test_the_journal_is_damaged(inside: Command, several: Path) -> None:
    """A journal whose record of the run is damaged is no reason for a traceback: nothing of it is written."""
    leave_uncommitted(inside, several)
    kept = journal_of(several)
    kept.write_bytes(kept.read_bytes().replace(b'"settings"', b'"sett1ngs"'))
    before = several.read_bytes()
    refused = inside("commit", *kept_by(several))

    assert refused.code == 2
    assert "nothing to commit" in refused.stderr
    assert several.read_bytes() == before


def test_a_demonstration_that_is_not_committed(inside: Command, tmp_path: Path) -> None:
    """The demonstration has another default database than `commit`: the line that goes on names it."""
    with commit_replaced(partial(writer.commit, connect=Opener(range(5, 6)))):
        ran = inside("demo", "--strategies", 20, "--workers", 1)

    assert ran.code == 4
    assert inside(*offered(ran.stderr, "commit")).code == 0
    with duckdb.connect(str(tmp_path / "demo.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM dask_validator_runs").fetchone() == (1,)


# Full disks


def test_a_full_disk_in_mid_commit(inside: Command, copied: Copy, undisturbed: Answers) -> None:
    """Wherever in the commit the disk is full, `commit` later writes what the run would have written."""
    whole = Opener()
    with commit_replaced(partial(writer.commit, connect=whole)):
        run(copied("whole"))
    last = len(whole.statements) - 1
    for refused in (0, last // 3, last // 2, last):
        several = copied(f"refused {refused}")
        with commit_replaced(partial(writer.commit, connect=Opener(range(refused, refused + 1)))):
            ran = inside("run", *flags_of(several))
        assert ran.code == 4
        assert undecided(several)
        assert inside(*offered(ran.stderr, "commit")).code == 0
        assert written(several) == undisturbed


def test_a_file_system_that_is_read_only(
    inside: Command, several: Path, undisturbed: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that has become read-only is no lock: it is not waited for, and the results are kept beside it."""
    opened = duckdb.connect
    attempts = []

    def read_only_disk(path: str, read_only: bool = False, **options: Any) -> duckdb.DuckDBPyConnection:
        if not read_only and path != ":memory:":
            attempts.append(path)
            raise duckdb.IOException(f'IO Error: Cannot open file "{path}": Read-only file system')
        return opened(path, read_only=read_only, **options)

    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", read_only_disk)
        ran = inside("run", *flags_of(several))

    assert ran.code == 4
    assert "Read-only file system" in ran.stderr
    assert attempts == [str(several)]
    assert inside(*offered(ran.stderr, "commit")).code == 0
    assert written(several) == undisturbed


def test_a_disk_that_is_really_full(command: Command, small: Path, small_source: Path, tmp_path: Path) -> None:
    """With room for the journal but not for the transaction, as DuckDB itself meets it, `commit` later works."""
    enough_for_the_journal = 130_000  # bytes; it takes 92,000, the transaction 176,000
    jsonl = tmp_path / "wf.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "dask_validator", "run", *map(str, flags_of(small))],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=BOUND_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (enough_for_the_journal, resource.RLIM_INFINITY)),
    )

    assert done.returncode == 4, done.stderr
    assert "File too large" in done.stderr
    assert not jsonl.exists()
    assert command(*offered(done.stderr, "commit")).code in (0, 3)
    (tmp_path / "undisturbed").mkdir()
    undisturbed = Path(shutil.copy(small_source, tmp_path / "undisturbed" / "small.duckdb"))
    run(undisturbed)
    assert written(small) == written(undisturbed)
