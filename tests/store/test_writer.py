"""The commit: one transaction or nothing, and every column of a setup as the rules have it."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import NotCommitted
from dask_validator.model import Verdict
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.store import writer
from dask_validator.store.connection import connect
from dask_validator.store.contract import OPTIONAL, PROMOTED
from dask_validator.store.file_state import file_state
from dask_validator.store.fingerprints import Seen
from dask_validator.store.our_tables import SPLIT
from dask_validator.store.past_runs import read_past_run
from tests.conftest import contents, everything_in
from tests.support.commits import (
    ALIAS,
    BAD,
    FAILING,
    OLD,
    Opener,
    Watched,
    commit_replaced,
    refer_to,
    run,
)
from tests.support.tiny import GOOD, Row, change, line_ids, rows_by_id, tiny_database

PROMOTED_BEFORE = "2024-05-06 07:08:09+00"


Prepared = tuple[writer.RunRecord, Sequence[Verdict], Seen]


def seen_in(copy: Path, prepared: Prepared) -> Prepared:
    """The same, for a copy of the database."""
    record, verdicts, seen = prepared
    return record, verdicts, seen._replace(file=file_state(copy, seen.source.path))


def prepare(database: Path) -> Prepared:
    """What a run would commit."""
    prepared: list[Prepared] = []

    def kept(path: Path, record: writer.RunRecord, verdicts: Any, seen: Seen, *_: Any, **__: Any) -> datetime:
        prepared.append((record, verdicts, seen))
        return record.finished_at

    with commit_replaced(kept):
        run(database)
    return prepared[0]


def test_one_transaction(mixed: Path) -> None:
    """Whoever reads the database meanwhile sees all of a run or nothing of it."""
    opener = Opener()
    with commit_replaced(partial(writer.commit, connect=opener)):
        run(mixed)

    transaction = [sql.split()[0] for sql in opener.statements if sql.split()[0] in ("BEGIN", "COMMIT", "ROLLBACK")]
    assert transaction == ["BEGIN", "COMMIT"]
    assert opener.statements[0].startswith("BEGIN")
    assert opener.statements[-1] == "COMMIT"


def test_any_statement_may_fail(mixed: Path) -> None:
    """A disk that fills up at any point of the commit, for one statement or for good, leaves the database as it was."""
    change(mixed, "ALTER TABLE edge_families ADD COLUMN mood TEXT")  # the reader of the catalogue must not mind
    prepared = prepare(mixed)
    before = contents(mixed)
    opener = Opener()
    spare = mixed.with_name("spare.duckdb")
    spare.write_bytes(mixed.read_bytes())
    writer.commit(spare, *seen_in(spare, prepared), connect=opener)
    assert contents(spare) != before

    count = len(opener.statements)
    for first in range(count):
        for refused in (range(first, first + 1), range(first, count + 1)):
            failing = Opener(refused)
            with pytest.raises(NotCommitted, match="no space left on device") as caught:
                writer.commit(mixed, *prepared, connect=failing)
            assert "stack trace" not in str(caught.value)
            assert failing.statements[:first] == opener.statements[:first]
            assert contents(mixed) == before
    with duckdb.connect(str(mixed)) as writable:
        writable.execute("UPDATE experimental_strategies SET validation_notes = 'mine'")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interrupted(mixed: Path, interruption: type[BaseException]) -> None:
    """Ctrl-C in the middle of the commit leaves the database as it was, and open to others."""
    prepared = prepare(mixed)
    before = contents(mixed)

    class Interrupted(Watched):
        def execute(self, sql: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
            if "INSERT INTO dask_validator_runs" in sql:
                raise interruption
            return super().execute(sql, *parameters)

    with pytest.raises(interruption):
        writer.commit(mixed, *prepared, connect=lambda path, **options: Interrupted(connect(path, **options)))  # type: ignore[arg-type]
    assert contents(mixed) == before


def test_a_failed_commit_carries_the_result(mixed: Path) -> None:
    """Hours of computing are not lost with the transaction: the exception carries the verdicts, uncommitted."""
    before = everything_in(mixed.parent)
    with (
        commit_replaced(partial(writer.commit, connect=Opener(range(3, 4)))),
        pytest.raises(NotCommitted) as caught,
    ):
        run(mixed)

    assert caught.value.exit_code == 4
    assert caught.value.result is not None
    assert caught.value.result.summary["committed"] is False
    assert caught.value.result.summary["passed"] == 1
    assert everything_in(mixed.parent).keys() - before.keys() == {"tiny.duckdb.MGC.journal"}


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE strategy_id = 'MGC_GOOD'",
        "DELETE FROM experimental_strategies WHERE strategy_id = 'MGC_GOOD'",
        "DROP TABLE edge_families; DROP TABLE validated_setups_archive; DROP TABLE validated_setups",
    ],
    ids=["decided", "removed", "table gone"],
)
def test_changed_meanwhile(tmp_path: Path, meanwhile: str) -> None:
    """A run never overwrites what somebody else decided while it computed, nor loses its results over it."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, BAD])
    prepared = prepare(database)
    change(database, meanwhile)
    before = contents(database)

    with pytest.raises(NotCommitted):
        writer.commit(database, *prepared)
    assert contents(database) == before


