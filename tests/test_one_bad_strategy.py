"""One strategy that cannot be validated is FAILED, alone, in words; whatever is unknown fails closed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dask_validator import RunConfig, validate
from dask_validator.model import OutcomeKey
from dask_validator.sources.orb_outcomes import read_outcomes
from dask_validator.store.connection import reading
from dask_validator.views.result import RunResult
from tests.conftest import Command
from tests.support.tiny import Changes, Row, change, line_ids, rows_by_id, tiny_database

FIRST, BAD, LAST = "MGC_A", "MGC_B", "MGC_C"
NAN = math.nan
STORED: Row = {"dst_winter_n": 7, "dst_winter_avg_r": 0.7}  # left by an earlier pipeline, without a verdict
SPLIT = ("dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict")

# Outcomes of the bad strategy, which then has some of its own. The first loss and the last win are on large days.
A_LOSS = "trading_day = (SELECT min(trading_day) FROM orb_outcomes WHERE outcome = 'loss')"
A_WIN = "trading_day = (SELECT max(trading_day) FROM orb_outcomes WHERE outcome = 'win')"
SCRATCHES = "outcome = 'scratch'"
NOTHING = "outcome IS NULL"
ON_SMALL_DAYS = "trading_day IN (SELECT trading_day FROM daily_features WHERE orb_0900_size < 4)"
ON_SLOW_DAYS = "trading_day IN (SELECT trading_day FROM daily_features WHERE orb_1000_break_delay_min > 10)"
NOTHING_WINS: Changes = {"outcome = 'win'": {"outcome": "loss", "pnl_r": -1.0}}
IN_SUMMER = "month(trading_day) BETWEEN 4 AND 9"


class Ran(NamedTuple):
    """A run over bad strategies between two good ones."""

    result: RunResult
    database: Path
    jsonl: Path
    rows: dict[str, dict[str, Any]]

    def status(self, strategy_id: str = BAD) -> str:
        """What became of a strategy."""
        return str(self.rows[strategy_id]["validation_status"])

    def note(self, strategy_id: str = BAD) -> str:
        """Why."""
        return str(self.rows[strategy_id]["validation_notes"])

    def split(self, strategy_id: str = BAD) -> list[Any]:
        """The five DST columns."""
        return [self.rows[strategy_id][name] for name in SPLIT]


class Case(NamedTuple):
    """What is wrong with the bad strategy, and words of its note."""

    bad: Row
    note: str
    outcomes: Changes | None = None
    not_null: tuple[str, ...] = ()
    flags: Mapping[str, Any] = {}


def run(
    folder: Path,
    cases: Mapping[str, Case],
    *,
    features: Changes | None = None,
    setups: Sequence[Row] = (),
    not_null: Sequence[str] = (),
    **flags: Any,
) -> Ran:
    """Validate the cases, by strategy_id, between two good strategies, which must pass whatever the others are like."""
    strategies: list[Row] = [{"strategy_id": FIRST}]
    outcomes: dict[str, Row] = {}
    for number, (strategy_id, case) in enumerate(cases.items()):
        own_key = {"rr_target": 2.0 + number} if case.outcomes else {}
        strategies.append({"strategy_id": strategy_id, **STORED, **case.bad, **own_key})
        for condition, values in (case.outcomes or {}).items():
            outcomes[f"rr_target = {own_key['rr_target']} AND {condition}"] = values
    strategies.append({"strategy_id": LAST})
    database = tiny_database(
        folder / "tiny.duckdb", strategies, outcomes=outcomes, features=features, setups=setups, not_null=not_null
    )
    jsonl = folder / "wf.jsonl"
    result = validate(database, "MGC", RunConfig(wf_output=jsonl, **flags), workers=1, progress=False)
    rows = rows_by_id(database, "experimental_strategies")
    assert [rows[good]["validation_status"] for good in (FIRST, LAST)] == ["PASSED", "PASSED"]
    return Ran(result, database, jsonl, rows)


def yearly(years: str) -> Row:
    """A strategy with this JSON."""
    return {"yearly_results": years}


FAILED = {
    "filter_type NULL": Case({"filter_type": None}, "filter_type"),
    "filter_type NULL without walk-forward": Case({"filter_type": None}, "filter_type", flags={"no_walkforward": True}),
    "filter_type NULL, seen before walk-forward": Case({"filter_type": None}, "filter_type", NOTHING_WINS),
    "win_rate NULL": Case({"win_rate": None}, "win_rate"),
    "win_rate NULL without walk-forward": Case({"win_rate": None}, "win_rate", flags={"no_walkforward": True}),
    "loss with NULL pnl_r": Case({}, "pnl_r", {A_LOSS: {"pnl_r": None}}),
    "loss with NaN pnl_r": Case({}, "pnl_r", {A_LOSS: {"pnl_r": NAN}}),
    "loss with infinite pnl_r": Case({}, "pnl_r", {A_LOSS: {"pnl_r": -math.inf}}),
    "loss with a pnl_r that cannot be added up": Case({}, "pnl_r", {A_LOSS: {"pnl_r": -1.7e308}}),
    "win with NULL pnl_r": Case({}, "pnl_r", {A_WIN: {"pnl_r": None}}),
    "win with NaN pnl_r": Case({}, "pnl_r", {A_WIN: {"pnl_r": NAN}}),
    "win with infinite pnl_r": Case({}, "pnl_r", {A_WIN: {"pnl_r": math.inf}}),
    "split of a loss with NULL pnl_r": Case({}, "pnl_r", {A_LOSS: {"pnl_r": None}}, flags={"no_walkforward": True}),
    "yearly list": Case(yearly("[1]"), "yearly_results"),
    "yearly number": Case(yearly("17"), "yearly_results"),
    "yearly text": Case(yearly('"good"'), "yearly_results"),
    "year no integer": Case(yearly('{"2021": {"trades": 9, "avg_r": 1}, "all": {"trades": 9, "avg_r": 1}}'), "'all'"),
    "year null": Case(yearly('{"2021": {"trades": 9, "avg_r": 1}, "2022": null}'), "2022"),
    "year a list": Case(yearly('{"2021": {"trades": 9, "avg_r": 1}, "2022": [9, 1]}'), "2022"),
    "trades null": Case(yearly('{"2021": {"trades": null, "avg_r": 1}}'), "trades"),
    "avg_r null": Case(yearly('{"2021": {"trades": 9, "avg_r": null}}'), "avg_r"),
    "filter_params a list": Case({"filter_params": "[4]"}, "filter_params"),
    "session without columns": Case({"orb_label": "CME_OPEN"}, "orb_CME_OPEN_size"),
    "season session without columns": Case({"orb_label": "1800"}, "orb_1800_size"),
    "unknown label": Case({"orb_label": "0930"}, "'0930'"),
    "unknown label and no filter": Case({"orb_label": "0930", "filter_type": "NO_FILTER"}, "'0930'"),
    "label that is SQL": Case({"orb_label": '0900_size" FROM nothing; --'}, "orb_label"),
    "unknown label without walk-forward": Case({"orb_label": "0930"}, "'0930'", flags={"no_walkforward": True}),
    "unknown label, strict": Case({"orb_label": "0930"}, "'0930'", flags={"strict_filters": True}),
    "NULL that a setup must not have": Case(
        {"trades_per_year": None}, "trades_per_year", not_null=("trades_per_year",)
    ),
    "unknown filter, strict": Case({"filter_type": "MYSTERY_X"}, "'MYSTERY_X'", flags={"strict_filters": True}),
    "unknown filter, strict, without walk-forward": Case(
        {"filter_type": "MYSTERY_X"}, "'MYSTERY_X'", flags={"strict_filters": True, "no_walkforward": True}
    ),
}


@pytest.mark.parametrize("case", FAILED.values(), ids=FAILED)
def test_failed_alone(tmp_path: Path, case: Case) -> None:
    """A bad strategy costs its own verdict and nothing else: not its split, not its setup, not its neighbours."""
    setup = {"strategy_id": BAD, "filter_type": "ORB_G4", "win_rate": 0.5, "trades_per_year": 1.0}
    found = run(tmp_path, {BAD: case}, setups=[setup], not_null=case.not_null, **case.flags)

    assert found.status() == "FAILED"
    assert case.note in found.note()
    assert found.split() == [7, 0.7, None, None, None]
    assert line_ids(found.jsonl) == ([] if case.flags.get("no_walkforward") else [FIRST, LAST])
    kept = rows_by_id(found.database, "validated_setups", "status", "win_rate", "retired_at", "retirement_reason")[BAD]
    assert kept == {"status": "active", "win_rate": 0.5, "retired_at": None, "retirement_reason": None}
    assert [warning for warning in found.result.warnings if BAD in warning and "active" in warning]
    counted = ("rows", "passed", "rejected", "skipped", "failed", "retired")
    assert [found.result.summary[name] for name in counted] == [3, 2, 0, 0, 1, 0]


@pytest.mark.parametrize("day", ["infinity", "-infinity", "10000-01-01", "0044-03-15 (BC)"])
def test_day_in_no_calendar(tmp_path: Path, day: str) -> None:
    """An outcome on a day that has no date costs its own strategy, in words."""
    strategies = [{"strategy_id": FIRST}, {"strategy_id": BAD, "rr_target": 2.0}]
    database = tiny_database(tmp_path / "tiny.duckdb", strategies)
    a_day = "SELECT * REPLACE (?::DATE AS trading_day) FROM daily_features LIMIT 1"
    change(database, f"INSERT INTO daily_features {a_day}", day)
    change(database, f"UPDATE orb_outcomes SET trading_day = ?::DATE WHERE rr_target = 2 AND {A_WIN}", day)
    result = validate(database, "MGC", workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    verdicts = result.strategies.set_index("strategy_id")
    assert verdicts["verdict"].to_dict() == {FIRST: "PASSED", BAD: "FAILED"}
    assert verdicts["note"][BAD].startswith("outcome(s) without a usable trading_day")
    assert line_ids(tmp_path / "wf.jsonl") == [FIRST]


def test_outcome_without_a_day(tmp_path: Path) -> None:
    """It counts for a strategy without a filter, which then cannot be validated; a filter excludes it."""
    strategies = [{"strategy_id": FIRST}, {"strategy_id": BAD, "filter_type": "NO_FILTER"}]
    database = tiny_database(tmp_path / "tiny.duckdb", strategies)
    change(database, "CREATE TABLE keyless AS SELECT * FROM orb_outcomes")
    change(database, f"UPDATE keyless SET trading_day = NULL WHERE {A_WIN}")
    change(database, "DROP TABLE orb_outcomes")
    change(database, "ALTER TABLE keyless RENAME TO orb_outcomes")
    verdicts = validate(database, "MGC", workers=1, progress=False, dry_run=True).strategies.set_index("strategy_id")

    assert verdicts["verdict"].to_dict() == {FIRST: "PASSED", BAD: "FAILED"}
    assert "trading_day" in verdicts["note"][BAD]


def test_a_null_that_we_would_write(tmp_path: Path) -> None:
    """A user who insists on a p-value gets FAILED for the strategy without one, not a commit that sinks."""
    strategies = [{"strategy_id": FIRST}, {"strategy_id": BAD, "p_value": None}]
    database = tiny_database(tmp_path / "tiny.duckdb", strategies, not_null=["fdr_adjusted_p"])
    result = validate(database, "MGC", workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    verdicts = result.strategies.set_index("strategy_id")
    assert verdicts["verdict"].to_dict() == {FIRST: "PASSED", BAD: "FAILED"}
    assert "fdr_adjusted_p" in verdicts["note"][BAD]
    assert line_ids(tmp_path / "wf.jsonl") == [FIRST]


NOT_FAILED = {
    "pnl_r on a day that the filter excludes": Case({}, "", {ON_SMALL_DAYS: {"outcome": "loss", "pnl_r": None}}),
    "pnl_r on a day that a composite excludes": Case(
        {"orb_label": "1000", "filter_type": "ORB_G4_FAST10"},
        "",
        {ON_SLOW_DAYS: {"outcome": "win", "pnl_r": NAN}},
    ),
    "pnl_r in the other season_W": Case({}, "", {IN_SUMMER: {"outcome": "win", "pnl_r": None}}),
    "NULL pnl_r on a scratch": Case({}, "", {SCRATCHES: {"pnl_r": None}}),
    "NaN pnl_r on a scratch": Case({}, "", {SCRATCHES: {"pnl_r": NAN}}),
    "NaN pnl_r without an outcome": Case({}, "", {NOTHING: {"pnl_r": NAN}}),
    "infinite pnl_r without an outcome": Case({}, "", {NOTHING: {"pnl_r": math.inf}}),
    "session without columns, no filter": Case({"orb_label": "CME_OPEN", "filter_type": "NO_FILTER"}, ""),
    "unknown filter": Case({"filter_type": "MYSTERY_X"}, ""),
    "filter_params a list, not needed": Case({"orb_label": "1000", "filter_params": "[4]"}, ""),
    "filter_params a list, split stored": Case({"filter_params": "[4]", "dst_verdict": "STABLE"}, ""),
    "filter_params NULL": Case({"filter_params": None}, ""),
    "filter_params unreadable": Case({"filter_params": "{"}, ""),
    "NULL that a setup may have": Case({"trades_per_year": None}, ""),
}


def test_not_failed(tmp_path: Path) -> None:
    """What no rule looks at does not matter, however odd it is."""
    cases = {f"MGC_B {name}": case for name, case in NOT_FAILED.items()}
    found = run(tmp_path, cases)

    verdicts = {name: (found.status(name), found.note(name)) for name in cases}
    doubt = "filter 'MYSTERY_X' is unknown, walk-forward took every day"
    doubted = {"MGC_B unknown filter": ("PASSED", doubt)}
    assert verdicts == dict.fromkeys(cases, ("PASSED", "All phases passed")) | doubted
    assert found.result.summary["failed"] == 0


# One reason to reject for each of phases 1-5; the bad thing would only be seen after it.
REJECTING: dict[int, Row] = {
    1: {"sample_size": 29},
    2: {"expectancy_r": 0.0},
    3: yearly('{"2021": {"trades": 9, "avg_r": -1}}'),
    4: {"expectancy_r": 0.01},
    5: {"sharpe_ratio": 0.1},
}
MIN_SHARPE = 0.2


def rejected_in(phase: int, case: Case) -> Case:
    """The bad strategy, which that phase also rejects."""
    return case._replace(bad={**case.bad, **REJECTING[phase]})


@pytest.mark.parametrize("phase", REJECTING)
def test_rejected_without_a_split(tmp_path: Path, phase: int) -> None:
    """A rejection stands although the season split cannot be computed: five NULLs, and the note says why."""
    names = ("filter_params a list", "loss with NULL pnl_r", "season session without columns")
    cases = {f"MGC_B {name}": rejected_in(phase, FAILED[name]) for name in names}
    found = run(tmp_path, cases, min_sharpe=MIN_SHARPE)

    for name, case in cases.items():
        assert found.status(name) == "REJECTED"
        assert found.note(name).startswith(f"Phase {phase}:")
        assert case.note in found.note(name)
        assert found.split(name) == [None] * 5
    assert line_ids(found.jsonl) == [FIRST, LAST]


@pytest.mark.parametrize("phase", REJECTING)
def test_rejected_before_it_could_fail(tmp_path: Path, phase: int) -> None:
    """What only walk-forward or promotion needs is not missed by a strategy that never gets there."""
    names = ("filter_type NULL", "win_rate NULL", "unknown filter, strict")
    cases = {f"MGC_B {name}": rejected_in(phase, FAILED[name]) for name in names}
    found = run(tmp_path, cases, strict_filters=True, min_sharpe=MIN_SHARPE)

    for name in cases:
        assert found.status(name) == "REJECTED"
        assert found.note(name).startswith(f"Phase {phase}:")
        assert found.split(name)[-1] == "STABLE"


def test_malformed_years_are_seen_in_phase_3(tmp_path: Path) -> None:
    """An earlier rejection wins over malformed years, and malformed years over a later one."""
    cases = {f"MGC_B{phase}": Case({**REJECTING[phase], **yearly("[1]")}, "") for phase in (1, 2, 4, 5)}
    found = run(tmp_path, cases, min_sharpe=MIN_SHARPE)

    assert [found.status(name) for name in cases] == ["REJECTED", "REJECTED", "FAILED", "FAILED"]


def test_rejected_by_walkforward_needs_no_setup(tmp_path: Path) -> None:
    """A NULL that only promotion minds does not fail a strategy that walk-forward rejects."""
    cases = {f"MGC_B {name}": Case({name: None}, "", NOTHING_WINS) for name in ("win_rate", "trades_per_year")}
    found = run(tmp_path, cases, not_null=["trades_per_year"])

    assert [found.status(name) for name in cases] == ["REJECTED", "REJECTED"]
    assert all(found.note(name).startswith("Phase 6:") for name in cases)
    assert line_ids(found.jsonl) == [FIRST, *sorted(cases), LAST]


def test_unknown_filters_are_counted_once_by_name(tmp_path: Path) -> None:
    """A thousand strategies with unknown filters make one warning, which names each filter once."""
    names = ["MYSTERY_X", "MYSTERY_X", "ORB_G4_L12"]
    strategies = [{"strategy_id": f"MGC_{n}", "filter_type": name} for n, name in enumerate(names)]
    database = tiny_database(tmp_path / "tiny.duckdb", strategies)
    result = validate(database, "MGC", workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    assert result.summary["passed"] == 3
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("3 waiting strategies use unknown filters")
    assert result.warnings[0].endswith(": 'MYSTERY_X' (2), 'ORB_G4_L12' (1)")


@pytest.mark.parametrize("waivers", [True, False])
def test_nan_fails_closed(tmp_path: Path, waivers: bool) -> None:
    """A number that is no number never lets a strategy through."""
    nan_year = yearly('{"2021": {"trades": 9, "avg_r": 1}, "2022": {"trades": 9, "avg_r": NaN}}')
    bad = [
        ({"expectancy_r": NAN}, "Phase 2:"),
        (nan_year, "Phase 3:"),
        ({"sharpe_ratio": NAN}, "Phase 5:"),
        ({"sharpe_ratio": None}, "Phase 5:"),
        ({"max_drawdown_r": NAN}, "Phase 5:"),
    ]
    cases = {f"MGC_B{number}": Case(row, note) for number, (row, note) in enumerate(bad)}
    found = run(tmp_path, cases, no_regime_waivers=not waivers, min_sharpe=-9.0, max_drawdown=99.0)

    for name, case in cases.items():
        assert (found.status(name), found.note(name)[:8]) == ("REJECTED", case.note)


def test_nan_that_no_rule_reads(tmp_path: Path) -> None:
    """Gates that are off see nothing, and the other risk column stands in for a NaN."""
    bad = [{"sharpe_ratio": NAN, "max_drawdown_r": NAN}, {"median_risk_points": NAN}]
    cases = {f"MGC_B{number}": Case(row, "") for number, row in enumerate(bad)}
    found = run(tmp_path, cases)

    assert [found.status(name) for name in cases] == ["PASSED", "PASSED"]


def test_unknown_drawdown_passes(tmp_path: Path) -> None:
    """A drawdown of NULL is not known to be too large; a NaN is rejected above."""
    assert run(tmp_path, {BAD: Case({"max_drawdown_r": None}, "")}, max_drawdown=99.0).status() == "PASSED"


@pytest.mark.parametrize(("atr", "status"), [(10.0, "PASSED"), (25.0 * 261, "REJECTED"), (NAN, "REJECTED")])
def test_nan_atr_waives_nothing(tmp_path: Path, atr: float, status: str) -> None:
    """A negative year is waived for a known dormant market only: one NaN in its ATR makes the mean unknown."""
    one_negative_year = yearly('{"2021": {"trades": 60, "avg_r": 1}, "2022": {"trades": 5, "avg_r": -1}}')
    features = {"year(trading_day) = 2022": {"atr_20": 10.0}, "trading_day = '2022-06-01'": {"atr_20": atr}}
    found = run(tmp_path, {BAD: Case(one_negative_year, "")}, features=features)

    assert found.status() == status


@pytest.mark.parametrize("p_value", [NAN, None])
def test_nan_p_value_is_no_p_value(tmp_path: Path, p_value: float | None) -> None:
    """Without a usable p-value a strategy has no place in the false discovery rate, and disturbs no other's."""
    found = run(tmp_path, {BAD: Case({"p_value": p_value}, "")})
    setups = rows_by_id(found.database, "validated_setups", "fdr_significant", "fdr_adjusted_p")

    assert setups[BAD] == {"fdr_significant": None, "fdr_adjusted_p": None}
    assert setups[FIRST] == setups[LAST] == {"fdr_significant": True, "fdr_adjusted_p": 0.001}
    two_sided = {"tested": 2, "significant": 2, "passed_significant": 2}
    assert found.result.summary["fdr"] == {**two_sided, "earning": 2, "losing": 0, "passed_earning": 2}


