"""Sessions and filters that only the user's data and rules know, from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dask_validator import RunResult, validate
from dask_validator.errors import InputError
from tests.support.tiny import change, rows_by_id, tiny_database

IN_ATR = {"fields": {"min_range_in_atr": "number"}, "when": "atr_20 > 0 and orb_{L}_size / atr_20 >= $min_range_in_atr"}
PROMPT = {
    "name": "PROMPT",
    "let": {"delay": "orb_{L}_break_delay_min"},
    "when": "delay is not null and delay <= 5",
}
SIZED = {"min_range_in_atr": 0.16}  # every ATR is 25, so this is a size of 4
Command = Callable[..., Any]


def run(database: Path, **rules: Any) -> RunResult:
    """Nothing is written."""
    return validate(database, workers=1, progress=False, dry_run=True, **rules)


def statuses(result: RunResult) -> dict[str, str]:
    """By strategy."""
    return {verdict.strategy_id: str(verdict.status) for verdict in result.verdicts}


def test_a_kind_of_ones_own_without_python(tmp_path: Path) -> None:
    """Two invented kinds, alone and in a composite, trade the days that the equal shipped ones trade."""
    both = {"base": SIZED, "overlay": {"filter_type": "PROMPT"}}
    rows = [
        {"strategy_id": "SIZE", "filter_type": "ORB_G4", "filter_params": None},
        {"strategy_id": "MY_SIZE", "filter_type": "MINE", "filter_params": json.dumps(SIZED)},
        {"strategy_id": "FAST", "filter_type": "ORB_G4_FAST5", "filter_params": None},
        {"strategy_id": "MY_FAST", "filter_type": "BOTH", "filter_params": json.dumps(both)},
        {"strategy_id": "PROMPT", "filter_type": "PROMPT", "filter_params": None},
    ]
    database = tiny_database(tmp_path / "tiny.duckdb", rows)
    result = run(database, filters="params", filter=[IN_ATR, PROMPT])
    windows = {verdict.strategy_id: verdict.walkforward.windows for verdict in result.verdicts if verdict.walkforward}

    assert set(statuses(result).values()) == {"PASSED"}
    assert windows["MY_SIZE"] == windows["SIZE"] != windows["FAST"]
    assert windows["MY_FAST"] == windows["FAST"] != windows["PROMPT"]


@pytest.mark.parametrize(
    ("policy", "status", "said"),
    [
        ("all", "PASSED", "walk-forward took every day"),
        ("none", "REJECTED", "walk-forward took no day"),
        ("fail", "FAILED", "filter 'MINE' is unknown (no kind of filter has min_range_in_atr of 'MINE')"),
    ],
)
def test_a_filter_that_nobody_understands(tmp_path: Path, policy: str, status: str, said: str) -> None:
    """A typo trades every day, no day, or is FAILED, as the rules say; the note and a warning name it."""
    row = {"filter_type": "MINE", "filter_params": json.dumps(SIZED)}
    result = run(tiny_database(tmp_path / "tiny.duckdb", [row]), filters="params", unknown_filters=policy)
    [verdict] = result.verdicts

    assert verdict.status == status
    assert said in verdict.note
    assert any("'MINE' (1)" in warning for warning in result.warnings) == (policy != "fail")
    assert verdict.gate is None or verdict.gate.phase == 6


PARTS = ("size", "break_delay_min", "break_bar_continues", "break_dir", "double_break")


def renamed(path: Path, label: str, row: dict[str, Any]) -> Path:
    """A database in which the session 1000 is called otherwise."""
    database = tiny_database(path, [{"orb_label": "1000", **row}])
    others = ", ".join(f'"orb_1000_{part}" AS "orb_{label}_{part}"' for part in PARTS)
    change(database, f"CREATE TABLE f AS SELECT * RENAME ({others}) FROM daily_features")
    change(database, "CREATE TABLE o AS FROM orb_outcomes")
    for table in ("orb_outcomes", "daily_features"):  # renaming columns of a table that others refer to is not allowed
        change(database, f"DROP TABLE {table}")
    change(database, "ALTER TABLE o RENAME TO orb_outcomes")
    change(database, "ALTER TABLE f RENAME TO daily_features")
    for table in ("experimental_strategies", "orb_outcomes"):
        change(database, f"UPDATE {table} SET orb_label = ?", label)
    return database


@pytest.mark.parametrize("label", ["MY_OPEN", "size_of_size", "odd label"])
def test_sessions_come_from_the_catalogue(tmp_path: Path, label: str) -> None:
    """Whatever stands between `orb_` and the last `_size` is a session."""
    assert statuses(run(renamed(tmp_path / "tiny.duckdb", label, {}))) == {"MGC_GOOD": "PASSED"}


@pytest.mark.parametrize("label", ['0900_size" OR TRUE --', "0900_size", ""])
def test_a_label_is_never_more_than_a_name(tmp_path: Path, label: str) -> None:
    """What is no session of the catalogue reaches no SQL."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    change(database, "UPDATE experimental_strategies SET orb_label = ?", label)

    assert statuses(run(database)) == {"MGC_GOOD": "FAILED"}


