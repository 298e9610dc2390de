"""Small databases made by hand, with the users' tables and keys: one good strategy unless a test asks for more.

Every strategy gets outcomes of three years of business days, by default good enough to pass all default rules. What is
to be odd about a row is said in SQL: `outcomes={"rr_target = 3": {"pnl_r": None}}` sets columns where that holds.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb

from dask_validator.store.connection import release
from dask_validator.store.past_runs import read_past_run
from tests import recorded

Row = Mapping[str, Any]
Changes = Mapping[str, Row]

YEARS = (2021, 2022, 2023)
LABELS = ("0900", "1000")

GOOD: Row = {
    "strategy_id": "MGC_GOOD",
    "instrument": "MGC",
    "orb_label": "0900",
    "orb_minutes": 5,
    "rr_target": 1.5,
    "confirm_bars": 1,
    "entry_model": "E1",
    "filter_type": "ORB_G4",
    "filter_params": '{"type": "orb_size", "min_size": 4.0}',
    "sample_size": 200,
    "win_rate": 0.6,
    "expectancy_r": 0.5,
    "sharpe_ratio": 0.3,
    "max_drawdown_r": 8.0,
    "median_risk_points": 10.0,
    "avg_risk_points": 11.0,
    "median_risk_dollars": 100.0,
    "avg_risk_dollars": 110.0,
    "avg_win_dollars": 150.0,
    "avg_loss_dollars": 105.0,
    "trades_per_year": 67.0,
    "sharpe_ann": 2.5,
    "yearly_results": json.dumps({str(year): {"trades": 66, "wins": 40, "avg_r": 0.5} for year in YEARS}),
    "p_value": 0.001,
    "is_canonical": True,
}

_SPLIT = (
    "dst_winter_n INTEGER, dst_winter_avg_r DOUBLE, dst_summer_n INTEGER, dst_summer_avg_r DOUBLE, dst_verdict TEXT"
)
_SESSION = (
    "orb_{0}_size DOUBLE, orb_{0}_break_delay_min DOUBLE, orb_{0}_break_bar_continues BOOLEAN, "
    "orb_{0}_break_dir TEXT, orb_{0}_double_break BOOLEAN"
)
_TABLES = {
    "daily_features": "trading_day DATE, symbol TEXT, orb_minutes INTEGER, atr_20 DOUBLE, day_of_week INTEGER, "
    + ", ".join(_SESSION.format(label) for label in LABELS),
    "orb_outcomes": "trading_day DATE, symbol TEXT, orb_label TEXT, orb_minutes INTEGER, rr_target DOUBLE, "
    "confirm_bars INTEGER, entry_model TEXT, entry_ts TIMESTAMPTZ, entry_price DOUBLE, stop_price DOUBLE, "
    "target_price DOUBLE, outcome TEXT, exit_ts TIMESTAMPTZ, exit_price DOUBLE, pnl_r DOUBLE, risk_dollars DOUBLE, "
    "pnl_dollars DOUBLE, mae_r DOUBLE, mfe_r DOUBLE, ambiguous_bar BOOLEAN",
    "experimental_strategies": "strategy_id TEXT, created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP, "
    "instrument TEXT NOT NULL, orb_label TEXT, orb_minutes INTEGER, rr_target DOUBLE, confirm_bars INTEGER, "
    "entry_model TEXT, filter_type TEXT, filter_params TEXT, sample_size INTEGER, win_rate DOUBLE, avg_win_r DOUBLE, "
    "avg_loss_r DOUBLE, expectancy_r DOUBLE, sharpe_ratio DOUBLE, max_drawdown_r DOUBLE, median_risk_points DOUBLE, "
    "avg_risk_points DOUBLE, median_risk_dollars DOUBLE, avg_risk_dollars DOUBLE, avg_win_dollars DOUBLE, "
    "avg_loss_dollars DOUBLE, trades_per_year DOUBLE, sharpe_ann DOUBLE, yearly_results TEXT, "
    "entry_signals INTEGER, scratch_count INTEGER, early_exit_count INTEGER, trade_day_hash TEXT, "
    f"is_canonical BOOLEAN DEFAULT TRUE, canonical_strategy_id TEXT, {_SPLIT}, validation_status TEXT, "
    "validation_notes TEXT, p_value DOUBLE, sharpe_ann_adj DOUBLE, autocorr_lag1 DOUBLE",
    "validated_setups": "strategy_id TEXT, promoted_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP, "
    "promoted_from TEXT, instrument TEXT NOT NULL, orb_label TEXT NOT NULL, orb_minutes INTEGER NOT NULL, "
    "rr_target DOUBLE NOT NULL, confirm_bars INTEGER NOT NULL, entry_model TEXT NOT NULL, filter_type TEXT NOT NULL, "
    "filter_params TEXT, sample_size INTEGER NOT NULL, win_rate DOUBLE NOT NULL, expectancy_r DOUBLE NOT NULL, "
    "years_tested INTEGER NOT NULL, all_years_positive BOOLEAN NOT NULL, stress_test_passed BOOLEAN NOT NULL, "
    "sharpe_ratio DOUBLE, max_drawdown_r DOUBLE, trades_per_year DOUBLE, sharpe_ann DOUBLE, yearly_results TEXT, "
    "median_risk_dollars DOUBLE, avg_risk_dollars DOUBLE, avg_win_dollars DOUBLE, avg_loss_dollars DOUBLE, "
    "execution_spec TEXT, family_hash TEXT, is_family_head BOOLEAN DEFAULT FALSE, regime_waivers TEXT, "
    f"regime_waiver_count INTEGER DEFAULT 0, {_SPLIT}, status TEXT NOT NULL, retired_at TIMESTAMPTZ, "
    "retirement_reason TEXT, fdr_significant BOOLEAN, fdr_adjusted_p DOUBLE, p_value DOUBLE, sharpe_ann_adj DOUBLE",
    "edge_families": "family_hash TEXT, instrument TEXT NOT NULL, member_count INTEGER, head_strategy_id TEXT NOT NULL",
    "validated_setups_archive": "archive_id TEXT, original_strategy_id TEXT NOT NULL, setup_snapshot TEXT",
}
_KEYS = {
    **recorded.TABLES,
    "edge_families": "PRIMARY KEY (family_hash), "
    "FOREIGN KEY (head_strategy_id) REFERENCES validated_setups (strategy_id)",
    "validated_setups_archive": "PRIMARY KEY (archive_id), "
    "FOREIGN KEY (original_strategy_id) REFERENCES validated_setups (strategy_id)",
}

_DAYS = (
    "SELECT day::DATE AS day, (row_number() OVER (ORDER BY day))::INTEGER AS n "
    f"FROM range(DATE '{YEARS[0]}-01-01', DATE '{YEARS[-1] + 1}-01-01', INTERVAL 1 DAY) days(day) "
    "WHERE isodow(day) <= 5"
)
# Every 11th day is too small for ORB_G4, every 13th breaks too late for FAST5.
_FEATURES = (
    "INSERT INTO daily_features SELECT day, ?, ?, 25.0, isodow(day) - 1"
    + ", CASE WHEN n % 11 = 0 THEN 2.0 ELSE 6.0 END, CASE WHEN n % 13 = 0 THEN 30.0 ELSE 3.0 END, TRUE, 'long', FALSE"
    * len(LABELS)
    + f" FROM ({_DAYS})"
)
_OUTCOMES = (
    "INSERT INTO orb_outcomes BY NAME SELECT day AS trading_day, ? AS symbol, ? AS orb_label, ? AS orb_minutes, "
    "? AS rr_target, ? AS confirm_bars, ? AS entry_model, ['win', 'win', 'loss', 'win', 'loss', 'scratch', NULL]"
    "[n % 7 + 1] AS outcome, [1.5, 1.4, -1.0, 1.6, -0.9, 0.0, NULL][n % 7 + 1] AS pnl_r "
    f"FROM ({_DAYS})"
)
OUTCOME_KEY = ("instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model")


def tiny_database(
    path: Path,
    strategies: Sequence[Row] = ({},),
    *,
    outcomes: Changes | None = None,
    features: Changes | None = None,
    setups: Sequence[Row] = (),
    lacking: Collection[str] = (),
    not_null: Collection[str] = (),
    extra: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Make a database and return its path.

    Parameters
    ----------
    strategies
        What differs from GOOD, one mapping per strategy.
    outcomes, features
        Columns to set, by SQL condition, after the default rows are there.
    setups
        Promoted strategies: `strategy_id` and what differs from the strategy's own row; active by default.
    lacking
        Columns that no table gets, as in an older database.
    not_null
        Columns that this user's `validated_setups` declares NOT NULL besides the usual ones.
    extra
        More columns, by table.
    """
    rows = [{**GOOD, **strategy} for strategy in strategies]
    keys = {tuple(row[name] for name in OUTCOME_KEY) for row in rows}
    complete_keys = sorted(key for key in keys if None not in key)
    sessions = {(key[0], minutes) for key in complete_keys for minutes in (5, key[2])}
    with duckdb.connect(str(path)) as connection:
        connection.execute("BEGIN")
        for table in _TABLES:
            columns = [f"{name} {kind}" for name, kind in _columns(table, extra).items() if name not in lacking]
            if table == "validated_setups":
                columns = [f"{column} NOT NULL" if column.split()[0] in not_null else column for column in columns]
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)}, {_KEYS[table]})")
        for session in sorted(sessions):
            connection.execute(_FEATURES, list(session))
        for key in complete_keys:
            connection.execute(_OUTCOMES, list(key))
        for table, changed in (("orb_outcomes", outcomes), ("daily_features", features)):
            for condition, values in (changed or {}).items():
                update(connection, table, condition, values)
        for row in rows:
            insert(connection, "experimental_strategies", row)
        connection.execute("COMMIT")  # DuckDB checks a foreign key against committed rows only
        for setup in setups:
            insert(connection, "validated_setups", _setup(rows, setup))
    return path