def test_the_database_is_gone(mixed: Path) -> None:
    """A database that was moved away is not made anew."""
    prepared = prepare(mixed)
    mixed.rename(mixed.with_suffix(".moved"))

    with pytest.raises(NotCommitted):
        writer.commit(mixed, *prepared)
    assert not mixed.exists()


def test_the_database_is_held(mixed: Path) -> None:
    """A notebook that holds the database when we want to commit costs nothing but a second try."""
    prepared = prepare(mixed)
    before = contents(mixed)
    with duckdb.connect(str(mixed), read_only=True), pytest.raises(NotCommitted, match="held"):
        writer.commit(mixed, *prepared)
    assert contents(mixed) == before
    writer.commit(mixed, *prepared)
    assert contents(mixed) != before


def test_twice(mixed: Path) -> None:
    """A second run finds nothing waiting and changes no byte, of no file."""
    run(mixed)
    after_first = everything_in(mixed.parent)
    again = run(mixed)

    assert (again.summary["rows"], again.summary["committed"]) == (0, False)
    assert everything_in(mixed.parent) == after_first


def test_runs_table(mixed: Path) -> None:
    """Every committed run can be read back: its settings, versions, summary, timings and the very lines it appended."""
    jsonl = mixed.parent / "wf.jsonl"
    first = run(mixed, min_sample=40, exclude_years=(2019,))
    first_lines = jsonl.read_text()
    change(mixed, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = 'MGC_GOOD'")
    second = run(mixed)
    second_lines = jsonl.read_text().removeprefix(first_lines)

    with duckdb.connect(str(mixed), read_only=True) as connection:
        found = connection.execute("SELECT * FROM dask_validator_runs ORDER BY started_at")
        names = [description[0] for description in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert [row["run_id"] for row in rows] == [first.summary["run_id"], second.summary["run_id"]]
    for row, result, lines in zip(rows, (first, second), (first_lines, second_lines), strict=True):
        assert row["instrument"] == "MGC"
        assert row["started_at"] <= row["finished_at"]
        kept, shown = json.loads(row["summary"]), dict(result.summary)
        del kept["total_s"], shown["total_s"]
        assert kept.pop("stages").keys() >= {"screening", "computing"}
        assert kept.pop("start_up_s") is None
        assert kept.pop("cores") is None
        assert kept.pop("waives") is True
        assert kept.pop("unit") == "R"
        assert kept.pop("costs") == KNOWN_COSTS["MGC"]._asdict()
        assert kept.pop("selection") == "waiting"
        assert kept.pop("warnings") == list(result.warnings)
        assert kept == shown
        assert json.loads(row["versions"]).keys() >= {"dask_validator", "duckdb", "dask", "numpy", "python"}
        assert json.loads(row["fingerprints"]).keys() == {
            "experimental_strategies",
            "orb_outcomes",
            "daily_features",
            "validated_setups",
        }
        assert sum(timing["strategies"] for timing in json.loads(row["task_timings"])) >= 1
        past = read_past_run(mixed, "MGC", row["run_id"])
        assert past is not None
        assert zlib.decompress(past.jsonl()).decode().splitlines() == lines.splitlines()
        assert lines
        assert list(map(repr, past.verdicts())) == list(map(repr, result.verdicts))
    assert (json.loads(rows[0]["parameters"])["min_sample"], json.loads(rows[1]["parameters"])["min_sample"]) == (
        40,
        30,
    )
    assert json.loads(rows[0]["parameters"])["exclude_years"] == [2019]


def test_dry_run_makes_no_table(mixed: Path) -> None:
    """A dry run changes no byte of no file."""
    before = everything_in(mixed.parent)
    result = run(mixed, dry_run=True)

    assert (result.summary["rows"], result.summary["committed"]) == (4, False)
    assert everything_in(mixed.parent) == before


@pytest.mark.parametrize("referenced", [False, True])
@pytest.mark.parametrize("lacking", [OLD, ["fdr_significant", "fdr_adjusted_p"]], ids=["old", "older"])
def test_older_database(tmp_path: Path, lacking: list[str], referenced: bool) -> None:
    """A database from before the DST, FDR and waiver columns gets them with its first results, referenced or not."""
    setup = {"strategy_id": "MGC_BAD", "execution_spec": "mine"}
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, BAD], setups=[setup], lacking=lacking)
    if referenced:
        refer_to(database, "MGC_BAD")
    run(database)

    setups = rows_by_id(database, "validated_setups")
    new = {name: setups["MGC_GOOD"][name] for name in PROMOTED}
    assert new == {
        "regime_waivers": None, "regime_waiver_count": 0,
        "dst_winter_n": 178, "dst_winter_avg_r": 0.5219, "dst_summer_n": 330, "dst_summer_avg_r": 0.5203,
        "dst_verdict": "STABLE", "fdr_significant": True, "fdr_adjusted_p": 0.001,
    }  # fmt: skip
    assert (setups["MGC_BAD"]["status"], setups["MGC_BAD"]["execution_spec"]) == ("retired", "mine")
    assert rows_by_id(database, "experimental_strategies", "dst_verdict")["MGC_GOOD"] == {"dst_verdict": "STABLE"}


