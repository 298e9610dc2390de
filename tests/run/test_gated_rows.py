"""Which rows the gates of eras and holdout are for, and what becomes of those that nobody can hold out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dask_validator import validate
from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from tests.support.newest import newest_database
from tests.support.tiny import change, rows_by_id, tiny_database

QUIET: dict[str, Any] = {"workers": 1, "progress": False, "dry_run": True}
LOSING = json.dumps({"2020": {"trades": 100, "avg_r": -0.5}, "2021": {"trades": 100, "avg_r": 0.9}})


@pytest.mark.parametrize("zone", ["UTC", "Australia/Brisbane", "America/New_York"])
@pytest.mark.parametrize(("made", "phase"), [("2026-04-08 02:00", 10), ("2026-04-07 22:00", None)])
def test_a_time_without_a_zone_is_utc(
    zone: str, made: str, phase: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a row is new enough for the gates does not depend on where the machine is."""
    monkeypatch.setenv("TZ", zone)
    more = {"experimental_strategies": f"made_of TEXT DEFAULT 'x', created_at TIMESTAMP DEFAULT '{made}'"}
    database = tiny_database(tmp_path / "tiny.duckdb", [{"yearly_results": LOSING}], extra=more)
    only = {"not_null": "made_of", "created_after": "2026-04-08T00:00:00Z"}
    result = validate(database, era_starts=(2020, 2021), gates_only=only, **QUIET)

    [verdict] = result.verdicts
    assert (verdict.phase == 10) is (phase == 10)


def test_an_unknown_filter_is_rejected_before_its_years_are_read(tmp_path: Path) -> None:
    """Nobody can say which days of a holdout are its: it is REJECTED by the holdout, though its years are no years."""
    row = {"filter_type": "TYPO", "filter_params": '{"min_sice": 4}', "yearly_results": '{"2020": {"trades": "x"}}'}
    database = tiny_database(tmp_path / "tiny.duckdb", [row])
    rules = {"filters": "params", "unknown_filters": "none", "holdout_from": "2024-01-01"}
    [verdict] = validate(database, **rules, **QUIET).verdicts

    assert (str(verdict.status), verdict.phase) == ("REJECTED", 9)


def test_what_no_rule_asks_about_stays(tmp_path: Path) -> None:
    """Words of a holdout and of evidence that somebody else has stored are there after a run without rules."""
    stored = {"c8_oos_status": "PASSED", "validation_pathway": "individual"}
    database = newest_database(tmp_path / "newest.duckdb", [{}, {"strategy_id": "MGC_FEW", "sample_size": 3}])
    change(database, "UPDATE experimental_strategies SET c8_oos_status = 'PASSED', validation_pathway = 'individual'")
    validate(database, wf_output=tmp_path / "wf.jsonl", **{**QUIET, "dry_run": False})

    found = rows_by_id(database, "experimental_strategies", *stored)
    assert list(found.values()) == [stored, stored]


@pytest.mark.parametrize("name", ["wf_first_day", "wf_last_day", "holdout_from"])
def test_days_of_rules_are_in_a_calendar(name: str) -> None:
    """A day after which no window could end is refused, where every strategy would fail."""
    with pytest.raises(InputError, match="a day in the years 1 to 9899"):
        RunConfig(**{name: "9950-01-01"})
