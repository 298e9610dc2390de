"""A database larger than the memory that DuckDB may take: the same answers, and nothing left on the disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import validate
from dask_validator.errors import InputError
from dask_validator.execution.dask import dask_config
from dask_validator.explanation.find import explain
from dask_validator.model import OutcomeKey
from dask_validator.sources.chosen import source_of
from dask_validator.store import access, connection
from dask_validator.system import memory
from dask_validator.system.same_file import identity
from tests.support.runs import config, verdicts
from tests.support.tiny import GOOD, as_an_earlier_version_left_it, change, tiny_database

LIMIT = 24 * 2**20  # bytes
LIMITED = {"memory_limit": "24MiB"}
TARGETS, STRATEGIES = 500, 300
# Incompressible.
PRICES = ("entry_price", "stop_price", "target_price", "exit_price", "risk_dollars", "pnl_dollars", "mae_r", "mfe_r")
MANY_OUTCOMES = f"""
    CREATE TABLE orb_outcomes AS
    SELECT one.* REPLACE (target::DOUBLE AS rr_target, pnl_r + random() / 100 AS pnl_r,
                          {", ".join(f"random() AS {name}" for name in PRICES)})
    FROM range(1, {TARGETS + 1}) targets(target), one
"""
MANY_STRATEGIES = f"""
    INSERT INTO experimental_strategies BY NAME
    SELECT e.* REPLACE (strategy_id || n AS strategy_id, (n % {TARGETS} + 1)::DOUBLE AS rr_target)
    FROM experimental_strategies e, range({STRATEGIES}) numbers(n)
"""
NOTING = """
import os
from pathlib import Path
import duckdb

def connect(path, connect=duckdb.connect, **how):
    config = how["config"]
    (Path("FOLDER") / f"{os.getpid()}.limit").write_text(config["memory_limit"] + " " + config["temp_directory"])
    return connect(path, **how)

duckdb.connect = connect
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a million outcomes, more than the limit; never written, only copied."""
    path = tiny_database(tmp_path_factory.mktemp("large") / "large.duckdb")
    with duckdb.connect(str(path)) as opened:
        opened.execute("CREATE TABLE one AS FROM orb_outcomes")
        opened.execute("DROP TABLE orb_outcomes")
        opened.execute(MANY_OUTCOMES)
        opened.execute(MANY_STRATEGIES)
    assert path.stat().st_size > LIMIT
    return path


class Run:
    """A run, all it says and all it writes but moments."""

    def __init__(self, database: Path, workers: int, **flags: Any) -> None:
        self.said = verdicts(validate(database, "MGC", config(database), workers=workers, progress=False, **flags))
        with duckdb.connect(str(database), read_only=True) as opened:
            self.strategies = opened.execute("FROM experimental_strategies ORDER BY strategy_id").fetchall()
            setups = "SELECT * EXCLUDE (promoted_at) FROM validated_setups ORDER BY strategy_id"
            self.setups = opened.execute(setups).fetchall()
        lines = (database.parent / "wf.jsonl").open()
        self.lines = [{**json.loads(line), "timestamp": None, "run_id": None} for line in lines]

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)


@pytest.fixture(scope="module")
def unlimited(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With all the memory there is."""
    run = Run(Path(shutil.copy(large, tmp_path_factory.mktemp("unlimited"))), workers=1)
    assert len(run.lines) > STRATEGIES
    return run


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of the test's own, and few threads."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # every thread of DuckDB takes memory
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    access._scratch.cache_clear()
    yield tmp_path / "scratch"
    access._scratch.cache_clear()


def left_in(scratch: Path) -> list[Path]:
    """What of ours is in the temporary directory, but for the folder that this process has until its end."""
    own = Path(access._scratch()).parent
    return [path for path in scratch.rglob("*") if "dask-validator-" in str(path) and path != own]


def test_serial(large: Path, unlimited: Run, scratch: Path, tmp_path: Path) -> None:
    """Read, computed and committed within the limit."""
    database = Path(shutil.copy(large, tmp_path))

    assert Run(database, workers=1, **LIMITED) == unlimited
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.duckdb", "scratch", "wf.jsonl"]
    assert left_in(scratch) == []


