"""The row of a strategy that passed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from .arithmetic import total
from .errors import Unusable
from .families import InFamily
from .screening import Screened, Year
from .seasons import Split
from .settings import Promotion, Settings
from .stops import multiplier

COPIED_COLUMNS = (
    "strategy_id", "instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model",
    "filter_type", "filter_params", "sample_size", "win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r",
    "trades_per_year", "sharpe_ann", "yearly_results", "median_risk_dollars", "avg_risk_dollars",
    "avg_win_dollars", "avg_loss_dollars",
)  # fmt: skip


class Passed(NamedTuple):
    """All that is known of a strategy that passed."""

    row: Mapping[str, Any]
    screened: Screened
    dst: Split
    fdr: tuple[bool | None, float | None]
    result: Mapping[str, Any] | None
    trade_days: list[date]
    tested: InFamily | None
    word: str | None
    pathway: str | None


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def setup(passed: Passed) -> dict[str, Any]:
    """Every column that promotion writes without a rules file (rules.md, sections 6 and 9)."""
    row, screened, dst = passed.row, passed.screened, passed.dst
    values = {column: row[column] for column in COPIED_COLUMNS}
    values["promoted_from"] = row["strategy_id"]
    values["stop_multiplier"] = multiplier(row["stop_multiplier"])
    values["years_tested"] = screened.years_tested
    values["all_years_positive"] = screened.all_years_positive
    values["stress_test_passed"] = True
    values["status"] = "active"
    values["regime_waivers"] = json.dumps(screened.waived) if screened.waived else None
    values["regime_waiver_count"] = len(screened.waived)
    values["dst_winter_n"], values["dst_winter_avg_r"] = dst[0], dst[1]
    values["dst_summer_n"], values["dst_summer_avg_r"] = dst[2], dst[3]
    values["dst_verdict"] = dst[4]
    values["fdr_significant"], values["fdr_adjusted_p"] = passed.fdr
    values["retired_at"] = None
    values["retirement_reason"] = None
    return values


def share_of_best_year(counted: list[Year]) -> float | None:
    """The largest share that one year has in what was earned (rules.md, section 9, `max_year_pct`)."""
    results = [year.total_r for year in counted]
    if not results or not total(results) > 0:
        return None
    return max(results) / total(results)


def of_years(counted: list[Year]) -> dict[str, Any]:
    """Whether one year carries the strategy (rules.md, section 9)."""
    share = share_of_best_year(counted)
    return {
        "max_year_pct": None if share is None else round(share, 4),
        "era_dependent": share is not None and share > 0.5,
    }


def of_walkforward(result: Mapping[str, Any] | None, noise_floor: float | None) -> dict[str, Any]:
    """What was found out of sample (rules.md, section 9)."""
    if result is None:
        nothing = dict.fromkeys(("wf_windows", "wfe", "oos_exp_r", "noise_risk"))
        return {"wf_tested": False, "wf_passed": None, **nothing}
    oos = result["agg_oos_exp_r"]
    return {
        "wf_tested": True,
        "wf_passed": True,
        "wf_windows": result["n_valid_windows"],
        "wfe": result.get("wfe"),
        "oos_exp_r": oos,
        "noise_risk": None if noise_floor is None else oos <= noise_floor,
    }


def of_mode(row: Mapping[str, Any], promotion: Promotion) -> dict[str, Any]:
    """How live the setup is, constants and what its mode says, which wins (rules.md, section 9, `[promotion]`)."""
    stored = row[promotion.mode_column]
    nothing = dict.fromkeys(("verdict_ceiling", "pseudo_oos_window_start", "pseudo_oos_window_end"))
    ordinary = {"status": "active", **nothing, **promotion.constants}
    if stored is None or stored in ("", promotion.default_mode):
        return {**ordinary, promotion.mode_column: promotion.default_mode}
    if stored not in promotion.modes:
        raise Unusable(f"no rule names the {promotion.mode_column} {stored!r}")
    return {**ordinary, promotion.mode_column: stored, **promotion.modes[stored]}


def of_discovery(passed: Passed, settings: Settings, before: Mapping[str, Any]) -> dict[str, Any]:
    """How many tests there were when it was found; what is frozen stays (rules.md, section 9)."""
    values: dict[str, Any] = {}
    tested = passed.tested
    if tested is not None:
        if before.get("discovery_k") is None:
            values["discovery_k"] = tested.k
        if before.get("discovery_date") is None:
            values["discovery_date"] = today()
    copied = settings.promotion is not None and "n_trials_at_discovery" in settings.promotion.copy
    trials = (passed.row if copied else before).get("n_trials_at_discovery")
    if trials is None and tested is not None and settings.fdr_method != "raw":
        trials = tested.k
    values["n_trials_at_discovery"] = trials
    return values


def setup_by_rules(passed: Passed, settings: Settings, before: Mapping[str, Any]) -> dict[str, Any]:
    """Every column that promotion writes; `before` is the row that is there (rules.md, section 9)."""
    values = setup(passed)
    promotion = settings.promotion
    if promotion is None:
        return values
    values |= {column: passed.row[column] for column in promotion.copy}
    values |= of_discovery(passed, settings, before)
    values |= of_years(passed.screened.counted)
    values |= of_walkforward(passed.result, promotion.noise_floor)
    days = passed.trade_days
    values["first_trade_day"] = days[0] if days else None
    values["last_trade_day"] = days[-1] if days else None
    values["trade_day_count"] = len(days)
    values["c8_oos_status"] = passed.word
    values["validation_pathway"] = passed.pathway if passed.tested is None else pathway(settings)
    values |= of_mode(passed.row, promotion)
    return values


def pathway(settings: Settings) -> str:
    """How many tests count (rules.md, section 9, `validation_pathway`)."""
    return "individual" if settings.fdr_method == "raw" else "family"


def check_not_null(values: Mapping[str, Any], not_null: list[str]) -> None:
    """Unusable when promotion would write NULL where there must be a value (rules.md, section 1)."""
    for column in ["win_rate", *not_null]:
        if column in values and values[column] is None:
            raise Unusable(f"{column} is NULL")