def test_a_session_that_nobody_knows_fails_also_without_a_filter(tmp_path: Path) -> None:
    """By its name: spelled otherwise than the column, it is another one."""
    database = renamed(tmp_path / "tiny.duckdb", "MY_OPEN", {"filter_type": "NO_FILTER"})
    change(database, "UPDATE experimental_strategies SET orb_label = 'my_open'")
    [verdict] = run(database).verdicts

    assert verdict.status == "FAILED"
    assert verdict.note.startswith("orb_label 'my_open' is no known session; known: ")
    assert "MY_OPEN" in verdict.note


def test_seasons_are_a_table(tmp_path: Path) -> None:
    """A session has the seasons of its zone, or none; an id's ending counts where there are some, `_S075` never."""
    rows = [
        {"strategy_id": f"MGC_{label}{end}", "orb_label": label}
        for label in ("0900", "1000")
        for end in ("", "_W", "_S075")
    ]
    database = tiny_database(tmp_path / "tiny.duckdb", rows)

    def seen(**rules: Any) -> dict[str, tuple[str | None, int]]:
        found = {v.strategy_id: v for v in run(database, **rules).verdicts}
        trades = {name: v.walkforward.total_oos_trades for name, v in found.items() if v.walkforward}
        return {name: (v.split.verdict if v.split else None, trades.get(name, 0)) for name, v in found.items()}

    usual, none, london = seen(), seen(seasons={}), seen(seasons={"1000": "Europe/London"})
    everything = usual["MGC_1000"][1]

    assert usual["MGC_0900"][0] not in (None, "CLEAN")
    assert usual["MGC_0900_W"][1] < everything
    assert usual["MGC_1000"] == usual["MGC_1000_S075"] == ("CLEAN", everything)
    assert set(none.values()) == {("CLEAN", everything), (None, everything)}
    assert london["MGC_0900"] == ("CLEAN", everything)
    assert london["MGC_1000"][0] == london["MGC_1000_S075"][0] != "CLEAN"
    assert london["MGC_1000_W"][1] < everything == london["MGC_1000_S075"][1]


def test_look_ahead_is_told(tmp_path: Path) -> None:
    """A filter of the break is late for an entry on touch; the verdict stays, the note says so."""
    rows = [{"strategy_id": name, "entry_model": name, "filter_type": "ORB_G4_FAST5"} for name in ("E1", "E2")]
    database = tiny_database(tmp_path / "tiny.duckdb", rows)
    result = {verdict.strategy_id: verdict for verdict in run(database, touch_entry_models=["E2"]).verdicts}

    assert {str(verdict.status) for verdict in result.values()} == {"PASSED"}
    assert result["E1"].note == "All phases passed"
    assert result["E2"].note == "look-ahead: orb_0900_break_delay_min is known only when the break bar has closed"


