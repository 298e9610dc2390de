"""What DuckDB would refuse at the commit is said at the start: every obstacle here is also run into, for real."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import duckdb
import pytest

from dask_validator import validate
from dask_validator.config import RunConfig
from dask_validator.errors import InputError, NotCommitted
from dask_validator.rules import seasons
from dask_validator.run.instruments import costs_of
from dask_validator.sources.chosen import source_of
from dask_validator.store import database as of_runs
from dask_validator.store.checkup import examine
from tests.conftest import everything_in
from tests.support.tiny import Row, change, rows_by_id, tiny_database

STRATEGIES: list[Row] = [{}, {"strategy_id": "MGC_NEW"}, {"strategy_id": "MGC_BAD", "sample_size": 3}]
SETUPS: list[Row] = [{"strategy_id": "MGC_GOOD"}, {"strategy_id": "MGC_BAD"}]
FAMILIES = "INSERT INTO edge_families VALUES ('f', 'MGC', 1, 'MGC_GOOD')"
STRATEGY_INDEX = "CREATE INDEX mine ON experimental_strategies"
SETUP_INDEX = "CREATE INDEX mine ON validated_setups"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Waiting strategies, two of which have setups, one of these the head of a family; never written, only copied."""
    database = tiny_database(tmp_path_factory.mktemp("obstacles") / "tiny.duckdb", STRATEGIES, setups=SETUPS)
    change(database, FAMILIES)
    return database


@pytest.fixture
def referred(source: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(source, tmp_path / "tiny.duckdb"))


def run(database: Path) -> None:
    """Validate serially; the JSONL lies beside the database."""
    validate(database, "MGC", workers=1, progress=False, wf_output=database.parent / "wf.jsonl")


