"""Marks in the paths of files that a run writes, and where relative ones end up."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dask_validator import InputError, validate
from dask_validator.run import results_file
from dask_validator.run.naming import Names
from dask_validator.store import writer
from tests.conftest import Command, everything_in
from tests.store.test_writer import Opener, commit_replaced
from tests.support.tiny import change, line_ids, tiny_database


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """One good strategy, in a folder of its own."""
    (tmp_path / "data base").mkdir()
    return tiny_database(tmp_path / "data base" / "gold.db")


def run(called: Command, database: Path, *flags: object) -> Any:
    """A serial run."""
    return called("run", "--db", database, "--workers", 1, *flags)


def test_all_marks(called: Command, tiny: Path, tmp_path: Path) -> None:
    """Run, instrument, day and database are filled in, in the JSONL as in the report; two braces are one."""
    flags = ["--wf-output", "{db}.{instrument}.{date}.{run}.jsonl", "--report", "{{x}}-{run}-}.html"]
    days = {f"{datetime.now(UTC):%Y-%m-%d}"}
    summary = run(called, tiny, *flags, "--json").summary
    days.add(f"{datetime.now(UTC):%Y-%m-%d}")

    assert (tmp_path / f"{{x}}-{summary['run_id']}-}}.html").exists()
    found = {path.name for path in tiny.parent.glob("*.jsonl")}
    assert len(found) == 1
    assert found <= {f"gold.db.MGC.{day}.{summary['run_id']}.jsonl" for day in days}


def test_no_instrument_leads_elsewhere() -> None:
    """A name with a slash in it is spelled as it is in the name of its journal."""
    names = Names(Path("/data/gold.db"), "../A/B", "20260102T030405-abcdef")
    assert names.filled("--report", "out/{instrument}-{date}.html") == Path("out/..%2FA%2FB-2026-01-02.html")


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        *product(["run", "demo", "commit"], ["--wf-output", "--report", "--journal"]),
        *product(["calibrate"], ["--report", "--journal"]),
        ("check", "--journal"),
    ],
)
def test_a_mark_that_stands_for_nothing(called: Command, tiny: Path, tmp_path: Path, flag: str, command: str) -> None:
    """One line that names those there are, before anything is done."""
    before = everything_in(tmp_path)
    ran = called(command, "--db", tiny if command != "demo" else tmp_path / "new.duckdb", flag, "x-{day}")

    assert (ran.code, ran.stdout) == (2, "")
    known = "{day} is none of {run}, {instrument}, {date}, {db} (write {{ for a brace)"
    assert ran.stderr == f"dask-validator: {flag} got x-{{day}}; {known}\n"
    assert everything_in(tmp_path) == before


def test_in_python(tiny: Path) -> None:
    """Fields of RunConfig are paths with marks, too."""
    result = validate(tiny, workers=1, progress=False, wf_output="{db}.{run}.jsonl")
    assert Path(f"{tiny}.{result.summary['run_id']}.jsonl").exists()
    with pytest.raises(InputError, match=r"\{x\} is none of"):
        validate(tiny, workers=1, progress=False, wf_output="{x}")


def test_the_line_that_goes_on_names_the_files_themselves(called: Command, tmp_path: Path) -> None:
    """What a run could not commit is committed by the printed line, though another day and run have other marks."""
    (tmp_path / "{odd}").mkdir()
    database = tiny_database(tmp_path / "{odd}" / "gold.db")
    flags = ["--wf-output", "{db}.{run}.jsonl", "--journal", "{db}.{run}.kept"]
    with commit_replaced(partial(writer.commit, connect=Opener(range(5, 6)))):
        ran = run(called, database, *flags, "--json")
    assert ran.code == 4
    words = shlex.split(next(line for line in ran.stderr.splitlines() if "dask-validator commit" in line))
    later = called(*words[1:])

    assert later.code == 0, later.stderr
    lines = Path(f"{database}.{ran.summary['run_id']}.jsonl")
    assert line_ids(lines) == ["MGC_GOOD"]
    assert {path.name for path in database.parent.iterdir()} == {"gold.db", lines.name}


def test_lines_that_were_left_go_where_they_belong(
    called: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that died before its append does not stop the next, whose file has another name: each has its lines."""
    marks = ["--wf-output", "{db}.{run}.jsonl", "--json"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results_file, "append", full)
        first = run(called, tiny, *marks)
    assert first.code == 4
    change(tiny, "UPDATE experimental_strategies SET validation_status = NULL")
    second = run(called, tiny, *marks)

    assert second.code == 0, second.stderr
    assert [line_ids(Path(f"{tiny}.{ran.summary['run_id']}.jsonl")) for ran in (first, second)] == [["MGC_GOOD"]] * 2


def test_lines_never_go_where_the_marks_do_not_lead(
    called: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal's word is not enough: lines of a run with another --wf-output are refused as ever."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results_file, "append", full)
        assert run(called, tiny, "--wf-output", "{db}.elsewhere.jsonl").code == 4
    refused = run(called, tiny, "--wf-output", "{db}.{run}.jsonl")

    assert refused.code == 2
    assert f"is of a run whose lines belong into {tiny}.elsewhere.jsonl" in refused.stderr


@pytest.mark.parametrize("flags", [[], ["--wf-output", "here.jsonl"]], ids=["default", "relative"])
def test_where_relative_lines_are(called: Command, tiny: Path, tmp_path: Path, flags: list[str]) -> None:
    """The summary says in which folder the lines are, where the folder of the call decides that."""
    place = tmp_path / (flags[1] if flags else "data/walkforward_results.jsonl")
    tried = run(called, tiny, *flags, "--dry-run")
    done = run(called, tiny, *flags)

    assert "Walk-forward lines" not in tried.stdout
    assert f"Walk-forward lines appended to {place}\n" in done.stdout
    assert line_ids(place) == ["MGC_GOOD"]


def test_an_absolute_path_is_no_news(called: Command, tiny: Path, tmp_path: Path) -> None:
    """Who said where need not be told."""
    assert "Walk-forward lines" not in run(called, tiny, "--wf-output", tmp_path / "wf.jsonl").stdout