def _columns(table: str, extra: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    columns = f"{_TABLES[table]}, {extra[table]}" if table in extra else _TABLES[table]
    return {name: kind for name, kind in (column.split(" ", 1) for column in columns.split(", "))}


def _setup(rows: Sequence[Row], setup: Row) -> Row:
    source = next(row for row in rows if row["strategy_id"] == setup["strategy_id"])
    copied = _columns("validated_setups").keys() - {"p_value"}
    own = {name: value for name, value in source.items() if name in copied}
    computed = {"years_tested": 3, "all_years_positive": True, "stress_test_passed": True, "status": "active"}
    return {**own, "promoted_from": source["strategy_id"], **computed, **setup}


def insert(connection: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    """Insert one row; columns that are not named keep their defaults."""
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def update(connection: duckdb.DuckDBPyConnection, table: str, condition: str, values: Row) -> None:
    """Set columns where the condition holds; None is NULL and NaN is NaN. At least one row must be meant."""
    targets = ", ".join(f"{name} = ?" for name in values)
    changed = connection.execute(f"UPDATE {table} SET {targets} WHERE {condition}", list(values.values())).fetchone()
    assert changed is not None
    assert changed[0] > 0, f"no row of {table} has {condition}"


def change(path: Path, sql: str, *parameters: Any) -> None:
    """Run one statement on a database."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql, list(parameters))


def rows_by_id(path: Path, table: str, *columns: str) -> dict[str, dict[str, Any]]:
    """Rows of a table with a `strategy_id`, all columns unless some are named."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(f"SELECT {', '.join(columns) or '*'}, strategy_id FROM {table}")
        names = [description[0] for description in found.description or ()]
        return {row[-1]: dict(zip(names[:-1], row[:-1], strict=True)) for row in found.fetchall()}


def line_ids(jsonl: Path) -> list[str]:
    """The strategies of a JSONL file, in its order."""
    return [json.loads(line)["strategy_id"] for line in jsonl.read_text().splitlines()] if jsonl.exists() else []


def as_an_earlier_version_left_it(path: Path) -> None:
    """Runs whose lines are a stream in their own record, without a run_id, and no tables of results."""
    with duckdb.connect(str(path)) as connection:
        instruments = connection.execute("SELECT run_id, instrument FROM dask_validator_runs").fetchall()
    streams = {}
    for run_id, instrument in instruments:
        run = read_past_run(path, instrument, run_id)
        assert run is not None
        lines = [{k: v for k, v in line.items() if k != "run_id"} for line in run.records()]
        streams[run_id] = zlib.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    release()
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE dask_validator_runs ADD COLUMN results BLOB")
        for run_id, stream in streams.items():
            connection.execute("UPDATE dask_validator_runs SET results = ? WHERE run_id = ?", [stream, run_id])
        connection.execute("ALTER TABLE dask_validator_runs ALTER COLUMN results SET NOT NULL")
        connection.execute("DROP VIEW dask_validator_latest")
        for table in ("results", "windows"):
            connection.execute(f"DROP TABLE dask_validator_{table}")
