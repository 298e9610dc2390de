"""`export` and `export()`: a file has what the frames of the run have, and nothing else is ever overwritten."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from dask_validator import InputError, export, import_trades, load_run, validate
from tests.conftest import Command
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database
from tests.support.trade_logs import log

FORMATS = ("csv", "parquet", "json")
DAYS = {"first_trade_day", "last_trade_day", "window_start", "window_end", "trading_day"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with two promoted strategies, one that fell, one alias; never written to again."""
    rows: list[dict[str, Any]] = [
        {"p_value": 0.001},
        {"strategy_id": "MGC_B", "rr_target": 2.0, "filter_type": "NO_FILTER"},
        {"strategy_id": "MGC_FELL", "sample_size": 3},
        {"strategy_id": "MGC_ALIAS", "is_canonical": False},
    ]
    path = tiny_database(tmp_path_factory.mktemp("export") / "tiny.duckdb", rows)
    validate(path, workers=1, progress=False, wf_output=path.with_name("wf.jsonl"))
    return path


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(made, tmp_path / "tiny.duckdb"))


def read(path: Path) -> pd.DataFrame:
    """What any reader of that format finds, by DuckDB, which guesses the types of CSV and JSON."""
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT * FROM '{path}'").df()


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows without what a format does not tell apart: kinds of missing values, days and moments, texts of digits."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{name: _plain(name, value) for name, value in row.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    if name in DAYS and value is not None:
        return str(value)[:10]
    return int(value) if name == "session" and value is not None else value


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("what", ["promoted", "verdicts", "windows"])
def test_a_file_has_what_the_frame_has(made: Path, called: Command, tmp_path: Path, what: str, ending: str) -> None:
    """Every row and column, to the last digit, in every format."""
    output, result = tmp_path / f"x.{ending}", load_run(made)
    ran = called("export", "--db", made, "--what", what, "--output", output)
    frame = {"promoted": result.promoted, "verdicts": result.strategies, "windows": result.windows}[what]
    found = plain(read(output))

    assert (ran.code, ran.stderr) == (0, f"{len(frame)} rows of {what}: {output}\n")
    assert [{name: row[name] for name in frame.columns} for row in found] == plain(frame)
    assert {row["filter"] for row in found} >= {"ORB_G4", "NO_FILTER"}
    assert all(row["session"] == 900 for row in found)
    assert any(row["adjusted_p"] > 0 for row in found if row["p_value"] is not None)


def test_types_are_kept_where_the_format_has_them(made: Path, tmp_path: Path) -> None:
    """In Parquet days are dates, counts whole numbers, texts texts, also where a column is empty."""
    export(made, tmp_path / "x.parquet", what="verdicts")
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE '{tmp_path}/x.parquet'").fetchall()
    kinds = {name: kind for name, kind, *_ in described}

    assert {kinds[name] for name in ("first_trade_day", "last_trade_day")} == {"DATE"}
    assert {kinds[name] for name in ("sample_size", "n_valid_windows", "orb_minutes", "holdout_trades")} == {"BIGINT"}
    assert {kinds[name] for name in ("session", "symbol", "regime_waivers", "gate")} == {"VARCHAR"}
    assert {kinds[name] for name in ("earns", "every_day")} == {"BOOLEAN"}


def test_trades_are_those_of_the_result(made: Path, tmp_path: Path) -> None:
    """Of every promoted strategy, in order, each with what the strategy trades."""
    frame, result = export(made, tmp_path / "x.parquet", what="trades"), load_run(made)

    assert frame["strategy_id"].unique().tolist() == result.promoted["strategy_id"].tolist() == ["MGC_B", "MGC_GOOD"]
    for strategy_id in ("MGC_B", "MGC_GOOD"):
        own = result.trades(strategy_id)
        found = frame[frame["strategy_id"] == strategy_id][own.columns]
        pd.testing.assert_frame_equal(found.reset_index(drop=True), own)
    assert plain(read(tmp_path / "x.parquet")) == plain(frame)
    assert frame.groupby("strategy_id")["rr_target"].first().tolist() == [2.0, 1.5]


