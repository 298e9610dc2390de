"""Where a journal may lie, and who may read it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_validator import InputError
from dask_validator.journal.journal import left_in
from dask_validator.journal.lines import MAGIC
from tests.conftest import Command, everything_in
from tests.journal.dying import (
    Dead,
    die_after,
    journal_of,
    run,
)


def test_a_journal_that_cannot_be_read_or_renamed(
    dead: Dead, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's journal is refused in one line, not in a traceback."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(InputError, match=r"cannot be renamed to .*old-1.*--journal PATH"):
        run(dead.database, wf_test_months=5)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(InputError, match="cannot be read"):
        left_in(dead.journal)


@pytest.mark.parametrize("umask", [0o077, 0o022], ids=oct)
def test_mode(database: Path, umask: int) -> None:
    """Who may read the database may read the journal, and nobody else, whatever the umask says."""
    database.chmod(0o640)
    before = os.umask(umask)
    try:
        die_after(1, database)
        first = journal_of(database).stat().st_mode & 0o777
        die_after(1, database, wf_test_months=5)
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
