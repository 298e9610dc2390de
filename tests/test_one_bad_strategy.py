"""One strategy that cannot be validated is FAILED, alone, in words; whatever is unknown fails closed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dask_validator import RunConfig, validate
from dask_validator.result import RunResult
from tests.conftest import Command, contents
from tests.tiny import Changes, Row, line_ids, rows_by_id, tiny_database

BAD, GOOD, LATER = "MGC_B", "MGC_A", "MGC_C"
NAN = math.nan
OWN_KEY: Row = {"rr_target": 3.0}  # outcomes that no other strategy shares
STORED: Row = {"dst_winter_n": 7, "dst_winter_avg_r": 0.7}  # left by an earlier pipeline, without a verdict
SPLIT = ("dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict")

# The first loss, scratch and NULL in the hand-made outcomes, all on days of a large ORB.
A_LOSS = "rr_target = 3 AND trading_day = (SELECT min(trading_day) FROM orb_outcomes WHERE outcome = 'loss')"
A_WIN = "rr_target = 3 AND trading_day = (SELECT max(trading_day) FROM orb_outcomes WHERE outcome = 'win')"
SCRATCHES = "rr_target = 3 AND outcome = 'scratch'"
NOTHING = "rr_target = 3 AND outcome IS NULL"
ON_SMALL_DAYS = (
    "rr_target = 3 AND trading_day IN (SELECT trading_day FROM daily_features WHERE orb_0900_size < 4 "
    "AND orb_1000_size < 4)"
)
ON_SLOW_DAYS = (
    "rr_target = 3 AND trading_day IN (SELECT trading_day FROM daily_features WHERE orb_1000_break_delay_min > 10)"
)
IN_SUMMER = "rr_target = 3 AND month(trading_day) BETWEEN 4 AND 9"


class Ran(NamedTuple):
    """A run over a good, the bad and another good strategy."""

    result: RunResult
    database: Path
    jsonl: Path

    @property
    def status(self) -> str:
        """What became of the bad strategy."""
        return str(self.row["validation_status"])

    @property
    def note(self) -> str:
        """Why."""
        return str(self.row["validation_notes"])

    @property
    def row(self) -> dict[str, Any]:
        """The bad strategy's own row."""
        return rows_by_id(self.database, "experimental_strategies")[BAD]

    @property
    def split(self) -> list[Any]:
        """The five DST columns of the bad strategy."""
        return [self.row[name] for name in SPLIT]


def run(
    folder: Path,
    bad: Row,
    *,
    outcomes: Changes | None = None,
    features: Changes | None = None,
    setups: Sequence[Row] = (),
    not_null: Sequence[str] = (),
    **flags: Any,
) -> Ran:
    """Validate the bad strategy between two good ones, which must pass whatever it is like."""
    strategies = [{"strategy_id": GOOD}, {"strategy_id": BAD, **STORED, **bad}, {"strategy_id": LATER}]
    database = tiny_database(
        folder / "tiny.duckdb", strategies, outcomes=outcomes, features=features, setups=setups, not_null=not_null
    )
    jsonl = folder / "wf.jsonl"
    result = validate(database, "MGC", RunConfig(wf_output=jsonl, **flags), workers=1, progress=False)
    others = rows_by_id(database, "experimental_strategies", "validation_status")
    del others[BAD]
    assert others == {GOOD: {"validation_status": "PASSED"}, LATER: {"validation_status": "PASSED"}}
    return Ran(result, database, jsonl)


class Case(NamedTuple):
    """What is wrong with the bad strategy, and words of its note."""

    bad: Row
    note: str
    outcomes: Changes | None = None
    not_null: tuple[str, ...] = ()
    flags: Mapping[str, Any] = {}


def yearly(years: str) -> Row:
    """A strategy with this JSON."""
    return {"yearly_results": years}


