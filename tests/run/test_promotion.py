"""What is written of strategies on the newest tables of users: nothing is live by a column's default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import NotCommitted
from dask_validator.rules.costs import Costs
from dask_validator.store import writer
from tests.conftest import Command, contents, everything_in
from tests.store.test_writer import Opener, commit_replaced, refer_to
from tests.store.test_writer import run as validated
from tests.support.newest import RULES, newest_database, ruled
from tests.support.tiny import change, rows_by_id

ROWS = [
    {"strategy_id": "MGC_LIVE", "validation_mode": "STANDARD", "skewness": 0.25, "n_trials_at_discovery": 40},
    {"strategy_id": "MGC_RESEARCH", "validation_mode": "RESEARCH", "p_value": None},
    {"strategy_id": "MGC_UNNAMED", "validation_mode": "research"},
    {"strategy_id": "MGC_FEW", "sample_size": 3},
    {"strategy_id": "MGC_ALIAS", "is_canonical": False},
    {"strategy_id": "MGC_NO_FILTER", "filter_type": None},
]


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _one(path: Path, sql: str) -> Any:
    [(value,)] = _rows(path, sql)
    return value


def _run(called: Command, database: Path, *more: object) -> Any:
    return called("run", "--db", database, "--workers", 1, "--json", *more)


@pytest.mark.parametrize(
    ("mode", "status"), [(None, "PASSED"), ("", "PASSED"), ("STANDARD", "FAILED"), ("RESEARCH", "FAILED")]
)
def test_without_rules_no_mode_has_a_name(tmp_path: Path, called: Command, mode: str | None, status: str) -> None:
    """Only a strategy without a mode is promoted, and its setup has none: what the table would fill in is not ours."""
    database = newest_database(tmp_path / "newest.duckdb", [{"validation_mode": mode}])
    ran = _run(called, database)

    [row] = rows_by_id(database, "experimental_strategies", "validation_status", "validation_notes").values()
    setups = rows_by_id(database, "validated_setups", "validation_mode", "status", "verdict_ceiling")
    assert row["validation_status"] == status, ran.stderr
    assert ("no rule names" in row["validation_notes"]) is (status == "FAILED")
    ordinary = {"validation_mode": None, "status": "active", "verdict_ceiling": None}
    assert list(setups.values()) == [ordinary] * (status == "PASSED")


@pytest.mark.parametrize("stop", [0.0, -0.75, float("nan")])
def test_a_stop_that_is_none_fails_the_strategy(tmp_path: Path, called: Command, stop: float) -> None:
    """Nobody knows the trades of a strategy with a stop of nothing."""
    database = newest_database(tmp_path / "newest.duckdb")
    change(database, "UPDATE experimental_strategies SET stop_multiplier = ?", stop)
    _run(called, database)

    [row] = rows_by_id(database, "experimental_strategies", "validation_status", "validation_notes").values()
    assert row["validation_status"] == "FAILED"
    assert "stop_multiplier" in row["validation_notes"]


@pytest.mark.parametrize(("stop", "written"), [(None, 1.0), (1.0, 1.0), (1.5, 1.5)])
def test_the_stop_of_a_setup_is_that_of_its_strategy(
    tmp_path: Path, called: Command, stop: float | None, written: float
) -> None:
    """It is never left to the table's default; a strategy without one has the whole stop."""
    database = newest_database(tmp_path / "newest.duckdb", [{"stop_multiplier": stop}])
    _run(called, database)

    assert rows_by_id(database, "validated_setups", "stop_multiplier") == {"MGC_GOOD": {"stop_multiplier": written}}


def test_defaults_that_nobody_sets_are_one_warning(tmp_path: Path, called: Command) -> None:
    """A user hears which columns of new setups the table fills in, and what with; rules that say them end that."""
    database = newest_database(tmp_path / "newest.duckdb", [{}])
    first = _run(called, database)
    change(database, "UPDATE experimental_strategies SET validation_status = NULL")
    second = _run(called, database, "--rules", ruled(tmp_path))

    said = [line for line in first.stderr.splitlines() if "no rule says" in line]
    assert len(said) == 1
    assert "deployment_scope ('deployable')" in said[0]
    assert "promotion_provenance ('LEGACY')" in said[0]
    assert "is_family_head" not in said[0]
    assert "no rule says" not in second.stderr


@pytest.fixture
def decided(tmp_path: Path, called: Command) -> Path:
    """All kinds of strategies, decided by rules."""
    database = newest_database(tmp_path / "newest.duckdb", ROWS)
    ran = _run(called, database, "--rules", ruled(tmp_path), "--provenance", "commit 12ab")
    assert ran.code == 3, ran.stderr
    return database


