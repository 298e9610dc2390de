"""One whole run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import duckdb

from .days import Day
from .eras import has_era_of_losses
from .errors import Unusable
from .families import InFamily, asks_for_its_own, families, family_fdr, rejecting_phase
from .fdr import benjamini_hochberg, promoted_fdr
from .filter_params import EveryDay, Node, Unknown, columns_of, holds, understood
from .filters import check_filter, check_session, columns, eligible, is_listed
from .gated import is_gated
from .holdout import Held, held_out, holdout
from .promotion import Passed, check_not_null, of_mode, pathway, setup_by_rules
from .run_log import run_log
from .screening import screen
from .seasons import NO_SPLIT, Row, Split, bounds_and_weekdays, in_season, needs_outcomes, split_for
from .settings import Settings
from .small_samples import in_use
from .stops import multiplier, replayed
from .tables import Tables, Traded
from .walkforward import Outcome, walkforward

Costs = Mapping[str, float]


class Run(NamedTuple):
    """What all strategies of a run share."""

    tables: Tables
    settings: Settings
    costs: Costs
    atr_by_year: Mapping[int, float]
    tested: Mapping[str, InFamily]
    adjusted: Mapping[str, float]
    not_null: list[str]
    setups: Mapping[str, Mapping[str, Any]]
    days: dict[tuple[Any, ...], dict[date, bool]]


def require(tables: Tables, needed: list[str]) -> None:
    """Unusable when the session lacks a column, whether or not there are days to look at (rules.md, section 5)."""
    for column in needed:
        if column not in tables.feature_columns:
            raise Unusable(f"daily_features has no column {column}")


def node_or_none(run: Run, row: Mapping[str, Any]) -> Node | None:
    """The condition of the strategy, None where it holds on no day (rules.md, section 9)."""
    tables = run.tables
    try:
        return understood(row["filter_type"], row["filter_params"], tables.feature_columns)
    except Unknown:
        if run.settings.on_unknown_filter == "fail":
            raise Unusable(f"unknown filter {row['filter_type']!r}") from None
        return EveryDay() if run.settings.on_unknown_filter == "all" else None


def by_name(run: Run, row: Mapping[str, Any]) -> list[Traded]:
    """The outcomes on the days that the filter of that name lets through (rules.md, section 5)."""
    label, filter_type, strict = row["orb_label"], row["filter_type"], run.settings.strict_filters
    check_filter(filter_type, strict)
    if not strict and not is_listed(filter_type):
        if run.settings.on_unknown_filter == "fail":
            raise Unusable(f"unknown filter {filter_type!r}")
        if run.settings.on_unknown_filter == "none":
            return []
    require(run.tables, columns(filter_type, label, strict))
    chosen = []
    for one in run.tables.traded(row):
        day = one.outcome[0]
        features = run.tables.features.get((row["orb_minutes"], day))
        if eligible(filter_type, label, day, features, strict, run.tables.feature_columns):
            chosen.append(one)
    return chosen


def by_params(run: Run, row: Mapping[str, Any]) -> list[Traded]:
    """The outcomes on the days that the parameters let through (rules.md, section 9)."""
    node = node_or_none(run, row)
    if node is None:
        return []
    require(run.tables, columns_of(node, row["orb_label"]))
    days = run.days.setdefault((row["filter_type"], row["filter_params"], row["orb_label"], row["orb_minutes"]), {})
    chosen = []
    for one in run.tables.traded(row):
        day = one.outcome[0]
        if day not in days:
            days[day] = lets_through(run, node, row, day)
        if days[day]:
            chosen.append(one)
    return chosen


def check_row(run: Run, row: Mapping[str, Any]) -> None:
    """Unusable without a filter or a session (rules.md, sections 1 and 9)."""
    if row["filter_type"] is None:
        raise Unusable("filter_type is NULL")
    check_session(row["orb_label"], run.tables.feature_columns)


def filtered(run: Run, row: Mapping[str, Any]) -> list[Traded]:
    """The outcomes on the days that the filter and the season let through (rules.md, section 3)."""
    check_row(run, row)
    found = by_name(run, row) if run.settings.filters == "names" else by_params(run, row)
    label, seasons = row["orb_label"], run.settings.seasons
    return [one for one in found if in_season(row["strategy_id"], label, one.outcome[0], seasons)]


def lets_through(run: Run, node: Node, row: Mapping[str, Any], day: date) -> bool:
    """Whether the condition holds on that day (rules.md, section 9)."""
    if isinstance(node, EveryDay):
        return True
    features = run.tables.features.get((row["orb_minutes"], day))
    if features is None:
        return False
    return holds(
        node, Day(row["orb_label"], day, features, lambda symbol: run.tables.of_symbol(symbol, day), run.costs)
    )


def chosen_outcomes(run: Run, row: Mapping[str, Any]) -> list[Outcome]:
    """The strategy's outcomes with its stop (rules.md, section 9)."""
    m = multiplier(row["stop_multiplier"])
    chosen = []
    for outcome, path in filtered(run, row):
        if m < 1 and path is None:
            raise Unusable("orb_outcomes lacks what a tight stop needs")
        chosen.append(outcome if path is None else replayed(outcome, path, m, run.costs))
    return chosen


