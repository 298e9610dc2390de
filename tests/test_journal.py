"""What a run has finished before it dies is taken over by the next: only if it still holds, and exactly once."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator import InputError, NotCommitted, commit, compute, plan, provenance, results_file, validate
from dask_validator.cli import main
from dask_validator.journal.answers import decode, encode
from dask_validator.journal.journal import Journal, left_in
from dask_validator.journal.lines import MAGIC, Lines
from dask_validator.model import WINDOW_TABLE, Answer, Gate, SeasonSplit, WalkforwardResult
from dask_validator.result import RunResult
from dask_validator.store import writer
from dask_validator.task import TaskResult, WalkforwardTask, walkforward_task
from tests.conftest import Command, everything_in
from tests.tiny import Row, change, line_ids, rows_by_id, tiny_database

Written = dict[str, list[str]]

# One of every kind of answer; seven groups, hence seven tasks.
STRATEGIES: list[Row] = [
    {"strategy_id": "MGC_PASSES"},
    {"strategy_id": "MGC_LOSES", "rr_target": 2.0},
    {"strategy_id": "MGC_TWIN", "rr_target": 3.0, "filter_type": "NO_FILTER"},
    {"strategy_id": "MGC_TWIN_2", "rr_target": 3.0, "filter_type": "UNKNOWN_TO_US"},
    {"strategy_id": "MGC_UNUSABLE", "rr_target": 4.0},
    {"strategy_id": "MGC_WITHOUT_OUTCOMES", "rr_target": 5.0},
    {"strategy_id": "MGC_SCREENED_OUT", "rr_target": 6.0, "sample_size": 3},
    {"strategy_id": "MGC_LATER", "rr_target": 7.0, "orb_label": "1000"},
]
OUTCOMES: dict[str, Row] = {
    "rr_target = 2 AND outcome = 'win'": {"outcome": "loss", "pnl_r": -1.0},
    "rr_target = 4 AND outcome = 'loss' AND month(trading_day) = 5": {"pnl_r": None},
    "rr_target = 5 AND outcome IS NOT NULL": {"outcome": None},
}
TASKS = 7
DEAD_AFTER = 4  # tasks
OLD = b'{"strategy_id": "old"}\n'


def run(database: Path, **flags: Any) -> RunResult:
    """Validate MGC serially; the JSONL lies beside the database."""
    return validate(database, "MGC", **{"workers": 1, "wf_output": database.parent / "wf.jsonl", **flags})


def written(database: Path) -> Written:
    """All that runs write, without moments and run ids; the JSONL lies beside the database."""
    tables = {
        "experimental_strategies": "* EXCLUDE (created_at)",
        "validated_setups": "* EXCLUDE (promoted_at, retired_at)",
        "orb_outcomes": "count(*)",
    }
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {
            table: list(map(repr, connection.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()))
            for table, columns in tables.items()
        }
    lines = [json.loads(line) for line in (database.parent / "wf.jsonl").read_text().splitlines()]
    return {**found, "lines": [repr({**line, "timestamp": None}) for line in lines]}


class Died(BaseException):
    """The end of a process, as its journal sees it."""


def die_after(tasks: int, database: Path, **flags: Any) -> int:
    """Let a run end in the task after so many; how many results it has finished."""
    done: list[TaskResult] = []

    def dying(task: WalkforwardTask) -> TaskResult:
        if len(done) == tasks:
            raise Died
        done.append(walkforward_task(task))
        return done[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "walkforward_task", dying)
        with pytest.raises(Died):
            run(database, **flags)
    return sum(len(result.answers) for result in done)


def reused(result: RunResult) -> int:
    """How many results the run has taken over."""
    found: int = result.summary["walkforward"]["reused"]
    return found


def journal_of(database: Path, instrument: str = "MGC") -> Path:
    """Where the interface has it."""
    return Path(f"{database}.{instrument}.journal")


def kept_in(journal: bytes) -> list[dict[str, Any]]:
    """The records of the whole lines: after the first, each is a checksum and JSON."""
    return [json.loads(line.partition(b" ")[2]) for line in journal.split(b"\n")[1:-1]]


def ids_in(records: Sequence[Mapping[str, Any]]) -> set[str]:
    """The strategies that are answered."""
    return {answer[0] for record in records for answer in record.get("answers", [])}


@pytest.fixture(autouse=True, scope="module")
def a_task_for_each_key() -> Iterator[None]:
    """Cuts the tiny input as finely as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))
        yield


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny database; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("template") / "tiny.duckdb", STRATEGIES, outcomes=OUTCOMES)


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """A fresh copy."""
    return Path(shutil.copy(template, tmp_path / "tiny.duckdb"))