def test_imported_trades_say_their_own_symbol_and_side(tmp_path: Path) -> None:
    """Beside each trade stands what the log says of it, and nothing that only stands in for a session."""
    path = tmp_path / "log.duckdb"
    import_trades(log(2, 300, symbol="ES", side="long"), path, "ES")
    validate(path, "ES", workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    frame = export(path, tmp_path / "x.csv", instrument="ES", what="trades")

    assert set(frame["symbol"]) == {"ES"}
    assert set(frame["side"]) == {"long"}
    assert frame["session"].isna().all()
    assert len(read(tmp_path / "x.csv")) == len(frame) == 300 * frame["strategy_id"].nunique()


def test_trades_that_are_no_longer_there_are_named(database: Path, called: Command, tmp_path: Path) -> None:
    """Where outcomes are others by now, the rest is written, and the exit code says that something is missing."""
    change(database, "UPDATE orb_outcomes SET pnl_r = 2 * pnl_r WHERE rr_target = 2 AND outcome = 'win'")
    ran = called("export", "--db", database, "--what", "trades", "--output", tmp_path / "x.csv")

    assert ran.code == 3
    assert "without the trades of MGC_B: its outcomes" in ran.stderr
    assert set(read(tmp_path / "x.csv")["strategy_id"]) == {"MGC_GOOD"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tiny.duckdb", "ends in .csv, .parquet, .json"),
        ("x.xlsx", "ends in .csv, .parquet, .json"),
        ("link.csv", "which is the database"),
        ("journal.csv", "which is the journal"),
        ("folder.csv", "which is not a file"),
        ("none/x.csv", "cannot be written"),
    ],
)
def test_nothing_else_is_overwritten(database: Path, called: Command, name: str, reason: str) -> None:
    """Not the database by whatever name, nor what a run goes on with; a line says so, and nothing has changed."""
    folder = database.parent
    (folder / "folder.csv").mkdir()
    (folder / "tiny.duckdb.MGC.journal").write_text("kept")
    os.link(database, folder / "link.csv")
    (folder / "journal.csv").symlink_to(folder / "tiny.duckdb.MGC.journal")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ran = called("export", "--db", database, "--output", folder / name)

    assert ran.code == 2
    assert reason in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_file_is_replaced_whole_or_not_at_all(
    database: Path, called: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one takes the place of the old one when it is complete; on a full disk the old one stays."""
    folder = tmp_path / "it's [a] folder?"
    folder.mkdir()
    output = folder / "x.json"
    output.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        ran = called("export", "--db", database, "--output", output)
    assert (ran.code, output.read_text()) == (2, "old")
    assert os.strerror(errno.ENOSPC) in ran.stderr
    assert list(folder.iterdir()) == [output]

    assert called("export", "--db", database, "--output", output).code == 0
    assert [row["strategy_id"] for row in json.loads(output.read_text())] == ["MGC_B", "MGC_GOOD"]
    assert list(folder.iterdir()) == [output]


def _full(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_database_that_is_being_written_is_waited_for(database: Path, called: Command, tmp_path: Path) -> None:
    """At once it is refused with who holds it and what to give; with that flag it is waited for."""
    hold = f"import duckdb, sys; c = duckdb.connect({str(database)!r}); print(flush=True); sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdin
        holder.stdout.readline()
        refused = called("export", "--db", database, "--output", tmp_path / "x.csv")
        release = threading.Timer(1.0, holder.stdin.close)
        release.start()
        waited = called("export", "--db", database, "--output", tmp_path / "x.csv", "--wait-for-lock", 60)
        release.join()

    assert (refused.code, waited.code) == (2, 0)
    assert f"held for writing by PID {holder.pid}" in refused.stderr
    assert "--wait-for-lock" in refused.stderr


def test_infinity_is_none_of_json(database: Path, tmp_path: Path) -> None:
    """What no reader of JSON could read is null there; the other formats have it."""
    change(database, "UPDATE dask_validator_results SET max_drawdown_r = 'infinity' WHERE strategy_id = 'MGC_B'")
    for ending in FORMATS:
        export(database, tmp_path / f"x.{ending}")

    strict = json.loads((tmp_path / "x.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert strict[0]["max_drawdown_r"] is None
    infinite = [read(tmp_path / f"x.{ending}")["max_drawdown_r"][0] for ending in ("csv", "parquet")]
    assert [str(number) for number in infinite] == ["inf", "inf"]


def test_what_cannot_be_exported_is_said(database: Path, tmp_path: Path) -> None:
    """No such run, an unknown table, no trades at all, and a run that kept no verdicts."""
    with pytest.raises(InputError, match="no committed run 'X'"):
        export(database, tmp_path / "x.csv", run_id="X")
    with pytest.raises(InputError, match=r"what got 'all'; needed one of promoted"):
        export(database, tmp_path / "x.csv", what="all")
    fallen = "verdict = 'REJECTED', gate = 'expectancy_r', phase = 2"
    change(database, f"UPDATE dask_validator_results SET {fallen} WHERE verdict = 'PASSED'")
    assert export(database, tmp_path / "x.csv").empty
    with pytest.raises(InputError, match="no promoted strategy with trades"):
        export(database, tmp_path / "x.csv", what="trades")
    as_an_earlier_version_left_it(database)
    with pytest.raises(InputError, match="earlier version"):
        export(database, tmp_path / "x.csv")