def test_a_setup_says_all_that_the_run_knows(decided: Path) -> None:
    """Every column that the table has is written, copied, computed or said by the rules; checked by hand."""
    found = rows_by_id(decided, "validated_setups")
    run_id = _one(decided, "SELECT run_id FROM dask_validator_runs")
    days = _one(
        decided,
        "SELECT (min(o.trading_day), max(o.trading_day), count(*)::INTEGER) FROM orb_outcomes o "
        "JOIN daily_features USING (trading_day, symbol, orb_minutes) "
        "WHERE outcome IS NOT NULL AND orb_0900_size >= 4",
    )
    live = found["MGC_LIVE"]
    expected = {
        "stop_multiplier": 1.0, "first_trade_day": days[0], "last_trade_day": days[1], "trade_day_count": days[2],
        "validation_run_id": run_id, "promotion_git_sha": "commit 12ab", "promotion_provenance": "NATIVE",
        "deployment_scope": "paper", "wf_tested": True, "wf_passed": True, "wf_windows": 4, "wfe": None,
        "p_value": 0.001, "skewness": 0.25, "sharpe_haircut": None, "n_trials_at_discovery": 40,
        "discovery_k": 4, "discovery_date": datetime.now(UTC).date(), "era_dependent": False, "max_year_pct": 0.3333,
        "validation_pathway": "family", "c8_oos_status": None, "validation_mode": "STANDARD", "status": "active",
        "verdict_ceiling": None, "pseudo_oos_window_start": None, "pseudo_oos_window_end": None,
    }  # fmt: skip
    assert {name: live[name] for name in expected} == expected
    line = json.loads((decided.parent / "data" / "walkforward_results.jsonl").read_text().splitlines()[0])
    assert live["oos_exp_r"] == line["agg_oos_exp_r"]
    assert live["noise_risk"] is (line["agg_oos_exp_r"] <= 0.6)


def test_a_named_mode_writes_its_own(decided: Path) -> None:
    """What is research is not active: the mode decides its setup, and a window that it does not name has none."""
    setup = rows_by_id(decided, "validated_setups")["MGC_RESEARCH"]

    expected = {
        "validation_mode": "RESEARCH", "status": "RESEARCH", "verdict_ceiling": "RESEARCH",
        "pseudo_oos_window_start": date(2025, 1, 1), "pseudo_oos_window_end": None,
        "deployment_scope": "paper", "fdr_significant": None, "n_trials_at_discovery": None,
        "discovery_k": None, "discovery_date": None, "validation_pathway": "family",
    }  # fmt: skip
    assert {name: setup[name] for name in expected} == expected


def test_what_strategies_are_told(decided: Path) -> None:
    """The reason of a rejection, and how evidence is weighed; nothing of it where nothing was decided."""
    names = ("validation_status", "rejection_reason", "validation_pathway")
    found = rows_by_id(decided, "experimental_strategies", *names)

    assert {name: tuple(row.values()) for name, row in found.items()} == {
        "MGC_LIVE": ("PASSED", None, "family"),
        "MGC_RESEARCH": ("PASSED", None, "family"),
        "MGC_UNNAMED": ("FAILED", None, None),
        "MGC_FEW": ("REJECTED", "Phase 1: sample size 3 < 30", "family"),
        "MGC_ALIAS": ("SKIPPED", None, None),
        "MGC_NO_FILTER": ("FAILED", None, None),
    }


def test_a_line_in_the_log_of_runs(decided: Path) -> None:
    """Counts without aliases, a rate of what fell, and in words what the log has no columns for."""
    with duckdb.connect(str(decided), read_only=True) as connection:
        found = connection.execute("SELECT * EXCLUDE (run_id, run_ts) FROM validation_run_log").fetchall()

    assert found == [("MGC", 5, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0.6, "FAILED: 2")]


def test_a_setup_that_passes_again_keeps_what_is_the_users(tmp_path: Path, called: Command) -> None:
    """What the run does not know of stays, so does the first discovery; tables that refer to it see the same row."""
    mine: Mapping[str, Any] = {
        "execution_spec": "{}", "family_hash": "f", "is_family_head": True, "dsr_score": 0.5, "sr0_at_discovery": 0.1,
        "wfe_verdict": "FINE", "slippage_validation_status": "OK", "discovery_k": 7,
        "discovery_date": date(2026, 2, 1),
    }  # fmt: skip
    setups = [{"strategy_id": "MGC_GOOD", "status": "RESEARCH", "verdict_ceiling": "RESEARCH", **mine}]
    database = newest_database(tmp_path / "newest.duckdb", setups=setups)
    refer_to(database, "MGC_GOOD")
    _run(called, database, "--rules", ruled(tmp_path))

    setup = rows_by_id(database, "validated_setups")["MGC_GOOD"]
    assert {name: setup[name] for name in mine} == mine
    assert (setup["status"], setup["verdict_ceiling"], setup["wf_windows"]) == ("active", None, 4)


