"""Databases whose giver is no friend: macros, views, tables and texts that are not what they are taken for."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
from click.testing import CliRunner

import dask_validator
from dask_validator import import_trades, validate
from dask_validator.cli.commands import cli
from dask_validator.errors import InputError
from dask_validator.explanation.find import explain
from dask_validator.store import functions, our_tables
from tests.conftest import Command, everything_in
from tests.support.parsing import parsed
from tests.support.tiny import Row, change, line_ids, rows_by_id, tiny_database
from tests.support.trade_logs import log, rows

KINDS: list[Row] = [
    {},
    {"strategy_id": "MGC_BAD", "sample_size": 3},
    {"strategy_id": "MGC_ALIAS", "is_canonical": False},
    {"strategy_id": "MGC_FAILING", "filter_type": None},
]
SQL = Path(dask_validator.__file__).parent / "store"


def invoke(*args: object) -> str:
    """What a command says, in this process; raises what it raises."""
    ran = CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False, standalone_mode=False)
    return ran.output


def run(database: Path, **flags: Any) -> dict[str, Any]:
    """Validate serially; everything that the run has decided and written, but moments."""
    validate(database, "MGC", **{"workers": 1, "progress": False, "wf_output": database.parent / "wf.jsonl", **flags})
    decided = rows_by_id(database, "experimental_strategies", "validation_status", "validation_notes", "dst_verdict")
    setups = rows_by_id(database, "validated_setups", "status", "fdr_adjusted_p", "sample_size", "regime_waivers")
    return {"strategies": decided, "setups": setups, "lines": line_ids(database.parent / "wf.jsonl")}


def refused(database: Path) -> str:
    """The one line with which `check` and a run refuse a database, before anything is computed or changed."""
    before = everything_in(database.parent)
    said = []
    for attempt in (lambda: invoke("check", "--db", database), lambda: run(database)):
        with pytest.raises((InputError, click.ClickException)) as caught:
            attempt()
        assert caught.value.exit_code == 2  # type: ignore[attr-defined]
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert everything_in(database.parent) == before
    return said[0]


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, Any]:
    """What a run makes of the same database without the attack."""
    (tmp_path / "undisturbed").mkdir()
    return run(tiny_database(tmp_path / "undisturbed" / "tiny.duckdb", KINDS))


def names_of_functions() -> list[str]:
    """All functions and operators that DuckDB has."""
    with duckdb.connect() as opened:
        found = opened.execute("SELECT DISTINCT function_name FROM duckdb_functions() ORDER BY 1").fetchall()
    return [name for (name,) in found]


def macros(name: str) -> list[str]:
    """A scalar macro and one that makes a table, for up to three arguments, whose use fails."""
    quoted, failing = '"' + name.replace('"', '""') + '"', f"error('the macro {name} stands in')"
    lists = [", ".join("abc"[:count]) for count in range(4)]
    scalar = ", ".join(f"({names}) AS {failing}" for names in lists)
    table = ", ".join(f"({names}) AS TABLE (SELECT {failing} AS x)" for names in lists)
    return [f"CREATE MACRO {quoted} {scalar}", f"CREATE MACRO {quoted} {table}"]


def test_macros_named_like_our_functions(tmp_path: Path) -> None:
    """Macros named like the functions and operators that our SQL calls

    They would stand in for them without a word: other years, other fingerprints. All of them are named.
    """
    database = tiny_database(tmp_path / "tiny.duckdb")
    used = [name for name in names_of_functions() if functions._is_used(name)]
    assert set(used) >= functions.USED - {"row_number"}  # DuckDB 1.4 does not list functions of windows
    change(database, ";".join(macros(name)[name.startswith(functions.CATALOGUE)] for name in used))
    said = refused(database)

    assert sorted(re.split(r": |; |, ", said)[1 : len(used) + 1]) == sorted(used)


def test_macros_named_like_other_functions(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """Macros named like every other function that DuckDB has

    None of them is ever called: the list of those that are refused lacks nothing, and other macros do no harm.
    """
    database = tiny_database(tmp_path / "tiny.duckdb", KINDS)
    others = [name for name in names_of_functions() if not functions._is_used(name)]
    others.remove("error")  # which the macros themselves call
    others.remove("get_current_timestamp")  # by which the user's own table says when a row was made
    change(database, ";".join(["BEGIN", *(macro for name in others for macro in macros(name)), "COMMIT"]))
    change(database, "CREATE SCHEMA mine; CREATE MACRO mine.year(day) AS 1")

    invoke("check", "--db", database)
    assert run(database) == undisturbed
    assert explain(database, "MGC_GOOD").agrees
    invoke("report", "--db", database, "--output", tmp_path / "run.html")
    import_trades(log(), database, "ES")
    import_trades(log(), tmp_path / "undisturbed.duckdb", "ES")
    assert rows(database, "dask_validator_trades") == rows(tmp_path / "undisturbed.duckdb", "dask_validator_trades")


def test_every_function_of_our_sql_is_known() -> None:
    """A function that our SQL calls and no test does

    Read off the source, so that a new one is noticed even where no run of the tests comes by.
    """
    texts = [
        node.value.lower()
        for path in SQL.rglob("*.py")
        for node in ast.walk(parsed(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    called = {name for text in texts for name in re.findall(r"(?<!system\.main\.)\b([a-z_0-9]+)\(", text)} & set(
        names_of_functions()
    )

    assert {"year", "hash", "duckdb_columns"} <= called
    assert {name for name in called if not functions._is_used(name)} == set()


def as_view(database: Path, table: str, source: str) -> None:
    """Let a view of that source take the place of a table."""
    change(database, f"ALTER TABLE {table} RENAME TO {table}_before")
    change(database, f"CREATE VIEW {table} AS {source}")


@pytest.fixture
def unkeyed(tmp_path: Path) -> Path:
    """A database whose features can become a view, and those as a file beside it."""
    database = tiny_database(tmp_path / "tiny.duckdb", KINDS)
    with duckdb.connect(str(database)) as opened:
        opened.execute("CREATE TABLE copied AS FROM orb_outcomes; DROP TABLE orb_outcomes")
        opened.execute("ALTER TABLE copied RENAME TO orb_outcomes")
        opened.execute(f"COPY daily_features TO '{tmp_path / 'features.parquet'}'")
    return database


@pytest.mark.parametrize(
    "source",
    [
        "FROM '{folder}/features.parquet'",
        "SELECT * FROM daily_features_before WHERE (SELECT count(*) FROM read_text('/etc/passwd')) > 0",
        "SELECT * FROM daily_features_before WHERE secret() > ''",
    ],
    ids=["a table", "a file of the user's", "in a macro"],
)
def test_views_that_read_files(unkeyed: Path, source: str) -> None:
    """Views that read files with the rights of whoever validates

    They could show a file that only the user may read. It is said how to let them, for those whose tables are files.
    """
    change(unkeyed, "CREATE MACRO secret() AS (SELECT max(content) FROM read_text('/etc/passwd'))")
    as_view(unkeyed, "daily_features", source.format(folder=unkeyed.parent))
    assert "--allow-external-views" in refused(unkeyed)

    # DuckDB does not know the log of such a name again, so access is switched off by statements of ours.
    change(unkeyed, "CREATE MACRO current_setting(name) AS false")
    change(unkeyed, "CREATE MACRO list_value(a, b, c) AS system.main.list_value('/etc/passwd')")
    (unkeyed.parent / "moved").mkdir()
    assert "--allow-external-views" in refused(unkeyed.rename(unkeyed.parent / "moved" / "tiny?name.duckdb"))


@pytest.mark.parametrize("workers", [1, 2])
def test_views_of_files_when_allowed(unkeyed: Path, undisturbed: dict[str, Any], workers: int) -> None:
    """Tables that are files, where the user allows them

    Main process and workers read them, with the verdicts of the same tables in the database; a later run asks again.
    """
    change(unkeyed, f"COPY orb_outcomes TO '{unkeyed.parent}/outcomes.parquet'")
    as_view(unkeyed, "orb_outcomes", f"FROM '{unkeyed.parent}/outcomes.parquet'")
    change(unkeyed, "DROP TABLE orb_outcomes_before")

    assert run(unkeyed, workers=workers, allow_external_views=True) == undisturbed
    assert "--allow-external-views" in refused(unkeyed)


RUNS = (
    "CREATE TABLE dask_validator_runs ({}, " + ", ".join(f"{n} {k}" for n, k in list(our_tables.RUNS.items())[1:]) + ")"
)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW dask_validator_runs AS SELECT 1 AS run_id",
        "CREATE VIEW DASK_VALIDATOR_RUNS AS FROM runs_before",
        "CREATE TABLE dask_validator_runs (run_id VARCHAR, mine INTEGER)",
        "CREATE TABLE dask_validator_runs AS SELECT * REPLACE (1 AS summary) FROM runs_before",
        "CREATE TABLE dask_validator_runs AS FROM runs_before; "
        "ALTER TABLE dask_validator_runs ADD COLUMN mine INTEGER; "
        "ALTER TABLE dask_validator_runs ALTER COLUMN mine SET NOT NULL",
        RUNS.format("run_id VARCHAR CHECK (run_id = 'x')"),
        RUNS.format("run_id VARCHAR, UNIQUE (instrument)"),
        RUNS.format("run_id VARCHAR, PRIMARY KEY (instrument)"),
        RUNS.format("run_id VARCHAR, FOREIGN KEY (run_id) REFERENCES experimental_strategies (strategy_id)"),
        RUNS.format("run_id VARCHAR") + "; CREATE UNIQUE INDEX one ON dask_validator_runs (instrument)",
    ],
    ids=[
        *("a view", "a view of the columns", "other columns", "other types", "a column nobody fills"),
        *("a check", "one run an instrument", "another key", "a foreign key", "a unique index"),
    ],
)
def test_another_table_of_runs(tmp_path: Path, statement: str) -> None:
    """Something else under the name of the table that runs are recorded in

    It would sink every commit after the computing, for good.
    """
    database = tiny_database(tmp_path / "tiny.duckdb")
    run(database)
    change(database, "ALTER TABLE dask_validator_runs RENAME TO runs_before")
    change(database, "DELETE FROM runs_before")
    change(database, statement)
    change(database, "UPDATE experimental_strategies SET validation_status = NULL")

    assert "dask_validator_runs" in refused(database)


@pytest.mark.parametrize("what", ["VIEW {} AS SELECT 42 AS mine", "TABLE {} (mine INTEGER)"], ids=["view", "table"])
def test_another_view_of_the_latest(tmp_path: Path, what: str) -> None:
    """Something of the user's under the name of our view of the latest verdicts

    A run makes that view anew: what is not ours would be gone without a word.
    """
    database = tiny_database(tmp_path / "tiny.duckdb")
    change(database, f"CREATE {what.format('dask_validator_latest')}")
    assert "dask_validator_latest" in refused(database)

    change(database, f"DROP {what.split()[0]} dask_validator_latest")
    run(database)
    change(database, "UPDATE experimental_strategies SET validation_status = NULL")
    run(database)


def test_tables_named_like_our_temporary_ones(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """Tables and schemas named like what a commit makes for itself

    They are neither read nor touched.
    """
    database = tiny_database(tmp_path / "tiny.duckdb", KINDS)
    names = ("computed_verdicts", "computed_splits", "computed_promoted", "ordered_verdicts", "keys")
    for name in names:
        change(database, f"CREATE TABLE {name} AS SELECT 'mine' AS strategy_id")
    for name in ("system", "temp", "experimental_strategies", "duckdb_columns"):
        change(database, f'CREATE SCHEMA "{name}"')

    assert run(database) == undisturbed
    for name in names:
        assert rows_by_id(database, name).keys() == {"mine"}


def test_settings_of_the_caller(tmp_path: Path, command: Command, undisturbed: dict[str, Any]) -> None:
    """Settings of the caller that would change results: start-up file, time zone, another connection

    DuckDB's library reads no start-up file, and a connection of ours has settings of its own.
    """
    database = tiny_database(tmp_path / "tiny.duckdb", KINDS)
    hostile = "SET default_null_order = 'NULLS FIRST'; SET default_collation = 'NOCASE'; SET integer_division = true;"
    (tmp_path / ".duckdbrc").write_text(hostile)
    env = {"HOME": str(tmp_path), "TZ": "Pacific/Kiritimati"}
    ran = command("run", "--db", database, "--workers", 1, "--wf-output", tmp_path / "wf.jsonl", env=env)
    assert ran.code == 3, ran.stderr
    assert (
        rows_by_id(database, "experimental_strategies", *next(iter(undisturbed["strategies"].values())))
        == (undisturbed["strategies"])
    )

    change(database, "UPDATE experimental_strategies SET validation_status = NULL")
    (tmp_path / "wf.jsonl").unlink()
    duckdb.execute(hostile.replace("SET ", "SET GLOBAL "))
    try:
        assert run(database) == undisturbed
    finally:
        duckdb.execute("RESET GLOBAL default_null_order; RESET GLOBAL default_collation; RESET GLOBAL integer_division")


def test_texts_that_drive_the_terminal(tmp_path: Path) -> None:
    """Texts of the database that would drive the terminal or forge lines of `check`

    Every one is printed as Python would spell it.
    """
    odd = "\x1b[2J\nA run would do nothing\r\u202e"
    database = tiny_database(
        tmp_path / "tiny.duckdb",
        [{"filter_type": odd}, {"strategy_id": "MGC_DONE", "validation_status": odd}],
    )
    said = invoke("check", "--db", database)

    assert not [character for character in said.replace("\n", "") if not character.isprintable()]
    assert [line[:20] for line in said.splitlines() if line.startswith("A run would")] == ["A run would validate"]
    assert said.count("x1b[2J") == 2