@pytest.mark.parametrize("referenced", [False, True])
def test_older_database_rolled_back(tmp_path: Path, referenced: bool) -> None:
    """Columns are added with the results or not at all, and a next run adds them."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, BAD], setups=[{"strategy_id": "MGC_BAD"}], lacking=OLD)
    if referenced:
        refer_to(database, "MGC_BAD")
    prepared = prepare(database)
    before = contents(database)
    opener = Opener()
    spare = database.with_name("spare.duckdb")
    spare.write_bytes(database.read_bytes())
    writer.commit(spare, *seen_in(spare, prepared), connect=opener)

    altering = [number for number, sql in enumerate(opener.statements) if sql.startswith("ALTER")]
    assert len(altering) == len(OLD) + 5  # the DST columns go to both tables
    for number in (*altering, len(opener.statements) - 1):
        with pytest.raises(NotCommitted):
            writer.commit(database, *prepared, connect=Opener(range(number, number + 1)))
        assert contents(database) == before
    run(database)
    assert rows_by_id(database, "validated_setups", "dst_verdict")["MGC_GOOD"] == {"dst_verdict": "STABLE"}


@pytest.mark.parametrize(
    ("kind", "usual", "rare"),
    [
        *(("DOUBLE", 1.5, rare) for rare in (None, math.nan, math.inf, 5e-324)),
        *(("INTEGER", 1, rare) for rare in (None, 2**31 - 1, -(2**31))),
        *(("UBIGINT", 1, rare) for rare in (None, 2**63, 2**64 - 1)),
        *(("VARCHAR", None, rare) for rare in ("late", "", "a\0b", "1")),
        *(("BOOLEAN", None, rare) for rare in (True, False)),
    ],
)
def test_one_value_among_many_arrives_as_it_is(kind: str, usual: Any, rare: Any) -> None:
    """Of what type a column is, and whether there is room for a value, no sample of the others decides."""
    values = [usual] * 100_003
    values[54_321] = rare
    with duckdb.connect() as connection:
        writer.fill(connection, writer.ComputedTable("filled", {"value": writer.Column(kind, values)}))
        [(declared, *_)] = connection.execute("SELECT typeof(value) FROM filled LIMIT 1").fetchall()
        found = connection.execute("SELECT value FROM filled").fetchall()

    assert declared == kind
    assert list(map(repr, found)) == [f"({value!r},)" for value in values]


NAN = math.nan
COPIED_DOUBLES = (
    "win_rate", "sharpe_ratio", "max_drawdown_r", "trades_per_year", "sharpe_ann",
    "median_risk_dollars", "avg_risk_dollars", "avg_win_dollars", "avg_loss_dollars",
)  # fmt: skip


def test_nan_is_copied_as_nan(tmp_path: Path) -> None:
    """A promoted row repeats its strategy's numbers, NaN and NULL and infinity told apart."""
    strategies = [
        {"strategy_id": f"MGC_{value}", **{name: value for name in COPIED_DOUBLES if value is not None}}
        for value in (NAN, math.inf, 0.1)
    ]
    nulls = {"strategy_id": "MGC_NULL", **{name: None for name in COPIED_DOUBLES if name != "win_rate"}}
    database = tiny_database(tmp_path / "tiny.duckdb", [*strategies, nulls])
    run(database)

    sources = rows_by_id(database, "experimental_strategies", *COPIED_DOUBLES)
    setups = rows_by_id(database, "validated_setups", *COPIED_DOUBLES)
    assert setups.keys() == sources.keys()
    assert {key: repr(row) for key, row in setups.items()} == {key: repr(row) for key, row in sources.items()}
    assert repr(setups["MGC_nan"]).count("nan") == len(COPIED_DOUBLES)