def run_into(database: Path) -> None:
    """The same without looking first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_runs, "refuse_obstacles", lambda *args: None)
        run(database)


def refused(database: Path) -> str:
    """The one line with which a run and `check` refuse a database, and that the commit would have failed indeed."""
    before = everything_in(database.parent)
    with pytest.raises(InputError) as by_run:
        run(database)
    with pytest.raises(InputError) as by_check:
        examine(database, "MGC", source_of(database), RunConfig(), costs_of("MGC"))
    assert str(by_run.value) == str(by_check.value)
    assert everything_in(database.parent) == before
    with pytest.raises(NotCommitted):
        run_into(database)
    return str(by_run.value)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (f"{STRATEGY_INDEX} (validation_status)", "mine"),
        (f"{STRATEGY_INDEX} (instrument, validation_notes)", "mine"),
        (f"{STRATEGY_INDEX} (lower(dst_verdict))", "mine"),
        (f"CREATE UNIQUE {STRATEGY_INDEX[7:]} (strategy_id, dst_winter_n)", "mine"),
        (f"{SETUP_INDEX} (status)", "mine"),
        (f"{SETUP_INDEX} (orb_label, sample_size)", "mine"),
        (f"{SETUP_INDEX} (fdr_adjusted_p)", "mine"),
        (f"{STRATEGY_INDEX} (validation_status); CREATE INDEX other ON validated_setups (retired_at)", "other"),
    ],
)
def test_indexes_on_what_is_updated(referred: Path, statement: str, named: str) -> None:
    """DuckDB refuses to update an indexed column of a row that is referred to; all such indexes are named."""
    change(referred, statement)
    said = refused(referred)

    assert named in said
    assert "mine" in said


@pytest.mark.parametrize(
    "statement",
    [
        f"{STRATEGY_INDEX} (instrument, orb_label)",
        f"{SETUP_INDEX} (promoted_at)",
        f"{SETUP_INDEX} (family_hash, p_value)",
        "DELETE FROM edge_families; CREATE INDEX mine ON validated_setups (status)",
        "UPDATE experimental_strategies SET validation_status = 'PASSED' WHERE strategy_id != 'MGC_NEW'; "
        "CREATE INDEX mine ON experimental_strategies (validation_status); "
        "CREATE INDEX other ON validated_setups (status)",
    ],
    ids=["not updated", "kept", "never written", "nobody refers", "who is referred to does not wait"],
)
def test_indexes_that_do_not_matter(referred: Path, statement: str) -> None:
    """An index is refused only where the commit would fail."""
    change(referred, statement)
    examine(referred, "MGC", source_of(referred), RunConfig(), costs_of("MGC"))
    run(referred)

    assert rows_by_id(referred, "experimental_strategies")["MGC_NEW"]["validation_status"] == "PASSED"


def declare(database: Path, table: str, column: str, as_what: str) -> None:
    """Make a table anew with another declaration of a column, which ALTER TABLE does not know; rows are kept."""
    tables = ["experimental_strategies", "validated_setups", "edge_families", "validated_setups_archive"]
    tables = tables[tables.index(table) :]
    with duckdb.connect(str(database)) as connection:
        declared = dict(connection.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall())
        for name in reversed(tables):
            connection.execute(f"CREATE TEMP TABLE kept_{name} AS FROM {name}; DROP TABLE {name}")
        assert f" {column} VARCHAR" in declared[table]
        declared[table] = declared[table].replace(f" {column} VARCHAR", f" {column} {as_what}")
        left_out = f"EXCLUDE ({column})" if " AS (" in as_what else ""
        for name in tables:
            connection.execute(declared[name])
            connection.execute(
                f"INSERT INTO {name} BY NAME SELECT * {left_out if name == table else ''} FROM kept_{name}"
            )


@pytest.mark.parametrize(
    ("table", "column", "as_what", "named"),
    [
        ("experimental_strategies", "validation_status", "ENUM('PASSED')", "REJECTED, SKIPPED, FAILED"),
        ("experimental_strategies", "validation_notes", "ENUM('good')", "validation_notes"),
        ("experimental_strategies", "dst_verdict", "ENUM('CLEAN')", "LOW-N, WINTER-ONLY"),
        ("experimental_strategies", "validation_notes", "VARCHAR AS (strategy_id)", "generates validation_notes"),
        ("experimental_strategies", "validation_status", "VARCHAR CHECK (validation_status = 'PASSED')", "REJECTED"),
        ("experimental_strategies", "validation_status", "VARCHAR CHECK (validation_status != strategy_id)", "PRIMARY"),
        ("experimental_strategies", "validation_notes", "VARCHAR UNIQUE", "UNIQUE (validation_notes)"),
        ("validated_setups", "status", "ENUM('active')", "retired"),
        ("validated_setups", "retirement_reason", "VARCHAR AS (status)", "generates retirement_reason"),
        ("validated_setups", "filter_params", "ENUM('{}')", "filter_params"),
    ],
)
def test_columns_that_do_not_take_what_is_written(
    referred: Path, table: str, column: str, as_what: str, named: str
) -> None:
    """An ENUM or a CHECK without a value that we write, a generated column, a key on what is updated: all are named."""
    if "{}" in as_what:
        change(referred, "DELETE FROM edge_families")
        change(referred, "DELETE FROM validated_setups")
    declare(referred, table, column, as_what)

    assert named in refused(referred)


def test_every_season_verdict_is_known() -> None:
    """What an ENUM is asked for is all that a split can say."""
    counts, means = (0, 12, 20, 35, 60), (-0.5, -0.1, 0.0, 0.1, 0.5, None)
    found = {seasons._verdict(*split) for split in product(counts, means, counts, means)}

    assert found | {"CLEAN"} == set(seasons.SEASON_VERDICTS)


def without_the_power_of_root() -> None:
    """In the child: permissions hold for root, too."""
    drop_from_bounding_set, override_permissions = 24, 1
    if os.getuid() == 0:
        assert ctypes.CDLL(None).prctl(drop_from_bounding_set, override_permissions) == 0


def test_a_folder_that_may_not_be_written(source: Path, tmp_path: Path) -> None:
    """DuckDB writes its log beside the database: where it may not, that is said before the computing; a dry run may."""
    (tmp_path / "closed").mkdir()
    database = Path(shutil.copy(source, tmp_path / "closed"))
    database.parent.chmod(0o555)
    ran = [
        subprocess.run(
            [sys.executable, "-m", "dask_validator", "run", "--db", database, "--workers", "1", *more],
            cwd=tmp_path,
            preexec_fn=without_the_power_of_root,
            capture_output=True,
            text=True,
            check=False,
        )
        for more in (["--journal", tmp_path / "journal"], ["--dry-run"])
    ]
    database.parent.chmod(0o755)

    assert [done.returncode for done in ran] == [2, 0], ran
    assert f"{database.parent} may not be written by this user" in ran[0].stderr
    assert len(ran[0].stderr.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [database.parent]
