"""Bad usage and bad input: one clear line, exit code 2, and not a byte changed."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from dask_validator import RunConfig, validate
from dask_validator.errors import InputError
from tests.conftest import Command, everything_in

Refuse = Callable[..., str]
Alter = Callable[..., Path]
Hold = Callable[..., int]

KEYS = {"experimental_strategies": "strategy_id", "validated_setups": "strategy_id"}
OPTIONAL = {
    "experimental_strategies": "dst_winter_n dst_winter_avg_r dst_summer_n dst_summer_avg_r dst_verdict",
    "validated_setups": "regime_waivers regime_waiver_count dst_winter_n dst_winter_avg_r dst_summer_n "
    "dst_summer_avg_r dst_verdict fdr_significant fdr_adjusted_p",
}


def as_found(folder: Path) -> tuple[list[Path], dict[str, bytes]]:
    """Every folder below one, and every file with its bytes."""
    return sorted(path for path in folder.rglob("*") if path.is_dir()), everything_in(folder)


@pytest.fixture
def refuse(called: Command, tmp_path: Path) -> Refuse:
    """Runs a command that must be refused with one line, which it returns, and leave the directory as it was."""

    def run(*args: object, command_name: str = "run", env: dict[str, str] | None = None) -> str:
        before = as_found(tmp_path)
        serial = ["--workers", 1] if command_name == "run" else []
        ran = called(command_name, *serial, *args, env=env)
        assert ran.code == 2, ran.stderr
        assert ran.stdout == ""
        assert as_found(tmp_path) == before
        lines = ran.stderr.splitlines()
        assert len(lines) == 1, ran.stderr
        assert lines[0].startswith("dask-validator: ")
        assert len(lines[0]) < 500
        return lines[0]

    return run


@pytest.fixture(scope="session")
def without_foreign_keys(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller database without foreign keys, so that its tables can be altered; never written, only copied."""
    path = tmp_path_factory.mktemp("altered") / "source.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"ATTACH '{small_source}' AS small (READ_ONLY)")
        for table in ("daily_features", "orb_outcomes", "experimental_strategies", "validated_setups"):
            connection.execute(f"CREATE TABLE {table} AS FROM small.{table} USING SAMPLE 100 ROWS (reservoir, 1)")
            if table in KEYS:
                connection.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({KEYS[table]})")
    return path


@pytest.fixture
def altered(without_foreign_keys: Path, tmp_path: Path) -> Alter:
    """Makes a database in the test's directory and runs statements on it."""

    def alter(*statements: str) -> Path:
        path = Path(shutil.copy(without_foreign_keys, tmp_path / "altered.duckdb"))
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        return path

    return alter


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts another process that keeps a database open, and returns its PID."""
    held: list[subprocess.Popen[str]] = []

    def start(path: Path, *, read_only: bool) -> int:
        script = (
            f"import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only={read_only}); print(flush=True); input()"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        held.append(subprocess.Popen([sys.executable, "-c", script, str(path)], text=True, **pipes))  # type: ignore[call-overload]
        assert held[-1].stdout is not None
        assert held[-1].stdout.readline() == "\n"
        return held[-1].pid

    yield start
    for process in held:
        process.communicate("\n", timeout=30)


def opens_for_writing(path: Path) -> bool:
    """Whether another process gets a connection for writing."""
    script = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    return subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=False).returncode == 0


# The file


@pytest.mark.parametrize(
    ("args", "env", "name"),
    [
        (["--db", "absent.db"], {}, "absent.db"),
        ([], {"DASK_VALIDATOR_DB": "from_environment.db"}, "from_environment.db"),
        ([], {"DASK_VALIDATOR_DB": ""}, "gold.db"),
    ],
)
def test_missing_file(refuse: Refuse, args: list[str], env: dict[str, str], name: str) -> None:
    """A mistyped path is named and never becomes a new, empty database."""
    line = refuse(*args, env=env)
    assert f"{name}: No such file" in line
    assert "--db" in line


def test_directory(refuse: Refuse, tmp_path: Path) -> None:
    """A folder is called what it is."""
    (tmp_path / "folder").mkdir()
    assert "folder is not a file" in refuse("--db", "folder")


@pytest.mark.parametrize("content", [b"", b"strategy_id,instrument\n", b"not a database\n" * 5000], ids=len)
def test_not_a_database(refuse: Refuse, tmp_path: Path, content: bytes) -> None:
    """An empty file and a text are refused, not taken for a new database."""
    (tmp_path / "other.db").write_bytes(content)
    assert "other.db cannot be opened as a DuckDB database" in refuse("--db", "other.db")


def test_sqlite(refuse: Refuse, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A SQLite file is refused at once: no extension is fetched from the network, nor looked for in the home."""
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE experimental_strategies (strategy_id TEXT)")
    connection.close()
    home = tmp_path_factory.mktemp("home")
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as trap:
        proxy = f"http://127.0.0.1:{trap.getsockname()[1]}"
        variables = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        line = refuse("--db", "other.db", env={"HOME": str(home), **dict.fromkeys(variables, proxy)})
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert time.monotonic() - started < 20
    assert list(home.rglob("*")) == []
    assert "other.db cannot be opened as a DuckDB database" in line
    assert not {"extension", "download", "install"} & set(line.lower().replace('"', " ").split())