def split(run: Run, row: Mapping[str, Any]) -> Split:
    """The DST split of one strategy, its outcomes joined to the features of their day (rules.md, section 4)."""
    rows: list[Row] = []
    seasons = run.settings.seasons
    if needs_outcomes(row, seasons):
        min_size, max_size, _ = bounds_and_weekdays(row["filter_type"], row["filter_params"])
        if min_size is not None or max_size is not None:
            require(run.tables, [f"orb_{row['orb_label']}_size"])
        for day, outcome, pnl_r in run.tables.outcomes(row):
            features = run.tables.features.get((row["orb_minutes"], day))
            if features is not None:
                rows.append((day, outcome, pnl_r, features))
    return split_for(row, rows, seasons)


def params(settings: Settings, has_outcomes: bool) -> dict[str, Any]:
    """The walk-forward's settings in a JSON line (rules.md, sections 3 and 9)."""
    values: dict[str, Any] = {
        "test_window_months": settings.wf_test_months,
        "min_train_months": settings.wf_min_train_months,
        "min_trades_per_window": settings.wf_min_trades,
        "min_valid_windows": settings.wf_min_windows,
        "min_pct_positive": settings.wf_min_pct_positive,
    }
    number = settings.wf_window_trades
    if number is not None and has_outcomes:
        values["mode"] = "trade_count"
        values["test_window_trades"] = number
        values["min_train_trades"] = number if settings.wf_train_trades is None else settings.wf_train_trades
    return values


