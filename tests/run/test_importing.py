"""Trades of any backtester become strategies: their numbers, what changes them, and what is refused."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator import InputError, RunConfig, import_trades, validate, validate_trades
from dask_validator.explanation.find import explain
from tests.conftest import Command, everything_in
from tests.reference import trade_logs as twin
from tests.support.tiny import change, tiny_database
from tests.support.trade_logs import all_that_is_there, by_id, log, rows

UNITS = {"r": 1, "return": 100, "money": 1}


def run(database: Path, **flags: Any) -> Any:
    """Serially, the JSONL beside the database."""
    return validate(database, "ES", wf_output=database.parent / "wf.jsonl", workers=1, progress=False, **flags)


@settings(max_examples=6)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_how_a_log_is_written_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, chance: Any, files: int
) -> None:
    """Rows in any order, columns in any order, in one file or in several: the same database."""
    folder = tmp_path_factory.mktemp("log")
    whole = log(4, 60, symbol="ES", side="long", cost=0.1)
    import_trades(whole, folder / "expected.duckdb", "ES")
    shuffled = whole.sample(frac=1, random_state=chance.randrange(2**31))
    columns = list(shuffled.columns)
    chance.shuffle(columns)
    for number in range(files):
        shuffled.iloc[number::files][columns].to_csv(folder / f"part{number}.csv", index=False)
    import_trades(str(folder / "part*.csv"), folder / "found.duckdb", "ES")

    assert all_that_is_there(folder / "found.duckdb") == all_that_is_there(folder / "expected.duckdb")


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_is_kept_and_said(tmp_path: Path, unit: str) -> None:
    """R and money as they are, returns in per cent; notes, gates and summary are in it."""
    whole = log(2, mean=-0.1).rename(columns={"r": {"r": "r", "return": "return", "money": "pnl"}[unit]})
    import_trades(whole, tmp_path / "x.duckdb", "ES", unit=unit)
    result = run(tmp_path / "x.duckdb")

    expected = {"r": "R", "return": "%", "money": "money"}[unit]
    assert rows(tmp_path / "x.duckdb")[0]["expectancy_r"] == pytest.approx(
        twin.numbers([(day.date(), r * UNITS[unit]) for day, r in whole[whole.strategy_id == "S0"].iloc[:, 1:].values])[
            "expectancy_r"
        ]
    )
    assert result.summary.get("unit", "R") == expected
    assert f"{expected}, needed > 0" in result.strategies.note[0]
    assert f"({expected})" in str(result.explain("S0"))


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """Not a row; verdicts stay, and nothing waits."""
    database = tmp_path / "x.duckdb"
    import_trades(log(), database, "ES")
    run(database)
    before = all_that_is_there(database)
    found = import_trades(log(), database, "ES")

    assert all_that_is_there(database) == before
    assert found.changes._asdict() == {
        "new": 0, "changed": 0, "unchanged": 3, "aliases": 0, "gone": 0, "retired": 0,
    }  # fmt: skip


@pytest.mark.parametrize("how", ["a result", "a day", "another trade", "costs"])
def test_changed_strategies_wait_again(tmp_path: Path, how: str) -> None:
    """Those whose trades are others now, and no others; what the last run said is gone."""
    database, other = tmp_path / "x.duckdb", log(cost=0.1)
    import_trades(other, database, "ES")
    run(database)
    at = other.index[other.strategy_id == "S1"][0]
    if how == "a result":
        other.loc[at, "r"] += 0.001
    elif how == "a day":
        other.loc[at, "exit_time"] -= timedelta(days=1)
    elif how == "another trade":
        other = pd.concat([other, other.loc[[at]].assign(exit_time=datetime(2024, 1, 1))])
    else:
        other.loc[at, "cost"] = 0.2
    found = import_trades(other, database, "ES")

    assert (found.changes.changed, found.changes.unchanged) == (1, 2)
    assert by_id(database, "validation_status") == {"S0": "PASSED", "S1": None, "S2": "PASSED"}
    assert run(database).summary["rows"] == 1


def test_replace(tmp_path: Path) -> None:
    """What is no longer in the source is skipped, its setup retired, its trades deleted; other instruments stay."""
    database = tmp_path / "x.duckdb"
    import_trades(log(), database, "ES")
    import_trades(log(2, seed=9).assign(strategy_id=lambda of: "N" + of.strategy_id), database, "NQ")
    run(database)
    found = import_trades(log()[lambda of: of.strategy_id != "S1"], database, "ES", replace=True)

    assert (found.changes.gone, found.changes.retired, found.changes.unchanged) == (1, 1, 2)
    assert by_id(database, "validation_status", "validation_notes")["S1"] == ("SKIPPED", "gone from the source")
    assert {row["strategy_id"] for row in rows(database, "dask_validator_trades")} == {"NS0", "NS1", "S0", "S2"}
    [setup] = [row for row in rows(database, "validated_setups") if row["strategy_id"] == "S1"]
    assert (setup["status"], setup["retirement_reason"]) == ("retired", "gone from the source")
    assert run(database).summary["rows"] == 0


def test_aliases(tmp_path: Path) -> None:
    """Equal results on equal days are one strategy, the first by name; when that goes, the next one is judged."""
    database, whole = tmp_path / "x.duckdb", log(1)
    import_trades(pd.concat([whole.assign(strategy_id=name) for name in "BCA"]), database, "ES")
    run(database)

    assert by_id(database, "is_canonical", "canonical_strategy_id") == {
        "A": (True, None), "B": (False, "A"), "C": (False, "A"),
    }  # fmt: skip
    assert by_id(database, "validation_status") == {"A": "PASSED", "B": "SKIPPED", "C": "SKIPPED"}
    import_trades(pd.concat([whole.assign(strategy_id=name) for name in "BC"]), database, "ES", replace=True)
    run(database)
    assert by_id(database, "validation_status") == {"A": "SKIPPED", "B": "PASSED", "C": "SKIPPED"}


def _with_bad(bad: int) -> pd.DataFrame:
    whole = log(2)
    whole.loc[whole.index[whole.strategy_id == "S1"][:bad], "r"] = np.nan
    return whole


def test_too_many_bad_rows_fail_a_strategy_for_good(tmp_path: Path, command: Command) -> None:
    """More than 5 % cannot be used: FAILED with the reason, --resume or not, until an import brings better ones."""
    database = tmp_path / "x.duckdb"
    _with_bad(16).to_csv(tmp_path / "log.csv", index=False)
    ran = command("import", "log.csv", "--db", database, "--instrument", "ES")
    reason = "16 of 300 rows cannot be used: no result: 16 (first: log.csv, line 302)"

    assert ran.code == 3
    assert f"FAILED S1: {reason}" in ran.stdout
    for flags, said in (({}, True), ({"resume": True}, False)):
        warned = run(database, **flags).warnings
        assert any("1 strategy is left FAILED by the import and not judged" in line for line in warned) is said
        assert by_id(database, "validation_status", "validation_notes")["S1"] == ("FAILED", reason)
    named = command("run", "--db", database, "--instrument", "ES", "--strategies", "failed", "--dry-run")
    assert f"FAILED S1: {reason}" in named.stderr
    import_trades(log(2), database, "ES")
    assert run(database).summary["passed"] == 1


def test_few_bad_rows_are_left_out_and_said(tmp_path: Path) -> None:
    """The strategy is judged by the others, and its note says what is missing."""
    result = validate_trades(_with_bad(15), progress=False)
    notes = dict(zip(result.strategies.strategy_id, result.strategies.note, strict=True))

    assert "15 of 300 rows left out: no result: 15 (first:" in notes["S1"]
    assert "left out" not in notes["S0"]


def test_open_trades_are_no_damage_to_a_log(tmp_path: Path, command: Command) -> None:
    """However many of its rows they are, a strategy is judged by its closed trades; without any it is FAILED."""
    closed = [f"short,1,2024-01-{day:02d},5,1,Closed" for day in range(2, 8)]
    still_open = [f"{name},1,2024-02-01,5,1,Open" for name in ("short", "short", "never")]
    header = "strategy_id,Size,Exit Timestamp,PnL,Return,Status,Column"
    text = "\n".join([header, *(f"{row},0" for row in closed + still_open)])
    (tmp_path / "log.csv").write_text(text + "\n")
    looked = command("check", "log.csv", "--unit", "money").stdout
    imported = command("import", "log.csv", "--unit", "money", "--db", "x.duckdb", "--instrument", "ES").stdout
    notes = by_id(tmp_path / "x.duckdb", "validation_status", "validation_notes")

    assert "3 left out: open trade (first: log.csv, line 8)" in looked
    assert "never would be FAILED: no closed trade" in looked
    assert "short would be FAILED" not in looked
    assert "FAILED short" not in imported
    assert notes == {
        "short": (None, None),
        "never": ("FAILED", "no closed trade: open trade: 1 (first: log.csv, line 10)"),
    }
    run(tmp_path / "x.duckdb")
    [note] = [n for name, n in by_id(tmp_path / "x.duckdb", "validation_notes").items() if name == "short"]
    assert "2 of 8 rows left out: open trade: 2 (first: log.csv, line 8)" in note


def test_costs_are_stressed_or_said_to_be_unknown(tmp_path: Path, command: Command) -> None:
    """With costs phase 4 judges by them; without any, note, summary and explanation say that it did not."""
    whole = pd.concat([log(1, cost=1.0), log(2, seed=1).assign(strategy_id=lambda of: "N" + of.strategy_id)])
    whole = pd.concat([whole, log(1, seed=2).assign(strategy_id="HALF", cost=[0.1, np.nan] * 150)])
    whole.to_csv(tmp_path / "log.csv", index=False)
    command("import", "log.csv", "--db", "x.duckdb", "--instrument", "ES")
    ran = command("run", "--db", "x.duckdb", "--instrument", "ES", "--workers", 1, "--report", "r.html")
    notes = by_id(tmp_path / "x.duckdb", "validation_notes")

    assert notes["S0"].startswith("Phase 4: expectancy after stressed costs -")
    assert notes["NS0"] == "cost stress: not judged, no costs given"
    assert notes["HALF"] == "costs of 150 of 300 trades known: their mean stands for the others'"
    assert "cost stress: not judged, no costs given (2 strategies)" in ran.stdout
    assert "cost stress: not judged, no costs given (2 strategies)" in (tmp_path / "r.html").read_text()
    explained = command("explain", "NS0", "--db", "x.duckdb").stdout
    assert "not judged" in next(line for line in explained.splitlines() if "stressed costs" in line)
    told = {gate["name"]: gate["passed"] for gate in explain(tmp_path / "x.duckdb", "NS0").to_dict()["gates"]}
    assert (told["stressed_expectancy_r"], told["sample_size"]) == (None, True)


def test_stressed_expectancy(tmp_path: Path) -> None:
    """The mean result less the part of the mean cost that the multiplier adds."""
    whole = log(1, cost=np.linspace(0, 0.4, 300))
    import_trades(whole, tmp_path / "x.duckdb", "ES")
    result = run(tmp_path / "x.duckdb", stress_multiplier=2.5)
    [(found,)] = (
        duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True)
        .execute("SELECT stressed_expectancy_r FROM dask_validator_results")
        .fetchall()
    )

    assert result.summary["passed"] + result.summary["rejected"] == 1
    assert found == pytest.approx(np.mean(whole.r - 1.5 * whole.cost), rel=1e-12)


def test_losing_years_are_not_waived(tmp_path: Path) -> None:
    """Nothing is known of the volatility of a log, also where the instrument's own strategies have it."""
    losing = pd.concat([log(1), log(1, 3, mean=-1.0, seed=3).assign(exit_time=datetime(2018, 5, 5))])
    database = tiny_database(tmp_path / "x.duckdb", features={"TRUE": {"atr_20": 5.0}})
    import_trades(losing, database, "MGC")
    result = validate(database, "MGC", RunConfig(wf_output=tmp_path / "wf.jsonl"), workers=1, progress=False)

    assert dict(zip(result.strategies.strategy_id, result.strategies.phase.fillna(0), strict=True))["S0"] == 3