def test_two_workers(
    large: Path, unlimited: Run, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit holds in the workers too."""
    database = Path(shutil.copy(large, tmp_path))
    (tmp_path / "noting.py").write_text(NOTING.replace("FOLDER", str(tmp_path)))
    monkeypatch.setitem(dask_config.OURS, "distributed.worker.preload", [str(tmp_path / "noting.py")])

    assert Run(database, workers=2, **LIMITED) == unlimited
    limits, folders = zip(*(path.read_text().split() for path in tmp_path.glob("*.limit")), strict=True)
    assert limits == ("24MiB", "24MiB")
    assert not any(Path(folder).exists() for folder in folders)
    assert left_in(scratch) == []


def test_what_does_not_fit_goes_to_the_temporary_directory(large: Path, scratch: Path) -> None:
    """A copy of everything is more than the limit: DuckDB spills where we say, and takes it away again."""
    access.grant(large, access.Access("24MiB"))
    with connection.reading(large) as opened:
        opened.execute("CREATE TEMP TABLE copied AS FROM orb_outcomes")
        spilled = sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file())
        assert spilled > LIMIT
        [folder] = scratch.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700

    assert left_in(scratch) == []


def test_what_fits_nowhere_is_one_line(large: Path, scratch: Path) -> None:
    """A limit that nothing could be done with is said in one line, with the flag."""
    with pytest.raises(InputError, match="Out of Memory") as caught:
        validate(large, "MGC", workers=1, progress=False, dry_run=True, memory_limit="1MiB")
    assert "\n" not in str(caught.value)
    assert "--memory-limit" in str(caught.value)


LONG = 400  # rows
LENGTH = 200_000  # characters


@pytest.fixture(scope="module")
def long_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strategies that all pass, with yearly results so long that what DuckDB works on at once is beyond the limit."""
    path = tmp_path_factory.mktemp("long") / "long.duckdb"
    rows = [{}, *({"strategy_id": f"MGC_LONG{number}"} for number in range(LONG))]
    tiny_database(path, rows)
    years = json.loads(GOOD["yearly_results"])
    years["2021"]["days"] = random.Random(0).randbytes(LENGTH // 2).hex()
    # Each its own, or DuckDB would keep one.
    each = "replace(?, 'days', 'days of ' || strategy_id)"
    change(path, f"UPDATE experimental_strategies SET yearly_results = {each}", json.dumps(years))
    return path


def test_rows_too_long_for_the_usual_memory(
    long_rows: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of 200 kB are read, compared and promoted with more memory than usual, where the machine has it."""
    monkeypatch.setattr(access, "USUAL_MEMORY", LIMIT)
    database = Path(shutil.copy(long_rows, tmp_path))
    run = Run(database, workers=1)

    assert len(run.setups) == LONG + 1
    with duckdb.connect(str(database), read_only=True) as opened:
        [(least,)] = opened.execute("SELECT min(length(yearly_results)) FROM validated_setups").fetchall()
    assert least > LENGTH


def test_long_outcomes_in_a_worker(scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task reads outcomes whose texts are too long for the usual memory."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    long = f"outcome || repeat(md5(trading_day::VARCHAR), {LENGTH // 32})"
    change(database, f"CREATE TABLE longer AS SELECT * REPLACE ({long} AS outcome) FROM orb_outcomes")
    change(database, "DROP TABLE orb_outcomes; ALTER TABLE longer RENAME TO orb_outcomes")
    monkeypatch.setattr(access, "USUAL_MEMORY", LIMIT)
    path = str(database)
    [outcomes] = source_of(path).part("MGC", (None,), identity(path)).read([OutcomeKey(5, "0900", "E1", 1.5, 1)])

    assert outcomes.days.size > 600


def test_many_large_records(scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a run is found among many whose lines together are too long for the usual memory."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    as_an_earlier_version_left_it(database)
    earlier = "run_id || n AS run_id, finished_at - to_days(n::INTEGER) AS finished_at"
    copies = f"SELECT r.* REPLACE ({earlier}, encode(repeat(md5(n::VARCHAR), 62500)) AS results)"
    change(database, f"INSERT INTO dask_validator_runs {copies} FROM dask_validator_runs r, range(1, 40) numbers(n)")
    monkeypatch.setattr(access, "USUAL_MEMORY", LIMIT)

    assert explain(database, "MGC_GOOD").agrees


def test_rows_too_long_for_the_limit(long_rows: Path, scratch: Path) -> None:
    """Who has set a limit is not given more than that: one line says which flag it is."""
    with pytest.raises(InputError, match="--memory-limit"):
        validate(long_rows, "MGC", workers=1, progress=False, dry_run=True, **LIMITED)


@pytest.mark.parametrize(("there_is", "usual"), [(2**30, "128MiB"), (2**40, "400MiB")])
def test_usual_memory(monkeypatch: pytest.MonkeyPatch, there_is: int, usual: str) -> None:
    """A quarter of what there is, in machine or cgroup, is enough for a process for each core."""
    monkeypatch.setattr(memory, "limit", lambda: there_is)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)

    assert access.settings()["memory_limit"] == usual
