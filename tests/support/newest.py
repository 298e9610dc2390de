"""Small databases whose tables have the newest columns of users: stops, modes, gates and what they are told by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.tiny import Row, change, tiny_database

COLUMNS = {
    "experimental_strategies": "stop_multiplier DOUBLE DEFAULT 1.0, sharpe_haircut DOUBLE, skewness DOUBLE, "
    "kurtosis_excess DOUBLE, n_trials_at_discovery INTEGER, fst_hurdle DOUBLE, hypothesis_file_sha TEXT, "
    "rejection_reason TEXT, validation_pathway TEXT, c8_oos_status TEXT, validation_mode TEXT, "
    "cumulative_search_count INTEGER",
    "validated_setups": "stop_multiplier DOUBLE DEFAULT 1.0, first_trade_day DATE, last_trade_day DATE, "
    "trade_day_count INTEGER, validation_run_id TEXT, promotion_git_sha TEXT, "
    "promotion_provenance TEXT DEFAULT 'LEGACY', deployment_scope TEXT DEFAULT 'deployable', wf_tested BOOLEAN, "
    "wf_passed BOOLEAN, wf_windows INTEGER, sharpe_haircut DOUBLE, skewness DOUBLE, kurtosis_excess DOUBLE, "
    "n_trials_at_discovery INTEGER, fst_hurdle DOUBLE, wfe DOUBLE, dsr_score DOUBLE, sr0_at_discovery DOUBLE, "
    "noise_risk BOOLEAN, oos_exp_r DOUBLE, discovery_k INTEGER, discovery_date DATE, era_dependent BOOLEAN, "
    "max_year_pct DOUBLE, wfe_verdict TEXT, wfe_investigation_date DATE, wfe_investigation_notes TEXT, "
    "slippage_validation_status TEXT, validation_pathway TEXT, c8_oos_status TEXT, "
    "validation_mode TEXT DEFAULT 'STANDARD', pseudo_oos_window_start DATE, pseudo_oos_window_end DATE, "
    "verdict_ceiling TEXT, cumulative_search_count INTEGER",
}
RUN_LOG = (
    "CREATE TABLE validation_run_log (run_id TEXT PRIMARY KEY, run_ts TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP, "
    "instrument TEXT, candidates INTEGER, phase1_rejected INTEGER, phase2_rejected INTEGER, phase3_rejected INTEGER, "
    "phase4_rejected INTEGER, phase4c_rejected INTEGER, phase4d_rejected INTEGER, phase4b_rejected INTEGER, "
    "phase_fdr_rejected INTEGER, final_passed INTEGER, rejection_rate DOUBLE, notes TEXT)"
)
RULES = """
[promotion]
run_log = "validation_run_log"
noise_floor = 0.6
copy = ["p_value", "skewness", "n_trials_at_discovery"]
constants = { promotion_provenance = "NATIVE", deployment_scope = "paper" }
[promotion.modes]
column = "validation_mode"
default = "STANDARD"
[promotion.modes.RESEARCH]
status = "RESEARCH"
verdict_ceiling = "RESEARCH"
pseudo_oos_window_start = 2025-01-01
"""


def newest_database(
    path: Path, strategies: Sequence[Row] = ({},), *, kinds: Row = MappingProxyType({}), **more: Any
) -> Path:
    """As `tiny_database`, with the newest columns and a log of runs; `kinds` are other types of columns of setups."""
    setups = dict(column.split(" ", 1) for column in COLUMNS["validated_setups"].split(", "))
    columns = ", ".join(f"{name} {kind}" for name, kind in {**setups, **kinds}.items())
    tiny_database(path, strategies, extra={**COLUMNS, "validated_setups": columns}, **more)
    change(path, RUN_LOG)
    return path


def ruled(folder: Path, rules: str = RULES) -> Path:
    """A file of rules."""
    path = folder / "rules.toml"
    path.write_text(rules)
    return path
