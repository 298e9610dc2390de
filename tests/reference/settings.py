"""The settings of one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The rule flags and their defaults (rules.md, sections 2, 3 and 5)."""

    min_sample: int = 30
    stress_multiplier: float = 1.5
    min_sharpe: float | None = None
    max_drawdown: float | None = None
    min_win_rate: float | None = None
    exclude_years: tuple[int, ...] = ()
    min_years_positive_pct: float = 1.0
    min_trades_per_year: int = 1
    no_walkforward: bool = False
    wf_test_months: int = 6
    wf_min_train_months: int = 12
    wf_min_trades: int = 15
    wf_min_windows: int = 3
    wf_min_pct_positive: float = 0.60
    no_regime_waivers: bool = False
    strict_filters: bool = False
