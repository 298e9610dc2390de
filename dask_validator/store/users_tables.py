"""The users' tables of strategies, with their keys and NOT NULLs, for a database that is made anew."""

PLAN = "orb_label TEXT{0}, orb_minutes INTEGER{0}, rr_target DOUBLE{0}, confirm_bars INTEGER{0}, entry_model TEXT{0}"
DST = "dst_winter_n INTEGER, dst_winter_avg_r DOUBLE, dst_summer_n INTEGER, dst_summer_avg_r DOUBLE, dst_verdict TEXT"
DOLLARS = "median_risk_dollars DOUBLE, avg_risk_dollars DOUBLE, avg_win_dollars DOUBLE, avg_loss_dollars DOUBLE"
RATES = "sharpe_ratio DOUBLE, max_drawdown_r DOUBLE, trades_per_year DOUBLE, sharpe_ann DOUBLE, yearly_results TEXT"

STRATEGIES = f"""
CREATE TABLE experimental_strategies (
    strategy_id TEXT PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    instrument TEXT NOT NULL, {PLAN.format("")}, filter_type TEXT, filter_params TEXT,
    sample_size INTEGER, win_rate DOUBLE, avg_win_r DOUBLE, avg_loss_r DOUBLE, expectancy_r DOUBLE, {RATES},
    median_risk_points DOUBLE, avg_risk_points DOUBLE, {DOLLARS},
    entry_signals INTEGER, scratch_count INTEGER, early_exit_count INTEGER,
    trade_day_hash TEXT, is_canonical BOOLEAN DEFAULT TRUE, canonical_strategy_id TEXT,
    {DST}, validation_status TEXT, validation_notes TEXT, p_value DOUBLE);
CREATE TABLE validated_setups (
    strategy_id TEXT PRIMARY KEY, promoted_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    promoted_from TEXT REFERENCES experimental_strategies (strategy_id),
    instrument TEXT NOT NULL, {PLAN.format(" NOT NULL")}, filter_type TEXT NOT NULL, filter_params TEXT,
    sample_size INTEGER NOT NULL, win_rate DOUBLE NOT NULL, expectancy_r DOUBLE NOT NULL,
    years_tested INTEGER NOT NULL, all_years_positive BOOLEAN NOT NULL, stress_test_passed BOOLEAN NOT NULL,
    {RATES}, {DOLLARS}, execution_spec TEXT, family_hash TEXT, is_family_head BOOLEAN DEFAULT FALSE,
    regime_waivers TEXT, regime_waiver_count INTEGER DEFAULT 0, {DST},
    status TEXT NOT NULL, retired_at TIMESTAMPTZ, retirement_reason TEXT,
    fdr_significant BOOLEAN, fdr_adjusted_p DOUBLE, p_value DOUBLE, sharpe_ann_adj DOUBLE);
"""