NEVER_WRITTEN: Row = {"p_value": 0.5, "sharpe_ann_adj": 0.7, "execution_spec": "{}", "family_hash": "f"}


@pytest.mark.parametrize("referenced", [False, True])
@pytest.mark.parametrize("p_value", [0.001, None])
def test_upsert(tmp_path: Path, referenced: bool, p_value: float | None) -> None:
    """A setup that passes again is brought up to date and keeps what is the user's."""
    old = {
        "strategy_id": "MGC_GOOD", "promoted_at": PROMOTED_BEFORE, "status": "retired", "retired_at": PROMOTED_BEFORE,
        "retirement_reason": "Phase 1: too few", "is_family_head": True, "win_rate": 0.1, "years_tested": 9,
        "filter_params": "old", "yearly_results": None, "sharpe_ratio": None, "regime_waivers": "[2017]",
        "regime_waiver_count": 1, "fdr_significant": False, "fdr_adjusted_p": 0.9, "dst_verdict": "LOW-N",
        "all_years_positive": False, "stress_test_passed": False, **NEVER_WRITTEN,
    }  # fmt: skip
    database = tiny_database(tmp_path / "tiny.duckdb", [{"p_value": p_value}], setups=[old])
    if referenced:
        refer_to(database, "MGC_GOOD")
    promoted_at = rows_by_id(database, "validated_setups", "promoted_at")["MGC_GOOD"]
    run(database)

    setup = rows_by_id(database, "validated_setups")["MGC_GOOD"]
    expected = {
        **{name: GOOD[name] for name in setup if name in GOOD and name != "p_value"},
        **{"promoted_from": "MGC_GOOD", "status": "active", "retired_at": None, "retirement_reason": None},
        **{"years_tested": 3, "all_years_positive": True, "stress_test_passed": True, "is_family_head": True},
        **{"regime_waivers": None, "regime_waiver_count": 0},
        **{"dst_winter_n": 178, "dst_winter_avg_r": 0.5219, "dst_summer_n": 330, "dst_summer_avg_r": 0.5203},
        **{"dst_verdict": "STABLE", "fdr_significant": p_value and True, "fdr_adjusted_p": p_value},
        **promoted_at,
        **NEVER_WRITTEN,
    }
    assert setup == expected


def test_new_setup(tmp_path: Path) -> None:
    """A strategy that passes for the first time: promoted now, no family head, nothing invented, waivers as JSON."""
    waived = json.dumps(
        {year: {"trades": 5, "avg_r": -1} for year in (2023, 2022)} | {"2021": {"trades": 9, "avg_r": 1}}
    )
    dormant = {"year(trading_day) >= 2022": {"atr_20": 10.0}}
    database = tiny_database(tmp_path / "tiny.duckdb", [{"yearly_results": waived}], features=dormant)
    run(database)

    setup = rows_by_id(database, "validated_setups")["MGC_GOOD"]
    assert {name: setup[name] for name in NEVER_WRITTEN} == dict.fromkeys(NEVER_WRITTEN)
    assert (setup["regime_waivers"], setup["regime_waiver_count"]) == ("[2022, 2023]", 2)
    assert (setup["years_tested"], setup["all_years_positive"]) == (3, False)
    assert (setup["is_family_head"], setup["status"]) == (False, "active")
    with duckdb.connect(str(database), read_only=True) as connection:
        same = connection.execute(
            "SELECT promoted_at = finished_at FROM validated_setups, dask_validator_runs"
        ).fetchone()
    assert same == (True,)


