"""The answers recorded in 2026-06 to a rules file, equal to the last digit, whatever runs them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Command, Ran
from tests.recorded import read_lines
from tests.recorded_2026_06 import SHARED_RUNS, SMALL_RUNS, Recorded, build, compare_run, settings
from tests.support.clusters import DASK, Cluster, running_scheduler

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/cwd, a path that workers see differently")
ALL = {recorded.name: recorded for recorded in settings(SMALL_RUNS)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded inputs as a database; never written, only copied."""
    path = tmp_path_factory.mktemp("recorded") / "small.duckdb"
    build(SMALL_RUNS, path)
    return path


@pytest.fixture
def small(source: Path, tmp_path: Path) -> Path:
    """A fresh copy of it in the test's directory."""
    return Path(shutil.copy(source, tmp_path / "small.duckdb"))


def differences(
    run: Command, database: Path, recorded: Recorded, *flags: object, seen_as: Path | None = None
) -> list[str]:
    """Runs the instruments of a setting, one after the other, and compares all that they wrote."""
    for instrument in recorded.instruments:
        named = ("--db", seen_as or database, "--instrument", instrument, "--rules", recorded.rules)
        ran = run("run", *named, "--wf-output", "wf.jsonl", *flags)
        assert ran.code in (0, 3), ran.stderr  # 3: some strategies are FAILED
    with duckdb.connect(str(database), read_only=True) as con:
        return compare_run(con, read_lines(database.parent / "wf.jsonl"), recorded)


@pytest.mark.parametrize("recorded", ALL.values(), ids=ALL)
def test_recorded_setting(recorded: Recorded, small: Path, called: Command) -> None:
    """One process gives every recorded row, setup, line and count of each setting, but where we differ on purpose."""
    assert differences(called, small, recorded, "--workers", 1) == []


@pytest.mark.parametrize("name", ["v_waivers", "v_no_gate"])
def test_two_workers(name: str, small: Path, command: Command) -> None:
    """Two processes give the same, with windows by trades and by months."""
    assert differences(command, small, ALL[name], "--workers", 2) == []


@pytest.fixture
def blind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster whose two workers run elsewhere."""
    with running_scheduler(DASK, tmp_path_factory.mktemp("scheduler")) as client:
        cluster = Cluster(client, tmp_path_factory.mktemp("workers"))
        cluster.start_worker()
        cluster.start_worker()
        cluster.wait_for(2)
        yield cluster.address
        cluster.end_workers()


@only_linux
def test_cluster_that_does_not_see_the_file(small: Path, blind: str, command: Command) -> None:
    """Workers that do not see the database give the same: all that stops and a holdout need travels with the tasks."""
    runs: list[Ran] = []

    def run(*args: object) -> Ran:
        runs.append(command(*args))
        return runs[-1]

    database = Path("/proc/self/cwd") / small.name
    assert differences(run, small, ALL["v_individual"], "--scheduler", blind, seen_as=database) == []
    assert all("2 worker(s) do not see the database" in ran.stderr for ran in runs), runs


def test_whole_input(tmp_path: Path, command: Command) -> None:
    """All 3,169 recorded strategies equal the reference, in the user's own setting."""
    if not SHARED_RUNS.exists():
        pytest.skip("the recorded inputs golden-2026-06 are not beside the repository")
    build(SHARED_RUNS, tmp_path / "whole.duckdb")
    recorded = Recorded("main", SHARED_RUNS)
    assert differences(command, tmp_path / "whole.duckdb", recorded, "--workers", 2) == []
