"""`docs/tables.md` names every table, view and column that we make, and its queries answer what they say."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from dask_validator import import_trades, validate
from dask_validator.store.our_tables import LATEST, OUR_TABLES
from dask_validator.store.trade_tables import TRADE_TABLES
from tests.documents.pages import code, page, rows, section
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
            "SELECT table_name, list((column_name, data_type) ORDER BY column_index) FROM duckdb_columns() "
            "WHERE table_name LIKE 'dask_validator_%' GROUP BY ALL"
        ).fetchall()
    return {table: [(name, kind) for name, kind in columns] for table, columns in found}


def test_every_table_and_view_is_documented(database: Path) -> None:
    """A run and an import make those of the page, and nothing beside the users' tables that it does not name."""
    assert set(_made(database)) == set(HEADINGS) == {*OUR_TABLES, *TRADE_TABLES, LATEST}


@pytest.mark.parametrize("table", [*OUR_TABLES, *TRADE_TABLES])
def test_every_column_is_documented(database: Path, table: str) -> None:
    """Columns and types are those that a reader is told, in that order."""
    assert _documented(table) == _made(database)[table]


def test_every_column_of_the_view_is_documented(database: Path) -> None:
    """It has the columns of the results, but for two, and three of its own."""
    kept = [column for column in _documented(RESULTS) if column[0] not in ("reason", "remark")]

    assert kept + _documented(LATEST) == _made(database)[LATEST]
