"""What a run leaves of every strategy, for SQL: beside what `test_writer` reads back, hashes, p-values and the view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dask_validator import validate
from dask_validator.model import Status
from dask_validator.store.past_runs import read_past_run
from tests.reference.fdr import benjamini_hochberg
from tests.support.tiny import change, rows_by_id, tiny_database

ROWS: list[dict[str, Any]] = [
    {"p_value": 0.001},
    {"strategy_id": "MGC_TWIN", "p_value": 0.02},  # of the same outcomes
    {"strategy_id": "MGC_OTHER", "rr_target": 3.0, "p_value": 0.03},
    {"strategy_id": "MGC_FELL", "sample_size": 3, "p_value": 0.5},
    {"strategy_id": "MGC_LOSES", "expectancy_r": -0.4, "p_value": 0.0001},
    {"strategy_id": "MGC_ALIAS", "is_canonical": False},
]

TWO_DAYS = {"2022-03-01": 1.25, "2022-03-02": 1.75}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Not validated yet."""
    two_days = {f"trading_day = '{day}'": {"outcome": "win", "pnl_r": r} for day, r in TWO_DAYS.items()}
    return tiny_database(tmp_path / "tiny.duckdb", ROWS, outcomes=two_days)


def run(database: Path) -> dict[str, dict[str, Any]]:
    """Validate all anew; the rows of the view of the latest."""
    change(database, "UPDATE experimental_strategies SET validation_status = NULL")
    validate(database, workers=1, progress=False, wf_output=database.parent / "wf.jsonl")
    return rows_by_id(database, "dask_validator_latest")


HASHES = ("row_hash", "outcomes_hash")


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Which hash of which strategy is another one."""
    found = {name: {of for of in HASHES if before[name][of] != after[name][of]} for name in before}
    return {name: hashes for name, hashes in found.items() if hashes}


def test_hashes_stay_when_a_run_has_written(database: Path) -> None:
    """Verdict, note and season split are ours, and no change; equal outcomes have equal hashes."""
    first = run(database)

    assert changed(first, run(database)) == {}
    assert first["MGC_GOOD"]["dst_verdict"] is not None
    assert first["MGC_GOOD"]["outcomes_hash"] == first["MGC_TWIN"]["outcomes_hash"]
    assert len({row["row_hash"] for row in first.values()}) == len(ROWS)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE experimental_strategies SET win_rate = 0.61 WHERE strategy_id = 'MGC_FELL'",
            {"MGC_FELL": {"row_hash"}},
        ),
        ("UPDATE orb_outcomes SET pnl_r = 2 * pnl_r WHERE rr_target = 3", {"MGC_OTHER": {"outcomes_hash"}}),
        (
            f"UPDATE orb_outcomes SET pnl_r = 3 - pnl_r WHERE rr_target = 3 AND trading_day IN {tuple(TWO_DAYS)}",
            {"MGC_OTHER": {"outcomes_hash"}},
        ),
        ("DELETE FROM orb_outcomes WHERE rr_target = 3 AND year(trading_day) = 2023", {"MGC_OTHER": {"outcomes_hash"}}),
    ],
    ids=["a row", "results", "two days exchanged", "a year less"],
)
def test_hashes_tell_what_has_changed(database: Path, statement: str, expected: dict[str, set[str]]) -> None:
    """Of a strategy its row, or its outcomes; of the others nothing."""
    first = run(database)
    change(database, statement)

    assert changed(first, run(database)) == expected


def test_hashes_of_tight_stops_tell_what_they_read(tmp_path: Path) -> None:
    """The stop is part of the row, and how far trades went against it part of the outcomes; of others neither is."""
    rows = [{**row, "stop_multiplier": 0.75 if row.get("rr_target") else 1.0} for row in ROWS]
    excursions = {"TRUE": {"mae_r": 0.2, "entry_price": 100.0, "stop_price": 99.0}}
    extra = {"experimental_strategies": "stop_multiplier DOUBLE"}
    database = tiny_database(tmp_path / "tiny.duckdb", rows, outcomes=excursions, extra=extra)
    first = run(database)
    change(database, f"UPDATE orb_outcomes SET mae_r = 0.9 WHERE trading_day IN {tuple(TWO_DAYS)}")
    second = run(database)
    change(database, "UPDATE experimental_strategies SET stop_multiplier = stop_multiplier / 2 WHERE rr_target = 3")

    assert changed(first, second) == {"MGC_OTHER": {"outcomes_hash"}}
    assert changed(second, run(database)) == {"MGC_OTHER": {"row_hash"}}


def test_a_target_that_equals_itself_in_sql_only_has_a_hash(database: Path) -> None:
    """NaN equals NaN in DuckDB: the outcomes of such a strategy are hashed like any."""
    for table in ("orb_outcomes", "experimental_strategies"):
        change(database, f"UPDATE {table} SET rr_target = 'nan'::DOUBLE WHERE rr_target = 3")

    assert run(database)["MGC_OTHER"]["outcomes_hash"] is not None


def test_a_strategy_that_failed_at_the_end_is_read_back_as_one(tmp_path: Path) -> None:
    """It came through walk-forward and cannot be promoted: neither in memory nor in the tables has it windows."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_LACKS", "win_rate": None}])
    result = validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    past = read_past_run(database, "MGC")
    assert past is not None
    kept = past.verdicts()

    assert [verdict.status for verdict in kept] == [Status.PASSED, Status.FAILED]
    assert list(map(repr, kept)) == list(map(repr, result.verdicts))
    np.testing.assert_array_equal(kept.observed, result.verdicts.observed)


def test_p_values_are_those_of_the_slow_twin(database: Path) -> None:
    """Of all that are corrected for each other, also of those that fell; an alias has none."""
    adjusted = benjamini_hochberg({str(row.get("strategy_id", "MGC_GOOD")): row["p_value"] for row in ROWS[:-1]})
    found = run(database)

    assert {name: row["earns"] for name, row in found.items() if row["significant"]} == {
        **dict.fromkeys(("MGC_GOOD", "MGC_TWIN", "MGC_OTHER"), True),
        "MGC_LOSES": False,
    }
    assert [found["MGC_ALIAS"][name] for name in ("p_value", "adjusted_p", "significant", "earns")] == [None] * 4
    assert {name: row["adjusted_p"] for name, row in found.items() if row["p_value"] is not None} == {
        name: pytest.approx(p_value, abs=5e-7) for name, p_value in adjusted.items()
    }


def test_the_latest_is_what_the_strategies_say(database: Path) -> None:
    """One row a strategy, of the run that judged it last, with the verdict and the note of its own row."""
    first = run(database)
    change(
        database, "UPDATE experimental_strategies SET validation_status = NULL, sample_size = 7 WHERE NOT is_canonical"
    )
    change(database, "UPDATE experimental_strategies SET is_canonical = TRUE WHERE strategy_id = 'MGC_ALIAS'")
    validate(database, workers=1, progress=False, wf_output=database.parent / "wf.jsonl")
    latest, rows = (rows_by_id(database, table) for table in ("dask_validator_latest", "experimental_strategies"))

    assert {name: (row["verdict"], row["note"]) for name, row in latest.items()} == {
        name: (row["validation_status"], row["validation_notes"]) for name, row in rows.items()
    }
    assert {name for name in latest if latest[name]["run_id"] != first[name]["run_id"]} == {"MGC_ALIAS"}
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM dask_validator_latest").fetchone() == (len(ROWS),)