@pytest.mark.filterwarnings("error")
def test_p_value_that_is_no_probability(tmp_path: Path) -> None:
    """However large, it is not significant, and numpy has nothing to say about it."""
    found = run(tmp_path, {BAD: Case({"p_value": 1.7e308}, "")})

    assert rows_by_id(found.database, "validated_setups", "fdr_significant", "fdr_adjusted_p")[BAD] == {
        "fdr_significant": False,
        "fdr_adjusted_p": 1.0,
    }


@pytest.mark.parametrize("minutes", [5.4, 5_000_000_000, math.inf, NAN, None])
def test_minutes_that_no_outcome_has(tmp_path: Path, minutes: Any) -> None:
    """Where the column is wider than usual, they are neither rounded to others nor an error for all."""
    with reading(tiny_database(tmp_path / "tiny.duckdb")) as connection:
        keys = [OutcomeKey(n, "0900", "E1", 1.5, 1) for n in (5, minutes)]
        found = read_outcomes(connection, "MGC", keys, [None, None])

    assert [outcomes.days.size > 0 for outcomes in found] == [True, False]


def test_the_command(tmp_path: Path, command: Command) -> None:
    """Exit code 3 and every reason on stderr, serially and with two workers, and the same tables either way."""
    bad: list[Row] = [
        {"strategy_id": "MGC_B", "filter_type": None},
        {"strategy_id": "MGC_C", "yearly_results": "[1]"},
        {"strategy_id": "MGC_D", "rr_target": 3.0},
        {"strategy_id": "MGC_E", "orb_label": "CME_OPEN"},
        {"strategy_id": "MGC_F", "win_rate": None},
    ]
    strategies: list[Row] = [{"strategy_id": "MGC_A"}, *bad, {"strategy_id": "MGC_G", "orb_label": "1000"}]
    tables = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        database = tiny_database(
            folder / "tiny.duckdb",
            strategies,
            outcomes={f"rr_target = 3 AND {A_LOSS}": {"pnl_r": None}},
            setups=[{"strategy_id": "MGC_D"}],
        )
        ran = command("run", "--db", database, "--workers", workers, "--json", "--no-dashboard", cwd=folder)

        assert ran.code == 3, ran.stderr
        assert (ran.summary["failed"], ran.summary["passed"], ran.summary["committed"]) == (5, 2, True)
        assert "Traceback" not in ran.stderr
        assert [line for line in ran.stderr.splitlines() if "MGC_D" in line and "active" in line]
        for reason in ("filter_type", "yearly_results", "pnl_r", "orb_CME_OPEN_size", "win_rate"):
            assert [line for line in ran.stderr.splitlines() if "FAILED" in line and reason in line], reason
        assert line_ids(folder / "data" / "walkforward_results.jsonl") == ["MGC_A", "MGC_G"]
        tables.append(rows_by_id(database, "experimental_strategies", "* EXCLUDE (created_at)"))
    assert tables[0] == tables[1]
