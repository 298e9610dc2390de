"""A run taken back: every value as it was, or nothing changed and one line that says why."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import DatabaseHeld, InputError, RunResult, undo, validate
from dask_validator.store import undo as store_undo
from dask_validator.store import writer
from dask_validator.store.active_setups import Setup, read_active_setups
from dask_validator.store.our_tables import OUR_TABLES
from dask_validator.store.past_runs import needed_past_run
from dask_validator.store.undo import Undone
from dask_validator.wording.sentences import taken_back
from tests.conftest import Command, contents, everything_in
from tests.support.commits import KINDS, OLD, Opener, commit_replaced, run
from tests.support.newest import RULES, newest_database, ruled
from tests.support.tiny import Row, change, rows_by_id, tiny_database

# Values that text, JSON or a wider type would not give back, in columns with names that ours could be taken for.
HOSTILE = {
    "rowid": ("BIGINT", "9223372036854775807"),
    "run_id": ("DOUBLE", "'-nan'"),
    "row": ("DOUBLE", "'-0.0'::DOUBLE"),
    "had_setup": ("FLOAT", "'-inf'"),
    'left "setup"': ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789"),
    "b": ("TIMESTAMPTZ", "'0044-03-15 (BC) 01:02:03.000001+00'"),
    "nanoseconds": ("TIMESTAMP_NS", "'2024-02-29 23:59:59.123456789'"),
    "never": ("DATE", "'infinity'"),
    "at": ("TIMETZ", "'23:59:59+15:59'"),
    "huge": ("UHUGEINT", "340282366920938463463374607431768211455"),
    "bytes": ("BLOB", r"'\x00\xFF''\x80'"),
    "bits": ("BIT", "'0101'"),
    "span": ("INTERVAL", "INTERVAL '13 months -40 days 0.000001 seconds'"),
    "which": ("UUID", "'00000000-0000-0000-0000-00000000000f'"),
    "mood": ("ENUM('it''s', 'NULL', '')", "'NULL'"),
    "nested": (
        'STRUCT(a VARCHAR[], "b, c" MAP(VARCHAR, DOUBLE))',
        "{'a': ['NULL', NULL, '''}, {', ''], 'b, c': MAP {'x=1': 'nan'::DOUBLE}}",
    ),
    "either": ("UNION(number INTEGER, word VARCHAR)", "union_value(word := '1')"),
    "empty": ("VARCHAR", "''"),
    "unseen": ("VARCHAR", "chr(0) || '\u202e\r\n'"),
    "document": ("JSON", "'{\"a\": 1e400}'"),
}
# What the strategy and its setup had before, also where runs write.
STRATEGY: Row = {
    "dst_winter_avg_r": float("nan"),
    "dst_summer_avg_r": -0.0,
    "validation_notes": "",
    "validation_status": "",
}
SETUP: Row = {
    "retired_at": "1999-12-31 23:59:59.999999+00",
    "retirement_reason": "long ago",
    "expectancy_r": float("nan"),
    "max_drawdown_r": float("-inf"),
    "sharpe_ann": -0.0,
    "status": "paused",
    "promoted_at": "2024-05-06 07:08:09.000001+00",
}
BAD: Row = {"strategy_id": "MGC_BAD", "sample_size": 3}


def users(database: Path) -> dict[str, Any]:
    """What is in the users' tables."""
    return {table: rows for table, rows in contents(database).items() if not table.startswith("dask_validator_")}


def run_of(result: RunResult) -> str:
    """Its name."""
    return str(result.summary["run_id"])


def test_everything_is_as_it_was(mixed: Path) -> None:
    """Statuses, notes, season columns and setups are back, made setups gone; lines, record and references stay."""
    before = users(mixed)
    result = run(mixed)
    lines = (mixed.parent / "wf.jsonl").read_bytes()
    assert users(mixed) != before

    assert undo(mixed, run_of(result)) == Undone(run_of(result), "MGC", 4, 3, 1)
    assert users(mixed) == before
    assert (mixed.parent / "wf.jsonl").read_bytes() == lines
    [record] = rows_of(mixed, "SELECT run_id, undone FROM dask_validator_runs")
    assert record == (run_of(result), True)


