"""`--resume`, `--discard` and `--dry-run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_validator import NotCommitted
from dask_validator.journal.journal import left_in
from dask_validator.model import Answer
from dask_validator.store import writer
from dask_validator.work import walkforward
from dask_validator.work.walkforward import TaskResult, WalkforwardTask, walkforward_task
from tests.conftest import Command, everything_in
from tests.journal.dying import (
    TASKS,
    Dead,
    Written,
    journal_of,
    reused,
    run,
    written,
)
from tests.support.tiny import change, line_ids, rows_by_id, tiny_database


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
        patch.setattr(walkforward, "walkforward_task", never)
        patch.setattr(writer, "commit", full)
        with pytest.raises(NotCommitted):
            run(database)

    assert run(database, resume=True).summary["passed"] == 1


def test_a_journal_of_strategies_that_no_longer_wait(dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    """What somebody else has validated since is named, and the journal, of use to nobody, goes."""
    change(dead.database, "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE instrument = 'MGC'")
    result = run(dead.database, resume=True)

    assert result.summary["rows"] == 0
    assert any("(0 of them waiting) are no longer as the run found them" in warning for warning in result.warnings)
    assert NOTHING in capsys.readouterr().err
    assert not dead.journal.exists()


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
