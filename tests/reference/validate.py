"""One whole run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import duckdb

from .arithmetic import mean
from .errors import Unusable
from .fdr import benjamini_hochberg, promoted_fdr
from .filters import LABELS, check, columns, eligible
from .screening import Screened, screen
from .seasons import NO_SPLIT, Row, Split, bounds_and_weekdays, in_season, needs_outcomes, split_for
from .settings import Settings
from .walkforward import Outcome, walkforward

STRATEGY_COLUMNS = (
    "strategy_id", "instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model",
    "filter_type", "filter_params", "sample_size", "win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r",
    "median_risk_points", "avg_risk_points", "median_risk_dollars", "avg_risk_dollars", "avg_win_dollars",
    "avg_loss_dollars", "trades_per_year", "sharpe_ann", "yearly_results", "p_value", "is_canonical",
    "dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict", "validation_status",
)  # fmt: skip

COPIED_COLUMNS = (
    "strategy_id", "instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model",
    "filter_type", "filter_params", "sample_size", "win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r",
    "trades_per_year", "sharpe_ann", "yearly_results", "median_risk_dollars", "avg_risk_dollars",
    "avg_win_dollars", "avg_loss_dollars",
)  # fmt: skip

SESSION_FEATURES = ("size", "break_delay_min", "break_bar_continues", "break_dir", "double_break")


class Tables:
    """The tables of one instrument as plain rows; of the outcomes, those of the last key asked for."""

    def __init__(self, con: duckdb.DuckDBPyConnection, instrument: str) -> None:
        self.con = con
        self.instrument = instrument
        self.feature_columns = self._feature_columns()
        self.features = self._read_features()
        self.last_key: tuple[Any, ...] | None = None
        self.last_outcomes: list[Outcome] = []

    def _describe(self, table: str) -> list[tuple[Any, ...]]:
        return self.con.execute(f"DESCRIBE {table}").fetchall()

    def _feature_columns(self) -> list[str]:
        """`day_of_week` and those columns of the sessions that this database has (docs/data-contract.md)."""
        present = [column[0] for column in self._describe("daily_features")]
        wanted = [f"orb_{label}_{feature}" for label in LABELS for feature in SESSION_FEATURES]
        return ["day_of_week"] + [column for column in wanted if column in present]

    def _read_features(self) -> dict[tuple[int, date], dict[str, Any]]:
        """The features of every day by `(orb_minutes, trading_day)` (docs/data-contract.md)."""
        rows = self.con.execute(
            f"SELECT orb_minutes, trading_day, {', '.join(self.feature_columns)} FROM daily_features WHERE symbol = ?",
            [self.instrument],
        ).fetchall()
        return {(minutes, day): dict(zip(self.feature_columns, rest, strict=True)) for minutes, day, *rest in rows}

    def strategies(self) -> list[dict[str, Any]]:
        """All rows of the instrument by id; DST columns that an older database lacks are NULL (data-contract.md)."""
        present = [column[0] for column in self._describe("experimental_strategies")]
        wanted = [column for column in STRATEGY_COLUMNS if column in present]
        rows = self.con.execute(
            f"SELECT {', '.join(wanted)} FROM experimental_strategies WHERE instrument = ?", [self.instrument]
        ).fetchall()
        nothing = dict.fromkeys(STRATEGY_COLUMNS)
        strategies = [nothing | dict(zip(wanted, row, strict=True)) for row in rows]
        return sorted(strategies, key=lambda row: row["strategy_id"])

    def outcomes(self, row: Mapping[str, Any]) -> list[Outcome]:
        """The outcomes of the strategy's six columns that are not NULL, by day (rules.md, section 3)."""
        names = ("orb_minutes", "orb_label", "entry_model", "rr_target", "confirm_bars")
        key = tuple(row[name] for name in names)
        if key != self.last_key:
            self.last_outcomes = self.con.execute(
                "SELECT trading_day, outcome, pnl_r FROM orb_outcomes WHERE symbol = ? AND orb_minutes = ? "
                "AND orb_label = ? AND entry_model = ? AND rr_target = ? AND confirm_bars = ? "
                "AND outcome IS NOT NULL ORDER BY trading_day",
                [self.instrument, *key],
            ).fetchall()
            self.last_key = key
        return self.last_outcomes

    def atr_by_year(self) -> dict[int, float]:
        """The mean `atr_20` of every calendar year, at 5 minutes (rules.md, section 2)."""
        rows = self.con.execute(
            "SELECT trading_day, atr_20 FROM daily_features "
            "WHERE symbol = ? AND orb_minutes = 5 AND atr_20 IS NOT NULL ORDER BY trading_day",
            [self.instrument],
        ).fetchall()
        values: dict[int, list[float]] = {}
        for day, atr in rows:
            values.setdefault(day.year, []).append(atr)
        return {year: mean(values[year]) for year in values}

    def not_null_columns(self) -> list[str]:
        """The columns that the user's `validated_setups` declares NOT NULL (rules.md, section 1)."""
        return [name for name, _, nullable, *_ in self._describe("validated_setups") if nullable == "NO"]

    def active_setups(self) -> list[str]:
        """The strategies that are live now (rules.md, section 1)."""
        rows = self.con.execute("SELECT strategy_id FROM validated_setups WHERE status = 'active'").fetchall()
        return [strategy_id for (strategy_id,) in rows]


