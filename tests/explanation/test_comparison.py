"""`compare`: one thing is changed between two runs, and exactly that is said, of exactly the strategies it concerns."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dask_validator import InputError, RunConfig, RunResult, compare, validate
from dask_validator.explanation.comparison import Comparison
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.views.monitor.compared import KINDS
from tests.conftest import Command, everything_in
from tests.support.tiny import GOOD, as_an_earlier_version_left_it, change, tiny_database

YEARS = json.loads(GOOD["yearly_results"])
LOSING = json.dumps({**YEARS, "2021": {"trades": 66, "wins": 20, "avg_r": -0.1}})
ROWS: list[dict[str, Any]] = [
    {"strategy_id": "MGC_GOOD"},
    {"strategy_id": "MGC_OTHER_TARGET", "rr_target": 2.0},
    {"strategy_id": "MGC_LATER", "orb_label": "1000"},
    {"strategy_id": "MGC_SMALL", "sample_size": 40},
    {"strategy_id": "MGC_COSTLY", "expectancy_r": 0.05},
    {"strategy_id": "MGC_LOST_A_YEAR", "yearly_results": LOSING},
    {"strategy_id": "MGC_SHORT", "filter_type": "DIR_SHORT", "filter_params": None},
    {"strategy_id": "MGC_LUCKY", "p_value": 0.06},
]
LEAST = 83  # trades in the window of a half-year that has the fewest
DAY = "DATE '2023-03-01'"  # one that all trade, with a win, in that half-year
ADDED = (
    "INSERT INTO experimental_strategies BY NAME SELECT e.* REPLACE (e.strategy_id || '_ADDED_' || added.n AS "
    "strategy_id, 0.9 AS p_value, 'REJECTED' AS validation_status) FROM experimental_strategies e "
    "CROSS JOIN range(50) AS added(n) WHERE e.strategy_id = 'MGC_GOOD'"
)
Said = dict[str, tuple[str, str | None, tuple[str, ...]]]


def run(database: Path, **flags: Any) -> RunResult:
    """Validate all of the first ones anew."""
    change(database, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id NOT LIKE '%ADDED%'")
    usual = {"gate": ("fdr",), "wf_min_windows": 4, "wf_min_trades": LEAST, "wf_output": database.parent / "wf.jsonl"}
    return validate(database, config=RunConfig(**usual | flags), workers=1, progress=False)


def said(found: Comparison) -> Said:
    """By strategy: how its verdict has changed, the gate that decided, and what has changed."""
    return {each.strategy_id: (each.kind, each.gate, each.causes) for each in found.changed}


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A database after its first run; never written again, only copied."""
    path = tiny_database(tmp_path_factory.mktemp("compared") / "tiny.duckdb", ROWS)
    return path, run(path)


@pytest.fixture
def before(first_run: tuple[Path, RunResult], tmp_path: Path) -> tuple[Path, RunResult]:
    """A copy of it."""
    return Path(shutil.copy(first_run[0], tmp_path / "tiny.duckdb")), first_run[1]


def test_the_first_run_promotes_all_but_one(first_run: tuple[Path, RunResult]) -> None:
    """What the tests below start from."""
    strategies = first_run[1].strategies

    assert strategies.loc[strategies["verdict"] != "PASSED", "strategy_id"].tolist() == ["MGC_LOST_A_YEAR"]


def of(strategy_id: str) -> str:
    """A condition on strategies."""
    return f"WHERE strategy_id = 'MGC_{strategy_id}'"