@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_truncated(refuse: Refuse, small: Path, percent: int) -> None:
    """A copy that was cut short is refused before any work, wherever the cut is."""
    os.truncate(small, small.stat().st_size * percent // 100)
    assert "small.duckdb" in refuse("--db", small)


@pytest.mark.parametrize("offset", [0, 8, 16, 4096, 8192])
def test_corrupt_header(refuse: Refuse, small: Path, offset: int) -> None:
    """Overwritten bytes in any of the three headers are noticed."""
    with small.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 64)
    assert "small.duckdb cannot be opened as a DuckDB database" in refuse("--db", small)


# Somebody else has it


@pytest.mark.parametrize(
    ("command_name", "read_only"),
    [("run", False), ("run", True), ("check", False)],
    ids=["run beside a writer", "run beside a reader", "check beside a writer"],
)
def test_held_by_another_process(refuse: Refuse, small: Path, hold: Hold, read_only: bool, command_name: str) -> None:
    """Who holds the database is said before the computing, by PID."""
    pid = hold(small, read_only=read_only)
    assert f"PID {pid}" in refuse("--db", small, command_name=command_name)


def test_check_beside_a_reader(called: Command, small: Path, hold: Hold) -> None:
    """Looking is possible beside somebody who reads: `check` names the PID and says that a run would be refused."""
    pid = hold(small, read_only=True)
    ran = called("check", "--db", small)
    assert ran.code == 0, ran.stderr
    assert f"PID {pid}" in ran.stdout
    assert "would be refused" in ran.stdout


def test_dry_run_beside_a_writer(refuse: Refuse, small: Path, hold: Hold) -> None:
    """A dry run cannot read beside a writer, and says whose fault it is."""
    pid = hold(small, read_only=False)
    assert f"PID {pid}" in refuse("--db", small, "--dry-run")


def test_dry_run_beside_a_reader(called: Command, small: Path, hold: Hold) -> None:
    """A dry run only reads, so somebody who reads does not stop it."""
    hold(small, read_only=True)
    assert called("run", "--workers", 1, "--db", small, "--dry-run").code == 0


@pytest.mark.parametrize("path", ["small.duckdb", "symbolic", "hard"])
@pytest.mark.parametrize("dry_run", [False, True], ids=["run", "dry run"])
def test_held_by_our_own_process(
    small: Path, connect: Callable[..., duckdb.DuckDBPyConnection], path: str, dry_run: bool
) -> None:
    """The caller's own connection is named, goes on working and keeps its lock, whatever name the file is given by."""
    (small.parent / "symbolic").symlink_to(small)
    (small.parent / "hard").hardlink_to(small)
    connection = connect(small)
    with pytest.raises(InputError, match=rf"held .*another connection of this process \(PID {os.getpid()}\)"):
        validate(small.parent / path, "MGC", RunConfig(dry_run=dry_run), workers=1, progress=False)
    assert connection.execute("SELECT count(*) > 0 FROM experimental_strategies").fetchone() == (True,)
    assert not opens_for_writing(small)
    connection.close()
    assert opens_for_writing(small)