@pytest.mark.parametrize("referenced", [False, True])
@pytest.mark.parametrize("status", ["active", "paused", "RESEARCH"])
@pytest.mark.parametrize(("strategy", "reason"), [(BAD, "Phase 1:"), (ALIAS, "Alias (non-canonical)")])
def test_retirement(tmp_path: Path, strategy: Row, reason: str, status: str, referenced: bool) -> None:
    """A setup whose strategy no longer passes is retired with the reason, whatever it was, whoever points at it."""
    strategy_id = strategy["strategy_id"]
    setup = {"strategy_id": strategy_id, "promoted_at": PROMOTED_BEFORE, "status": status, **NEVER_WRITTEN}
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, strategy], setups=[setup])
    if referenced:
        refer_to(database, strategy_id)
    before = rows_by_id(database, "validated_setups")[strategy_id]
    result = run(database)

    after = rows_by_id(database, "validated_setups")[strategy_id]
    assert {name for name in after if after[name] != before[name]} == {"status", "retired_at", "retirement_reason"}
    assert after["status"] == "retired"
    assert after["retirement_reason"].startswith(reason)
    assert after["retired_at"] > after["promoted_at"]
    assert result.summary["retired"] == 1


@pytest.mark.parametrize(
    ("strategy", "status"),
    [(FAILING, "active"), ({**BAD, "validation_status": "PASSED"}, "active"), (BAD, "retired")],
    ids=["failed", "not processed", "retired before"],
)
def test_no_retirement(tmp_path: Path, strategy: Row, status: str) -> None:
    """FAILED says nothing against a setup, and one that is retired, or not this run's, is not ours to touch."""
    setup = {"strategy_id": strategy["strategy_id"], "filter_type": "ORB_G4", "status": status}
    if status == "retired":
        setup |= {"retired_at": PROMOTED_BEFORE, "retirement_reason": "long ago"}
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, strategy], setups=[setup])
    before = rows_by_id(database, "validated_setups")[strategy["strategy_id"]]
    result = run(database)

    after = rows_by_id(database, "validated_setups")
    assert after.keys() == {"MGC_GOOD", strategy["strategy_id"]}
    assert after[strategy["strategy_id"]] == before
    assert result.summary["retired"] == 0


def test_only_this_instrument_and_only_our_columns(mixed: Path) -> None:
    """Rows of other instruments, rows decided before, and columns that are not in the contract keep their values."""
    for table in ("experimental_strategies", "orb_outcomes", "edge_families"):
        change(mixed, f"ALTER TABLE {table} ADD COLUMN mood TEXT DEFAULT 'calm'")
    change(mixed, "UPDATE experimental_strategies SET trade_day_hash = 'hash of ' || strategy_id, avg_win_r = 1.25")
    before = {name: rows_by_id(mixed, name) for name in ("experimental_strategies", "validated_setups")}
    untouched = {name: rows for name, rows in contents(mixed).items() if name not in before}
    run(mixed)

    after = contents(mixed)
    assert {name: after[name] for name in untouched} == untouched
    assert rows_by_id(mixed, "validated_setups")["MES_OTHER"] == before["validated_setups"]["MES_OTHER"]
    strategies = rows_by_id(mixed, "experimental_strategies")
    assert strategies["MES_OTHER"] == before["experimental_strategies"]["MES_OTHER"]
    ours = {"validation_status", "validation_notes", *OPTIONAL["experimental_strategies"]}
    changed = {
        name
        for strategy_id, row in before["experimental_strategies"].items()
        for name, value in row.items()
        if strategies[strategy_id][name] != value
    }
    assert changed == ours
    assert strategies["MGC_GOOD"]["mood"] == "calm"


def test_columns_of_the_users_own_in_setups(tmp_path: Path) -> None:
    """A user's own column of `validated_setups` keeps its value when the setup is updated or retired."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, BAD])
    for table in ("edge_families", "validated_setups_archive"):
        change(database, f"DROP TABLE {table}")
    change(database, "ALTER TABLE validated_setups ADD COLUMN mood TEXT DEFAULT 'calm'")
    run(database)
    change(database, "UPDATE validated_setups SET mood = 'mine'")
    change(database, "UPDATE experimental_strategies SET validation_status = NULL, sample_size = 200")
    run(database)

    found = rows_by_id(database, "validated_setups", "mood")
    assert found == {"MGC_GOOD": {"mood": "mine"}, "MGC_BAD": {"mood": "calm"}}
    assert line_ids(database.parent / "wf.jsonl") == ["MGC_GOOD", "MGC_BAD", "MGC_GOOD"]


def test_a_season_split_that_is_there_stays(tmp_path: Path) -> None:
    """What another pipeline has stored with a verdict is kept to the last column, as odd as it is."""
    stored = {"dst_verdict": "MINE", "dst_winter_avg_r": 0.25, "dst_summer_n": 3}
    database = tiny_database(tmp_path / "tiny.duckdb", [stored])
    run(database)
    row = rows_by_id(database, "experimental_strategies")["MGC_GOOD"]

    assert {name: row[name] for name in SPLIT} == {**dict.fromkeys(SPLIT), **stored}