def test_without_walkforward_nothing_is_said_of_it(tmp_path: Path, called: Command) -> None:
    """A setup that was never walked forward says so."""
    database = newest_database(tmp_path / "newest.duckdb")
    _run(called, database, "--rules", ruled(tmp_path), "--no-walkforward")

    names = ("wf_tested", "wf_passed", "wf_windows", "oos_exp_r", "noise_risk", "trade_day_count")
    [setup] = rows_by_id(database, "validated_setups", *names).values()
    assert tuple(setup.values()) == (False, None, None, None, None, None)


def test_what_a_symbol_says_of_its_own(tmp_path: Path, called: Command) -> None:
    """Constants of a symbol come beside those of all, and may say that its setups are not live."""
    own = '[instrument.MGC.promotion]\nconstants = { status = "retired", retirement_reason = "no broker" }\n'
    database = newest_database(tmp_path / "newest.duckdb")
    _run(called, database, "--rules", ruled(tmp_path, f"{RULES}{own}"))

    names = ("status", "retirement_reason", "promotion_provenance", "deployment_scope")
    [setup] = rows_by_id(database, "validated_setups", *names).values()
    assert tuple(setup.values()) == ("retired", "no broker", "NATIVE", "paper")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"skewness"', '"skewnes"', "copy names 'skewnes', which is no column of experimental_strategies"),
        (
            '"skewness"',
            '"hypothesis_file_sha"',
            "copy names 'hypothesis_file_sha', which is no column of validated_setups",
        ),
        ('"skewness"', '"validation_mode"', "copy names 'validation_mode', which is written by the run"),
        ("deployment_scope =", "deployment_scop =", "constants.deployment_scop is no column of validated_setups"),
        ("deployment_scope =", "win_rate =", "constants.win_rate is written by the run"),
        ('deployment_scope = "paper"', "dsr_score = true", "constants.dsr_score got True; needed a value of DOUBLE"),
        ('"validation_mode"', '"mode"', "column names 'mode', which is no column"),
        ("2025-01-01", '"soon"', "pseudo_oos_window_start got 'soon'; needed a value of DATE"),
        ('"validation_run_log"', '"log"', "run_log got 'log'; needed a table of the database"),
    ],
)
def test_rules_that_the_tables_cannot_follow(
    tmp_path: Path, called: Command, before: str, after: str, said: str
) -> None:
    """A slip in the rules is found before any work, named by its key and line, and changes nothing."""
    assert RULES.count(before) == 1
    database = newest_database(tmp_path / "newest.duckdb")
    rules = ruled(tmp_path, RULES.replace(before, after))
    files = everything_in(tmp_path)
    ran = _run(called, database, "--rules", rules)

    line = next(number for number, text in enumerate(rules.read_text().splitlines(), 1) if after in text)
    assert ran.code == 2
    assert said in ran.stderr
    assert f"{rules}, line {line}" in ran.stderr
    assert everything_in(tmp_path) == files


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        ("validation_mode", "INTEGER", "validated_setups.validation_mode is INTEGER; needed text"),
        ("oos_exp_r", "TEXT", "validated_setups.oos_exp_r is VARCHAR; needed a number"),
        ("wfe", "DOUBLE GENERATED ALWAYS AS (win_rate)", "validated_setups generates wfe"),
        ("deployment_scope", "TEXT NOT NULL", "declares deployment_scope NOT NULL without a default"),
    ],
)
def test_columns_that_cannot_be_written(tmp_path: Path, called: Command, column: str, kind: str, said: str) -> None:
    """What would sink the commit is said at the start."""
    database = newest_database(tmp_path / "newest.duckdb", kinds={column: kind})
    ran = _run(called, database)

    assert (ran.code, said in ran.stderr) == (2, True), ran.stderr


def test_a_null_where_a_value_must_be_fails_the_strategy(tmp_path: Path, called: Command) -> None:
    """A mode that nobody has named cannot be written where the user's table wants one."""
    database = newest_database(tmp_path / "newest.duckdb", kinds={"validation_mode": "TEXT NOT NULL"})
    _run(called, database)

    [row] = rows_by_id(database, "experimental_strategies", "validation_status", "validation_notes").values()
    assert row["validation_status"] == "FAILED"
    assert "validation_mode" in row["validation_notes"]