def line(row: Mapping[str, Any], result: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The JSON line of a strategy that reached walk-forward (rules.md, section 3)."""
    values = {
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
        "params": params(settings, result["rule"] != "no_outcomes"),
        "window_imbalance_ratio": result["window_imbalance_ratio"],
        "window_imbalanced": result["window_imbalanced"],
    }
    if settings.wf_in_sample:
        values["wfe"] = result["wfe"]
    return {**values, "timestamp": None, "run_id": None}


def answer(
    status: str,
    phase: int | None = None,
    dst: Split | None = None,
    reason: str | None = None,
    *,
    word: str | None = None,
    pathway: str | None = None,
) -> dict[str, Any]:
    """What is written to one row; DST columns that are left alone are None (rules.md, section 1)."""
    return {"status": status, "phase": phase, "dst": dst, "reason": reason, "word": word, "pathway": pathway}


def is_unknown(run: Run, row: Mapping[str, Any]) -> bool:
    """Whether nobody understands the filter, and that does not fail the strategy (rules.md, section 9)."""
    if run.settings.on_unknown_filter == "fail":
        return False
    if run.settings.filters == "names":
        return not is_listed(row["filter_type"])
    try:
        understood(row["filter_type"], row["filter_params"], run.tables.feature_columns)
    except Unknown:
        return True
    return False


def held(run: Run, row: Mapping[str, Any]) -> Held:
    """The holdout of a gated row (rules.md, section 9)."""
    settings = run.settings
    assert settings.holdout_from is not None
    outcomes = chosen_outcomes(run, row)
    if is_unknown(run, row):
        return Held(None, False)
    return holdout(held_out(outcomes, settings.holdout_from), row["expectancy_r"], settings)


class Early(NamedTuple):
    """What the gates before phase 1 say; an error fails the strategy if it passes phases 1 to 5."""

    phase: int | None
    word: str | None
    error: Unusable | None


def before_screening(run: Run, row: Mapping[str, Any]) -> Early:
    """Phases 10 and 9 (rules.md, section 9)."""
    settings = run.settings
    if not is_gated(row, settings):
        return Early(None, None, None)
    if has_era_of_losses(row["yearly_results"], settings):
        return Early(10, None, None)
    if settings.holdout_from is None:
        return Early(None, None, None)
    try:
        found = held(run, row)
    except Unusable as error:
        return Early(None, None, error)
    return Early(None if found.passes else 9, found.word, None)


def rejected(run: Run, row: Mapping[str, Any], phase: int, word: str | None, path: str | None) -> dict[str, Any]:
    """A rejection that needs no split to be computable (rules.md, section 1)."""
    try:
        return answer("REJECTED", phase, split(run, row), word=word, pathway=path)
    except Unusable as error:
        return answer("REJECTED", phase, NO_SPLIT, str(error), word=word, pathway=path)


class Judged(NamedTuple):
    """What is written of one strategy."""

    answer: dict[str, Any]
    line: dict[str, Any] | None = None
    setup: dict[str, Any] | None = None


def judge(run: Run, row: Mapping[str, Any]) -> Judged:
    """Every phase, in the order of rules.md, section 9."""
    settings = run.settings
    early = before_screening(run, row)
    path = pathway(settings) if is_gated(row, settings) else None
    if early.phase is not None:
        return Judged(rejected(run, row, early.phase, early.word, path))
    screened = screen(row, settings, run.costs, run.atr_by_year)
    if screened.phase is not None:
        return Judged(rejected(run, row, screened.phase, early.word, path))
    if early.error is not None:
        raise early.error

    if settings.promotion is not None:
        of_mode(row, settings.promotion)
    outcomes = chosen_outcomes(run, row)
    own = in_use(settings, row)
    result = None if settings.no_walkforward else walkforward(outcomes, own)
    dst = split(run, row)
    written = None if result is None else line(row, result, own)
    if result is not None and not result["passed"]:
        return Judged(answer("REJECTED", 6, dst, word=early.word, pathway=path), written)

    tested = run.tested.get(row["strategy_id"])
    phase = rejecting_phase(row, tested, None if result is None else result.get("wfe"), settings)
    if phase is not None:
        return Judged(answer("REJECTED", phase, dst, word=early.word, pathway=path), written)

    fdr = promoted_fdr(run.adjusted, row["strategy_id"])
    if asks_for_its_own(settings):
        fdr = family_fdr(tested, settings)
    days = [one.outcome[0] for one in filtered(run, row)]
    passed = Passed(row, screened, dst, fdr, result, days, tested, early.word, path)
    values = setup_by_rules(passed, settings, run.setups.get(row["strategy_id"], {}))
    check_not_null(values, run.not_null)
    return Judged(answer("PASSED", None, dst, word=early.word, pathway=path), written, values)


def open_run(con: duckdb.DuckDBPyConnection, instrument: str, settings: Settings, costs: Costs) -> Run:
    """Reads what all strategies share."""
    tables = Tables(con, instrument)
    everything = tables.everything()
    p_values = {row["strategy_id"]: row["p_value"] for row in tables.strategies() if row["is_canonical"]}
    return Run(
        tables=tables,
        settings=settings,
        costs=costs,
        atr_by_year=tables.atr_by_year(),
        tested=families(everything, settings, instrument),
        adjusted=benjamini_hochberg(p_values),
        not_null=tables.not_null_columns(),
        setups=tables.setups(),
        days={},
    )


def validate(
    con: duckdb.DuckDBPyConnection,
    instrument: str,
    settings: Settings,
    costs: Costs,
    resume: bool = False,
) -> dict[str, Any]:
    """What a run would write: `strategies`, `setups`, `lines`, `retired` setups, the `log` (rules.md, section 1)."""
    run = open_run(con, instrument, settings, costs)
    waiting = (None, "", "FAILED") if resume else (None, "")
    strategies: dict[str, dict[str, Any]] = {}
    setups: dict[str, dict[str, Any]] = {}
    lines: list[dict[str, Any]] = []

    for row in run.tables.strategies():
        strategy_id = row["strategy_id"]
        if row["validation_status"] not in waiting:
            continue
        if row["is_canonical"] is False:
            strategies[strategy_id] = answer("SKIPPED")
            continue
        try:
            judged = judge(run, row)
        except Unusable as error:
            strategies[strategy_id] = answer("FAILED", reason=str(error))
            continue
        strategies[strategy_id] = judged.answer
        if judged.line is not None:
            lines.append(judged.line)
        if judged.setup is not None:
            setups[strategy_id] = judged.setup

    retired = [
        strategy_id
        for strategy_id in sorted(run.setups)
        if run.setups[strategy_id]["status"] != "retired"
        and strategy_id in strategies
        and strategies[strategy_id]["status"] in ("REJECTED", "SKIPPED")
    ]
    log = run_log(instrument, strategies.values())
    return {"strategies": strategies, "setups": setups, "lines": lines, "retired": retired, "log": log}