FAILED = {
    "filter_type NULL": Case({"filter_type": None}, "filter_type"),
    "filter_type NULL without walk-forward": Case({"filter_type": None}, "filter_type", flags={"no_walkforward": True}),
    "win_rate NULL": Case({"win_rate": None}, "win_rate"),
    "win_rate NULL without walk-forward": Case({"win_rate": None}, "win_rate", flags={"no_walkforward": True}),
    "loss with NULL pnl_r": Case(OWN_KEY, "pnl_r", {A_LOSS: {"pnl_r": None}}),
    "loss with NaN pnl_r": Case(OWN_KEY, "pnl_r", {A_LOSS: {"pnl_r": NAN}}),
    "loss with infinite pnl_r": Case(OWN_KEY, "pnl_r", {A_LOSS: {"pnl_r": -math.inf}}),
    "win with NULL pnl_r": Case(OWN_KEY, "pnl_r", {A_WIN: {"pnl_r": None}}),
    "win with NaN pnl_r": Case(OWN_KEY, "pnl_r", {A_WIN: {"pnl_r": NAN}}),
    "win with infinite pnl_r": Case(OWN_KEY, "pnl_r", {A_WIN: {"pnl_r": math.inf}}),
    "split of a loss with NULL pnl_r": Case(
        OWN_KEY, "pnl_r", {A_LOSS: {"pnl_r": None}}, flags={"no_walkforward": True}
    ),
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
    "unknown label, strict": Case({"orb_label": "0930"}, "'0930'", flags={"strict_filters": True}),
    "NULL that a setup must not have": Case({"trades_per_year": None}, "trades_per_year", not_null=("trades_per_year",)),
    "unknown filter, strict": Case({"filter_type": "MYSTERY_X"}, "'MYSTERY_X'", flags={"strict_filters": True}),
    "unknown filter, strict, without walk-forward": Case(
        {"filter_type": "MYSTERY_X"}, "'MYSTERY_X'", flags={"strict_filters": True, "no_walkforward": True}
    ),
}


@pytest.mark.parametrize("case", FAILED.values(), ids=FAILED)
def test_failed_alone(tmp_path: Path, case: Case) -> None:
    """A bad strategy costs its own verdict and nothing else: not its split, not its setup, not its neighbours."""
    setup = {"strategy_id": BAD, "filter_type": "ORB_G4", "orb_label": "0900", "win_rate": 0.5, "trades_per_year": 1.0}
    found = run(
        tmp_path, case.bad, outcomes=case.outcomes, setups=[setup], not_null=case.not_null, **dict(case.flags)
    )

    assert found.status == "FAILED"
    assert case.note in found.note
    assert found.split == [7, 0.7, None, None, None]
    assert line_ids(found.jsonl) == ([] if case.flags.get("no_walkforward") else [GOOD, LATER])
    kept = rows_by_id(found.database, "validated_setups")[BAD]
    assert (kept["status"], kept["win_rate"], kept["retired_at"], kept["retirement_reason"]) == (
        "active", 0.5, None, None,
    )  # fmt: skip
    assert [warning for warning in found.result.warnings if BAD in warning and "active" in warning]
    counts = {name: found.result.summary[name] for name in ("rows", "passed", "rejected", "skipped", "failed", "retired")}
    assert counts == {"rows": 3, "passed": 2, "rejected": 0, "skipped": 0, "failed": 1, "retired": 0}


def test_unknown_label_without_walkforward(tmp_path: Path) -> None:
    """A label that does not exist is no tradable session, also when nothing has to be computed for it."""
    found = run(tmp_path, {"orb_label": "0930"}, no_walkforward=True)

    assert found.status == "FAILED"
    assert "'0930'" in found.note


NOT_FAILED = {
    "pnl_r on a day that the filter excludes": Case(OWN_KEY, "", {ON_SMALL_DAYS: {"outcome": "loss", "pnl_r": None}}),
    "pnl_r on a day that a composite excludes": Case(
        {**OWN_KEY, "orb_label": "1000", "filter_type": "ORB_G4_FAST10"},
        "",
        {ON_SLOW_DAYS: {"outcome": "win", "pnl_r": NAN}},
    ),
    "pnl_r in the other season": Case(
        {**OWN_KEY, "strategy_id": f"{BAD}_W"}, "", {IN_SUMMER: {"outcome": "win", "pnl_r": None}}
    ),
    "NULL pnl_r on a scratch": Case(OWN_KEY, "", {SCRATCHES: {"pnl_r": None}}),
    "NaN pnl_r on a scratch": Case(OWN_KEY, "", {SCRATCHES: {"pnl_r": NAN}}),
    "NaN pnl_r without an outcome": Case(OWN_KEY, "", {NOTHING: {"pnl_r": NAN}}),
    "infinite pnl_r without an outcome": Case(OWN_KEY, "", {NOTHING: {"pnl_r": math.inf}}),
    "session without columns, no filter": Case({"orb_label": "CME_OPEN", "filter_type": "NO_FILTER"}, ""),
    "unknown filter": Case({"filter_type": "MYSTERY_X"}, ""),
    "filter_params a list, not needed": Case({"orb_label": "1000", "filter_params": "[4]"}, ""),
    "filter_params a list, split stored": Case({"filter_params": "[4]", "dst_verdict": "STABLE"}, ""),
    "filter_params NULL": Case({"filter_params": None}, ""),
    "filter_params unreadable": Case({"filter_params": "{"}, ""),
    "NULL that a setup may have": Case({"trades_per_year": None}, ""),
}