@pytest.fixture(scope="module")
def truth(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What a run writes that nobody disturbs."""
    return undisturbed(Path(shutil.copy(template, tmp_path_factory.mktemp("truth") / "tiny.duckdb")))


def undisturbed(database: Path, **flags: Any) -> Written:
    """What such a run writes."""
    assert run(database, **flags).summary["walkforward"]["tasks"] == TASKS
    return written(database)


class Dead(NamedTuple):
    """A run that has ended in mid-computing."""

    database: Path
    results: int  # that it has finished

    @property
    def journal(self) -> Path:
        """What it has left."""
        return journal_of(self.database)


@pytest.fixture(scope="module")
def dead_source(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Dead:
    """Never written, only copied."""
    database = Path(shutil.copy(template, tmp_path_factory.mktemp("dead") / "tiny.duckdb"))
    return Dead(database, die_after(DEAD_AFTER, database))


@pytest.fixture
def dead(dead_source: Dead, tmp_path: Path) -> Dead:
    """A database and the journal of a run that died over its fifth task."""
    shutil.copytree(dead_source.database.parent, tmp_path, dirs_exist_ok=True)
    assert dead_source.results > DEAD_AFTER  # a task may answer for several strategies
    return dead_source._replace(database=tmp_path / "tiny.duckdb")


# A run that dies.

IN_A_TASK = """
import os, signal
from dask_validator import compute, plan
from dask_validator.__main__ import main

plan.OUTCOMES_PER_TASK = (2_000, 5_000)
left, really_compute = 5, compute.walkforward_task

def dying(task):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return really_compute(task)

compute.walkforward_task = dying
main()
"""
BETWEEN_TASKS = """
import os, signal
from dask_validator import plan
from dask_validator.__main__ import main
from dask_validator.journal.journal import Journal

plan.OUTCOMES_PER_TASK = (2_000, 5_000)
left, really_keep = 5, Journal.answered

def dying(self, answers):
    global left
    really_keep(self, answers)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

Journal.answered = dying
main()
"""


def killed(fault: str, *args: object) -> None:
    """Run the command in a process that kills itself."""
    done = subprocess.run([sys.executable, "-c", fault, *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr


@pytest.fixture(scope="module")
def small_truth(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What an undisturbed run writes to the recorded database."""
    copy = Path(shutil.copy(small_source, tmp_path_factory.mktemp("small") / "small.duckdb"))
    run(copy)
    return written(copy)


@pytest.mark.parametrize(("fault", "workers", "then"), [(IN_A_TASK, 1, 2), (BETWEEN_TASKS, 2, 1)], ids=["1", "2"])
def test_killed(
    small: Path, small_truth: Written, tmp_path: Path, command: Command, fault: str, workers: int, then: int
) -> None:
    """What was finished before SIGKILL is not computed again, by however many workers, and the end is the same."""
    flags = ["run", "--db", small, "--wf-output", tmp_path / "wf.jsonl", "--no-dashboard"]
    killed(fault, *flags, "--workers", workers)
    finished = len(ids_in(kept_in(journal_of(small).read_bytes())))
    resumed = command(*flags, "--workers", then, "--resume", "--json")

    assert finished >= 5
    assert resumed.summary["walkforward"]["reused"] == finished
    assert f"Took over {finished} results from {journal_of(small)}\n" in resumed.stderr
    assert "nothing to take over" not in resumed.stderr
    assert written(small) == small_truth
    assert not journal_of(small).exists()


@pytest.mark.parametrize("tasks", [0, 1, 3, TASKS - 1])
def test_after_any_task(
    database: Path, truth: Written, tasks: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """However far a run had come, the next takes over all of it, says how much, and leaves no journal."""
    finished = die_after(tasks, database)
    capsys.readouterr()
    result = run(database)

    assert finished >= tasks
    assert reused(result) == finished
    assert (f"Took over {finished} results from {journal_of(database)}\n" in capsys.readouterr().err) == bool(finished)
    assert written(database) == truth
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.duckdb", "wf.jsonl"}


def test_dies_again_and_again(database: Path, truth: Written) -> None:
    """Every attempt comes further than the one before."""
    finished = sum(die_after(1, database) for _ in range(3))
    result = run(database)

    assert reused(result) == finished >= 3
    assert written(database) == truth


def test_rewritten_by_duckdb(dead: Dead, truth: Written) -> None:
    """The same data in another order, in another file of another name, are the same data."""
    for statement in (
        "CREATE TABLE shuffled AS SELECT * FROM orb_outcomes ORDER BY hash(trading_day, rr_target)",
        "DROP TABLE orb_outcomes",
        "ALTER TABLE shuffled RENAME TO orb_outcomes",
    ):
        change(dead.database, statement)
    moved = dead.database.rename(dead.database.with_name("moved.duckdb"))
    journal = dead.journal.rename(journal_of(moved))
    result = run(moved)

    assert reused(result) == dead.results
    assert written(moved) == truth
    assert not journal.exists()


def test_another_output(dead: Dead, truth: Written, tmp_path: Path) -> None:
    """Where the lines go is no rule: a run that goes on elsewhere takes everything over and writes all lines there."""
    result = run(dead.database, wf_output=tmp_path / "other.jsonl", journal=dead.journal)
    (tmp_path / "other.jsonl").rename(tmp_path / "wf.jsonl")

    assert reused(result) == dead.results
    assert written(dead.database) == truth


def test_a_journal_elsewhere(database: Path, truth: Written, tmp_path: Path) -> None:
    """`--journal` names the journal of both runs, and nothing is left in its place."""
    elsewhere = tmp_path / "elsewhere" / "my.journal"
    elsewhere.parent.mkdir()
    finished = die_after(DEAD_AFTER, database, journal=elsewhere)
    assert not journal_of(database).exists()

    assert reused(run(database, journal=elsewhere)) == finished
    assert written(database) == truth
    assert everything_in(elsewhere.parent) == {}


# A journal that is not whole.


@pytest.fixture(scope="module")
def uncommitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with two strategies whose run could not commit: its journal has lines of every kind."""
    strategies: list[Row] = [{"strategy_id": "MGC_A"}, {"strategy_id": "MGC_B", "rr_target": 2.0}]
    database = tiny_database(tmp_path_factory.mktemp("uncommitted") / "tiny.duckdb", strategies)

    def full(*_: object, **__: object) -> None:
        raise NotCommitted("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "commit", full)
        with pytest.raises(NotCommitted):
            run(database)
    names = [next(iter(record)) for record in kept_in(journal_of(database).read_bytes())]
    assert names == ["pid", "inputs", "opened", "answers", "opened", "answers", "computed", "committing"]
    return database


@pytest.fixture(scope="module")
def truth_of_two(uncommitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What an undisturbed run writes to that database."""
    database = Path(shutil.copy(uncommitted, tmp_path_factory.mktemp("two") / "tiny.duckdb"))
    run(database)
    return written(database)


def go_on_with(uncommitted: Path, journal: bytes, folder: Path) -> tuple[int, Written]:
    """Run on a fresh copy with these bytes for a journal: what is taken over, and what is written."""
    folder.mkdir()
    database = Path(shutil.copy(uncommitted, folder / "tiny.duckdb"))
    journal_of(database).write_bytes(journal)
    result = run(database, progress=False)
    assert {path.name for path in folder.iterdir()} == {"tiny.duckdb", "wf.jsonl"}
    return reused(result), written(database)


def holding(records: Sequence[Mapping[str, Any]]) -> int:
    """How many results a run may take over from these: none, when it is not said what they depend on."""
    return len(ids_in(records)) if any("inputs" in record for record in records) else 0


def test_cut_at_every_byte(uncommitted: Path, tmp_path: Path) -> None:
    """A journal that a crash has cut short, wherever, holds all that was whole, and takes further lines after that."""
    whole, cut = journal_of(uncommitted).read_bytes(), tmp_path / "cut.journal"
    for size in range(len(whole) + 1):
        cut.write_bytes(whole[:size])
        records = kept_in(whole[:size]) if size >= len(MAGIC) else []
        for _ in range(2):  # the second finds what the first has left
            with Journal(cut, uncommitted, "MGC") as journal:
                found = journal.recovered
                assert kept_in(cut.read_bytes())[-1]["pid"] == os.getpid(), size
            assert found.answers.keys() == ids_in(records), size
            assert bool(found.inputs) == any("inputs" in record for record in records), size
            assert found.computed == any("computed" in record for record in records), size
            assert found.committing == any("committing" in record for record in records), size
        assert cut.exists() == bool(found.inputs)  # a journal with nothing in it is none


def test_runs_after_cuts(uncommitted: Path, truth_of_two: Written, tmp_path: Path) -> None:
    """Cut before, at and behind every line end, a journal never changes what a run writes, only what it computes."""
    whole = journal_of(uncommitted).read_bytes()
    ends = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]
    for size in sorted({end + beside for end in ends for beside in (-1, 0, 1)} & {*range(len(whole) + 1)}):
        expected = holding(kept_in(whole[:size])) if size >= len(MAGIC) else 0
        assert go_on_with(uncommitted, whole[:size], tmp_path / str(size)) == (expected, truth_of_two), size


def test_any_byte_flipped(uncommitted: Path, tmp_path: Path) -> None:
    """A damaged record is ignored, it alone; a file whose first line is not a journal's is left as it is."""
    whole, flipped = journal_of(uncommitted).read_bytes(), tmp_path / "flipped.journal"
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 1
        flipped.write_bytes(data)
        if position < len(MAGIC):
            with pytest.raises(InputError, match="not a journal"):
                Journal(flipped, uncommitted, "MGC")
            assert flipped.read_bytes() == data
            continue
        line = whole.count(b"\n", 0, position) - 1  # whose end, when it is that, keeps it apart from the next
        damaged = {line, line + 1} if whole[position] == ord("\n") else {line}
        records = [record for number, record in enumerate(kept_in(whole)) if number not in damaged]
        with Journal(flipped, uncommitted, "MGC") as journal:
            found = journal.recovered
        assert found.answers.keys() == ids_in(records), position
        assert bool(found.inputs) == any("inputs" in record for record in records), position
        assert found.computed == any("computed" in record for record in records), position


def test_runs_after_damage(uncommitted: Path, truth_of_two: Written, tmp_path: Path) -> None:
    """Whichever record is damaged, the run computes what it has lost with it."""
    whole = journal_of(uncommitted).read_bytes()
    lines = whole.splitlines(keepends=True)
    for number in range(1, len(lines)):
        damaged = bytearray(lines[number])
        damaged[len(damaged) // 2] ^= 1
        rest = [*lines[:number], *lines[number + 1 :]]
        found = go_on_with(
            uncommitted, b"".join([*lines[:number], damaged, *lines[number + 1 :]]), tmp_path / str(number)
        )
        assert found == (holding(kept_in(b"".join(rest))), truth_of_two), number


def test_doubled_lines(uncommitted: Path, truth_of_two: Written, tmp_path: Path) -> None:
    """A line that is there twice says nothing new."""
    first, *lines = journal_of(uncommitted).read_bytes().splitlines(keepends=True)
    doubled = b"".join([first, *(line + line for line in lines), *lines])

    assert go_on_with(uncommitted, doubled, tmp_path / "doubled") == (2, truth_of_two)


def test_a_disk_that_is_full(
    database: Path, truth: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A journal that cannot be written costs no result: the run warns and goes on."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    result = run(database)

    assert result.summary["committed"]
    assert "No space left on device" in capsys.readouterr().err
    assert written(database) == truth
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.duckdb", "wf.jsonl"}


# A journal that no longer holds.


class Other(NamedTuple):
    """How a run differs from the one before it."""

    named: str
    sql: str = ""
    flags: Mapping[str, Any] = {}
    patched: tuple[str, Callable[[], Any]] | None = None  # what commit.py asks


OTHERS = {
    "walk-forward": Other("rule parameters", flags={"wf_min_trades": 30}),
    "screening": Other("rule parameters", flags={"exclude_years": (2022,)}),
    "rules": Other("source of the rules", patched=("source_of_the_rules", lambda: "edited")),
    "DuckDB": Other("version of DuckDB", patched=("versions", lambda: {**provenance.versions(), "duckdb": "0.1"})),
    "an outcome": Other("outcomes", "UPDATE orb_outcomes SET pnl_r = -9 WHERE outcome = 'loss' AND rr_target = 1.5"),
    "an outcome less": Other("outcomes", "DELETE FROM orb_outcomes WHERE rr_target = 1.5 AND year(trading_day) > 2021"),
    "volatility": Other("features", "UPDATE daily_features SET atr_20 = 10 WHERE month(trading_day) = 1"),
    "a session": Other("features", "UPDATE daily_features SET orb_0900_size = 2 WHERE year(trading_day) > 2021"),
    "everything": Other("rule parameters, outcomes", "DELETE FROM orb_outcomes WHERE rr_target = 2", {"min_sample": 9}),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_other_inputs(
    dead: Dead,
    template: Path,
    other: Other,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Results of other inputs are never used: they are set aside, the difference is named, the run computes anew."""
    (tmp_path / "fresh").mkdir()
    fresh = Path(shutil.copy(template, tmp_path / "fresh" / "tiny.duckdb"))
    for path in (fresh, dead.database):
        change(path, other.sql or "SELECT 1")
    if other.patched:
        monkeypatch.setattr(commit, *other.patched)
    expected = undisturbed(fresh, **other.flags)
    before = dead.journal.read_bytes()
    capsys.readouterr()
    result = run(dead.database, **other.flags)

    assert reused(result) == 0
    assert written(dead.database) == expected
    aside = Path(f"{dead.journal}.old-1")
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if "other" in line] == [
        f"{dead.journal} was of a run with other {other.named}: nothing taken over, kept as {aside.name}"
    ]
    assert "Took over" not in said
    assert aside.read_bytes().startswith(before)
    assert not dead.journal.exists()


def test_set_aside_twice(dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    """What was set aside before is not overwritten."""
    finished = die_after(2, dead.database, min_sample=40)
    run(dead.database, min_sample=50)

    kept = [Path(f"{dead.journal}.old-{number}").read_bytes() for number in (1, 2)]
    assert [len(ids_in(kept_in(journal))) for journal in kept] == [dead.results, finished]
    assert not dead.journal.exists()
    said = capsys.readouterr().err
    assert ".old-1\n" in said
    assert ".old-2\n" in said


ROWS = {
    "a changed row": ("UPDATE experimental_strategies SET filter_type = 'NO_FILTER' WHERE {}", 1, True),
    "a row less": ("DELETE FROM experimental_strategies WHERE {}", 1, False),
    "a decided row": ("UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE {}", 1, False),
    "a note": ("UPDATE experimental_strategies SET validation_notes = 'mine' WHERE {}", 0, False),
    "a column of the user's": ("UPDATE experimental_strategies SET entry_signals = 7 WHERE {}", 0, False),
}


@pytest.mark.parametrize(("sql", "fewer", "again"), ROWS.values(), ids=ROWS)
def test_changed_rows(
    dead: Dead, template: Path, sql: str, fewer: int, again: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strategy whose row has changed is computed again, it alone, and the log says so."""
    (tmp_path / "fresh").mkdir()
    fresh = Path(shutil.copy(template, tmp_path / "fresh" / "tiny.duckdb"))
    for path in (fresh, dead.database):
        change(path, sql.format("strategy_id = 'MGC_PASSES'"))
    run(fresh)
    capsys.readouterr()
    result = run(dead.database)

    assert reused(result) == dead.results - fewer
    words = "; 1 no longer hold, because their rows have changed" if again else ""
    assert f"Took over {dead.results - fewer} results from {dead.journal}{words}\n" in capsys.readouterr().err
    assert written(dead.database) == written(fresh)
    assert not dead.journal.exists()


# The flags.


def test_discard(dead: Dead, truth: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--discard` starts anew and keeps nothing of what was there."""
    capsys.readouterr()
    result = run(dead.database, discard=True)

    assert reused(result) == 0
    assert "Took over" not in capsys.readouterr().err
    assert written(dead.database) == truth
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.duckdb", "wf.jsonl"}


def test_resume_or_discard(database: Path, command: Command) -> None:
    """Nobody means both."""
    refused = command("run", "--db", database, "--resume", "--discard")

    assert refused.code == 2
    assert "--resume and --discard" in refused.stderr


NOTHING = "--resume found nothing to take over"


def test_nothing_to_resume(database: Path, truth: Written, capsys: pytest.CaptureFixture[str]) -> None:
    """Who means to go on is told when there is nothing to go on with; the run starts all the same."""
    run(database, resume=True)

    assert f"warning: {NOTHING} in {journal_of(database)}\n" in capsys.readouterr().err
    assert written(database) == truth


def test_resume_takes_over(dead: Dead, truth: Written, capsys: pytest.CaptureFixture[str]) -> None:
    """Who means to go on and can is not warned; what has failed is computed again."""
    capsys.readouterr()
    failed = sum(answer.error is not None for answer in left_in(dead.journal).answers.values())
    result = run(dead.database, resume=True)

    assert reused(result) == dead.results - failed
    assert NOTHING not in capsys.readouterr().err
    assert written(dead.database) == truth


def test_resume_retries_failed(tmp_path: Path) -> None:
    """A strategy that has FAILED is tried again only when asked, and nothing else is."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_BAD", "filter_type": None}])
    run(database)
    change(database, "UPDATE experimental_strategies SET filter_type = 'ORB_G4' WHERE strategy_id = 'MGC_BAD'")

    assert run(database).summary["rows"] == 0
    assert rows_by_id(database, "experimental_strategies")["MGC_BAD"]["validation_status"] == "FAILED"
    assert run(database, resume=True).summary["rows"] == 1
    assert rows_by_id(database, "experimental_strategies")["MGC_BAD"]["validation_status"] == "PASSED"
    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD", "MGC_BAD"]


def refusing(word: str) -> Callable[[Lines, Any], None]:
    """A disk that is full for records of that kind."""
    really_append = Lines.append

    def append(self: Lines, record: Any, *, durable: bool = True) -> None:
        if word in record:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really_append(self, record, durable=durable)

    return append


def die(*_: object) -> None:
    """The end of a process between the commit and the first line."""
    raise Died


def test_killed_after_a_commit_that_could_not_be_noted(
    database: Path, truth: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk too full for one more word before the commit does not cost the lines of the run that it commits."""
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "append", refusing("committing"))
        patch.setattr(results_file, "append", die)
        with pytest.raises(Died):
            run(database)
    assert run(database).summary["rows"] == 0
    assert written(database) == truth
    assert not journal_of(database).exists()


def test_an_append_that_cannot_be_noted(
    database: Path, truth: Written, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """An append that nobody would know of is not begun: exit code 4, and the line that makes up for it."""
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "append", refusing("append"))
        with pytest.raises(
            NotCommitted, match=r"committed, but .*wf\.jsonl could not be written.*next run appends them"
        ):
            run(database)
    assert not (database.parent / "wf.jsonl").read_bytes()
    done = command("commit", "--db", database)

    assert done.code == 0
    assert written(database) == truth


@pytest.mark.parametrize(("word", "name"), [("computed", "run"), ("committing", "commit")])
def test_a_journal_that_is_full_near_the_end(
    database: Path, word: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is on the disk counts, whatever came after it: the command that goes on with it is named, and does."""

    def full(*_: object, **__: object) -> None:
        raise NotCommitted("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Lines, "append", refusing(word))
        patch.setattr(writer, "commit", full)
        with pytest.raises(SystemExit, match="4"):
            main(["run", "--db", str(database), "--workers", "1", "--wf-output", str(database.parent / "wf.jsonl")])
    said = capsys.readouterr().err

    assert "Part of what is computed (the journal" in said
    assert f"\n  dask-validator {name} --db {database}" in said
    assert reused(run(database)) > 0


def test_resume_computes_again_what_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that never came is asked for again, not taken over: the time-out may be longer now."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    lost = Answer("MGC_GOOD", None, None, None, None, 0.0, lost="no result within 1 s (--task-timeout)")

    def never(task: WalkforwardTask) -> TaskResult:
        answers = walkforward_task(task).answers
        return TaskResult(tuple(lost._replace(fingerprint=answer.fingerprint) for answer in answers), None)

    def full(*_: object, **__: object) -> None:
        raise NotCommitted("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(compute, "walkforward_task", never)
        patch.setattr(writer, "commit", full)
        with pytest.raises(NotCommitted):
            run(database)

    assert run(database, resume=True).summary["passed"] == 1


def test_a_journal_of_strategies_that_no_longer_wait(dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    """What somebody else has validated since is named, and the journal, of use to nobody, goes."""
    change(dead.database, "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE instrument = 'MGC'")
    result = run(dead.database, resume=True)

    assert result.summary["rows"] == 0
    assert any("validated or removed by somebody else" in warning for warning in result.warnings)
    assert NOTHING in capsys.readouterr().err
    assert not dead.journal.exists()


def test_a_journal_that_cannot_be_read_or_renamed(
    dead: Dead, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's journal is refused in one line, not in a traceback."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(InputError, match=r"cannot be renamed to .*old-1.*--journal PATH"):
        run(dead.database, min_sample=40)
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(InputError, match="cannot be read"):
        left_in(dead.journal)


def test_a_glance_at_a_journal_is_no_use_of_it(dead: Dead, truth: Written) -> None:
    """Another run that looks who keeps a journal does not keep a run from starting."""
    with dead.journal.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        run(dead.database)

    assert written(dead.database) == truth


def test_dry_run(dead: Dead, tmp_path: Path) -> None:
    """A dry run takes nothing over, changes no byte of what was left, and does not even look at a journal."""
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    before = everything_in(tmp_path)
    for journal in (None, notes):
        result = run(dead.database, dry_run=True, journal=journal)
        assert reused(result) == 0
        assert result.summary["walkforward"]["tasks"] == TASKS
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("umask", [0o077, 0o022], ids=oct)
def test_mode(database: Path, umask: int) -> None:
    """Who may read the database may read the journal, and nobody else, whatever the umask says."""
    database.chmod(0o640)
    before = os.umask(umask)
    try:
        die_after(1, database)
        first = journal_of(database).stat().st_mode & 0o777
        die_after(1, database, min_sample=40)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in database.parent.glob("*.journal*")]

    assert first == 0o640
    assert modes == [0o640, 0o640]


def _a_text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("mine\n")
    return folder / "notes.txt"


def _another_version(folder: Path) -> Path:
    (folder / "journal").write_bytes(MAGIC.replace(b"1", b"2") + b"what we cannot know\n")
    return folder / "journal"


def _a_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "tiny.duckdb")
    return folder / "link"


def _a_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


NO_JOURNALS: dict[str, Callable[[Path], Path]] = {
    "text": _a_text,
    "journal of another version": _another_version,
    "the database": lambda folder: folder / "tiny.duckdb",
    "a link to the database": _a_link,
    "a folder": _a_folder,
    "in no folder": lambda folder: folder / "missing" / "journal",
    "the JSONL": lambda folder: folder / "wf.jsonl",
    "the JSONL in other words": lambda folder: folder / ".." / folder.name / "wf.jsonl",
}


@pytest.mark.parametrize("place", NO_JOURNALS.values(), ids=NO_JOURNALS)
def test_no_place_for_a_journal(
    database: Path, tmp_path: Path, command: Command, place: Callable[[Path], Path]
) -> None:
    """A file that is something else is refused in one line, before any work, and stays as it is."""
    journal = place(tmp_path)
    before = everything_in(tmp_path)
    refused = command(
        "run", "--db", database, "--workers", 1, "--wf-output", tmp_path / "wf.jsonl", "--journal", journal
    )

    assert refused.code == 2
    assert str(journal) in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert everything_in(tmp_path) == before


# Two runs.

ONE_TASK_THEN_WAIT = """
import sys
from dask_validator.__main__ import main
from dask_validator.journal.journal import Journal

really_keep = Journal.answered

def waiting(self, answers):
    really_keep(self, answers)
    print("computing", flush=True)
    sys.stdin.readline()

Journal.answered = waiting
main()
"""
WAIT_BEFORE_COMMIT = """
import sys
from functools import partial
from dask_validator.__main__ import main
from dask_validator.store import connection, writer

class Waiting:
    def __init__(self, path, **options):
        self.connection = connection.connect(path, **options)

    def execute(self, sql, *parameters):
        if sql == "COMMIT":
            print("committing", flush=True)
            sys.stdin.readline()
        return self.connection.execute(sql, *parameters)

    def __getattr__(self, name):
        return getattr(self.connection, name)

writer.commit = partial(writer.commit, connect=Waiting)
main()
"""


class Waiting:
    """A run that has come to a certain point, said so, and waits there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.said = process.stdout.readline()
        assert self.said

    def let_go(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it has complained of."""
        complaints = self.process.communicate(timeout=60)[1]
        return self.process.returncode, complaints


@contextmanager
def waiting(fault: str, *args: object) -> Iterator[Waiting]:
    """Start such a run and return when it waits."""
    pipe, command = subprocess.PIPE, [sys.executable, "-c", fault, *map(str, args)]
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield Waiting(process)
        finally:
            process.kill()


def on(database: Path, instrument: str, *flags: object, workers: int = 1) -> list[object]:
    """The arguments of a run of an instrument."""
    where = ["--db", database, "--wf-output", database.parent / "wf.jsonl"]
    return ["run", *where, "--instrument", instrument, "--workers", workers, "--no-dashboard", *flags]


@pytest.fixture
def two_instruments(tmp_path: Path) -> Path:
    """A database with a strategy of MGC and one of MES."""
    return tiny_database(tmp_path / "two.duckdb", [{}, {"strategy_id": "MES_GOOD", "instrument": "MES"}])


def statuses(database: Path) -> dict[str, Any]:
    """What became of each strategy."""
    rows = rows_by_id(database, "experimental_strategies", "validation_status")
    return {strategy_id: row["validation_status"] for strategy_id, row in rows.items()}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same journal", "another journal"])
def test_a_second_run(two_instruments: Path, tmp_path: Path, command: Command, elsewhere: bool) -> None:
    """While a run is on its way, a second one of the same instrument is refused with its PID, and harms nothing."""
    flags = ["--journal", tmp_path / "my.journal"] if elsewhere else []
    with waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MGC")) as first:
        before = everything_in(tmp_path)
        second = command(*on(two_instruments, "MGC", *flags), timeout=20)
        after = everything_in(tmp_path)
        first.let_go()
        code, said = first.end()

    assert second.code == 2
    assert f"PID {first.process.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert after == before
    assert code == 0, said
    assert statuses(two_instruments) == {"MGC_GOOD": "PASSED", "MES_GOOD": None}
    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD"]


def test_a_second_run_after_a_kill(two_instruments: Path, tmp_path: Path, command: Command) -> None:
    """The journal of a run that was killed is nobody's."""
    with waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MGC")) as first:
        first.process.kill()
        first.process.wait()
        second = command(*on(two_instruments, "MGC", "--json"))

    assert second.code == 0, second.stderr
    assert second.summary["walkforward"]["reused"] == 1
    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD"]


@pytest.mark.parametrize("workers", [1, 2])
def test_two_instruments(two_instruments: Path, tmp_path: Path, workers: int) -> None:
    """Runs of different instruments may compute at the same time; both commit, and their lines share a file."""
    with (
        waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MGC")) as first,
        waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MES", workers=workers)) as second,
    ):
        assert {path.name for path in tmp_path.glob("*.journal")} == {
            "two.duckdb.MGC.journal",
            "two.duckdb.MES.journal",
        }
        for each in (first, second):
            each.let_go()
        ends = [each.end() for each in (first, second)]

    assert [code for code, _ in ends] == [0, 0], ends
    assert statuses(two_instruments) == {"MGC_GOOD": "PASSED", "MES_GOOD": "PASSED"}
    assert sorted(line_ids(tmp_path / "wf.jsonl")) == ["MES_GOOD", "MGC_GOOD"]
    assert {path.name for path in tmp_path.iterdir()} == {"two.duckdb", "wf.jsonl"}


def test_another_instrument_commits(two_instruments: Path, tmp_path: Path) -> None:
    """A run that starts while one of another instrument commits says who it waits for, and then does its work."""
    start = [sys.executable, "-m", "dask_validator", *map(str, on(two_instruments, "MES"))]
    with (
        waiting(WAIT_BEFORE_COMMIT, *on(two_instruments, "MGC")) as first,
        subprocess.Popen(start, stderr=subprocess.PIPE, text=True) as second,
    ):
        assert second.stderr is not None
        said = second.stderr.readline()
        first.let_go()
        code, complaint = first.end()
        said += second.communicate(timeout=60)[1]

    assert code == 0, complaint
    assert second.returncode == 0, said
    assert f"PID {first.process.pid}" in said.splitlines()[0]
    assert statuses(two_instruments) == {"MGC_GOOD": "PASSED", "MES_GOOD": "PASSED"}


HANG_IN_A_CHILD = """
import os, signal
from dask_validator import compute
from dask_validator.__main__ import main

ours, really_compute = os.getpid(), compute.walkforward_task

def hanging(task):
    if os.getpid() != ours:
        print(os.getpid(), flush=True)
        while True:
            signal.pause()
    return really_compute(task)

compute.walkforward_task = hanging
main()
"""


def test_killed_while_a_child_computes(database: Path, truth: Written, command: Command) -> None:
    """A suspect that hangs in a child process ends with the run that started it, and does not keep its journal."""
    die_after(0, database)
    with waiting(HANG_IN_A_CHILD, *on(database, "MGC")) as first:
        child = psutil.Process(int(first.said))
        first.process.kill()
        first.process.wait()
        _, alive = psutil.wait_procs([child], timeout=10)
        for process in alive:
            process.kill()

    assert not alive
    assert command(*on(database, "MGC")).code == 3  # one of the strategies cannot be used
    assert written(database) == truth


# Killed between the commit and the end of the JSONL.

DYING_APPEND = """
import os, signal, sys
from dask_validator import results_file
from dask_validator.__main__ import main

point, really_write = sys.argv.pop(1), results_file._write_all

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(file, data):
    ends = [position + 1 for position, byte in enumerate(data) if byte == 10]
    if len(ends) < 2:  # the line end before ours
        return really_write(file, data)
    sizes = {"nothing": 0, "half a line": ends[0] // 2, "a line but its end": ends[0] - 1, "a line": ends[0]}
    sizes |= {"a line and a half": (ends[0] + ends[1]) // 2, "all but the end": len(data) - 1, "all": len(data)}
    really_write(file, data[:sizes[point]])
    die()

results_file._write_all = dying
if point == "nothing announced":
    results_file.append = die
if point == "replacing":
    os.replace = die
main()
"""
POINTS = (
    *("nothing announced", "nothing", "half a line", "a line but its end", "a line", "a line and a half"),
    *("all but the end", "all"),
)
TORN = OLD + b'{"torn'
THEIRS = b'{"strategy_id": "MES_THEIRS"}\n{"strategy_id": "MES_THEIRS_2"}\n'
LONG = b'{"strategy_id": "MES_LONG", "windows": "' + b"x" * 100_000 + b'"}\n'


class Committed(NamedTuple):
    """A run that was committed and killed while it appended its lines."""

    database: Path
    before: bytes  # what the JSONL had
    ours: bytes  # the lines that the run has kept

    @property
    def jsonl(self) -> Path:
        """Where they belong."""
        return self.database.parent / "wf.jsonl"

    def moved(self, folder: Path) -> Committed:
        """A copy with the JSONL in its place, which the journal has by its path."""
        for path in self.database.parent.iterdir():
            shutil.copy(path, folder)
        copy = self._replace(database=folder / self.database.name)
        journal = journal_of(copy.database)
        journal.write_bytes(resealed(journal.read_bytes(), str(self.database.parent), str(folder)))
        return copy


def resealed(journal: bytes, old: str, new: str) -> bytes:
    """A journal with other paths in it, its checksums brought up to date."""
    first, *lines = journal.splitlines(keepends=True)
    texts = [line.partition(b" ")[2].rstrip(b"\n").replace(old.encode(), new.encode()) for line in lines]
    return first + b"".join(b"%08x %b\n" % (zlib.crc32(text), text) for text in texts)


def killed_at(point: str, database: Path, before: bytes | None) -> Committed:
    """Kill a run at that point of its append."""
    jsonl = database.parent / "wf.jsonl"
    if before is not None:
        jsonl.write_bytes(before)
    killed(DYING_APPEND, point, "run", "--db", database, "--workers", 1, "--wf-output", jsonl)
    with duckdb.connect(str(database), read_only=True) as connection:
        [(results,)] = connection.execute("SELECT results FROM dask_validator_runs").fetchall()
    ours = zlib.decompress(results)
    assert ours.count(b"\n") > 2
    return Committed(database, before or b"", ours)


Meanwhile = Callable[[Path], None]


def _others_append(jsonl: Path) -> None:
    results_file.append(jsonl, zlib.compress(THEIRS))


def _removed(jsonl: Path) -> None:
    jsonl.unlink(missing_ok=True)


def _replaced(theirs: bytes) -> Meanwhile:
    def replace(jsonl: Path) -> None:
        _removed(jsonl)
        results_file.append(jsonl, zlib.compress(theirs))

    return replace


MEANWHILE: dict[str, tuple[Meanwhile, bytes, bool]] = {  # what happens, what it appends, whether the old lines stay
    "nothing": (lambda jsonl: None, b"", True),
    "others append": (_others_append, THEIRS, True),
    "removed": (_removed, b"", False),
    "begun anew by others": (_replaced(OLD), OLD, False),
    "begun anew with long lines": (_replaced(LONG), LONG, False),
    "begun anew alike": (_replaced(OLD + THEIRS), OLD + THEIRS, False),
}


KilledAt = Callable[[str, bytes | None], Committed]


@pytest.fixture(scope="module")
def killed_once(template: Path, tmp_path_factory: pytest.TempPathFactory) -> KilledAt:
    """Runs killed at a point of their append, with this in the JSONL before; never written, only copied."""

    @lru_cache
    def kill(point: str, before: bytes | None) -> Committed:
        return killed_at(point, Path(shutil.copy(template, tmp_path_factory.mktemp("half") / "tiny.duckdb")), before)

    return kill


@pytest.mark.parametrize(
    ("point", "before", "meanwhile"),
    [
        *((point, TORN, meanwhile) for point in POINTS for meanwhile in ("nothing", "others append")),
        *(("a line and a half", before, meanwhile) for before in (TORN, OLD) for meanwhile in MEANWHILE),
        *(("a line and a half", None, meanwhile) for meanwhile in ("nothing", "others append")),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_the_append_is_finished(
    killed_once: KilledAt,
    point: str,
    before: bytes | None,
    meanwhile: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The next start finishes what a committed run has left undone, exactly once, whatever others have done since."""
    left = killed_once(point, before).moved(tmp_path)
    happens, theirs, old_lines_stay = MEANWHILE[meanwhile]
    happens(left.jsonl)
    for _ in range(1 + (meanwhile == "nothing")):
        run(left.database)

    assert capsys.readouterr().err.count("was committed, but had not lived") == 1
    found = left.jsonl.read_bytes()
    assert found.count(left.ours) == 1
    others = (left.before if old_lines_stay else b"").splitlines() + theirs.splitlines()
    assert Counter(found.splitlines()) == Counter(others + left.ours.splitlines())
    assert not journal_of(left.database).exists()


@pytest.mark.parametrize("again", ["a line", "replacing"])
def test_killed_while_finishing(database: Path, tmp_path: Path, again: str) -> None:
    """A start that dies over the append of another run leaves it to the next, and no litter."""
    left = killed_at("half a line", database, TORN)
    if again == "replacing":
        _others_append(left.jsonl)
    killed(DYING_APPEND, again, "run", "--db", database, "--workers", 1, "--wf-output", left.jsonl)
    run(database)

    theirs = THEIRS if again == "replacing" else b""
    assert left.jsonl.read_bytes() == TORN + b"\n" + left.ours + theirs
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.duckdb", "wf.jsonl"}


@pytest.mark.parametrize("flags", [{"discard": True}, {"resume": True}], ids=str)
def test_finished_whatever_is_asked(database: Path, flags: Mapping[str, Any]) -> None:
    """`--discard` gives up what can be computed again, never lines of a committed run."""
    left = killed_at("a line", database, OLD)
    run(database, **flags)

    assert left.jsonl.read_bytes() == OLD + left.ours


def test_another_file(database: Path, tmp_path: Path) -> None:
    """Lines go where their run was told to put them, not where the next one puts its own."""
    left = killed_at("nothing announced", database, OLD)
    run(database, wf_output=tmp_path / "other.jsonl")

    assert left.jsonl.read_bytes() == OLD + left.ours
    assert not (tmp_path / "other.jsonl").exists()


@pytest.mark.parametrize("point", ["nothing announced", "a line"])
def test_a_committed_run_with_a_damaged_journal(database: Path, point: str) -> None:
    """A journal that has lost what its run was asked costs no line: where they began it may still say."""
    left = killed_at(point, database, OLD)
    journal = journal_of(database)
    journal.write_bytes(journal.read_bytes().replace(b'{"inputs"', b'{"inputz"'))
    run(database)

    assert left.jsonl.read_bytes() == OLD + left.ours
    assert not journal.exists()


# Answers as text.

WHOLE = st.integers(-(2**31), 2**31 - 1)
NUMBERS = st.floats() | WHOLE
GATES = st.builds(Gate, WHOLE, st.text(), NUMBERS, NUMBERS, st.booleans(), st.text())
WINDOWS = st.lists(st.tuples(WHOLE, WHOLE, WHOLE, st.floats(), st.floats(), st.floats(), st.booleans()), max_size=4)
WALKFORWARDS = st.builds(
    WalkforwardResult,
    *(WHOLE, WHOLE, WHOLE, st.floats(), st.floats(), WHOLE),
    st.none() | GATES,
    WINDOWS.map(lambda rows: np.array(rows, dtype=WINDOW_TABLE)),
    st.none() | st.floats(),
    st.booleans(),
)
SPLITS = st.builds(SeasonSplit, *(st.none() | kind for kind in (WHOLE, st.floats(), WHOLE, st.floats(), st.text())))
TEXTS = st.none() | st.text()


@st.composite
def tasks_answers(draw: st.DrawFn) -> list[Answer]:
    """Answers of one task, of which some share their walk-forward."""
    shared = st.sampled_from([None, *draw(st.lists(WALKFORWARDS, max_size=3))])
    fingerprints = st.integers(0, 2**64 - 1)
    answer = st.builds(Answer, st.text(), shared, st.none() | SPLITS, TEXTS, TEXTS, st.floats(), fingerprints, TEXTS)
    return draw(st.lists(answer, max_size=5))


def spelled_out(answers: Sequence[Answer]) -> list[object]:
    """All that answers say, as text: so NaN equals NaN, and 1 is not 1.0."""
    walked = [answer.walkforward for answer in answers]
    tables = [None if w is None else (w.window_table.dtype, w.window_table.tobytes()) for w in walked]
    numbers = [None if w is None else repr(w._replace(window_table=None)) for w in walked]  # type: ignore[arg-type]
    together = [[a is b for a in walked] for b in walked]
    return [[repr(answer._replace(walkforward=None)) for answer in answers], numbers, tables, together]


@given(tasks_answers())
def test_answers_keep_every_digit(answers: list[Answer]) -> None:
    """What is taken over is what was computed, to the last bit, and what was shared is shared again."""
    assert spelled_out(list(decode(json.loads(json.dumps(encode(answers)))))) == spelled_out(answers)
