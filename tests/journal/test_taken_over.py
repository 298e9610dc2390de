"""What a run has finished before it dies is taken over by the next, and the end is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Command, everything_in
from tests.journal.dying import (
    DEAD_AFTER,
    TASKS,
    Dead,
    Written,
    die_after,
    ids_in,
    journal_of,
    kept_in,
    killed,
    reused,
    run,
    written,
)
from tests.support.tiny import change

IN_A_TASK = """
import os, signal
from dask_validator.work import walkforward
from dask_validator.work import plan
from dask_validator.__main__ import main

plan.OUTCOMES_PER_TASK = (2_000, 5_000)
left, really_compute = 5, walkforward.walkforward_task

def dying(task):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return really_compute(task)

walkforward.walkforward_task = dying
main()
"""


BETWEEN_TASKS = """
import os, signal
from dask_validator.work import plan
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