CHANGES: dict[str, tuple[str, dict[str, Any], Said]] = {
    "a threshold": ("", {"min_sample": 50}, {"MGC_SMALL": ("lost", "sample_size", ("threshold",))}),
    "a gate is off": (
        f"UPDATE experimental_strategies SET p_value = 0.5 {of('LUCKY')}",
        {"gate": ()},
        {},
    ),
    "the level of a gate": ("", {"gate_alpha": 0.01}, {"MGC_LUCKY": ("lost", "fdr_p", ("threshold",))}),
    "a number": (
        f"UPDATE experimental_strategies SET sample_size = 20 {of('GOOD')}",
        {},
        {"MGC_GOOD": ("lost", "sample_size", ("numbers",))},
    ),
    "a year": (
        f"UPDATE experimental_strategies SET yearly_results = '{LOSING}' {of('GOOD')}",
        {},
        {"MGC_GOOD": ("lost", "negative_years", ("numbers",))},
    ),
    "the row": (
        f"UPDATE experimental_strategies SET is_canonical = FALSE {of('GOOD')}",
        {},
        {"MGC_GOOD": ("lost", None, ("row",))},
    ),
    "one outcome": (
        f"UPDATE orb_outcomes SET outcome = 'scratch' WHERE rr_target = 2 AND trading_day = {DAY}",
        {},
        {"MGC_OTHER_TARGET": ("lost", "valid_windows", ("outcomes",))},
    ),
    "a day's features": (
        f"UPDATE daily_features SET orb_1000_size = 2 WHERE trading_day = {DAY}",
        {},
        {"MGC_LATER": ("lost", "valid_windows", ("features",))},
    ),
    "years left out": (
        "",
        {"exclude_years": (2021,)},
        {"MGC_LOST_A_YEAR": ("gained", "negative_years", ("threshold",))},
    ),
    "waivers": (
        "",
        {"no_regime_waivers": True},
        {"MGC_LOST_A_YEAR": ("shifted", "years_positive", ("threshold",))},
    ),
    "filters": ("", {"strict_filters": True}, {"MGC_SHORT": ("lost", "outcomes", ("rules",))}),
    "costs": (
        "",
        {"costs": {"MGC": {**KNOWN_COSTS["MGC"]._asdict(), "commission_rt": 5.0}}},
        {"MGC_COSTLY": ("lost", "stressed_expectancy_r", ("rules",))},
    ),
    "other strategies": (ADDED, {}, {"MGC_LUCKY": ("lost", "fdr_p", ("others",))}),
    "its own p": (
        f"UPDATE experimental_strategies SET p_value = 0.5 {of('LUCKY')}",
        {},
        {"MGC_LUCKY": ("lost", "fdr_p", ("numbers",))},
    ),
    "nothing": ("", {}, {}),
}


@pytest.mark.parametrize(("sql", "flags", "expected"), CHANGES.values(), ids=CHANGES)
def test_one_change_is_found(before: tuple[Path, RunResult], sql: str, flags: dict[str, Any], expected: Said) -> None:
    """Of the strategies that it concerns the gate that decided and the cause; of the others nothing."""
    database, first = before
    if sql:
        change(database, sql)
    second = run(database, **flags)

    assert said(compare(database, first.summary["run_id"], second.summary["run_id"])) == expected


def test_the_command_says_it_in_80_columns(called: Command, before: tuple[Path, RunResult]) -> None:
    """Totals first, then why, then each strategy; the database is as it was."""
    database, first = before
    second = run(database, min_sample=50, exclude_years=(2021,))
    there = everything_in(database.parent)
    ran = called("compare", first.summary["run_id"], second.summary["run_id"], "--db", database)
    words = " ".join(ran.stdout.split())

    assert ran.code == 0
    assert "Flags that differ: --min-sample 30 -> 50, --exclude-years off -> 2021" in words
    assert "strategies 8 8 passed 7 7 in both 8 gained: pass now 1 lost: passed before 1" in words
    assert "MGC_SMALL passed -> phase 1 (sample size): --min-sample 30 -> 50 trades 40, needed >= 30 -> 50" in words
    assert (
        "phase 3 (yearly robustness) -> passed: --exclude-years off -> 2021 negative years, not waived 1 -> 0" in words
    )
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert everything_in(database.parent) == there