@pytest.mark.parametrize("when", ["ORB_{L}_BREAK_DIR = 'long'", "of_symbol('MGC', 'orb_{L}_break_dir') is not null"])
def test_look_ahead_is_told_however_it_is_spelled(when: str, tmp_path: Path) -> None:
    """Columns in capitals are the same columns; those of another symbol's row are as late."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"filter_type": "MINE", "filter_params": None}])
    [verdict] = run(database, filter=[{"name": "MINE", "when": when}], touch_entry_models=["E1"]).verdicts

    assert "is known only when the break bar has closed" in verdict.note


RULES = """
filters = "params"
touch_entry_models = ["E1"]
[[filter]]
fields = { min_range_in_atr = "number" }
when = "orb_{L}_size / atr_20 >= $min_range_in_atr or atr_20 is null"
"""


def test_check_says_what_these_rules_would_meet(tmp_path: Path, called: Command) -> None:
    """Unknown sessions and filters, idle sessions, look-ahead, and what each entry says of the days, with counts."""
    mine = {"filter_type": "MINE", "filter_params": json.dumps(SIZED)}
    rows = [
        {"strategy_id": "A", **mine},
        {"strategy_id": "B", **mine, "rr_target": 2.0},
        {"strategy_id": "C", "filter_type": "TYPO", "filter_params": '{"min_sice": 4}'},
        {"strategy_id": "D", "filter_type": "DIR_LONG", "filter_params": '{"direction": "long"}'},
        {"strategy_id": "E", "orb_label": "LOST"},
    ]
    database = tiny_database(tmp_path / "tiny.duckdb", rows[:4], features={"day(trading_day) = 1": {"atr_20": None}})
    lost = "SELECT * REPLACE ('E' AS strategy_id, 'LOST' AS orb_label)"
    change(database, f"INSERT INTO experimental_strategies {lost} FROM experimental_strategies WHERE strategy_id = 'A'")
    (tmp_path / "rules.toml").write_text(RULES)
    said = called("check", "--db", database, "--rules", tmp_path / "rules.toml").stdout

    assert "unknown session 'LOST': 1 waiting strategies" in said
    assert "sessions with columns but no waiting strategies: 1000" in said
    assert "unknown filter 'TYPO': 1 waiting strategies (no kind of filter has min_sice of 'TYPO')" in said
    assert "look-ahead of 'DIR_LONG': orb_*_break_dir is known only when the break bar has closed: 1 waiting" in said
    [days] = [line for line in said.splitlines() if "[[filter]] 1" in line]
    assert "0 NULL" in days
    assert "27 eligible though a column that it names is missing" in days


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("atr_20 > (SELECT 1)", "SUBQUERY"),
        ("read_text('/etc/passwd') is null", "read_text"),
        ("atr_20 > 1; DROP TABLE daily_features", "Only SELECT statements"),
        ("atr_20 > 1; SELECT 1", "more than one expression"),
        ("atr_20 > 1 FROM daily_features", "more than one expression"),
        ("atr_20 > 1 AS x", "more than one expression"),
        ("atr_20 > 1 -- all", "comments"),
        ("atr_20::VARCHAR = '1'", "a cast"),
        ("main.daily_features.atr_20 > 1", "main.daily_features.atr_20"),
        ("count(*) OVER () > 1", "WINDOW"),
        ("sum(atr_20) > 1", "sum"),
        ("$unknown > 1", r"\$unknown"),
        ("orb_{Q}_size > 1", "{Q}"),
        ("of_symbol('MES', atr_20) > 1", "of_symbol"),
        ("atr_20 >", "cannot be parsed"),
        ("atr_20 in (select 1)", "SUBQUERY"),
        ("$$a$$ = 'a'", "dollars"),
    ],
)
def test_only_what_is_allowed(tmp_path: Path, when: str, said: str) -> None:
    """Everything else than an expression over the row is refused, by the entry's name, before anything is done."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    with pytest.raises(InputError, match=rf"^\[\[filter\]\] 1.*{said}"):
        validate(database, workers=1, progress=False, filter=[{"name": "X", "when": when}])

    assert rows_by_id(database, "experimental_strategies", "validation_status") == {
        "MGC_GOOD": {"validation_status": None}
    }


@pytest.mark.parametrize(
    ("when", "passes"),
    [
        ("abs(-atr_20) = 25", True),  # a macro of the database that is called so has no effect
        ("not (atr_20 / (atr_20 - atr_20) > 1)", False),  # NULL, not infinity
        ("atr_20 % (atr_20 - 25) is null", True),
        ("(1e308 * atr_20 - 1e308 * atr_20) >= 1", False),  # no number is not the largest of all
        ("not (1e308 * atr_20 - 1e308 * atr_20 >= 1)", False),
        ("1 / 2 = 0.5 and 7 % 4 = 3 and round(2.345, 2) = 2.35 or false", True),
        ("case when atr_20 between 24 and 26 then isodow(trading_day) in (1, 2, 3, 4, 5) else false end", True),
        ("if(atr_20 is null, false, least(1, greatest(atr_20, 0.5)) = 1 and coalesce(null, true))", True),
        ("nullif(atr_20, 25) is null and floor(2.5) + ceil(2.5) = 5 and true", True),
    ],
)
def test_what_conditions_mean(tmp_path: Path, when: str, passes: bool) -> None:
    """Doubles throughout; a division by zero and what is no number are NULL; nothing of the database stands in."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"filter_type": "X"}])
    change(database, "CREATE MACRO abs(x) AS 0")
    [verdict] = run(database, filter=[{"name": "X", "when": when}]).verdicts

    assert (str(verdict.status) == "PASSED") == passes, verdict.note
