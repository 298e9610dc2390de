"""Which promotions hang by a thread: what is read off one run is what other runs find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_validator import RunConfig, import_trades, validate
from dask_validator.rules.sensitivity import sensitivities
from dask_validator.rules.verdicts import Verdicts
from dask_validator.store.selection import WAITING
from tests.support.sweeps import promoted_under
from tests.support.trade_logs import log

MANY: dict[str, Any] = {
    "no_regime_waivers": True,
    "min_years_positive_pct": 0.6,
    "max_drawdown": 12.0,
    "min_win_rate": 0.4,
    "small_sample": 100,
    "small_wf_min_windows": 2,
    "gate": ("fdr",),
}


def run(database: Path, config: dict[str, Any]) -> Verdicts:
    """A dry run."""
    return validate(database, "MGC", RunConfig(dry_run=True, **config), workers=1, progress=False).verdicts


def promoted(database: Path, settings: list[dict[str, Any]]) -> list[set[str]]:
    """Whom each of them promotes."""
    return [set(ids) for ids in promoted_under(database, [RunConfig(**config) for config in settings], WAITING)]


@pytest.mark.parametrize("config", [{}, MANY], ids=["default", "many gates"])
def test_what_falls_is_what_tighter_settings_reject(small_source: Path, config: dict[str, Any]) -> None:
    """Every threshold of the register that a tenth can move, each alone."""
    verdicts = run(small_source, config)
    found = sensitivities(verdicts)
    now, *tighter = promoted(small_source, [config, *({**config, one.flag: one.tightened} for one in found)])

    assert {one.flag for one in found} >= {"wf_min_windows", "wf_min_pct_positive", "wf_min_trades", "min_sample"}
    assert [one.fallen.size for one in found] == sorted((one.fallen.size for one in found), reverse=True)
    assert found[0].fallen.size > 0
    assert [{verdicts.ids[i] for i in one.fallen} for one in found] == [now - there for there in tighter]


def test_a_curve_counts_what_is_known_and_what_nobody_has_looked_at(small_source: Path) -> None:
    """Settings with these values promote no fewer than are known, and no more than with those that are unseen."""
    found = sensitivities(run(small_source, {}))
    points = [(one.flag, point) for one in found for point in one.curve]
    there = promoted(small_source, [{flag: point.value} for flag, point in points])

    for (_, point), ids in zip(points, there, strict=True):
        assert point.promoted <= len(ids) <= point.promoted + point.unseen
    assert all(point.unseen == 0 for one in found for point in one.curve if point.value >= one.value)
    assert max(point.unseen for _, point in points) > 0


def test_gates_that_judged_nobody_are_left_out(tmp_path: Path, small_source: Path) -> None:
    """Costs that nobody knows, walk-forward that was not done, small samples that there are none of: no thread."""
    import_trades(log(2, 300), tmp_path / "x.duckdb", "ES")
    imported = validate(
        tmp_path / "x.duckdb", "ES", dry_run=True, small_sample=10, small_wf_min_windows=2, workers=1, progress=False
    )
    flags = {one.flag for one in sensitivities(imported.verdicts)}
    of_rows = {one.flag for one in sensitivities(run(small_source, {"no_walkforward": True}))}

    assert flags >= {"wf_min_windows", "min_sample"}
    assert not flags & {"stress_multiplier", "small_wf_min_windows"}
    assert of_rows >= {"stress_multiplier", "min_sample"}
    assert not [name for name in of_rows if name.startswith("wf_")]


def test_no_tenth_of_zero_and_no_share_above_one(small_source: Path) -> None:
    """Where no tighter value is different or possible, that is said, and nothing falls."""
    flags = {"no_regime_waivers": True, "min_sharpe": 0.0, "wf_min_pct_positive": 1.0}
    found = {one.flag: one for one in sensitivities(run(small_source, flags))}

    for flag in ("min_years_positive_pct", "wf_min_pct_positive", "min_sharpe"):
        assert found[flag].tightened is None
        assert found[flag].fallen.size == 0
    assert "min_trades_per_year" not in found  # which years count is more than a threshold
