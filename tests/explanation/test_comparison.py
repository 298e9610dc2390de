"""`compare`: one thing is changed between two runs, and exactly that is said, of exactly the strategies it concerns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dask_validator import RunConfig, RunResult, compare, validate
from dask_validator.explanation.comparison import Comparison
from dask_validator.rules.costs import KNOWN_COSTS
from tests.support.tiny import GOOD, change, tiny_database

YEARS = json.loads(GOOD["yearly_results"])
LOSING = json.dumps({**YEARS, "2021": {"trades": 66, "wins": 20, "avg_r": -0.1}})
ROWS: list[dict[str, Any]] = [
    {"strategy_id": "MGC_GOOD"},
    {"strategy_id": "MGC_OTHER_TARGET", "rr_target": 2.0},
    {"strategy_id": "MGC_LATER", "orb_label": "1000"},
    {"strategy_id": "MGC_SMALL", "sample_size": 40},
    {"strategy_id": "MGC_COSTLY", "expectancy_r": 0.05},
    {"strategy_id": "MGC_LOST_A_YEAR", "yearly_results": LOSING},
    {"strategy_id": "MGC_SHORT", "filter_type": "DIR_SHORT", "filter_params": None},
    {"strategy_id": "MGC_LUCKY", "p_value": 0.06},
]
LEAST = 83  # trades in the window of a half-year that has the fewest
DAY = "DATE '2023-03-01'"  # one that all trade, with a win, in that half-year
ADDED = (
    "INSERT INTO experimental_strategies BY NAME SELECT e.* REPLACE (e.strategy_id || '_ADDED_' || added.n AS "
    "strategy_id, 0.9 AS p_value, 'REJECTED' AS validation_status) FROM experimental_strategies e "
    "CROSS JOIN range(50) AS added(n) WHERE e.strategy_id = 'MGC_GOOD'"
)
Said = dict[str, tuple[str, str | None, tuple[str, ...]]]


def run(database: Path, **flags: Any) -> RunResult:
    """Validate all of the first ones anew."""
    change(database, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id NOT LIKE '%ADDED%'")
    usual = {"gate": ("fdr",), "wf_min_windows": 4, "wf_min_trades": LEAST, "wf_output": database.parent / "wf.jsonl"}
    return validate(database, config=RunConfig(**usual | flags), workers=1, progress=False)


def said(found: Comparison) -> Said:
    """By strategy: how its verdict has changed, the gate that decided, and what has changed."""
    return {each.strategy_id: (each.kind, each.gate, each.causes) for each in found.changed}


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A database after its first run; never written again, only copied."""
    path = tiny_database(tmp_path_factory.mktemp("compared") / "tiny.duckdb", ROWS)
    return path, run(path)


@pytest.fixture
def before(first_run: tuple[Path, RunResult], tmp_path: Path) -> tuple[Path, RunResult]:
    """A copy of it."""
    return Path(shutil.copy(first_run[0], tmp_path / "tiny.duckdb")), first_run[1]


def test_the_first_run_promotes_all_but_one(first_run: tuple[Path, RunResult]) -> None:
    """What the tests below start from."""
    strategies = first_run[1].strategies

    assert strategies.loc[strategies["verdict"] != "PASSED", "strategy_id"].tolist() == ["MGC_LOST_A_YEAR"]


def of(strategy_id: str) -> str:
    """A condition on strategies."""
    return f"WHERE strategy_id = 'MGC_{strategy_id}'"


CHANGES: dict[str, tuple[str, dict[str, Any], Said]] = {
    "a threshold": ("", {"min_sample": 50}, {"MGC_SMALL": ("lost", "sample_size", ("threshold",))}),
    "a gate is off": (
        f"UPDATE experimental_strategies SET p_value = 0.5 {of('LUCKY')}",
        {"gate": ()},
        {},
    ),
    "the level of a gate": ("", {"gate_alpha": 0.01}, {"MGC_LUCKY": ("lost", "fdr_p", ("threshold",))}),
    "a number": (
        f"UPDATE experimental_strategies SET sample_size = 20 {of('GOOD')}",
        {},
        {"MGC_GOOD": ("lost", "sample_size", ("numbers",))},
    ),
    "a year": (
        f"UPDATE experimental_strategies SET yearly_results = '{LOSING}' {of('GOOD')}",
        {},
        {"MGC_GOOD": ("lost", "negative_years", ("numbers",))},
    ),
    "the row": (
        f"UPDATE experimental_strategies SET is_canonical = FALSE {of('GOOD')}",
        {},
        {"MGC_GOOD": ("lost", None, ("row",))},
    ),
    "one outcome": (
        f"UPDATE orb_outcomes SET outcome = 'scratch' WHERE rr_target = 2 AND trading_day = {DAY}",
        {},
        {"MGC_OTHER_TARGET": ("lost", "valid_windows", ("outcomes",))},
    ),
    "a day's features": (
        f"UPDATE daily_features SET orb_1000_size = 2 WHERE trading_day = {DAY}",
        {},
        {"MGC_LATER": ("lost", "valid_windows", ("features",))},
    ),
    "years left out": (
        "",
        {"exclude_years": (2021,)},
        {"MGC_LOST_A_YEAR": ("gained", "negative_years", ("threshold",))},
    ),
    "filters": ("", {"strict_filters": True}, {"MGC_SHORT": ("lost", "outcomes", ("rules",))}),
    "costs": (
        "",
        {"costs": {"MGC": {**KNOWN_COSTS["MGC"]._asdict(), "commission_rt": 5.0}}},
        {"MGC_COSTLY": ("lost", "stressed_expectancy_r", ("rules",))},
    ),
    "other strategies": (ADDED, {}, {"MGC_LUCKY": ("lost", "fdr_p", ("others",))}),
    "its own p": (
        f"UPDATE experimental_strategies SET p_value = 0.5 {of('LUCKY')}",
        {},
        {"MGC_LUCKY": ("lost", "fdr_p", ("numbers",))},
    ),
    "nothing": ("", {}, {}),
}


@pytest.mark.parametrize(("sql", "flags", "expected"), CHANGES.values(), ids=CHANGES)
def test_one_change_is_found(before: tuple[Path, RunResult], sql: str, flags: dict[str, Any], expected: Said) -> None:
    """Of the strategies that it concerns the gate that decided and the cause; of the others nothing."""
    database, first = before
    if sql:
        change(database, sql)
    second = run(database, **flags)

    assert said(compare(database, first.summary["run_id"], second.summary["run_id"])) == expected
