"""The users' tables, with their keys and NOT NULLs; `daily_features` takes its types from the data."""

from dask_validator.sources.orb_outcomes import TABLE

FEATURES = """
CREATE TABLE daily_features AS
    SELECT ? AS symbol, * REPLACE (DATE '1970-01-01' + trading_day AS trading_day) FROM batch;
"""
FEATURES_KEY = "ALTER TABLE daily_features ADD PRIMARY KEY (symbol, trading_day, orb_minutes)"

PLAN = "orb_label TEXT{0}, orb_minutes INTEGER{0}, rr_target DOUBLE{0}, confirm_bars INTEGER{0}, entry_model TEXT{0}"
DST = "dst_winter_n INTEGER, dst_winter_avg_r DOUBLE, dst_summer_n INTEGER, dst_summer_avg_r DOUBLE, dst_verdict TEXT"
DOLLARS = "median_risk_dollars DOUBLE, avg_risk_dollars DOUBLE, avg_win_dollars DOUBLE, avg_loss_dollars DOUBLE"
RATES = "sharpe_ratio DOUBLE, max_drawdown_r DOUBLE, trades_per_year DOUBLE, sharpe_ann DOUBLE, yearly_results TEXT"

TABLES = f"""
CREATE TABLE {TABLE} (
    trading_day DATE, symbol TEXT, {PLAN.format("")}, outcome TEXT, pnl_r DOUBLE,
    PRIMARY KEY (symbol, trading_day, orb_label, orb_minutes, rr_target, confirm_bars, entry_model),
    FOREIGN KEY (symbol, trading_day, orb_minutes) REFERENCES daily_features (symbol, trading_day, orb_minutes));
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
CREATE TABLE edge_families (
    family_hash TEXT PRIMARY KEY, instrument TEXT NOT NULL, member_count INTEGER,
    head_strategy_id TEXT NOT NULL REFERENCES validated_setups (strategy_id));
CREATE TABLE validated_setups_archive (
    archive_id TEXT PRIMARY KEY, setup_snapshot TEXT,
    original_strategy_id TEXT NOT NULL REFERENCES validated_setups (strategy_id));
CREATE TABLE dask_validator_demo (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE dask_validator_demo_truth (strategy_id TEXT PRIMARY KEY, kind TEXT NOT NULL);
"""

# Names are looked up here rather than sent with every outcome: text is what costs time.
OUTCOMES = f"""
INSERT INTO {TABLE} BY NAME
    SELECT DATE '1970-01-01' + batch.day AS trading_day, symbol, orb_label, orb_minutes, rr_target, confirm_bars,
           entry_model, ['win', 'loss', 'scratch', 'early_exit', NULL][batch.code + 1] AS outcome, pnl_r
    FROM batch JOIN demo_keys USING (key_index)
"""
KEYS = "CREATE TEMP TABLE demo_keys AS SELECT ? AS symbol, * FROM batch"
STRATEGIES = """
INSERT INTO experimental_strategies BY NAME
    SELECT * EXCLUDE (kind), TIMESTAMPTZ '2026-01-02 03:00:00+00' AS created_at FROM batch
"""
TRUTH = "INSERT INTO dask_validator_demo_truth SELECT strategy_id, kind FROM batch"
MARKER = "INSERT INTO dask_validator_demo VALUES (?, ?)"