def test_dry_run_beside_our_own_reader(small: Path, connect: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    """Even to read beside the caller's own read-only connection would drop its lock, by another name of the file."""
    (small.parent / "hard").hardlink_to(small)
    connect(small, read_only=True)
    with pytest.raises(InputError, match=rf"another connection of this process \(PID {os.getpid()}\)"):
        validate(small.parent / "hard", "MGC", RunConfig(dry_run=True), workers=1, progress=False)
    assert not opens_for_writing(small)


# docs/data-contract.md


@pytest.mark.parametrize("table", ["experimental_strategies", "orb_outcomes", "daily_features", "validated_setups"])
@pytest.mark.parametrize("command_name", ["run", "check"])
def test_missing_table(refuse: Refuse, altered: Alter, table: str, command_name: str) -> None:
    """A table that is not there is named."""
    line = refuse("--db", altered(f"DROP TABLE {table}"), command_name=command_name)
    assert f"no table {table}" in line


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("experimental_strategies", ["p_value"]),
        ("experimental_strategies", ["yearly_results", "sample_size"]),
        ("orb_outcomes", ["pnl_r"]),
        ("orb_outcomes", ["outcome", "trading_day"]),
        ("daily_features", ["atr_20"]),
        ("daily_features", ["day_of_week", "orb_minutes"]),
        ("validated_setups", ["status"]),
        ("validated_setups", ["retired_at", "retirement_reason"]),
    ],
)
def test_missing_columns(refuse: Refuse, altered: Alter, table: str, columns: list[str]) -> None:
    """Every missing column of a table is named at once, with its table."""
    line = refuse("--db", altered(*(f"ALTER TABLE {table} DROP {column}" for column in columns)))
    assert all(name in line for name in (table, *columns))


def test_missing_optional_columns(called: Command, altered: Alter) -> None:
    """An older database without the optional columns is taken as it is, and gets them."""
    dropped = [f"ALTER TABLE {table} DROP {name}" for table, names in OPTIONAL.items() for name in names.split()]
    database = altered(*dropped)
    assert called("run", "--workers", 1, "--db", database).code in (0, 3)
    with duckdb.connect(str(database), read_only=True) as connection:
        for table, names in OPTIONAL.items():
            connection.execute(f"SELECT {names.replace(' ', ', ')} FROM {table}")


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("orb_outcomes", "pnl_r", "VARCHAR"),
        ("orb_outcomes", "trading_day", "VARCHAR"),
        ("experimental_strategies", "sample_size", "VARCHAR"),
        ("experimental_strategies", "yearly_results", "VARCHAR[] USING [yearly_results]"),
        ("experimental_strategies", "dst_winter_avg_r", "DATE USING NULL"),
        ("validated_setups", "years_tested", "DATE USING NULL"),
        ("validated_setups", "fdr_adjusted_p", "DATE USING NULL"),
        ("validated_setups", "promoted_at", "INTEGER USING NULL"),
    ],
)
def test_column_of_a_wrong_type(refuse: Refuse, altered: Alter, table: str, column: str, kind: str) -> None:
    """A column that is read or written but is of another type is named before any work."""
    line = refuse("--db", altered(f"ALTER TABLE {table} ALTER {column} TYPE {kind}"))
    assert f"{table}.{column}" in line
    assert kind.split(" ")[0] in line


def test_repeated_features(refuse: Refuse, altered: Alter) -> None:
    """Two features rows of one day, possible without a primary key, are refused: which one counts would be chance."""
    database = altered("INSERT INTO daily_features FROM daily_features WHERE symbol = 'MGC' LIMIT 1")
    assert "daily_features has 2 rows for MGC" in refuse("--db", database)


def test_repeated_strategy(refuse: Refuse, altered: Alter) -> None:
    """A strategy_id that waits twice, possible without a primary key, is refused and named."""
    database = altered(
        "CREATE TABLE copied AS FROM experimental_strategies",
        "DROP TABLE experimental_strategies",
        "ALTER TABLE copied RENAME TO experimental_strategies",
        "UPDATE experimental_strategies SET validation_status = NULL",
        "INSERT INTO experimental_strategies FROM experimental_strategies WHERE instrument = 'MGC' LIMIT 1",
    )
    assert "experimental_strategies has no primary key" in refuse("--db", database)