def test_json_and_csv_have_all_of_it(called: Command, before: tuple[Path, RunResult], tmp_path: Path) -> None:
    """The object alone on stdout, and a row for each strategy with another verdict."""
    database, first = before
    second = run(database, min_sample=50)
    ids = [result.summary["run_id"] for result in (first, second)]
    ran = called("compare", *ids, "--db", database, "--json", "--csv", tmp_path / "changed.csv")
    found = json.loads(ran.stdout)
    again = called("compare", *ids, "--db", database, "-q", "--csv", tmp_path / "changed.csv")  # in place of the table
    [row] = csv.DictReader((tmp_path / "changed.csv").read_text().splitlines())

    assert again.code == 0, again.stderr
    assert (found["before"]["run_id"], found["after"]["run_id"]) == tuple(ids)
    assert (found["totals"]["lost"], found["totals"]["same"]) == (1, 7)
    assert found["inputs"] == {
        "flags": {"--min-sample": [30, 50]},
        "costs": {},
        "rows": 0,
        "outcomes": 0,
        "daily_features": False,
    }
    [change] = found["changes"]
    assert (change["strategy_id"], change["seen"], change["needed"]) == ("MGC_SMALL", [40, 40], [30, 50])
    names = ("strategy_id", "kind", "seen_after", "needed_after")
    assert [row[name] for name in names] == ["MGC_SMALL", "lost", "40", "50"]


def test_a_long_list_says_where_the_rest_is(called: Command, before: tuple[Path, RunResult], tmp_path: Path) -> None:
    """How to have all of it, or the file that has it; what has moved is called by the same word everywhere."""
    database, first = before
    second = run(database, min_sample=10**6)
    words = ["compare", *(result.summary["run_id"] for result in (first, second)), "--db", database]

    assert "\n  and 2 more; --csv PATH has all\n" in called(*words).stdout
    assert "\n  and 2 more; the file of --csv has all\n" in called(*words, "--csv", tmp_path / "all.csv").stdout
    assert all(name.startswith(kind) for kind, name in KINDS.items())


def test_a_dry_run_in_place_of_the_second(called: Command, before: tuple[Path, RunResult]) -> None:
    """It says what a run with these flags on these data would be said to have changed, and writes nothing."""
    database, first = before
    change(database, f"UPDATE orb_outcomes SET outcome = 'scratch' WHERE rr_target = 2 AND trading_day = {DAY}")
    there = everything_in(database.parent)
    usual = ["--gate", "fdr", "--wf-min-windows", 4, "--wf-min-trades", LEAST, "--workers", 1]
    name = first.summary["run_id"]
    ran = called("compare", name, "--dry-run", "--db", database, "--json", *usual, "--min-sample", 50)
    tried = json.loads(ran.stdout)

    assert everything_in(database.parent) == there
    assert {each["strategy_id"]: each["causes"] for each in tried["changes"]} == {
        "MGC_OTHER_TARGET": ["outcomes"],
        "MGC_SMALL": ["threshold"],
    }
    flags = {"gate": ("fdr",), "wf_min_windows": 4, "wf_min_trades": LEAST, "min_sample": 50}
    in_python = compare(database, name, workers=1, progress=False, **flags)
    assert (
        in_python.to_dict()["changes"]
        == compare(database, name, run(database, min_sample=50).summary["run_id"]).to_dict()["changes"]
    )


