"""The tables of one instrument as plain rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import duckdb

from .arithmetic import mean
from .stops import Path
from .walkforward import Outcome

STRATEGY_COLUMNS = (
    "strategy_id", "instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model",
    "filter_type", "filter_params", "sample_size", "win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r",
    "median_risk_points", "avg_risk_points", "median_risk_dollars", "avg_risk_dollars", "avg_win_dollars",
    "avg_loss_dollars", "trades_per_year", "sharpe_ann", "yearly_results", "p_value", "is_canonical",
    "dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict", "validation_status",
    "created_at", "stop_multiplier", "validation_mode",
)  # fmt: skip

PATH_COLUMNS = ("mae_r", "entry_price", "stop_price")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Traded(NamedTuple):
    """An outcome, and how far it went against its entry; None where the database does not know such a thing."""

    outcome: Outcome
    path: Path | None


class Tables:
    """The tables of one instrument as plain rows; of the outcomes, those of the last key asked for."""

    def __init__(self, con: duckdb.DuckDBPyConnection, instrument: str) -> None:
        self.con = con
        self.instrument = instrument
        self.feature_columns = self._readable("daily_features")
        self.features = self._read_features(instrument)
        self.others: dict[str, dict[tuple[int, date], dict[str, Any]]] = {}
        self.last_key: tuple[Any, ...] | None = None
        self.last_outcomes: list[Traded] = []

    def describe(self, table: str) -> list[tuple[Any, ...]]:
        """Name, type and nullability of the columns."""
        return self.con.execute(f"DESCRIBE {table}").fetchall()

    def _readable(self, table: str) -> list[str]:
        """The columns that hold no moments, which other packages would be needed for."""
        return [name for name, kind, *_ in self.describe(table) if "TIME" not in kind]

    def _read_features(self, symbol: str) -> dict[tuple[int, date], dict[str, Any]]:
        """The features of every day by `(orb_minutes, trading_day)` (docs/data-contract.md)."""
        names = ", ".join(f'"{name}"' for name in self.feature_columns)
        rows = self.con.execute(
            f"SELECT orb_minutes, trading_day, {names} FROM daily_features WHERE symbol = ?", [symbol]
        ).fetchall()
        return {(minutes, day): dict(zip(self.feature_columns, rest, strict=True)) for minutes, day, *rest in rows}

    def of_symbol(self, symbol: str, day: date) -> dict[str, Any] | None:
        """The 5-minute features of a symbol on a day (rules.md, section 9)."""
        if symbol not in self.others:
            self.others[symbol] = self._read_features(symbol)
        return self.others[symbol].get((5, day))

    def everything(self) -> list[dict[str, Any]]:
        """All rows by id; columns that an older database lacks are NULL (docs/data-contract.md)."""
        columns = self._readable("experimental_strategies")
        names = ", ".join(f'"{name}"' for name in columns)
        moment = "created_at" in [name for name, *_ in self.describe("experimental_strategies")]
        created = "epoch_us(created_at)" if moment else "NULL"
        rows = self.con.execute(f"SELECT {created}, {names} FROM experimental_strategies").fetchall()
        strategies = []
        for microseconds, *values in rows:
            row = dict.fromkeys(STRATEGY_COLUMNS) | dict(zip(columns, values, strict=True))
            if microseconds is not None:
                row["created_at"] = EPOCH + timedelta(microseconds=microseconds)
            strategies.append(row)
        return sorted(strategies, key=lambda row: row["strategy_id"])

    def strategies(self) -> list[dict[str, Any]]:
        """All rows of the instrument by id."""
        return [row for row in self.everything() if row["instrument"] == self.instrument]

    def traded(self, row: Mapping[str, Any]) -> list[Traded]:
        """The outcomes of the strategy's six columns that are not NULL, by day (rules.md, section 3)."""
        names = ("orb_minutes", "orb_label", "entry_model", "rr_target", "confirm_bars")
        key = tuple(row[name] for name in names)
        if key != self.last_key:
            present = [column[0] for column in self.describe("orb_outcomes")]
            knows_path = all(name in present for name in PATH_COLUMNS)
            path = ", ".join(PATH_COLUMNS) if knows_path else "NULL, NULL, NULL"
            rows = self.con.execute(
                f"SELECT trading_day, outcome, pnl_r, {path} FROM orb_outcomes WHERE symbol = ? AND orb_minutes = ? "
                "AND orb_label = ? AND entry_model = ? AND rr_target = ? AND confirm_bars = ? "
                "AND outcome IS NOT NULL ORDER BY trading_day",
                [self.instrument, *key],
            ).fetchall()
            self.last_outcomes = [Traded(values[:3], Path(*values[3:]) if knows_path else None) for values in rows]
            self.last_key = key
        return self.last_outcomes

    def outcomes(self, row: Mapping[str, Any]) -> list[Outcome]:
        """The same without their paths."""
        return [traded.outcome for traded in self.traded(row)]

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
        return [name for name, _, nullable, *_ in self.describe("validated_setups") if nullable == "NO"]

    def setups(self) -> dict[str, dict[str, Any]]:
        """The setups that are there (rules.md, section 1)."""
        columns = self._readable("validated_setups")
        names = ", ".join(f'"{name}"' for name in columns)
        rows = self.con.execute(f"SELECT {names} FROM validated_setups").fetchall()
        return {row[columns.index("strategy_id")]: dict(zip(columns, row, strict=True)) for row in rows}