def test_strategy_without_an_id(refuse: Refuse, altered: Alter) -> None:
    """A UNIQUE column admits NULL: such a waiting strategy is refused, because its verdict could not be written."""
    database = altered("UPDATE experimental_strategies SET validation_status = NULL")
    with duckdb.connect(str(database)) as connection:
        sql = "SELECT sql FROM duckdb_tables() WHERE table_name = 'experimental_strategies'"
        [(keyed,)] = connection.execute(sql).fetchall()
        connection.execute(keyed.replace("experimental_strategies", "named", 1).replace("PRIMARY KEY", "UNIQUE"))
        connection.execute("INSERT INTO named FROM experimental_strategies WHERE instrument = 'MGC'")
        connection.execute(
            "UPDATE named SET strategy_id = NULL WHERE strategy_id = (SELECT min(strategy_id) FROM named)"
        )
        connection.execute("DROP TABLE experimental_strategies")
        connection.execute("ALTER TABLE named RENAME TO experimental_strategies")
    for command_name in ("run", "check"):
        line = refuse("--db", database, command_name=command_name)
        assert "1 waiting row(s) of MGC without a strategy_id" in line


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE orb_outcomes ADD COLUMN rowid BIGINT"],
        ["ALTER TABLE daily_features ADD COLUMN rowid BIGINT DEFAULT 1"],
        ["ALTER TABLE experimental_strategies ADD COLUMN rowid BIGINT DEFAULT 1"],
        ["ALTER TABLE experimental_strategies ADD COLUMN rowid VARCHAR"],
        ["UPDATE daily_features SET trading_day = NULL WHERE rowid % 2 = 0"],
        ["ALTER TABLE experimental_strategies ALTER sample_size TYPE UHUGEINT"],
    ],
    ids=lambda statements: statements[0],
)
def test_odd_but_usable(called: Command, altered: Alter, statements: list[str]) -> None:
    """What can be made sense of is no reason to refuse a database, and every verdict finds its own row."""
    others = "UPDATE experimental_strategies SET instrument = 'MES' WHERE rowid % 3 = 0"
    database = altered("UPDATE experimental_strategies SET validation_status = NULL", others, *statements)
    ran = called("run", "--workers", 1, "--db", database, "--json")
    assert ran.code in (0, 3), ran.stderr
    assert ran.summary["rows"] > 0
    with duckdb.connect(str(database), read_only=True) as connection:
        decided = "SELECT DISTINCT instrument, validation_status IS NOT NULL FROM experimental_strategies ORDER BY 1"
        assert connection.execute(decided).fetchall() == [("MES", False), ("MGC", True)]


def test_setups_without_a_key(refuse: Refuse, altered: Alter) -> None:
    """Without its primary key `validated_setups` cannot be updated, which is said before the computing, not after."""
    database = altered(
        "CREATE TABLE copied AS FROM validated_setups",
        "DROP TABLE validated_setups",
        "ALTER TABLE copied RENAME TO validated_setups",
    )
    line = refuse("--db", database)
    assert "validated_setups" in line
    assert "key" in line


def test_column_that_nobody_fills(refuse: Refuse, altered: Alter) -> None:
    """A NOT NULL column of the user's own in `validated_setups` would sink the commit, so it is named before."""
    database = altered(
        "ALTER TABLE validated_setups ADD reviewer TEXT",
        "UPDATE validated_setups SET reviewer = ''",
        "ALTER TABLE validated_setups ALTER reviewer SET NOT NULL",
    )
    line = refuse("--db", database)
    assert "validated_setups" in line
    assert "reviewer" in line


def test_unfilled_column_with_a_default(called: Command, altered: Alter) -> None:
    """The same column with a default is the user's own business."""
    database = altered(
        "ALTER TABLE validated_setups ADD reviewer TEXT DEFAULT 'nobody'",
        "ALTER TABLE validated_setups ALTER reviewer SET NOT NULL",
    )
    assert called("run", "--workers", 1, "--db", database).code in (0, 3)


# Instruments

