"""However the outcomes lie in their table: the same answers."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dask_validator import validate
from dask_validator.views.result import RunResult
from dask_validator.work import plan
from tests.support.tiny import change, tiny_database

SHUFFLED = "CREATE TABLE shuffled AS SELECT * FROM orb_outcomes ORDER BY hash(trading_day, rr_target, orb_label)"
LAYOUTS = {
    "shuffled": [SHUFFLED, "DROP TABLE orb_outcomes", "ALTER TABLE shuffled RENAME TO orb_outcomes"],
    "day by day": [
        "CREATE TABLE by_day AS SELECT * FROM orb_outcomes ORDER BY trading_day DESC, orb_label, rr_target",
        "DROP TABLE orb_outcomes",
        "ALTER TABLE by_day RENAME TO orb_outcomes",
    ],
    "a view": [SHUFFLED, "DROP TABLE orb_outcomes", "CREATE VIEW orb_outcomes AS SELECT * FROM shuffled"],
    "decimal targets": [
        "CREATE TABLE exact AS SELECT * REPLACE (rr_target::DECIMAL(6, 2) AS rr_target) FROM orb_outcomes",
        "DROP TABLE orb_outcomes",
        "ALTER TABLE exact RENAME TO orb_outcomes",
    ],
}


def answers(result: RunResult) -> tuple[str, str]:
    """Every number of a run."""
    return result.strategies.to_csv(), result.windows.to_csv()


def dry(database: Path) -> RunResult:
    """All that a run computes."""
    return validate(database, "MGC", workers=1, progress=False, dry_run=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_order_of_the_outcomes(layout: str, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in any order, a view or another number type: an accelerator must not become a condition."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (2_000, 5_000))
    expected = dry(small)
    assert expected.summary["walkforward"]["tasks"] > 10
    with duckdb.connect(str(small)) as connection:
        for statement in LAYOUTS[layout]:
            connection.execute(statement)

    assert answers(dry(small)) == answers(expected)


def test_a_target_that_equals_itself_in_sql_only(tmp_path: Path) -> None:
    """NaN equals NaN in DuckDB and not in Python: such a strategy still finds its outcomes."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}])
    expected = dry(database).windows
    change(database, "UPDATE orb_outcomes SET rr_target = 'nan'::DOUBLE")
    change(database, "UPDATE experimental_strategies SET rr_target = 'nan'::DOUBLE")

    found = dry(database)

    assert found.summary["passed"] == 1
    assert found.windows.equals(expected)


def test_strategies_that_trade_the_same_days_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two filters that select the same days of one key have one walk-forward, and each gets its result."""
    import dask_validator.work.walkforward as task

    twins = [{"filter_type": "NO_FILTER"}, {"strategy_id": "MGC_TWIN", "filter_type": "UNKNOWN_TO_US"}]
    database = tiny_database(tmp_path / "tiny.duckdb", twins)
    computed = []
    walkforwards = task.walkforwards
    monkeypatch.setattr(task, "walkforwards", lambda all, *rules: computed.extend(all) or walkforwards(all, *rules))

    first, second = (verdict.walkforward for verdict in dry(database).verdicts)

    assert len(computed) == 1
    assert first is not None
    assert second is not None
    assert len(first.windows) > 1
    assert first.windows == second.windows != ()