def test_beside_strategies_of_ones_own(tmp_path: Path) -> None:
    """One run judges both, each by its own trades, as it would alone."""
    alone, both = tiny_database(tmp_path / "alone.duckdb"), tiny_database(tmp_path / "both.duckdb")
    import_trades(log(), both, "MGC")
    found = validate(both, "MGC", wf_output=tmp_path / "both.jsonl", workers=1, progress=False).windows
    own = validate(alone, "MGC", wf_output=tmp_path / "alone.jsonl", workers=1, progress=False).windows
    imported = validate_trades(log(), progress=False).windows

    expected = pd.concat([own, imported], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)


def _named_like_ours(path: Path) -> Path:
    return tiny_database(path, [{"strategy_id": "S1"}])


def _of_another_instrument(path: Path) -> Path:
    import_trades(log(), path, "NQ")
    return path


def _told_twice(path: Path) -> Path:
    import_trades(log(), path, "ES")
    change(path, "INSERT INTO dask_validator_trade_logs FROM dask_validator_trade_logs WHERE strategy_id = 'S1'")
    return path


def _in_money(path: Path) -> Path:
    import_trades(log(1).rename(columns={"r": "pnl"}).assign(strategy_id="M"), path, "ES", unit="money")
    return path


def _with_a_stranger(path: Path) -> Path:
    database = tiny_database(path)
    change(database, "CREATE TABLE dask_validator_trades (strategy_id VARCHAR)")
    return database


