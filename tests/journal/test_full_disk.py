"""A disk without room for the journal costs neither verdicts nor lines."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dask_validator import NotCommitted, RunResult
from dask_validator.cli.commands import main
from dask_validator.journal.lines import Lines
from dask_validator.run import results_file
from dask_validator.store import writer
from tests.conftest import Command
from tests.journal.dying import (
    Died,
    Written,
    journal_of,
    reused,
    run,
    written,
)


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
        ) as caught:
            run(database)
    outcome = caught.value.result
    assert isinstance(outcome, RunResult)
    assert outcome.summary["committed"]
    assert {"commit", "jsonl"} <= outcome.stages.keys()
    assert not (database.parent / "wf.jsonl").read_bytes()
    done = command("commit", "--db", database, "--wf-output", database.parent / "wf.jsonl")

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
