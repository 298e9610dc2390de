"""`runs` and `runs()`: which runs a database has, with what was unusual about each."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from dask_validator import InputError, RunConfig, runs, validate
from tests.conftest import Command
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database

FLAGS: dict[str, Any] = {"min_sample": 20, "exclude_years": (2020, 2021), "no_walkforward": True, "gate": ("fdr",)}


def validated(path: Path, instrument: str = "MGC", **flags: Any) -> str:
    """The id of a run over all strategies of the instrument."""
    flags = {"wf_output": path.with_name("wf.jsonl"), "strategies": "all"} | flags
    return str(validate(path, instrument, workers=1, progress=False, **flags).summary["run_id"])


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Three runs, the last one first: one of MNQ, one of MGC with flags, one of MGC that was taken back."""
    path = tiny_database(
        tmp_path_factory.mktemp("runs") / "tiny.duckdb",
        [
            {},
            {"strategy_id": "MGC_B"},
            {"strategy_id": "MNQ_A", "instrument": "MNQ"},
            {"strategy_id": "MES_A", "instrument": "MES"},
        ],
    )
    ids = [
        validated(path, strategies="waiting", wf_output=RunConfig().wf_output, no_walkforward=True),
        validated(path, wf_output=RunConfig().wf_output, **FLAGS),
        validated(path, "MNQ"),
    ]
    change(path, "UPDATE dask_validator_runs SET undone = TRUE WHERE run_id = ?", ids[0])
    return path, ids[::-1]


def test_runs_are_listed_with_what_is_unusual(database: tuple[Path, list[str]], called: Command) -> None:
    """A line for each run that a terminal shows as one, and below it the flags that lead to such a run again."""
    path, ids = database
    lines = called("runs", "--db", path).stdout.splitlines()
    said = {line[:22]: " ".join(below).strip() for line, *below in _blocks(lines[1:])}
    again = said[ids[1]]

    assert list(said) == ids
    assert lines[1].split()[-5:-1] == ["MNQ", "1", "1", "0"]
    assert again == "--strategies all --min-sample 20 --exclude-years 2020 2021 --no-walkforward --gate fdr"
    assert said[ids[2]] == "undone; --no-walkforward"
    assert max(len(line) for line in lines if str(path.parent) not in line) <= 80
    wanted = ["run", "--db", path, *shlex.split(again), "--workers", 1, "--dry-run", "--json"]
    assert called(*wanted).summary["passed"] == runs(path)["passed"][1]


def _blocks(lines: list[str]) -> list[list[str]]:
    """Each run's line, with those below it that are indented."""
    starts = [i for i, line in enumerate(lines) if not line.startswith(" ")]
    return [[line.strip() for line in lines[i:end]] for i, end in zip(starts, [*starts[1:], None], strict=True)]


def test_one_object_has_all_of_it(database: tuple[Path, list[str]], called: Command) -> None:
    """Flags by field, counts and moments, alone on stdout; of one instrument where one is named."""
    path, ids = database
    found = json.loads(called("runs", "--db", path, "--instrument", "MGC", "--json").stdout)

    assert [run["run_id"] for run in found["runs"]] == ids[1:]
    assert found["runs"][0]["flags"] == {**FLAGS, "exclude_years": [2020, 2021], "gate": ["fdr"]}
    assert [run["undone"] for run in found["runs"]] == [False, True]
    for run in found["runs"]:
        assert run["rows"] == sum(run[name] for name in ("passed", "rejected", "skipped", "failed")) == 2


def test_the_frame_says_the_same(database: tuple[Path, list[str]]) -> None:
    """Moments are moments in UTC, counts whole numbers; a database without runs has a frame of the same kinds."""
    path, ids = database
    frame, nothing = runs(path), runs(tiny_database(path.with_name("new.duckdb")))

    assert frame["run_id"].tolist() == ids
    assert frame["undone"].tolist() == [False, False, True]
    assert frame["finished_at"].is_monotonic_decreasing
    assert frame["finished_at"].dt.tz is not None
    assert (frame["seconds"] > 0).all()
    assert nothing.empty
    kinds = ["rows", "seconds", "undone"]
    assert nothing.dtypes[kinds].equals(frame.dtypes[kinds])
    assert isinstance(nothing["started_at"].dtype, pd.DatetimeTZDtype)


def test_nothing_to_list_is_said(database: tuple[Path, list[str]], called: Command) -> None:
    """A database where nothing was ever committed, and a symbol without a run, are no errors."""
    path, _ = database
    new = tiny_database(path.with_name("untouched.duckdb"))

    assert called("runs", "--db", new).stdout == f"{new} has no committed run\n"
    assert called("runs", "--db", path, "--instrument", "MES").stdout == f"{path} has no committed run of MES\n"
    assert json.loads(called("runs", "--db", new, "--json").stdout)["runs"] == []


@pytest.mark.parametrize("command", ["runs", "audit"])
def test_a_symbol_that_is_not_there(database: tuple[Path, list[str]], called: Command, command: str) -> None:
    """Most likely a slip: exit code 2, with those that the database has."""
    ran = called(command, "--db", database[0], "--instrument", "ZZ")

    assert (ran.code, ran.stdout) == (2, "")
    assert "has no strategies of ZZ; it has those of MES, MGC, MNQ: give one of these" in ran.stderr


def test_runs_of_earlier_versions_are_listed(database: tuple[Path, list[str]]) -> None:
    """Their record says as much; a column that they lack says nothing."""
    path, ids = database
    earlier = path.with_name("earlier.duckdb")
    earlier.write_bytes(path.read_bytes())
    as_an_earlier_version_left_it(earlier)
    with duckdb.connect(str(earlier)) as connection:
        connection.execute("ALTER TABLE dask_validator_runs DROP COLUMN undone")

    assert runs(earlier)["run_id"].tolist() == ids
    assert not runs(earlier)["undone"].any()


def test_a_damaged_record_is_named(database: tuple[Path, list[str]]) -> None:
    """Whoever has put something else there learns which run it is of."""
    path, ids = database
    damaged = path.with_name("damaged.duckdb")
    damaged.write_bytes(path.read_bytes())
    change(damaged, "UPDATE dask_validator_runs SET summary = '[]' WHERE run_id = ?", ids[1])

    with pytest.raises(InputError, match=f"record of run {ids[1]}"):
        runs(damaged)
