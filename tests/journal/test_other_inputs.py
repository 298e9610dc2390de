"""Results of other flags, rules, rows or data are never used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dask_validator.journal import inputs, provenance
from dask_validator.rules.costs import Costs
from tests.journal.dying import (
    Dead,
    die_after,
    ids_in,
    kept_in,
    reused,
    run,
    undisturbed,
    written,
)
from tests.support.tiny import change


class Other(NamedTuple):
    """How a run differs from the one before it."""

    named: str
    sql: str = ""
    flags: Mapping[str, Any] = {}
    patched: tuple[str, Callable[[], Any]] | None = None  # what inputs.py asks


OTHERS = {
    "walk-forward": Other("windows or filters", flags={"wf_test_months": 5}),
    "filters": Other("windows or filters", flags={"strict_filters": True}),
    "costs": Other("costs", flags={"costs": {"MGC": dict.fromkeys(Costs._fields, 1.0)}}),
    "rules": Other("source of the rules", patched=("source_of_the_rules", lambda: "edited")),
    "DuckDB": Other("version of DuckDB", patched=("versions", lambda: {**provenance.versions(), "duckdb": "0.1"})),
    "an outcome": Other("outcomes", "UPDATE orb_outcomes SET pnl_r = -9 WHERE outcome = 'loss' AND rr_target = 1.5"),
    "an outcome less": Other("outcomes", "DELETE FROM orb_outcomes WHERE rr_target = 1.5 AND year(trading_day) > 2021"),
    "volatility": Other("features", "UPDATE daily_features SET atr_20 = 10 WHERE month(trading_day) = 1"),
    "a session": Other("features", "UPDATE daily_features SET orb_0900_size = 2 WHERE year(trading_day) > 2021"),
    "everything": Other(
        "windows or filters, outcomes", "DELETE FROM orb_outcomes WHERE rr_target = 2", {"wf_min_train_months": 9}
    ),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_other_inputs(
    dead: Dead,
    template: Path,
    other: Other,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Results of other inputs are never used: they are set aside, the difference is named, the run computes anew."""
    (tmp_path / "fresh").mkdir()
    fresh = Path(shutil.copy(template, tmp_path / "fresh" / "tiny.duckdb"))
    for path in (fresh, dead.database):
        change(path, other.sql or "SELECT 1")
    if other.patched:
        monkeypatch.setattr(inputs, *other.patched)
    expected = undisturbed(fresh, **other.flags)
    before = dead.journal.read_bytes()
    capsys.readouterr()
    result = run(dead.database, **other.flags)

    assert reused(result) == 0
    assert written(dead.database) == expected
    aside = Path(f"{dead.journal}.old-1")
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if "with other" in line] == [
        f"{dead.journal} was of a run with other {other.named}: nothing taken over, kept as {aside.name}"
    ]
    assert "Took over" not in said
    assert aside.read_bytes().startswith(before)
    assert not dead.journal.exists()


@pytest.mark.parametrize(
    "flags",
    [
        {"wf_min_windows": 2},
        {"wf_min_trades": 30},
        {"wf_min_pct_positive": 0.9},
        {"min_win_rate": 0.5},
        {"exclude_years": (2022,), "min_sample": 9},
        {"stress_multiplier": 1.1},
    ],
    ids=str,
)
def test_other_thresholds(
    dead: Dead, template: Path, flags: Mapping[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What workers compute depends on no threshold: all that is asked for again is taken over, and judged anew."""
    (tmp_path / "fresh").mkdir()
    fresh = Path(shutil.copy(template, tmp_path / "fresh" / "tiny.duckdb"))
    expected = undisturbed(fresh, **flags)
    computed = ids_in(kept_in(dead.journal.read_bytes()))
    result = run(dead.database, **flags)

    assert reused(result) == len(computed) > 3
    assert written(dead.database) == expected
    assert not dead.journal.exists()
    assert "nothing taken over" not in capsys.readouterr().err


def test_set_aside_twice(dead: Dead, capsys: pytest.CaptureFixture[str]) -> None:
    """What was set aside before is not overwritten."""
    finished = die_after(2, dead.database, wf_test_months=4)
    run(dead.database, wf_test_months=5)

    kept = [Path(f"{dead.journal}.old-{number}").read_bytes() for number in (1, 2)]
    assert [len(ids_in(kept_in(journal))) for journal in kept] == [dead.results, finished]
    assert not dead.journal.exists()
    said = capsys.readouterr().err
    assert ".old-1\n" in said
    assert ".old-2\n" in said


ROWS = {
    "a changed row": ("UPDATE experimental_strategies SET filter_type = 'NO_FILTER' WHERE {}", 1, True),
    "a row less": ("DELETE FROM experimental_strategies WHERE {}", 1, False),
    "a decided row": ("UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE {}", 1, False),
    "a note": ("UPDATE experimental_strategies SET validation_notes = 'mine' WHERE {}", 0, False),
    "a column of the user's": ("UPDATE experimental_strategies SET entry_signals = 7 WHERE {}", 0, False),
}


@pytest.mark.parametrize(("sql", "fewer", "again"), ROWS.values(), ids=ROWS)
def test_changed_rows(
    dead: Dead, template: Path, sql: str, fewer: int, again: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strategy whose row has changed is computed again, it alone, and the log says so."""
    (tmp_path / "fresh").mkdir()
    fresh = Path(shutil.copy(template, tmp_path / "fresh" / "tiny.duckdb"))
    for path in (fresh, dead.database):
        change(path, sql.format("strategy_id = 'MGC_PASSES'"))
    run(fresh)
    capsys.readouterr()
    result = run(dead.database)

    assert reused(result) == dead.results - fewer
    words = "; 1 no longer hold, because their rows have changed" if again else ""
    assert f"Took over {dead.results - fewer} results from {dead.journal}{words}\n" in capsys.readouterr().err
    assert written(dead.database) == written(fresh)
    assert not dead.journal.exists()
