"""The settings of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

SEASONS = {
    "0900": "America/New_York",
    "0030": "America/New_York",
    "2300": "America/New_York",
    "1800": "Europe/London",
}


@dataclass(frozen=True)
class GatesOnly:
    """Which rows the eras and the holdout judge (rules.md, section 9)."""

    not_null: str
    created_after: datetime


@dataclass(frozen=True)
class Promotion:
    """What is written beside the rules' own columns (rules.md, section 9)."""

    copy: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    mode_column: str = "validation_mode"
    default_mode: str | None = None
    modes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    noise_floor: float | None = None
    run_log: str | None = None


@dataclass(frozen=True)
class Settings:
    """The rule flags and their defaults (rules.md, sections 2, 3, 5 and 9)."""

    min_sample: int = 30
    stress_multiplier: float = 1.5
    min_sharpe: float | None = None
    max_drawdown: float | None = None
    min_win_rate: float | None = None
    exclude_years: tuple[int, ...] = ()
    min_years_positive_pct: float = 1.0
    min_trades_per_year: int = 1
    waived_years: str = "excuse"
    years_counted: str = "all"

    no_walkforward: bool = False
    wf_test_months: int = 6
    wf_min_train_months: int = 12
    wf_min_trades: int = 15
    wf_min_windows: int = 3
    wf_min_pct_positive: float = 0.60
    wf_first_day: date | None = None
    wf_last_day: date | None = None
    wf_window_trades: int | None = None
    wf_train_trades: int | None = None
    wf_in_sample: bool = False
    wf_in_sample_min: int = 15

    small_sample: int = 0
    small_min_trades_per_year: int | None = None
    small_wf_min_trades: int | None = None
    small_wf_min_windows: int | None = None
    small_wf_window_trades: int | None = None
    small_wf_train_trades: int | None = None

    no_regime_waivers: bool = False
    strict_filters: bool = False
    filters: str = "names"
    unknown_filters: str | None = None
    seasons: Mapping[str, str] = field(default_factory=SEASONS.copy)

    gates: tuple[str, ...] = ()
    gate_alpha: float | None = None
    fdr_sides: int | None = None
    fdr_method: str | None = None
    fdr_instruments: tuple[str, ...] | None = None
    fdr_group_by: tuple[str, ...] | None = None
    fdr_k: Mapping[str, int] | None = None
    min_sharpe_ann: float | None = None
    min_wfe: float | None = None
    holdout_from: date | None = None
    holdout_min_trades: int = 30
    holdout_few: str = "reject"
    holdout_min_exp: float = 0.0
    holdout_min_ratio: float | None = None
    era_starts: tuple[int, ...] = ()
    era_min_trades: int = 50
    era_min_exp: float = -0.05
    gates_only: GatesOnly | None = None

    promotion: Promotion | None = None

    @classmethod
    def of(cls, config: Any) -> Settings:
        """The settings of the package under the same names; what is written is none of its rules."""
        names = [name for name in cls.__dataclass_fields__ if name != "promotion" and hasattr(config, name)]
        return cls(**{name: getattr(config, name) for name in names}, gates=config.gate)

    @property
    def on_unknown_filter(self) -> str:
        """What a filter that nobody understands means: all days, no day, or FAILED (rules.md, section 9)."""
        if self.strict_filters:
            return "fail"
        return self.unknown_filters or ("all" if self.filters == "names" else "fail")