@pytest.mark.parametrize("case", NOT_FAILED.values(), ids=NOT_FAILED)
def test_not_failed(tmp_path: Path, case: Case) -> None:
    """What no rule looks at does not matter, however odd it is."""
    strategy_id = case.bad.get("strategy_id", BAD)
    database = tiny_database(tmp_path / "tiny.duckdb", [{"strategy_id": BAD, **case.bad}], outcomes=case.outcomes)
    result = validate(database, "MGC", workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    row = rows_by_id(database, "experimental_strategies", "validation_status", "validation_notes")[strategy_id]
    assert row == {"validation_status": "PASSED", "validation_notes": "All phases passed"}
    assert result.summary["failed"] == 0


# One reason to reject for each of phases 1-5; the bad thing would only be seen after it.
REJECTING = {
    1: ({"sample_size": 29}, {}),
    2: ({"expectancy_r": 0.0}, {}),
    3: ({"yearly_results": '{"2021": {"trades": 9, "avg_r": -1}}'}, {}),
    4: ({"expectancy_r": 0.01}, {}),
    5: ({"sharpe_ratio": 0.1}, {"min_sharpe": 0.2}),
}
WITHOUT_SPLIT = {
    "filter_params a list": Case({"filter_params": "[4]"}, "filter_params"),
    "loss with NULL pnl_r": Case(OWN_KEY, "pnl_r", {A_LOSS: {"pnl_r": None}}),
    "season session without columns": Case({"orb_label": "1800"}, "orb_1800_size"),
}


@pytest.mark.parametrize("phase", REJECTING)
@pytest.mark.parametrize("case", WITHOUT_SPLIT.values(), ids=WITHOUT_SPLIT)
def test_rejected_without_a_split(tmp_path: Path, case: Case, phase: int) -> None:
    """A rejection stands although the season split cannot be computed: five NULLs, and the note says why."""
    rejecting, flags = REJECTING[phase]
    found = run(tmp_path, {**case.bad, **rejecting}, outcomes=case.outcomes, **flags)

    assert found.status == "REJECTED"
    assert found.note.startswith(f"Phase {phase}:")
    assert case.note in found.note
    assert found.split == [None] * 5
    assert line_ids(found.jsonl) == [GOOD, LATER]


@pytest.mark.parametrize("phase", REJECTING)
@pytest.mark.parametrize("bad", [{"filter_type": None}, {"win_rate": None}, {"filter_type": "MYSTERY_X"}], ids=str)
def test_rejected_before_it_could_fail(tmp_path: Path, bad: Row, phase: int) -> None:
    """What only walk-forward or promotion needs is not missed by a strategy that never gets there."""
    rejecting, flags = REJECTING[phase]
    found = run(tmp_path, {**bad, **rejecting}, strict_filters=True, **flags)

    assert found.status == "REJECTED"
    assert found.note.startswith(f"Phase {phase}:")
    assert found.split[-1] == "STABLE"


@pytest.mark.parametrize(("phase", "status"), [(1, "REJECTED"), (2, "REJECTED"), (4, "FAILED"), (5, "FAILED")])
def test_malformed_years_are_seen_in_phase_3(tmp_path: Path, phase: int, status: str) -> None:
    """An earlier rejection wins over malformed years, and malformed years over a later one."""
    rejecting, flags = REJECTING[phase]
    found = run(tmp_path, {**rejecting, **yearly("[1]")}, **flags)

    assert found.status == status


@pytest.mark.parametrize("bad", [{"win_rate": None}, {"trades_per_year": None}], ids=str)
def test_rejected_by_walkforward_needs_no_setup(tmp_path: Path, bad: Row) -> None:
    """A NULL that only promotion minds does not fail a strategy that walk-forward rejects."""
    nothing_wins = {"rr_target = 3": {"outcome": "loss", "pnl_r": -1.0}}
    found = run(tmp_path, {**OWN_KEY, **bad}, outcomes=nothing_wins, not_null=["trades_per_year"])

    assert found.status == "REJECTED"
    assert found.note.startswith("Phase 6:")
    assert line_ids(found.jsonl) == [GOOD, BAD, LATER]


def test_unknown_filters_are_counted_once_by_name(tmp_path: Path) -> None:
    """A thousand strategies with one unknown filter make one warning, not a thousand."""
    names = ["MYSTERY_X", "MYSTERY_X", "ORB_G4_L12"]
    strategies = [{"strategy_id": f"MGC_{n}", "filter_type": name} for n, name in enumerate(names)]
    database = tiny_database(tmp_path / "tiny.duckdb", strategies)
    result = validate(database, "MGC", workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    assert result.summary["passed"] == 3
    assert len(result.warnings) == 2
    assert "'MYSTERY_X'" in result.warnings[0]
    assert "2 strategies" in result.warnings[0]
    assert "'ORB_G4_L12'" in result.warnings[1]


ONE_NEGATIVE_YEAR = yearly('{"2021": {"trades": 60, "avg_r": 1}, "2022": {"trades": 5, "avg_r": -1}}')


@pytest.mark.parametrize(
    ("bad", "phase", "flags"),
    [
        ({"expectancy_r": NAN}, 2, {}),
        (yearly('{"2021": {"trades": 9, "avg_r": 1}, "2022": {"trades": 9, "avg_r": NaN}}'), 3, {}),
        (yearly('{"2021": {"trades": 9, "avg_r": 1}, "2022": {"trades": 9, "avg_r": NaN}}'), 3,
         {"no_regime_waivers": True}),
        ({"sharpe_ratio": NAN}, 5, {"min_sharpe": -9.0}),
        ({"sharpe_ratio": None}, 5, {"min_sharpe": -9.0}),
        ({"max_drawdown_r": NAN}, 5, {"max_drawdown": 99.0}),
    ],
    ids=str,
)  # fmt: skip
def test_nan_fails_closed(tmp_path: Path, bad: Row, phase: int, flags: dict[str, Any]) -> None:
    """A number that is no number never lets a strategy through."""
    found = run(tmp_path, bad, **flags)

    assert found.status == "REJECTED"
    assert found.note.startswith(f"Phase {phase}:")


@pytest.mark.parametrize(
    ("bad", "flags"),
    [
        ({"max_drawdown_r": None}, {"max_drawdown": 99.0}),
        ({"sharpe_ratio": NAN, "max_drawdown_r": NAN}, {}),
        ({"median_risk_points": NAN}, {}),
    ],
    ids=str,
)
def test_nan_that_no_rule_reads(tmp_path: Path, bad: Row, flags: dict[str, Any]) -> None:
    """An unknown drawdown passes, gates that are off see nothing, and the other risk column stands in for a NaN."""
    assert run(tmp_path, bad, **flags).status == "PASSED"


@pytest.mark.parametrize(("atr", "status"), [(10.0, "PASSED"), (25.0, "REJECTED"), (NAN, "REJECTED")])
def test_nan_atr_waives_nothing(tmp_path: Path, atr: float, status: str) -> None:
    """A negative year is waived for a known dormant market only: one NaN in its ATR makes the mean unknown."""
    dormant = {"year(trading_day) = 2022": {"atr_20": 10.0}}
    one_day = {"trading_day = '2022-06-01'": {"atr_20": atr}}
    features = {**dormant, **one_day} if math.isnan(atr) else {"year(trading_day) = 2022": {"atr_20": atr}}
    assert run(tmp_path, ONE_NEGATIVE_YEAR, features=features).status == status


@pytest.mark.parametrize("p_value", [NAN, None])
def test_nan_p_value_is_no_p_value(tmp_path: Path, p_value: float | None) -> None:
    """Without a usable p-value a strategy has no place in the false discovery rate, and disturbs no other's."""
    found = run(tmp_path, {"p_value": p_value})
    setups = rows_by_id(found.database, "validated_setups", "fdr_significant", "fdr_adjusted_p")

    assert setups[BAD] == {"fdr_significant": None, "fdr_adjusted_p": None}
    assert setups[GOOD] == setups[LATER] == {"fdr_significant": True, "fdr_adjusted_p": 0.001}
    assert found.result.summary["fdr"] == {"tested": 2, "significant": 2, "passed_significant": 2}


def test_the_command(tmp_path: Path, command: Command) -> None:
    """Exit code 3 and every reason on stderr, serially and with two workers, and the same tables either way."""
    bad = [
        {"strategy_id": "MGC_B", "filter_type": None},
        {"strategy_id": "MGC_C", "yearly_results": "[1]"},
        {"strategy_id": "MGC_D", "rr_target": 3.0},
        {"strategy_id": "MGC_E", "orb_label": "CME_OPEN"},
        {"strategy_id": "MGC_F", "win_rate": None},
    ]
    strategies = [{"strategy_id": "MGC_A"}, *bad, {"strategy_id": "MGC_G", "orb_label": "1000"}]
    notes = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        database = tiny_database(
            folder / "tiny.duckdb",
            strategies,
            outcomes={A_LOSS: {"pnl_r": None}},
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
        notes.append(contents(database)["experimental_strategies"])
    assert [row.split(", datetime")[0] for row in notes[0]] == [row.split(", datetime")[0] for row in notes[1]]
