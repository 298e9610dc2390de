"""Which promotions hang by a thread: what is read off one run is what other runs find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_validator import RunConfig, validate
from dask_validator.model import Status
from dask_validator.rules.sensitivity import Sensitivity, sensitivities
from dask_validator.rules.verdicts import Verdicts

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


def promoted(verdicts: Verdicts) -> set[str]:
    """By id."""
    return {verdicts.ids[i] for i in verdicts.of(Status.PASSED)}


@pytest.mark.parametrize("config", [{}, MANY], ids=["default", "many gates"])
def test_what_falls_is_what_a_tighter_run_rejects(small_source: Path, config: dict[str, Any]) -> None:
    """Every threshold of the register that a tenth can move, each alone."""
    now = run(small_source, config)
    found = sensitivities(now)

    assert {one.flag for one in found} >= {"wf_min_windows", "wf_min_pct_positive", "wf_min_trades", "min_sample"}
    assert [one.fallen.size for one in found] == sorted((one.fallen.size for one in found), reverse=True)
    assert found[0].fallen.size > 0
    for one in found:
        tighter = promoted(run(small_source, {**config, one.flag: one.tightened}))
        assert {now.ids[i] for i in one.fallen} == promoted(now) - tighter


def by_flag(verdicts: Verdicts) -> dict[str, Sensitivity]:
    """Whatever the order."""
    return {one.flag: one for one in sensitivities(verdicts)}


def test_a_curve_counts_what_is_known_and_what_nobody_has_looked_at(small_source: Path) -> None:
    """Runs with these values promote no fewer than are known, and no more than with those that are unseen."""
    found = by_flag(run(small_source, {}))

    for flag in ("stress_multiplier", "min_sample", "wf_min_trades"):
        curve = {point.value: point for point in found[flag].curve}
        for value in (min(curve), max(curve)):
            there = len(promoted(run(small_source, {flag: value})))
            assert curve[value].promoted <= there <= curve[value].promoted + curve[value].unseen
        assert curve[max(curve)].unseen == 0
    assert max(point.unseen for point in found["stress_multiplier"].curve) > 0


def test_no_tenth_of_zero_and_no_share_above_one(small_source: Path) -> None:
    """Where no tighter value is different or possible, that is said, and nothing falls."""
    flags = {"no_regime_waivers": True, "min_sharpe": 0.0, "wf_min_pct_positive": 1.0}
    found = by_flag(run(small_source, flags))

    for flag in ("min_years_positive_pct", "wf_min_pct_positive", "min_sharpe"):
        assert found[flag].tightened is None
        assert found[flag].fallen.size == 0
    assert "min_trades_per_year" not in found  # which years count is more than a threshold
