"""A journal that is cut short, damaged or doubled costs only what is not whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dask_validator import InputError, NotCommitted
from dask_validator.journal.journal import Journal
from dask_validator.journal.lines import MAGIC
from dask_validator.store import writer
from tests.journal.dying import (
    Written,
    ids_in,
    journal_of,
    kept_in,
    reused,
    run,
    written,
)
from tests.support.tiny import Row, tiny_database


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