def _with_a_view(path: Path) -> Path:
    database = tiny_database(path)
    change(database, "CREATE VIEW dask_validator_trade_logs AS SELECT 1 AS strategy_id")
    return database


@pytest.mark.parametrize(
    ("database", "said"),
    [
        (_named_like_ours, "strategy_id S1 (of MGC, E1) is there already"),
        (_of_another_instrument, "strategy_id S0 (of NQ, TRADE_LOG), S1 (of NQ, TRADE_LOG), S2 (of NQ, TRADE_LOG) is"),
        (_in_money, "results of ES are in money, and these in R"),
        (_told_twice, "dask_validator_trade_logs has two rows of S1; delete one"),
        (_with_a_stranger, "dask_validator_trades was not made by dask-validator import"),
        (_with_a_view, "dask_validator_trade_logs"),
    ],
)
def test_what_is_refused_changes_nothing(tmp_path: Path, called: Command, database: Any, said: str) -> None:
    """One line, exit 2, and no byte of the database is another one."""
    path = database(tmp_path / "x.duckdb")
    log().to_csv(tmp_path / "log.csv", index=False)
    before = everything_in(tmp_path)
    ran = called("import", "log.csv", "--db", path, "--instrument", "ES")

    assert ran.code == 2
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("flags", [(), ("--unit", "money")])
def test_a_log_that_says_too_little(tmp_path: Path, called: Command, flags: tuple[str, ...]) -> None:
    """No unit, or nothing that can be read: no file is made."""
    (tmp_path / "log.csv").write_text("strategy_id,exit_time,return\nA,2020-01-01,0.1\n" if not flags else "x\n1\n")
    ran = called("import", "log.csv", "--db", "new.duckdb", "--instrument", "ES", *flags)

    assert ran.code == 2
    assert len(ran.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


def test_a_database_that_is_held(tmp_path: Path, command: Command) -> None:
    """Somebody else has it open: exit 2, with who that is."""
    import_trades(log(), tmp_path / "x.duckdb", "ES")
    log(4).to_csv(tmp_path / "log.csv", index=False)
    with duckdb.connect(str(tmp_path / "x.duckdb")):
        ran = command("import", "log.csv", "--db", "x.duckdb", "--instrument", "ES")

    assert ran.code == 2
    assert re.search(r"is held for writing by PID \d+", ran.stderr)


def test_an_import_that_dies_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the middle of writing: not a row of it is there."""
    from dask_validator.store import trade_import

    database = tmp_path / "x.duckdb"
    import_trades(log(), database, "ES")
    before = all_that_is_there(database)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trade_import, "_tell_aliases", dies)
    for path in (database, tmp_path / "new.duckdb"):
        with pytest.raises(KeyboardInterrupt):
            import_trades(log(5, seed=4), path, "ES")

    assert all_that_is_there(database) == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.duckdb"]


def test_without_a_database_of_ones_own() -> None:
    """All that a result can be asked is there as long as the result."""
    result = validate_trades(log(), progress=False)

    assert result.summary["passed"] == 3
    assert len(result.windows) > 10
    assert "PASSED" in str(result.explain("S0"))
    with pytest.raises(InputError, match="stratum"):
        validate_trades(log(), stratum=3)
