"""The tables and the view that runs make for themselves in the users' databases (docs/tables.md)."""

from __future__ import annotations

from dask_validator.rules.gates import GATES
from dask_validator.rules.of_all import SHOWN

SPLIT = {
    "dst_winter_n": "INTEGER",
    "dst_winter_avg_r": "DOUBLE",
    "dst_summer_n": "INTEGER",
    "dst_summer_avg_r": "DOUBLE",
    "dst_verdict": "VARCHAR",
}
RUNS = {  # one row a committed run: texts are JSON
    "run_id": "VARCHAR",
    "instrument": "VARCHAR",
    "started_at": "TIMESTAMP WITH TIME ZONE",
    "finished_at": "TIMESTAMP WITH TIME ZONE",
    "parameters": "VARCHAR",
    "versions": "VARCHAR",
    "fingerprints": "VARCHAR",
    "summary": "VARCHAR",
    "task_timings": "VARCHAR",
    "kept_before": "VARCHAR",  # JSON: which columns of the users' tables dask_validator_before has of it
    "undone": "BOOLEAN",  # taken back: what it has decided no longer stands in the users' tables
}
GATE_NUMBERS = {gate.name: "BIGINT" if gate.whole and gate.column is None else "DOUBLE" for gate in GATES}
RESULTS = {  # one row a run and strategy
    "run_id": "VARCHAR",
    "strategy_id": "VARCHAR",
    "verdict": "VARCHAR",
    "phase": "INTEGER",  # and the gate of it, that rejected
    "gate": "VARCHAR",
    "reason": "VARCHAR",  # in words
    "remark": "VARCHAR",  # what the note says beside that
    **GATE_NUMBERS,  # what every gate saw; NULL where that is unknown or was not looked at
    **dict.fromkeys(SHOWN, "DOUBLE"),  # what null worlds say beside the gates of phase 7
    "p_value": "DOUBLE",  # two-sided, as far as it is corrected
    "adjusted_p": "DOUBLE",
    "significant": "BOOLEAN",  # two-sided
    "earns": "BOOLEAN",  # significantly, one-sided
    **SPLIT,
    "keeps_split": "BOOLEAN",  # the row had it before
    "years_tested": "INTEGER",  # of those that passed
    "all_years_positive": "BOOLEAN",
    "regime_waivers": "VARCHAR",
    "trade_days": "INTEGER",  # with an outcome, where walk-forward judged
    "first_trade_day": "DATE",
    "last_trade_day": "DATE",
    "year_share": "DOUBLE",  # of those that passed: of the year that earned most in the total R
    "mode": "VARCHAR",  # of those that passed: as the rules name it; NULL: the ordinary one
    "family": "INTEGER",  # of those that passed: how many strategies p is corrected for
    "gated": "BOOLEAN",  # whether the gates over all strategies apply to it
    "holdout": "VARCHAR",  # what the holdout says, in a word
    "every_day": "BOOLEAN",  # walk-forward took every day, because the filter is unknown
    "row_hash": "UBIGINT",
    "outcomes_hash": "UBIGINT",
}
WINDOWS = {  # one row a run, strategy and test window [window_start, window_end)
    "run_id": "VARCHAR",
    "strategy_id": "VARCHAR",
    "window_start": "DATE",
    "window_end": "DATE",
    "test_n": "INTEGER",
    "test_exp_r": "DOUBLE",
    "test_wr": "DOUBLE",
    "test_sharpe": "DOUBLE",
    "is_exp_r": "DOUBLE",  # R in the training before it, where that was asked for
}
BEFORE = {  # one row a run and strategy; beside these, what runs write to a strategy as it was before
    "run_id": "VARCHAR",
    "strategy_id": "VARCHAR",
    "had_setup": "BOOLEAN",
    "left_strategy": "UBIGINT",  # hash of what the run has left in the strategy's row
    "left_setup": "UBIGINT",  # and of its setup; NULL: there is none
}
BEFORE_SETUPS = {"dask_validator_run_id": "VARCHAR"}  # beside the whole row of each setup that there was
OUR_TABLES = {  # the first column of each says of which run a row is
    "dask_validator_runs": RUNS,
    "dask_validator_results": RESULTS,
    "dask_validator_windows": WINDOWS,
    "dask_validator_before": BEFORE,
    "dask_validator_before_setups": BEFORE_SETUPS,
}
# Columns that each of them has had from the beginning; others are added where an earlier version has made it.
NEEDED = {
    "dask_validator_runs": [name for name in RUNS if name not in ("kept_before", "undone")],
    "dask_validator_results": ["run_id", "strategy_id", "verdict"],
    "dask_validator_windows": [name for name in WINDOWS if name != "is_exp_r"],
    "dask_validator_before": list(BEFORE),
    "dask_validator_before_setups": list(BEFORE_SETUPS),
}
EARLIER = {"dask_validator_runs": {"results": "BLOB"}}  # which earlier versions wrote: the JSONL of the run, zlib
LATEST = "dask_validator_latest"
CREATE_LATEST = f"""
    CREATE OR REPLACE VIEW {LATEST} AS
    SELECT r.* EXCLUDE (reason, remark), CASE WHEN gate IS NULL THEN remark
        ELSE 'Phase ' || phase || ': ' || reason || CASE WHEN remark = '' THEN '' ELSE '; ' || remark END END AS note,
        instrument, finished_at
    FROM dask_validator_results r JOIN dask_validator_runs USING (run_id)
    WHERE undone IS NOT TRUE
    QUALIFY row_number() OVER (PARTITION BY strategy_id ORDER BY finished_at DESC, run_id DESC) = 1
"""
