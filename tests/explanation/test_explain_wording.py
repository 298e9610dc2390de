"""What an explanation says, and leaves out, so that nobody reads it wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dask_validator import explain, validate
from dask_validator.explanation.words import margin
from dask_validator.wording.sentences import p_text, shown_sharpe
from tests.conftest import Command
from tests.support.tiny import GOOD, YEARS, change, tiny_database

ALIAS = {"strategy_id": "MGC_ALIAS", "is_canonical": False}


def test_an_alias_names_its_canonical_strategy(tmp_path: Path) -> None:
    """Not thirty gates of a strategy that is not judged: whose trades they are, if the database says so."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{}, ALIAS])
    older = tiny_database(tmp_path / "older.duckdb", [{}, ALIAS], lacking={"canonical_strategy_id"})
    silent = explain(older, "MGC_ALIAS")
    unknown = explain(path, "MGC_ALIAS")
    change(path, "UPDATE experimental_strategies SET canonical_strategy_id = 'MGC_GOOD'")
    named = explain(path, "MGC_ALIAS")

    assert "the same trades are those of MGC_GOOD: dask-validator explain" in str(named)
    assert (named.gates, named.windows) == ((), ())
    assert "phase" not in str(named)
    assert silent == unknown == named._replace(canonical_id=None)
    assert "the same trades" not in str(explain(path, "MGC_GOOD"))  # which is its own


@pytest.mark.parametrize(("worst", "seen"), [(0.5, "0"), (-0.1, "1")])
def test_phase_3_words_a_pass_and_a_fall_by_the_same_rule(tmp_path: Path, worst: float, seen: str) -> None:
    """Whoever compares two strategies compares one number: negative years that are not waived."""
    yearly = {str(year): {"trades": 66, "avg_r": worst if year == YEARS[0] else 0.5} for year in YEARS}
    path = tiny_database(tmp_path / "tiny.duckdb", [{"yearly_results": json.dumps(yearly)}])
    explanation = explain(path, "MGC_GOOD")
    judged = {gate.name: gate for gate in explanation.gates}
    gate = judged["negative_years"]

    assert [gate.name for gate in explanation.gates if gate.phase == 3] == [
        *("yearly_data", "negative_years", "positive_years")
    ]
    assert (gate.name, str(gate.observed), gate.threshold) == ("negative_years", seen, 0)
    assert gate.passed is (seen == "0")
    assert margin(gate) == -int(seen)
    assert (judged["yearly_data"].observed, judged["positive_years"].observed) == (len(YEARS), len(YEARS) - int(seen))


def test_a_fall_without_any_positive_year_is_named(tmp_path: Path) -> None:
    """When all years were waived none is negative, and the rule that decides is the other one."""
    yearly = {str(year): {"trades": 5, "avg_r": -0.1} for year in YEARS}
    rows = [{"yearly_results": json.dumps(yearly)}]
    path = tiny_database(tmp_path / "tiny.duckdb", rows, features={"TRUE": {"atr_20": 10.0}})

    assert "Phase 3: no positive year, all were waived" in str(explain(path, "MGC_GOOD"))


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.0, "<1e-6"), (9.9e-7, "<1e-6"), (1e-6, "0.000001"), (0.1732, "0.173200"), (1.0, "1.000000"), (None, "")],
)
def test_small_p_values_are_not_shown_as_zero(p_value: float | None, text: str) -> None:
    """Six decimals, as adjusted ones are stored; below that the bound."""
    assert p_text(p_value) == text


def test_explain_shows_the_bound(tmp_path: Path) -> None:
    """Also of the adjusted value, which is stored as 0."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{"p_value": 1e-9}])

    said = str(explain(path, "MGC_GOOD"))
    assert "p <1e-6 (two-sided, one of 1), after BH <1e-6: significant at 5 %" in said
    assert "  by the default flags: no run is stored; walk-forward computed now\n" in said


def test_windows_of_equal_r_show_no_sharpe_ratio(tmp_path: Path) -> None:
    """The deviation of equal R is rounding residue: the JSONL keeps the reference's value, the eye gets a dash."""
    path = tiny_database(tmp_path / "tiny.duckdb", outcomes={"pnl_r IS NOT NULL": {"pnl_r": 0.7, "outcome": "win"}})
    result = validate(path, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    [line] = map(json.loads, (tmp_path / "wf.jsonl").read_text().splitlines())
    raw = [window["test_sharpe"] for window in line["windows"]]
    table = str(explain(path, "MGC_GOOD")).split("Sharpe ratio per trade")[1]

    assert max(filter(None, raw)) > 1e12
    assert [None if np.isnan(sharpe) else sharpe for sharpe in result.windows["test_sharpe"]] == raw
    assert table.count("  -  ") == len(raw)
    assert "00000000" not in table


@pytest.mark.parametrize("n", [3, 20, 500, 100_000])
def test_residue_is_told_from_a_small_deviation(n: int) -> None:
    """Equal values in any number against values of which one differs by the last decimal that is recorded."""
    equal, nearly = np.full(n, 0.7), np.full(n, 0.7)
    nearly[0] += 1e-4

    def sharpe(values: Any) -> float | None:
        mean = np.bincount(np.zeros(n, dtype=int), weights=values)[0] / n
        deviation = np.sqrt(((values - mean) ** 2).sum() / (n - 1))
        return float(mean / deviation) if deviation else None

    assert shown_sharpe(n, sharpe(equal)) is None
    assert shown_sharpe(n, sharpe(nearly)) == sharpe(nearly) is not None


def test_json_is_one_object(tmp_path: Path, command: Command) -> None:
    """Everything that the text says, as plain values; what is not finite is null."""
    path = tiny_database(tmp_path / "tiny.duckdb", [{"sample_size": 28, "expectancy_r": float("nan")}])
    done = command("explain", "MGC_GOOD", "--db", path, "--json")
    told = json.loads(done.stdout, parse_constant=pytest.fail)
    by_name = {gate["name"]: gate for gate in told["gates"]}

    assert (done.code, done.stdout.count("\n")) == (0, 1)
    assert (told["strategy_id"], told["status"], told["phase"]) == ("MGC_GOOD", "REJECTED", 1)
    assert told["note"].startswith("Phase 1: ")
    assert by_name["sample_size"] == {
        **{"phase": 1, "name": "sample_size", "observed": 28, "threshold": 30, "passed": False},
        **{"reason": "sample size 28 < 30", "margin": -2},
    }
    assert by_name["expectancy_r"]["observed"] is None
    assert len(told["windows"]) == len(explain(path, "MGC_GOOD").windows) > 0
    assert told["p_value"] == GOOD["p_value"]
    assert told["remedy"]["changes"]["min_sample"] == 28


def test_sharpe_ratios_say_of_what_they_are(tmp_path: Path) -> None:
    """Per trade, which is neither per day nor per year, in the gate and in the windows."""
    path = tiny_database(tmp_path / "tiny.duckdb")
    result = validate(path, workers=1, progress=False, dry_run=True, min_sharpe=0.9)
    told = str(result.explain("MGC_GOOD"))

    assert "Phase 5: Sharpe ratio per trade 0.3, needed >= 0.9" in told
    assert "Sharpe ratio per trade  " in told
    assert "Sharpe ratio per trade" in told
    duckdb.connect(str(path)).close()