def require(tables: Tables, needed: list[str]) -> None:
    """Unusable when the session lacks a column, whether or not there are days to look at (rules.md, section 5)."""
    for column in needed:
        if column not in tables.feature_columns:
            raise Unusable(f"daily_features has no column {column}")


def walk(tables: Tables, row: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The walk-forward of one strategy on the days that its filter and its season let through (rules.md, section 3)."""
    label, filter_type = row["orb_label"], row["filter_type"]
    require(tables, columns(filter_type, label, settings.strict_filters))
    chosen = []
    for day, outcome, pnl_r in tables.outcomes(row):
        features = tables.features.get((row["orb_minutes"], day))
        if not eligible(filter_type, label, day, features, settings.strict_filters):
            continue
        if not in_season(row["strategy_id"], label, day):
            continue
        chosen.append((day, outcome, pnl_r))
    return walkforward(chosen, settings)


def split(tables: Tables, row: Mapping[str, Any]) -> Split:
    """The DST split of one strategy, its outcomes joined to the features of their day (rules.md, section 4)."""
    rows: list[Row] = []
    if needs_outcomes(row):
        min_size, max_size, _ = bounds_and_weekdays(row["filter_type"], row["filter_params"])
        if min_size is not None or max_size is not None:
            require(tables, [f"orb_{row['orb_label']}_size"])
        for day, outcome, pnl_r in tables.outcomes(row):
            features = tables.features.get((row["orb_minutes"], day))
            if features is not None:
                rows.append((day, outcome, pnl_r, features))
    return split_for(row, rows)


def line(row: Mapping[str, Any], result: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The JSON line of a strategy that reached walk-forward (rules.md, section 3)."""
    return {
        "strategy_id": row["strategy_id"],
        "instrument": row["instrument"],
        "n_total_windows": result["n_total_windows"],
        "n_valid_windows": result["n_valid_windows"],
        "n_positive_windows": result["n_positive_windows"],
        "pct_positive": result["pct_positive"],
        "agg_oos_exp_r": result["agg_oos_exp_r"],
        "total_oos_trades": result["total_oos_trades"],
        "passed": result["passed"],
        "rejection_reason": result["rule"],
        "windows": result["windows"],
        "params": {
            "test_window_months": settings.wf_test_months,
            "min_train_months": settings.wf_min_train_months,
            "min_trades_per_window": settings.wf_min_trades,
            "min_valid_windows": settings.wf_min_windows,
            "min_pct_positive": settings.wf_min_pct_positive,
        },
        "window_imbalance_ratio": result["window_imbalance_ratio"],
        "window_imbalanced": result["window_imbalanced"],
        "timestamp": None,
        "run_id": None,
    }


def setup(
    row: Mapping[str, Any], screened: Screened, dst: Split, fdr: tuple[bool | None, float | None]
) -> dict[str, Any]:
    """Every column that promotion writes (rules.md, section 6)."""
    values = {column: row[column] for column in COPIED_COLUMNS}
    values["promoted_from"] = row["strategy_id"]
    values["years_tested"] = screened.years_tested
    values["all_years_positive"] = screened.all_years_positive
    values["stress_test_passed"] = True
    values["status"] = "active"
    values["regime_waivers"] = json.dumps(screened.waived) if screened.waived else None
    values["regime_waiver_count"] = len(screened.waived)
    values["dst_winter_n"], values["dst_winter_avg_r"] = dst[0], dst[1]
    values["dst_summer_n"], values["dst_summer_avg_r"] = dst[2], dst[3]
    values["dst_verdict"] = dst[4]
    values["fdr_significant"], values["fdr_adjusted_p"] = fdr
    values["retired_at"] = None
    values["retirement_reason"] = None
    return values


def check_not_null(values: Mapping[str, Any], not_null: list[str]) -> None:
    """Unusable when promotion would write NULL where there must be a value (rules.md, section 1)."""
    for column in ["win_rate", *not_null]:
        if column in values and values[column] is None:
            raise Unusable(f"{column} is NULL")


def answer(
    status: str, phase: int | None = None, dst: Split | None = None, reason: str | None = None
) -> dict[str, Any]:
    """What is written to one row; DST columns that are left alone are None (rules.md, section 1)."""
    return {"status": status, "phase": phase, "dst": dst, "reason": reason}


def validate(
    con: duckdb.DuckDBPyConnection,
    instrument: str,
    settings: Settings,
    costs: Mapping[str, float],
    resume: bool = False,
) -> dict[str, Any]:
    """What a run would write: `strategies`, `setups`, `lines` and the `retired` setups (rules.md, section 1)."""
    tables = Tables(con, instrument)
    everything = tables.strategies()
    atr_by_year = tables.atr_by_year()
    not_null = tables.not_null_columns()
    adjusted = benjamini_hochberg({row["strategy_id"]: row["p_value"] for row in everything if row["is_canonical"]})

    waiting = (None, "", "FAILED") if resume else (None, "")
    strategies: dict[str, dict[str, Any]] = {}
    setups: dict[str, dict[str, Any]] = {}
    lines: list[dict[str, Any]] = []

    for row in everything:
        strategy_id = row["strategy_id"]
        if row["validation_status"] not in waiting:
            continue
        if row["is_canonical"] is False:
            strategies[strategy_id] = answer("SKIPPED")
            continue
        try:
            screened = screen(row, settings, costs, atr_by_year)
            if screened.phase is not None:
                try:
                    strategies[strategy_id] = answer("REJECTED", screened.phase, split(tables, row))
                except Unusable as error:
                    strategies[strategy_id] = answer("REJECTED", screened.phase, NO_SPLIT, str(error))
                continue

            if row["filter_type"] is None:
                raise Unusable("filter_type is NULL")
            check(row["filter_type"], row["orb_label"], settings.strict_filters)
            result = None if settings.no_walkforward else walk(tables, row, settings)
            dst = split(tables, row)
            passed = result is None or result["passed"]
            if passed:
                values = setup(row, screened, dst, promoted_fdr(adjusted, strategy_id))
                check_not_null(values, not_null)
                setups[strategy_id] = values
                strategies[strategy_id] = answer("PASSED", None, dst)
            else:
                strategies[strategy_id] = answer("REJECTED", 6, dst)
            if result is not None:
                lines.append(line(row, result, settings))
        except Unusable as error:
            strategies[strategy_id] = answer("FAILED", reason=str(error))

    retired = [
        strategy_id
        for strategy_id in sorted(tables.active_setups())
        if strategy_id in strategies and strategies[strategy_id]["status"] in ("REJECTED", "SKIPPED")
    ]
    return {"strategies": strategies, "setups": setups, "lines": lines, "retired": retired}
