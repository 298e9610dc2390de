"""Lines of a run that was killed between its commit and the end of the JSONL appear exactly once."""

from __future__ import annotations

import re
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dask_validator import InputError
from dask_validator.run import results_file
from dask_validator.store.past_runs import read_past_run
from tests.journal.dying import (
    OLD,
    journal_of,
    killed,
    run,
)

DYING_APPEND = """
import os, signal, sys
from dask_validator import InputError
from dask_validator.run import results_file
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
    past = read_past_run(database, "MGC")
    assert past is not None
    ours = zlib.decompress(past.jsonl())
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


@pytest.mark.parametrize("flags", [{}, {"resume": True}], ids=str)
def test_finished_whatever_is_asked(database: Path, flags: Mapping[str, Any]) -> None:
    """Lines of a committed run are appended by whatever run comes next."""
    left = killed_at("a line", database, OLD)
    run(database, **flags)

    assert left.jsonl.read_bytes() == OLD + left.ours


def test_another_file(database: Path, tmp_path: Path) -> None:
    """Lines go where their run was told to put them, and there only when this call says so too."""
    left = killed_at("nothing announced", database, OLD)
    journal = journal_of(database).read_bytes()
    with pytest.raises(InputError, match=rf"belong into {re.escape(str(left.jsonl))}, .*--wf-output .*--discard"):
        run(database, wf_output=tmp_path / "other.jsonl")
    assert journal_of(database).read_bytes().startswith(journal[:-1])
    run(database)

    assert left.jsonl.read_bytes() == OLD + left.ours
    assert not (tmp_path / "other.jsonl").exists()


def test_discarded(database: Path) -> None:
    """`--discard` appends nothing, whatever file is named: the lines of the run stay in the database."""
    left = killed_at("nothing announced", database, OLD)
    run(database, discard=True, wf_output=database.parent / "other.jsonl")

    assert left.jsonl.read_bytes() == OLD
    assert not (database.parent / "other.jsonl").exists()
    assert not journal_of(database).exists()


@pytest.mark.parametrize("point", ["nothing announced", "a line"])
def test_a_committed_run_with_a_damaged_journal(database: Path, point: str) -> None:
    """A journal that has lost what its run was asked costs no line: where they began it may still say."""
    left = killed_at(point, database, OLD)
    journal = journal_of(database)
    journal.write_bytes(journal.read_bytes().replace(b'{"inputs"', b'{"inputz"'))
    run(database)

    assert left.jsonl.read_bytes() == OLD + left.ours
    assert not journal.exists()
