"""`docs/tables.md` names every table, view and column that we make, and its queries answer what they say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from dask_validator import import_trades, validate
from dask_validator.model import PLAN
from dask_validator.store.before import HOLDING
from dask_validator.store.our_tables import LATEST, OUR_TABLES
from dask_validator.store.trade_tables import TRADE_TABLES
from dask_validator.views.result import RunResult
from tests.documents.pages import code, fenced, page, rows, section
from tests.support import tiny

PAGE = page("docs/tables.md")
HEADINGS = {line.rsplit(": ", 1)[1]: line for line in PAGE.splitlines() if line.startswith("## ") and ": " in line}
RESULTS = "dask_validator_results"


def _documented(table: str) -> list[tuple[str, str]]:
    return [(code(row["column"])[0], row["kind"]) for row in rows(section(PAGE, HEADINGS[table]), "column")]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After a run and an import."""
    path = tiny.tiny_database(tmp_path_factory.mktemp("tables") / "tiny.duckdb")
    validate(path, workers=1, progress=False, wf_output=path.with_name("wf.jsonl"))
    import_trades(pd.DataFrame({"strategy_id": "S", "trading_day": ["2020-01-02"], "r": [1.0]}), path, "MGC")
    return path


def _made(database: Path) -> dict[str, list[tuple[str, str]]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(
            "SELECT table_name, list((column_name, data_type) ORDER BY column_index) FROM duckdb_columns() GROUP BY ALL"
        ).fetchall()
    return {table: [(name, kind) for name, kind in columns] for table, columns in found}


def test_every_table_and_view_is_documented(database: Path) -> None:
    """A run and an import make those of the page, and nothing beside the users' tables that it does not name."""
    made = {table for table in _made(database) if table.startswith("dask_validator_")}

    assert made == set(HEADINGS) == {*OUR_TABLES, *TRADE_TABLES, LATEST}


@pytest.mark.parametrize("table", [*OUR_TABLES, *TRADE_TABLES])
def test_every_column_is_documented(database: Path, table: str) -> None:
    """Columns and types are those that a reader is told, in that order; then come those of users' tables."""
    made = _made(database)
    of_users = [] if table not in HOLDING else [column for column in made[HOLDING[table]] if _is_kept(table, *column)]

    assert _documented(table) + of_users == made[table]


def _is_kept(table: str, name: str, _: str) -> bool:
    """Of setups all; of strategies those that the page names."""
    return table == "dask_validator_before_setups" or name.startswith(("dst_", "validation_"))


def test_every_column_of_the_view_is_documented(database: Path) -> None:
    """It has the columns of the results, but for two, and three of its own."""
    kept = [column for column in _documented(RESULTS) if column[0] not in ("reason", "remark")]

    assert kept + _documented(LATEST) == _made(database)[LATEST]


def test_every_column_of_a_frame_is_documented(looked_at: tuple[Path, RunResult]) -> None:
    """It is one of the table of results, or stands in the list of those that are not."""
    own = {name for row in rows(PAGE, "column of the frame") for name in code(row["column of the frame"])}
    columns = set(looked_at[1].strategies.columns)

    assert columns - own <= {name for name, _ in _documented(RESULTS)}
    assert own <= columns


@pytest.fixture(scope="module")
def looked_at(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """The recorded strategies after two runs, with the result of the latter; in between one outcome has changed."""
    path = Path(shutil.copy(small_source, tmp_path_factory.mktemp("questions") / "small.duckdb"))
    flags: dict[str, Any] = {
        "workers": 1,
        "progress": False,
        "strategies": "all",
        "wf_output": path.with_name("wf.jsonl"),
    }
    first = validate(path, **flags)
    own = first.promoted.iloc[0]
    same = " AND ".join(f"o.{name} = e.{name}" for name in PLAN)
    tiny.change(
        path,
        "UPDATE orb_outcomes o SET pnl_r = pnl_r + 0.5 FROM experimental_strategies e "
        f"WHERE e.strategy_id = ? AND trading_day = ? AND {same}",
        *(own["strategy_id"], own["last_trade_day"].date()),
    )
    return path, validate(path, **flags)


KEY = ["session", "orb_minutes", "rr_target", "confirm_bars", "entry_model"]
QUERIES = fenced(PAGE, "sql")


def asked(database: Path, number: int) -> pd.DataFrame:
    """What one of the queries answers."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.sql(QUERIES[number].rstrip().rstrip(";")).df()


def test_every_query_answers_in_the_columns_that_are_shown(looked_at: tuple[Path, RunResult]) -> None:
    """Five questions, each with an answer of the demonstration below it, and one of any database."""
    shown = [
        block.splitlines()[0].split() for block in fenced(section(PAGE, "## Five questions")) if block not in QUERIES
    ]
    found = [asked(looked_at[0], number) for number in range(len(QUERIES))]

    assert [list(frame.columns) for frame in found] == shown
    assert len(QUERIES) == 5
    assert not any(frame.empty for frame in found)


def test_the_best_and_the_nearest_are_those_of_the_result(looked_at: tuple[Path, RunResult]) -> None:
    """The first query lists what earned most of the promoted that earn, the last one who lacks the fewest windows."""
    path, result = looked_at
    best = result.promoted.query("earns").sort_values(["agg_oos_exp_r"], ascending=False, kind="stable").head(5)
    near = result.strategies.query("gate == 'pct_positive'")
    near = near.sort_values(["pct_positive", "agg_oos_exp_r"], ascending=False, kind="stable").head(5)

    assert asked(path, 0)["test_r"].tolist() == best["agg_oos_exp_r"].tolist()
    assert set(asked(path, 0)["strategy_id"]) <= set(result.promoted["strategy_id"])
    assert asked(path, 4)["strategy_id"].tolist() == near["strategy_id"].tolist()


def test_what_has_changed_are_the_strategies_of_that_outcome(looked_at: tuple[Path, RunResult]) -> None:
    """The second query lists those whose outcomes have changed, and no others."""
    path, result = looked_at
    own = result.promoted.iloc[0]
    of_key = result.strategies[(result.strategies[KEY] == own[KEY]).all(axis=1)]["strategy_id"]
    found = asked(path, 1)

    assert found["strategy_id"].tolist() == sorted(of_key)[:5]
    assert found["other_outcomes"].all()


def test_sessions_and_gates_are_counted_as_the_result_has_them(looked_at: tuple[Path, RunResult]) -> None:
    """The third query counts every session, the fourth every gate."""
    path, result = looked_at
    judged = result.strategies.query("verdict in ('PASSED', 'REJECTED')")
    by_session, by_gate = asked(path, 2).set_index("session"), asked(path, 3).set_index("gate")

    assert by_session["judged"].to_dict() == judged.groupby("session").size().to_dict()
    assert by_session["passed"].to_dict() == (judged["verdict"] == "PASSED").groupby(judged["session"]).sum().to_dict()
    assert by_gate["rejected"].to_dict() == result.strategies["gate"].value_counts().to_dict()