def test_strategies_that_one_run_alone_has_judged(before: tuple[Path, RunResult]) -> None:
    """They are named, and counted apart: a run takes those that wait."""
    database, first = before
    change(database, ADDED)
    change(database, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id LIKE '%ADDED_7'")
    second = validate(database, workers=1, progress=False, wf_output=database.parent / "wf.jsonl")
    found = first.compare(second)

    assert (found.totals["in_both"], found.changed) == (0, [])
    assert found.totals["only_before"] == {"strategies": 8, "passed": 7}
    assert found.only_in_one["strategy_id"].tolist() == [
        *sorted(row["strategy_id"] for row in ROWS),
        "MGC_GOOD_ADDED_7",
    ]


def test_dry_runs_are_compared_in_memory(before: tuple[Path, RunResult]) -> None:
    """With rows and outcomes, as long as the database is the one that they have read."""
    database, _ = before
    flags = {"workers": 1, "progress": False, "dry_run": True, "strategies": "all"}
    tried, stricter = validate(database, **flags), validate(database, min_sample=50, **flags)
    found = tried.compare(stricter)
    assert (said(found), found.untold) == ({"MGC_SMALL": ("lost", "sample_size", ("threshold",))}, ())
    assert (found.inputs["rows"], found.inputs["outcomes"]) == (0, 0)

    change(database, f"UPDATE experimental_strategies SET sample_size = 20 {of('GOOD')}")
    later = tried.compare(validate(database, **flags))
    assert said(later) == {"MGC_GOOD": ("lost", "sample_size", ("unknown",))}
    assert "no longer there" in later.untold[0]


def test_a_run_of_an_earlier_version(before: tuple[Path, RunResult]) -> None:
    """Of what walk-forward had judged it tells the verdicts and windows; what it cannot tell is said."""
    database, first = before
    as_an_earlier_version_left_it(database)
    change(database, f"UPDATE experimental_strategies SET sample_size = 20 {of('GOOD')}")
    second = run(database, wf_min_trades=LEAST + 1)
    found = compare(database, first.summary["run_id"], second.summary["run_id"])

    assert said(found)["MGC_GOOD"] == ("lost", "sample_size", ("unknown",))
    assert said(found)["MGC_LATER"] == ("lost", "valid_windows", ("threshold",))
    assert found.only_in_one["strategy_id"].tolist() == ["MGC_LOST_A_YEAR"]
    assert found.inputs["rows"] is None
    assert "is of an earlier version" in found.untold[0]


def test_a_strategy_that_failed(before: tuple[Path, RunResult]) -> None:
    """No gate decided; why it FAILED is said."""
    database, first = before
    change(database, f"UPDATE experimental_strategies SET filter_type = NULL {of('GOOD')}")
    [change_of] = first.compare(run(database)).changed

    assert (change_of.after, change_of.gate, change_of.causes) == ("FAILED", None, ("row",))
    assert "filter_type is NULL" in change_of.decided


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["{a}"], "got one run; needed RUN_B, or --dry-run to judge the strategies of RUN_A anew"),
        (["{a}", "{a}", "--min-sample", "5"], "these are for --dry-run in place of RUN_B"),
        (["{a}", "{a}", "--dry-run"], "these are for --dry-run in place of RUN_B"),
        (["{a}", "nobody"], "has no committed run 'nobody'; the latest are {a} (MGC)"),
        (["{a}", "{a}", "--csv", "tiny.duckdb"], "which is the database"),
        (["{a}", "{a}", "--csv", "wf.jsonl"], "needed a name that ends in .csv"),
        (["{a}", "{a}", "--csv", "mine.csv"], "which is there and is no such table"),
        (["{a}", "--dry-run", "--csv", "mine.csv", "--rules", "./mine.csv"], "which is the --rules"),
    ],
)
def test_what_cannot_be_compared(called: Command, before: tuple[Path, RunResult], args: list[str], says: str) -> None:
    """One line, exit code 2, and nothing changes."""
    database, first = before
    (database.parent / "mine.csv").write_text("min_sample,promoted\n")
    there = everything_in(database.parent)
    ran = called("compare", *(arg.format(a=first.summary["run_id"]) for arg in args), "--db", database)

    assert (ran.code, ran.stdout, everything_in(database.parent)) == (2, "", there)
    assert says.format(a=first.summary["run_id"]) in ran.stderr


def test_runs_of_two_instruments(tmp_path: Path) -> None:
    """No strategy is in both."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MES_GOOD", "instrument": "MES"}])
    flags = {"workers": 1, "progress": False, "wf_output": tmp_path / "wf.jsonl"}
    one, two = (validate(database, symbol, **flags) for symbol in ("MGC", "MES"))

    with pytest.raises(InputError, match="needed two runs of one instrument"):
        one.compare(two)


def test_frames_are_typed(before: tuple[Path, RunResult]) -> None:
    """Phases are whole numbers and numbers doubles, also where there is no row."""
    database, first = before
    for flags in ({"min_sample": 50}, {}):
        frame = first.compare(run(database, **flags)).changes
        assert frame.dtypes[["after_phase", "seen_before", "needed_after"]].astype(str).tolist() == [
            "Int64",
            "float64",
            "float64",
        ]
    assert frame.empty
