"""`docs/data-contract.md` names the columns that the code reads and writes, no more and no fewer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from dask_validator import validate
from dask_validator.rules.promotion import MODE
from dask_validator.store.contract import LEFT, OPTIONAL, READ_WHERE_THERE, WRITTEN_WHERE_THERE
from dask_validator.store.fingerprints import OF_SESSIONS
from dask_validator.store.kinds import BOOLEAN, NUMBER, TEXT, TIMESTAMP
from tests.documents.pages import code, page, rows, section
from tests.mutations import TABLES
from tests.support import tiny

CONTRACT = page("docs/data-contract.md")
HEADINGS = {line.rsplit(": ", 1)[1]: line for line in CONTRACT.splitlines() if line.startswith("## ") and ": " in line}
SESSION = dict(zip(OF_SESSIONS, (NUMBER, NUMBER, BOOLEAN, TEXT, BOOLEAN), strict=True))

OLD: dict[str, Any] = {
    **dict.fromkeys((NUMBER, "integer", "double"), 99),
    **dict.fromkeys((TEXT, "varchar"), "old"),
    **dict.fromkeys((BOOLEAN, "boolean"), False),
    TIMESTAMP: datetime(2020, 1, 1, tzinfo=UTC),
}


def _columns(table: str) -> dict[str, dict[str, str]]:
    return {code(row["column"])[0]: row for row in rows(section(CONTRACT, HEADINGS[table]), "column")}


def _written(table: str, when: str) -> set[str]:
    return {name for name, row in _columns(table).items() if row["written"] == when}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented(table: str) -> None:
    """The columns of each table and their kinds are those that are checked at the start of a run."""
    expected = {**TABLES[table], **OPTIONAL.get(table, {})}
    if table == "daily_features":
        expected |= {f"orb_{{label}}_{part}": kind for part, kind in SESSION.items()}

    assert {name: row["kind"] for name, row in _columns(table).items()} == expected


@pytest.mark.parametrize("table", WRITTEN_WHERE_THERE)
def test_every_newer_column_is_documented(table: str) -> None:
    """What is read and written where a table happens to have it is named with its kind."""
    read = {**READ_WHERE_THERE, MODE: TEXT} if table == "experimental_strategies" else {MODE: TEXT}

    documented = {name: row["kind"] for name, row in _columns(f"newer columns of {table}").items()}
    assert documented == {**WRITTEN_WHERE_THERE[table], **read}


def test_what_is_left_to_users_is_named() -> None:
    """Columns that a run knows and leaves alone, so that no warning names them, are those of the contract."""
    left = CONTRACT.split("Left to you", 1)[1].split("Families and", 1)[0]

    assert set(code(left)) == LEFT - {"promoted_at", "promoted_from"}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before if after[name] != before[name]}


def _row(path: Path, table: str) -> dict[str, Any]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(f"SELECT * FROM {table}")
        return dict(zip([column[0] for column in found.description], found.fetchone() or (), strict=True))


class Run(NamedTuple):
    """A strategy and its setup, before and after a run in which it passed; the setup was another's work before."""

    strategy: tuple[dict[str, Any], dict[str, Any]]
    setup: tuple[dict[str, Any], dict[str, Any]]
    database: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over one good strategy that has a setup, all of whose values are old."""
    path = tmp_path_factory.mktemp("contract") / "tiny.duckdb"
    old = {name: OLD[row["kind"].lower()] for name, row in _columns("validated_setups").items()}
    keys = {name: tiny.GOOD["strategy_id"] for name in ("strategy_id", "promoted_from")}
    tiny.tiny_database(path, setups=[{**old, **keys, "execution_spec": "mine", "p_value": 0.5}])
    before = [_row(path, table) for table in ("experimental_strategies", "validated_setups")]
    validate(path, workers=1, progress=False, wf_output=path.with_name("wf.jsonl"))
    after = [_row(path, table) for table in ("experimental_strategies", "validated_setups")]
    strategy, setup = zip(before, after, strict=True)
    return Run(strategy, setup, path)


def test_what_a_run_writes_to_a_strategy_is_what_is_said(run: Run) -> None:
    """A run that judges a strategy changes the columns marked `always`, and no other."""
    assert _changed(*run.strategy) == _written("experimental_strategies", "always")


def test_what_a_run_writes_to_a_setup_is_what_is_said(run: Run) -> None:
    """A setup that is promoted again changes in the columns marked `always`, and in no other."""
    assert _changed(*run.setup) == _written("validated_setups", "always")


def test_what_is_never_touched_is_named(run: Run) -> None:
    """The users' columns of a setup that the validator knows of and leaves alone are those that the contract names."""
    never = section(CONTRACT, HEADINGS["validated_setups"]).split("Never touched", 1)[1].split("NOT NULL", 1)[0]

    assert set(run.setup[1]) - set(_columns("validated_setups")) == set(code(never))
