"""Where trades may come from, always to the same table."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_validator.errors import InputError
from tests.support.tool_files import Log, read, written

FRAME = pd.DataFrame(
    {
        "strategy_id": ["b", "a", "a", "b"],
        "exit_time": pd.to_datetime(["2024-01-02 10:00", "2024-01-03 11:00", "2024-01-04 12:00", "2024-01-05 13:00"]),
        "r": [1.0, -1.0, 0.0, 2.5],
        "symbol": ["ES", "ES", "NQ", None],
    }
)
WHOLE = read(FRAME)
COPIES = {
    "log.csv": "",
    "log.csv.gz": "",
    "log.csv.zst": "",
    "log.tsv": "(DELIMITER '\t')",
    "log.txt": "(FORMAT csv, DELIMITER '|')",
    "log.parquet": "",
    "log.json": "(ARRAY true)",
    "log.jsonl": "(FORMAT json)",
    "log.ndjson.gz": "(FORMAT json, COMPRESSION gzip)",
}


def _kept(log: Log) -> list[tuple[object, ...]]:
    return [tuple(value for name, value in trade.items() if name != "source") for trade in log.trades]


def _copied(path: Path, name: str) -> Path:
    with duckdb.connect() as connection:
        connection.register("frame", FRAME)
        connection.execute(f"COPY (FROM frame) TO '{path / name}' {COPIES[name]}")
    return path / name


@pytest.mark.parametrize("name", COPIES)
def test_every_kind_of_file(tmp_path: Path, name: str) -> None:
    """CSV with any separator, packed or not, Parquet and JSON give what the frame gives."""
    log = read(_copied(tmp_path, name))

    assert _kept(log) == _kept(WHOLE)
    assert set(log.column("source")) == {str(tmp_path / name)}


def test_a_table_or_view_of_a_database(tmp_path: Path) -> None:
    """A DuckDB file is read, not changed; which table it is must be said, and a view of it will do."""
    path = tmp_path / "mine.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("frame", FRAME)
        connection.execute("CREATE TABLE kept AS FROM frame; CREATE VIEW seen AS SELECT * FROM kept")
    before = path.read_bytes()

    assert _kept(read(path, table="kept")) == _kept(read(path, table="main.seen")) == _kept(WHOLE)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="--table NAME"):
        read(path)
    with pytest.raises(InputError, match=r"none.*does not exist"):
        read(path, table="none")


def test_a_view_that_reads_files_is_refused(tmp_path: Path) -> None:
    """What somebody else's database would read with one's own rights is not read."""
    _copied(tmp_path, "log.csv")
    with duckdb.connect(str(tmp_path / "theirs.duckdb")) as connection:
        connection.execute(f"CREATE VIEW seen AS FROM read_csv('{tmp_path / 'log.csv'}')")

    with pytest.raises(InputError, match="a view that reads files"):
        read(tmp_path / "theirs.duckdb", table="seen")


def test_a_table_of_the_database_that_is_open(tmp_path: Path) -> None:
    """Trades may lie in the very database that they are imported into."""
    from dask_validator.trade_files.reading import ReadOptions, read_trades

    with duckdb.connect(str(tmp_path / "mine.duckdb")) as connection:
        connection.register("frame", FRAME)
        connection.execute("CREATE TABLE kept AS FROM frame")
        read_trades(connection, tmp_path / "mine.duckdb", ReadOptions(table="kept"))

        assert connection.execute("SELECT count(*) FROM trades_read").fetchall() == [(4,)]


def test_a_folder_names_its_strategies(tmp_path: Path) -> None:
    """Files of no strategy column are a strategy each, in the order of their names; other files are none of them."""
    for name in ("fast.csv", "slow.csv.gz"):
        (gzip.open if name.endswith("gz") else open)(tmp_path / name, "wt").write("exit_time,r\n2024-01-02,1\n")
    written(tmp_path / "notes.md", "no trades")

    assert read(tmp_path).column("strategy_id") == ["fast", "slow"]
    assert read(tmp_path / "f*.csv").column("strategy_id") == ["fast"]
    assert read([tmp_path / "slow.csv.gz", tmp_path / "fast.csv"]).column("strategy_id") == ["fast", "slow"]


def test_two_files_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    """Where the name is all that tells strategies apart, two of one name are an error, and so is one file twice."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder / "fast.csv", "exit_time,r\n2024-01-02,1\n")

    with pytest.raises(InputError, match="would be one strategy, fast"):
        read(tmp_path / "*" / "fast.csv")
    with pytest.raises(InputError, match="named twice"):
        read([tmp_path / "one" / "fast.csv", tmp_path / "one" / "fast.csv"])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 4))
def test_any_split_and_order_of_columns(tmp_path: Path, seed: int, parts: int) -> None:
    """How a log is cut into files, and in which order its rows and columns stand, changes no trade."""
    draw = random.Random(seed)
    folder = tmp_path / f"{seed}-{parts}"
    folder.mkdir(exist_ok=True)
    rows = FRAME.sample(frac=1, random_state=seed)
    for part in range(parts):
        columns = draw.sample(list(FRAME.columns), len(FRAME.columns))
        rows.iloc[part::parts][columns].to_csv(folder / f"{part}.csv", index=False)

    assert sorted(map(_content, read(folder).trades)) == sorted(map(_content, WHOLE.trades))


def _content(trade: dict[str, object]) -> str:
    """A trade without where it stands."""
    return str({**trade, "source": None, "row": None})


def test_marks_and_encodings(tmp_path: Path) -> None:
    """A byte-order mark is no part of the first header, and UTF-16 is told by its own."""
    text = "strategy_id;exit_time;r\nä;2024-01-31;0,5\n"
    for encoding in ("utf-8-sig", "utf-16"):
        assert read(written(tmp_path / "log.csv", text, encoding)).column("strategy_id") == ["ä"]


def test_a_header_further_down(tmp_path: Path) -> None:
    """Lines above the header are passed over where the header is one that is known."""
    path = written(
        tmp_path / "log.csv", "Report of my account\n\nstrategy_id,exit_time,r\na,2024-01-31,x\na,2024-01-31,1\n"
    )
    log = read(path)

    assert log.column("result") == [1.0]
    assert log.bad == [("a", "result is not a number", 4)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("log.csv", "", "no header"),
        ("log.csv", "strategy_id,exit_time,r\n", "no row that can be used; it has no rows"),
        ("log.csv", "a,b\n1,2\n", "has the columns a, b"),
        ("log.csv", "r,R,exit_time\n1,2,3\n", "two columns"),
        ("log.xlsx", "x", "no ending of a trade log"),
        ("log.parquet", "x", "cannot be read"),
        ("log.json", "{", "cannot be read"),
        ("log.zip", "x", "cannot be unpacked"),
        ("log.duckdb", "x", "--table NAME"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    """Each says what it got and what is needed, in a line."""
    with pytest.raises(InputError, match=said) as raised:
        read(written(tmp_path / name, text))
    assert "\n" not in str(raised.value)


def test_nothing_there(tmp_path: Path) -> None:
    """A path that leads nowhere, an empty folder, an object that holds no table."""
    with pytest.raises(InputError, match="there is no"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="has no trade log"):
        read(tmp_path)
    with pytest.raises(InputError, match="needed a path, a pandas or Arrow table"):
        read(3)