def test_what_is_made_of_an_undone_run_says_so(mixed: Path, called: Command) -> None:
    """Neither a report nor a table of it may be taken for verdicts that stand."""
    run_id = run_of(run(mixed))
    report, table = mixed.with_name("report.html"), mixed.with_name("table.csv")
    asked = ("--db", mixed, "--run", run_id, "--output")
    assert taken_back(run_id) not in called("export", *asked, table).stderr
    undo(mixed, run_id)
    called("report", *asked, report)

    assert '<span class="badge undone">undone</span>' in report.read_text()
    assert f'<p class="gap">{taken_back(run_id)}</p>' in report.read_text()
    assert f"warning: {taken_back(run_id)}" in called("export", *asked, table, "--quiet").stderr.splitlines()


def rows_of(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def hostile_database(path: Path) -> Path:
    """A strategy that is promoted again and one that is retired, whose setups have values of every kind."""
    setups = [{"strategy_id": "MGC_GOOD", **SETUP}, {"strategy_id": "MGC_BAD", **SETUP}]
    tiny_database(path, [STRATEGY, {**BAD, **STRATEGY}], setups=setups)
    for table in ("edge_families", "validated_setups_archive"):  # DuckDB alters no table that others refer to
        change(path, f"DROP TABLE {table}")
    for name, (kind, value) in HOSTILE.items():
        column = '"' + name.replace('"', '""') + '"'
        change(path, f"ALTER TABLE validated_setups ADD COLUMN {column} {kind}")
        change(path, f"UPDATE validated_setups SET {column} = {value}")
    change(path, "ALTER TABLE experimental_strategies ADD COLUMN rowid VARCHAR DEFAULT 'mine'")
    return path


def test_every_value_comes_back(tmp_path: Path) -> None:
    """NaN, infinity, negative zero, microseconds, BC, bytes, nested values and names like ours, in every column."""
    database = hostile_database(tmp_path / "tiny.duckdb")
    before = users(database)
    result = run(database)
    kept = rows_of(database, "SELECT * EXCLUDE (dask_validator_run_id) FROM dask_validator_before_setups")
    assert sorted(map(repr, kept)) == before["validated_setups"]
    assert rows_by_id(database, "validated_setups", "status")["MGC_GOOD"] == {"status": "active"}

    undo(database, run_of(result))
    assert users(database) == before


def test_a_run_by_rules(tmp_path: Path) -> None:
    """Modes, constants, tight stops, copied and newer columns are back too; the user's own log keeps its line."""
    rows = [{"stop_multiplier": 0.75, "skewness": 0.5}, {"strategy_id": "MGC_B", "validation_mode": "RESEARCH"}, BAD]
    setups = [{"strategy_id": "MGC_GOOD", "validation_mode": "MINE", "wfe": float("nan"), "discovery_k": None}]
    database = newest_database(tmp_path / "newest.duckdb", rows, setups=setups)
    before = users(database)
    result = validate(database, rules=ruled(tmp_path), workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    after = users(database)
    log = after["validation_run_log"]
    assert after["validated_setups"] != before["validated_setups"]
    assert "scope" in RULES

    undone = undo(database, run_of(result))
    assert undone.run_log == "validation_run_log"
    assert users(database) == before | {"validation_run_log": log}


def test_an_older_database(tmp_path: Path) -> None:
    """Columns that a run has added stay, empty; all else is as it was."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, BAD], setups=[BAD], lacking=OLD)
    tables = ("experimental_strategies", "validated_setups")
    before = {table: rows_by_id(database, table) for table in tables}
    undo(database, run_of(run(database)))

    for table in tables:
        for strategy_id, row in rows_by_id(database, table).items():
            added = {name: row.pop(name) for name in OLD if name in row}
            assert row == before[table][strategy_id]
            assert set(added.values()) <= {None, 0}
    assert rows_by_id(database, "validated_setups").keys() == {"MGC_BAD"}


def more(database: Path, name: str) -> None:
    """Two more strategies that wait, one of which will pass."""
    for strategy_id, sample in ((f"MGC_{name}", 200), (f"MGC_{name}_BAD", 3)):
        change(
            database,
            "INSERT INTO experimental_strategies BY NAME SELECT * REPLACE (? AS strategy_id, ? AS sample_size, "
            "NULL AS validation_status, NULL AS validation_notes) FROM experimental_strategies "
            "WHERE strategy_id = 'MES_OTHER'",
            strategy_id,
            sample,
        )
    change(database, "UPDATE experimental_strategies SET instrument = 'MGC' WHERE strategy_id <> 'MES_OTHER'")


def test_one_after_the_other(mixed: Path, called: Command) -> None:
    """The latest is taken back first, then the one before; what is undone is not the latest verdict of anything."""
    before = users(mixed)
    first = run_of(run(mixed))
    more(mixed, "MORE")
    between = users(mixed)
    second = run_of(run(mixed))
    other = run_of(validate(mixed, "MES", workers=1, progress=False, wf_output=mixed.parent / "wf.jsonl"))
    with pytest.raises(InputError, match=rf"1 run \({second}\) of MGC came later"):
        undo(mixed, first)

    undo(mixed, other)
    undo(mixed, second)
    assert users(mixed) == between
    assert rows_of(mixed, "SELECT DISTINCT run_id FROM dask_validator_latest") == [(first,)]
    assert first in called("report", "--db", mixed, "--output", mixed.parent / "report.html").stderr
    undo(mixed, first)
    change(mixed, "DELETE FROM experimental_strategies WHERE strategy_id LIKE 'MGC_MORE%'")
    assert users(mixed) == before
    assert run(mixed).summary["rows"] == 4


STATUS = "UPDATE experimental_strategies SET {} WHERE strategy_id LIKE 'MGC%'"
REFUSED = {
    "status": (
        STATUS.format("validation_status = 'MINE'"),
        r"5 rows \(MGC_ALIAS, MGC_BAD, MGC_FAILING, \.\.\.\) of exp",
    ),
    "note": (
        STATUS.format("validation_notes = 'mine' || validation_notes"),
        "of experimental_strategies changed since",
    ),
    "season": (STATUS.format("dst_winter_avg_r = 0.5"), "of experimental_strategies changed since"),
    "strategy gone": (
        "DELETE FROM experimental_strategies WHERE strategy_id = 'MGC_FREE'",
        r"1 row \(MGC_FREE\) of experimental_strategies changed since",
    ),
    "setup that it made": (
        "UPDATE validated_setups SET family_hash = 'mine' WHERE strategy_id = 'MGC_GOOD'",
        r"1 row \(MGC_GOOD\) of validated_setups changed since",
    ),
    "setup that it left": (
        "UPDATE validated_setups SET p_value = 0.5 WHERE strategy_id = 'MGC_FAILING'",
        r"1 row \(MGC_FAILING\) of validated_setups changed since",
    ),
    "setup gone": (
        "DELETE FROM validated_setups WHERE strategy_id = 'MGC_ALIAS'",
        r"\(MGC_ALIAS\) of validated_setups",
    ),
    "setup come": (
        "INSERT INTO validated_setups BY NAME SELECT * REPLACE ('MGC_FREE' AS strategy_id) FROM validated_setups "
        "WHERE strategy_id = 'MGC_GOOD'",
        r"1 row \(MGC_FREE\) of validated_setups changed since",
    ),
    "referred to": (
        "INSERT INTO edge_families VALUES ('g', 'MGC', 1, 'MGC_GOOD'), ('h', 'MGC', 1, 'MGC_GOOD'); "
        "INSERT INTO validated_setups_archive VALUES ('g', 'MGC_GOOD', '')",
        r"edge_families refers to 1 setup \(MGC_GOOD\) that it made and validated_setups_archive refers to 1 setup",
    ),
    "other type": (
        "DROP TABLE edge_families; DROP TABLE validated_setups_archive; "
        "ALTER TABLE validated_setups RENAME family_hash TO mine",
        "validated_setups.family_hash was VARCHAR and is gone",
    ),
    "rows dropped": ("DELETE FROM dask_validator_before", "dask_validator_before has 0 of its 5 rows"),
    "setups dropped": ("DELETE FROM dask_validator_before_setups", "before_setups has 0 of its 3 rows"),
    "column dropped": (
        "ALTER TABLE dask_validator_before DROP COLUMN validation_notes",
        "dask_validator_before.validation_notes was VARCHAR and is gone; put",
    ),
    "setup column dropped": (
        "ALTER TABLE dask_validator_before_setups DROP COLUMN retired_at",
        "dask_validator_before_setups.retired_at was TIMESTAMP WITH TIME ZONE and is gone",
    ),
    "table dropped": ("DROP TABLE dask_validator_before", "dask_validator_before.run_id was VARCHAR and is gone"),
    "nothing kept": ("UPDATE dask_validator_runs SET kept_before = NULL", "a version that kept nothing"),
    "table of an earlier version": ("ALTER TABLE dask_validator_runs DROP COLUMN undone", "has no column undone"),
    "odd record": ("UPDATE dask_validator_runs SET kept_before = '[]'", "kept_before .* cannot be read"),
    "undone": ("UPDATE dask_validator_runs SET undone = TRUE", "is undone already"),
    "forgotten": ("DELETE FROM dask_validator_runs", "has no committed run .* none at all"),
}


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A database after a run, and the run."""
    path = tmp_path_factory.mktemp("validated") / "tiny.duckdb"
    free: Row = {"strategy_id": "MGC_FREE", "sample_size": 1, "rr_target": 2.0}
    setups = [{"strategy_id": row["strategy_id"], "filter_type": "ORB_G4"} for row in KINDS if row]
    tiny_database(path, [*KINDS, free], setups=setups)
    return path, run_of(run(path))


@pytest.mark.parametrize("meanwhile", REFUSED)
def test_refused(validated: tuple[Path, str], tmp_path: Path, called: Command, meanwhile: str) -> None:
    """Nobody's work since is overwritten: one line names it, exit code 2, and nothing is changed."""
    source, run_id = validated
    database = tmp_path / "tiny.duckdb"
    database.write_bytes(source.read_bytes())
    sql, said = REFUSED[meanwhile]
    for statement in sql.split("; "):
        change(database, statement)
    before = everything_in(tmp_path)
    ran = called("undo", "--db", database, "--run", run_id)

    assert (ran.code, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert re.search(said, ran.stderr), ran.stderr
    assert everything_in(tmp_path) == before


def test_a_run_must_be_named(validated: tuple[Path, str], called: Command) -> None:
    """One line says where the names are."""
    database, _ = validated
    ran = called("undo", "--db", database)

    assert (ran.code, ran.stdout) == (2, "")
    assert f"needed the run to take back: dask-validator runs --db {database} lists them" in ran.stderr


def test_a_column_of_the_users_that_is_new(tmp_path: Path) -> None:
    """It stays as it is; filled in for a setup that would go, it is work that is not thrown away."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    for table in ("edge_families", "validated_setups_archive"):
        change(database, f"DROP TABLE {table}")
    result = run(database)
    change(database, "ALTER TABLE validated_setups ADD COLUMN thoughts VARCHAR")
    change(database, "UPDATE validated_setups SET thoughts = 'mine'")
    with pytest.raises(InputError, match=r"1 row \(MGC_GOOD\) of validated_setups changed since"):
        undo(database, run_of(result))
    change(database, "UPDATE validated_setups SET thoughts = NULL")

    assert undo(database, run_of(result)).setups_deleted == 1


def test_a_column_of_another_type(tmp_path: Path) -> None:
    """The next run keeps it in its new type, and can be taken back; the one before it cannot."""
    database = tiny_database(tmp_path / "tiny.duckdb", setups=[{"strategy_id": "MGC_GOOD", "execution_spec": "spec"}])
    for table in ("edge_families", "validated_setups_archive"):
        change(database, f"DROP TABLE {table}")
    first = run_of(run(database))
    change(database, "ALTER TABLE validated_setups ALTER execution_spec TYPE ENUM('spec', 'mine')")
    change(database, "UPDATE experimental_strategies SET validation_status = NULL")
    before = users(database)
    undo(database, run_of(run(database)))

    assert users(database) == before
    with pytest.raises(InputError, match=r"execution_spec was VARCHAR and is ENUM\('spec', 'mine'\)"):
        undo(database, first)


def test_any_statement_may_fail(mixed: Path) -> None:
    """A disk that fills up at any point leaves the database as it was, and the run can still be taken back."""
    before = users(mixed)
    run_id = run_of(run(mixed))
    after = contents(mixed)
    spare = mixed.with_name("spare.duckdb")
    spare.write_bytes(mixed.read_bytes())
    opener = Opener()
    store_undo.undo(spare, run_id, connect=opener)

    for first in range(len(opener.statements)):
        failing = Opener(range(first, len(opener.statements)))
        with pytest.raises(InputError, match=r"nothing is changed: IO Error: no space left on device$"):
            store_undo.undo(mixed, run_id, connect=failing)
        assert contents(mixed) == after
    undo(mixed, run_id)
    assert users(mixed) == before


def test_the_database_is_held(mixed: Path, called: Command) -> None:
    """Whoever has it is named, and nothing is changed."""
    run_id = run_of(run(mixed))
    with duckdb.connect(str(mixed), read_only=True), pytest.raises(DatabaseHeld, match="another connection of this"):
        undo(mixed, run_id)

    ran = called("undo", "--db", mixed, "--run", run_id, "--json")
    assert (ran.code, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == Undone(run_id, "MGC", 4, 3, 1)._asdict()


def test_what_an_unfinished_run_has_left_stays(mixed: Path) -> None:
    """The journal of a run that could not commit is not touched; what it holds is looked at by the next run."""
    run_id = run_of(run(mixed))
    change(mixed, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = 'MGC_BAD'")
    with commit_replaced(partial(writer.commit, connect=Opener(range(3, 4)))), pytest.raises(Exception, match="space"):
        run(mixed)
    journal = mixed.with_name("tiny.duckdb.MGC.journal")
    left = journal.read_bytes()
    change(mixed, "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE strategy_id = 'MGC_BAD'")
    undo(mixed, run_id)

    assert journal.read_bytes() == left
    assert run(mixed).summary["rows"] == 4


def test_only_so_many_runs_are_kept(mixed: Path, called: Command) -> None:
    """The rows of older runs of the instrument go from all our tables with the commit; other instruments' stay."""
    output = mixed.parent / "wf.jsonl"
    other = run_of(validate(mixed, "MES", workers=1, progress=False, wf_output=output))
    runs = []
    for keep in (None, 1, 2):
        runs.append(run_of(run(mixed, keep_runs=keep, strategies="all")))
        kept = [other, *runs[-(keep or 3) :]]
        for table, columns in OUR_TABLES.items():
            found = rows_of(mixed, f"SELECT DISTINCT {next(iter(columns))} FROM {table} ORDER BY ALL")
            assert {name for (name,) in found} <= set(kept), table
        assert [
            name for (name,) in rows_of(mixed, "SELECT run_id FROM dask_validator_runs ORDER BY finished_at")
        ] == kept
    ran = called("run", "--db", mixed, "--keep-runs", 0)
    assert (ran.code, "--keep-runs" in ran.stderr) == (2, True)
    with pytest.raises(InputError, match="has no committed run"):
        undo(mixed, runs[0])
    for run_id in reversed(runs[1:]):
        undo(mixed, run_id)


BY_END = "SELECT run_id FROM dask_validator_runs ORDER BY finished_at"


def test_a_run_whose_promotions_stand_is_kept(mixed: Path) -> None:
    """Runs that were taken back do not count; what `audit` needs stays as long as a setup is active, but for `undo`."""

    def again(keep: int | None = None) -> str:
        return run_of(run(mixed, strategies=["MGC_BAD"], keep_runs=keep))

    promoting, second, undone = run_of(run(mixed)), again(), again()
    undo(mixed, undone)
    fourth = again(keep=2)
    assert rows_of(mixed, BY_END) == [(promoting,), (second,), (undone,), (fourth,)]

    fifth = again(keep=1)
    assert rows_of(mixed, BY_END) == [(promoting,), (fifth,)]
    assert Setup("MGC_GOOD", "MGC", promoting) in read_active_setups(mixed)
    undo(mixed, fifth)
    with pytest.raises(InputError, match="dask_validator_before has 0 of its 4 rows"):
        undo(mixed, promoting)
    change(mixed, "UPDATE validated_setups SET status = 'retired'")
    sixth = again(keep=1)
    assert rows_of(mixed, BY_END) == [(sixth,)]


def test_a_clock_that_goes_back(mixed: Path) -> None:
    """A run comes after those that were committed before it: for undo, audit, our view, its lines and --keep-runs."""
    first = run_of(run(mixed))
    change(mixed, "UPDATE dask_validator_runs SET finished_at = '2222-02-02 02:02:02.222222+00'")
    second = run_of(run(mixed, strategies="all"))
    assert rows_of(mixed, "SELECT DISTINCT run_id FROM dask_validator_latest") == [(second,)]
    assert Setup("MGC_GOOD", "MGC", second) in read_active_setups(mixed)
    past = needed_past_run(mixed, "MGC")
    assert past.finished_at == datetime(2222, 2, 2, 2, 2, 2, 222223, tzinfo=UTC)
    lines = (mixed.parent / "wf.jsonl").read_text(encoding="utf-8").splitlines()
    assert [record for record in map(json.loads, lines) if record["run_id"] == second] == [*past.records()]
    assert {record["timestamp"] for record in past.records()} == {past.finished_at.isoformat()}

    undo(mixed, second)
    undo(mixed, first)
    third = run_of(run(mixed, keep_runs=1))
    assert rows_of(mixed, BY_END) == [(third,)]


@pytest.mark.parametrize("moment", ["infinity", "9999-12-31 23:59:59.999999+00"])
def test_a_record_from_no_calendar(mixed: Path, moment: str) -> None:
    """Whatever somebody has put there, the run commits and is not the one that is dropped."""
    run(mixed)
    change(mixed, "UPDATE dask_validator_runs SET finished_at = ?::TIMESTAMPTZ", moment)
    last = run_of(run(mixed, strategies="all", keep_runs=1))
    assert (last,) in rows_of(mixed, BY_END)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "CREATE INDEX mine ON experimental_strategies (validation_status)",
            "experimental_strategies has the index mine",
        ),
        ("CREATE INDEX mine ON validated_setups (status)", "validated_setups has the index mine"),
    ],
)
def test_an_index_made_since(mixed: Path, called: Command, statement: str, named: str) -> None:
    """It is named, as a run names it before computing; without it the run is taken back."""
    run_id = run_of(run(mixed))
    change(mixed, statement)
    ran = called("undo", "--db", mixed, "--run", run_id)
    assert (ran.code, ran.stderr.count("\n")) == (2, 1)
    assert named in ran.stderr
    assert ran.stderr.endswith("drop the index or constraint, then undo again\n")
    change(mixed, "DROP INDEX mine")
    assert undo(mixed, run_id).strategies == 4


def test_what_is_committed_later_keeps_as_few_runs(mixed: Path, called: Command) -> None:
    """`commit` ends a run as the run itself would have done."""
    first = run_of(run(mixed))
    change(mixed, "UPDATE experimental_strategies SET validation_status = NULL WHERE instrument = 'MGC'")
    with commit_replaced(partial(writer.commit, connect=Opener(range(3, 4)))), pytest.raises(Exception, match="space"):
        run(mixed, keep_runs=1)
    assert called("commit", "--db", mixed, "--wf-output", mixed.parent / "wf.jsonl").code == 3

    [(left,)] = rows_of(mixed, "SELECT run_id FROM dask_validator_runs")
    assert left != first
