"""The users' tables, with their keys and NOT NULLs; `daily_features` takes its types from the data."""

from dask_validator.sources.orb_outcomes import TABLE
from dask_validator.store import users_tables

FEATURES = """
CREATE TABLE daily_features AS
    SELECT ? AS symbol, * REPLACE (DATE '1970-01-01' + trading_day AS trading_day) FROM batch;
"""
FEATURES_KEY = "ALTER TABLE daily_features ADD PRIMARY KEY (symbol, trading_day, orb_minutes)"

TABLES = f"""
CREATE TABLE {TABLE} (
    trading_day DATE, symbol TEXT, {users_tables.PLAN.format("")}, outcome TEXT, pnl_r DOUBLE,
    PRIMARY KEY (symbol, trading_day, orb_label, orb_minutes, rr_target, confirm_bars, entry_model),
    FOREIGN KEY (symbol, trading_day, orb_minutes) REFERENCES daily_features (symbol, trading_day, orb_minutes));
{users_tables.STRATEGIES}
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