COSTS = "point_value = 10.0\ncommission_rt = 1.2\nspread_doubled = 2\nslippage = 2.0\n"
TICKS = "tick_size = 0.1\nmin_ticks_floor = 10\n"


def test_unknown_instrument(refuse: Refuse, small: Path) -> None:
    """The known symbols are listed, and the way to add one."""
    line = refuse("--db", small, "--instrument", "MGX")
    assert all(word in line for word in ("'MGX'", "MGC", "MES", "SIL", "--instruments"))


def test_missing_toml(refuse: Refuse, small: Path) -> None:
    """A mistyped costs file is named."""
    assert "absent.toml" in refuse("--db", small, "--instruments", "absent.toml")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[ABC\n", "not valid TOML"),
        ("\xff", "not valid TOML"),
        ("ABC = 1\n", "not a table"),
        (f"[ABC]\n{COSTS}", "lacks tick_size, min_ticks_floor"),
        (f"[ABC]\n{COSTS}{TICKS}".replace("= 1.2", '= "a lot"'), "commission_rt = 'a lot'"),
        (f"[ABC]\n{COSTS}{TICKS}".replace("= 1.2", "= true"), "commission_rt = True"),
        (f"[ABC]\n{COSTS}{TICKS}".replace("= 1.2", "= -1.2"), "commission_rt = -1.2"),
        (f"[ABC]\n{COSTS}{TICKS}".replace("= 1.2", "= nan"), "commission_rt = nan"),
        (f"[ABC]\n{COSTS}{TICKS}".replace("= 0.1", "= 0"), "tick_size = 0"),
    ],
)
def test_bad_toml(refuse: Refuse, altered: Alter, toml: str, said: str) -> None:
    """What is wrong with a costs file is said, with the file's name."""
    database = altered()
    (database.parent / "costs.toml").write_text(toml, encoding="latin-1")
    line = refuse("--db", database, "--instruments", "costs.toml", "--instrument", "ABC")
    assert "costs.toml" in line
    assert said in line


# Flags


@pytest.mark.parametrize(
    "flags",
    [
        "--workers 0",
        "--workers -1",
        "--workers two",
        "--wf-test-months 0",
        "--wf-test-months -6",
        "--wf-test-months 1.5",
        "--wf-min-train-months 0",
        "--wf-min-train-months -12",
        "--min-years-positive-pct 1.01",
        "--min-years-positive-pct -0.1",
        "--wf-min-pct-positive 60",
        "--wf-min-pct-positive -0.6",
        "--wf-min-pct-positive nan",
        "--min-years-positive-pct nan",
        "--stress-multiplier nan",
        "--stress-multiplier inf",
        "--stress-multiplier -1",
        "--min-sharpe nan",
        "--max-drawdown nan",
        "--wf-min-trades 0",
        "--wf-min-windows 0",
        "--min-sample -1",
        "--exclude-years last",
        "--no-such-flag",
    ],
)
def test_bad_flag(refuse: Refuse, altered: Alter, flags: str) -> None:
    """A value that no run could use, or a flag that is none, is named."""
    assert flags.split()[0] in refuse("--db", altered(), *flags.split())


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:port"])
def test_bad_dashboard_address(refuse: Refuse, small: Path, address: str) -> None:
    """An address that cannot be one is refused in one line, not with Dask's traceback."""
    assert "--dashboard-address" in refuse("--db", small, "--workers", 2, "--dashboard-address", address)


@pytest.mark.parametrize("path", [".", "small.duckdb/below.jsonl", "/proc/walkforward.jsonl"])
def test_unwritable_output(refuse: Refuse, small: Path, path: str) -> None:
    """A JSONL that could not be appended to is noticed before the computing, and nothing is left of the trying."""
    assert f"--wf-output got {path}" in refuse("--db", small, "--wf-output", path)


@pytest.mark.parametrize("path", ["small.duckdb", "symbolic", "hard"])
def test_output_into_the_database(refuse: Refuse, small: Path, path: str) -> None:
    """The database itself is no place for JSON lines, whatever name it is given by."""
    (small.parent / "symbolic").symlink_to(small)
    (small.parent / "hard").hardlink_to(small)
    assert "--wf-output" in refuse("--db", small, "--wf-output", path)