def test_a_commit_that_fails_anywhere_writes_nothing(tmp_path: Path) -> None:
    """Setups, reasons and the log of runs are in the one transaction."""
    database = newest_database(tmp_path / "newest.duckdb", ROWS)
    rules = ruled(tmp_path)
    before = contents(database)
    counted = Opener()
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(database.read_bytes())
    with commit_replaced(partial(writer.commit, connect=counted)):
        validated(copy, rules=rules)
    last = len(counted.statements) - 1
    logs = next(i for i, sql in enumerate(counted.statements) if "validation_run_log" in sql and "INSERT" in sql)

    for number in (logs, last):
        opener = Opener(range(number, number + 1))
        with commit_replaced(partial(writer.commit, connect=opener)), pytest.raises(NotCommitted):
            validated(database, rules=rules, discard=True)
        assert contents(database) == before


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path, called: Command) -> None:
    """The summary of a dry run is that of the run."""
    database, rules = newest_database(tmp_path / "newest.duckdb", ROWS), ruled(tmp_path)
    before = contents(database)
    dry = _run(called, database, "--rules", rules, "--dry-run").summary
    assert contents(database) == before
    wet = _run(called, database, "--rules", rules).summary

    same = ("rows", "passed", "rejected", "failed", "retired", "rejected_by_phase", "fdr")
    assert {name: dry[name] for name in same} == {name: wet[name] for name in same}


def test_years_that_setups_are_said_to_be_tested_in(tmp_path: Path, called: Command) -> None:
    """Years with too few trades need not count: then neither their number nor their R is in the setup."""
    years = {2021: (3, -4.0), 2022: (50, 5.000004), 2023: (50, 4.999996)}
    data = {str(year): {"trades": n, "avg_r": r / n, "total_r": r} for year, (n, r) in years.items()}
    database = newest_database(tmp_path / "newest.duckdb", [{"yearly_results": json.dumps(data)}])
    names = ("years_tested", "all_years_positive", "max_year_pct", "era_dependent")
    found = {}
    for counted in ("all", "tested"):
        flags = ("--years-counted", counted, "--min-trades-per-year", 4, "--no-walkforward")
        change(database, "UPDATE experimental_strategies SET validation_status = NULL")
        _run(called, database, "--rules", ruled(tmp_path), *flags)
        [setup] = rows_by_id(database, "validated_setups", *names).values()
        found[counted] = tuple(setup.values())

    assert found == {"all": (3, False, 0.8333, True), "tested": (2, True, 0.5, True)}


def test_what_a_run_cost_is_kept_with_it(tmp_path: Path, called: Command) -> None:
    """A strategy is explained by the costs that judged it, also when the file of rules is gone."""
    dear = "[costs.MGC]\n" + "".join(f"{name} = 10.0\n" for name in Costs._fields)
    database, rules = newest_database(tmp_path / "newest.duckdb"), ruled(tmp_path, f"{RULES}{dear}")
    _run(called, database, "--rules", rules)
    rules.unlink()
    [(summary,)] = _rows(database, "SELECT summary FROM dask_validator_runs")
    explained = called("explain", "MGC_GOOD", "--db", database, "--json")

    assert json.loads(summary)["costs"] == dict.fromkeys(Costs._fields, 10.0)
    [stress] = [g for g in json.loads(explained.stdout)["gates"] if g["name"] == "stressed_expectancy_r"]
    # 0.5 R less half of 30 dollars, over the larger of 10 points of 10 dollars and ten ticks of 10 points of 10 dollars
    assert stress["observed"] == 0.5 - 15 / 1000


def test_check_says_what_promotion_would_meet(tmp_path: Path, called: Command) -> None:
    """Modes without a name and defaults that nobody sets, by the rules of the call; a slip in these is refused."""
    database = newest_database(tmp_path / "newest.duckdb", ROWS)
    plain = called("check", "--db", database).stdout
    ours = called("check", "--db", database, "--rules", ruled(tmp_path)).stdout
    refused = called("check", "--db", database, "--rules", ruled(tmp_path, RULES.replace("skewness", "skew")))

    assert "deployment_scope ('deployable')" in plain
    assert "deployment_scope" not in ours
    assert "'STANDARD', which no rule names" in plain
    assert [line.split(":")[0].strip() for line in ours.splitlines() if "no rule" in line] == [
        "validation_mode 'research', which no rule names"
    ]
    assert (refused.code, "rules.toml, line 5" in refused.stderr) == (2, True)


def test_a_strategy_is_explained_by_the_mode_that_the_rules_found(tmp_path: Path, called: Command) -> None:
    """The rules of the run say which column holds the mode, and what is no mode of theirs."""
    database = newest_database(tmp_path / "newest.duckdb", [{"hypothesis_file_sha": "ODD"}])
    rules = RULES.replace('column = "validation_mode"', 'column = "hypothesis_file_sha"')
    _run(called, database, "--rules", ruled(tmp_path, rules))
    explained = called("explain", "MGC_GOOD", "--db", database)

    assert explained.code == 0
    assert "hypothesis_file_sha is 'ODD', which no rule names" in explained.stdout
