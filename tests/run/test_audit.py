"""`audit`: of an untouched database it finds nothing; of one that was changed that change, where it matters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dask_validator import audit, import_trades, validate
from dask_validator.explanation.audit import NO_NUMBER
from dask_validator.store.trade_tables import TRADES
from tests.conftest import Command, everything_in
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database
from tests.support.trade_logs import log

ROWS: list[dict[str, Any]] = [
    {"strategy_id": "MGC_GOOD"},
    {"strategy_id": "MGC_OTHER_TARGET", "rr_target": 2.0},
    {"strategy_id": "MGC_LATER", "orb_label": "1000"},
    {"strategy_id": "MGC_LOSES", "expectancy_r": -0.1},
]
COSTS = (
    "[MGC]\npoint_value = 10\ncommission_rt = {}\nspread_doubled = 2\nslippage = 4\ntick_size = 0.1\n"
    "min_ticks_floor = 10\n"
)
WIN = "rr_target = 2 AND trading_day = DATE '2023-03-01'"
IN_TRAINING = "rr_target = 2 AND trading_day = DATE '2021-03-01'"
NEXT_DAY = "DATE '2024-01-02'"  # after the last one
Found = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def promote(path: Path, **flags: Any) -> Path:
    """Validate what waits, the JSONL beside the database."""
    validate(path, workers=1, progress=False, wf_output=path.with_name("wf.jsonl"), **flags)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three setups of one run; never written, only copied."""
    return promote(tiny_database(tmp_path_factory.mktemp("audited") / "tiny.duckdb", ROWS))


@pytest.fixture
def promoted(source: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(source, tmp_path / "tiny.duckdb"))


def found_in(path: Path) -> Found:
    """By setup what differs, and what has changed."""
    return {each.strategy_id: (each.what, each.causes) for each in audit(path).drifted}


def test_an_untouched_database_is_clean(called: Command, promoted: Path) -> None:
    """Exit code 0, everything as it was promoted, and no byte is another one."""
    before = everything_in(promoted.parent)
    ran = called("audit", "--db", promoted, "--json")

    assert (ran.code, ran.summary["totals"]["as_promoted"], ran.summary["drifted"]) == (0, 3, [])
    assert everything_in(promoted.parent) == before


DRIFTS: dict[str, tuple[list[str], Found]] = {
    "one outcome": (
        [f"UPDATE orb_outcomes SET outcome = 'scratch' WHERE {WIN}"],
        {"MGC_OTHER_TARGET": (("trades", "expectancy", "windows"), ("outcomes",))},
    ),
    "one outcome in training": (
        [f"UPDATE orb_outcomes SET pnl_r = pnl_r + 1 WHERE {IN_TRAINING}"],
        {"MGC_OTHER_TARGET": ((NO_NUMBER,), ("outcomes",))},
    ),
    "one day more": (
        [
            f"INSERT INTO daily_features SELECT * REPLACE ({NEXT_DAY} AS trading_day) FROM daily_features "
            "WHERE trading_day = DATE '2023-03-01' AND orb_minutes = 5",
            f"INSERT INTO orb_outcomes SELECT * REPLACE ({NEXT_DAY} AS trading_day) FROM orb_outcomes WHERE {WIN}",
        ],
        {"MGC_OTHER_TARGET": (("trades", "windows"), ("outcomes", "daily_features"))},
    ),
    "a day's features": (
        ["UPDATE daily_features SET orb_1000_size = 2 WHERE trading_day = DATE '2023-03-01'"],
        {"MGC_LATER": (("trades", "expectancy", "windows"), ("daily_features",))},
    ),
    "a number": (
        ["UPDATE experimental_strategies SET sample_size = 20 WHERE strategy_id = 'MGC_GOOD'"],
        {"MGC_GOOD": (("verdict", "trades"), ("row",))},
    ),
    "a column that no gate reads": (
        ["UPDATE experimental_strategies SET avg_win_dollars = 1 WHERE strategy_id = 'MGC_GOOD'"],
        {"MGC_GOOD": ((NO_NUMBER,), ("row",))},
    ),
    "others": (
        [
            "UPDATE experimental_strategies SET sample_size = 1, p_value = 0.9 WHERE strategy_id = 'MGC_LOSES'",
            "UPDATE orb_outcomes SET pnl_r = 9 WHERE symbol = 'MES'",
        ],
        {},
    ),
}


@pytest.mark.parametrize(("statements", "expected"), DRIFTS.values(), ids=DRIFTS)
def test_drift_is_found_where_it_is(promoted: Path, statements: list[str], expected: Found) -> None:
    """What differs, of the setups that it concerns, and what has changed; of the others nothing."""
    for sql in statements:
        change(promoted, sql)

    assert found_in(promoted) == expected


def test_a_difference_is_said_and_is_exit_code_3(called: Command, promoted: Path) -> None:
    """The window with its trades and expectancy, before and after, in 80 columns."""
    change(promoted, f"UPDATE orb_outcomes SET outcome = 'scratch' WHERE {WIN}")
    ran = called("audit", "--db", promoted)

    assert ran.code == 3
    assert "         3  active setups\n         2  as they were promoted\n         1  differ\n" in ran.stdout
    assert "2023-01-01 to 2023-07-01: trades 83 at +0.4964 -> 82 at +" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_costs_are_those_of_the_file_now(tmp_path: Path) -> None:
    """A file of costs that has changed concerns every setup of the run; one that is gone is said, and none."""
    costs = tmp_path / "costs.toml"
    costs.write_text(COSTS.format(2.4))
    path = promote(tiny_database(tmp_path / "tiny.duckdb", ROWS), instruments=costs)
    assert not audit(path).differs

    costs.write_text(COSTS.format(5))
    found = audit(path)
    assert {(each.what, each.causes, each.details[-1]) for each in found.drifted} == {
        (("expectancy",), ("costs",), "commission_rt 2.4 -> 5")
    }
    assert len(found.drifted) == 3

    costs.unlink()
    found = audit(path)
    assert (found.differs, len(found.runs[0].remarks)) == (False, 1)
    assert "costs are those that it recorded" in found.runs[0].remarks[0]


def test_a_file_of_tests_that_is_gone(tmp_path: Path) -> None:
    """Gate fdr cannot be judged again, which is said; the rest is as it was."""
    tests = tmp_path / "k.json"
    tests.write_text('{"0900": 9, "1000": 5}')
    flags = {"gate": ("fdr",), "fdr_group_by": ("orb_label",), "fdr_k_file": tests}
    path = promote(tiny_database(tmp_path / "tiny.duckdb", ROWS), **flags)
    assert not audit(path).differs

    tests.unlink()
    found = audit(path)
    assert not found.differs
    assert "gate fdr is not judged again" in found.runs[0].remarks[0]


def test_every_setup_is_judged_by_the_rules_of_its_own_run(promoted: Path) -> None:
    """Promoted by three windows, it would not be by five: the flags are those of its run, not those of the last one."""
    insert = "INSERT INTO experimental_strategies BY NAME SELECT * REPLACE ('MGC_LATE' AS strategy_id, NULL AS "
    change(promoted, f"{insert}validation_status) FROM experimental_strategies WHERE strategy_id = 'MGC_GOOD'")
    promote(promoted, wf_test_months=3, wf_min_windows=5)
    found = audit(promoted)

    assert [len(run.setups) for run in found.runs] == [3, 1]
    assert not found.differs


def test_setups_of_nobody(called: Command, tmp_path: Path) -> None:
    """A setup that no run has promoted, or only one that was taken back, is listed, and is no difference."""
    rows = [*ROWS, {"strategy_id": "MGC_OLD", "validation_status": "PASSED"}]
    path = promote(tiny_database(tmp_path / "tiny.duckdb", rows, setups=[{"strategy_id": "MGC_OLD"}]))
    found = audit(path)
    assert ([setup.strategy_id for setup in found.unpromoted], found.differs) == (["MGC_OLD"], False)

    change(path, "UPDATE dask_validator_runs SET undone = TRUE")
    ran = called("audit", "--db", path)
    assert ran.code == 0
    assert "Promoted by no run of ours: 4\n  MGC_GOOD, MGC_LATER, MGC_OLD, MGC_OTHER_TARGET" in ran.stdout


def test_a_strategy_that_is_gone(promoted: Path) -> None:
    """It is of another instrument now: nobody can compute the setup again."""
    change(promoted, "UPDATE experimental_strategies SET instrument = 'MES' WHERE strategy_id = 'MGC_GOOD'")
    found = audit(promoted)

    assert [strategy_id for strategy_id, _ in found.gone] == ["MGC_GOOD"]
    assert (found.drifted, found.differs) == ([], True)


def test_a_run_of_an_earlier_version(promoted: Path) -> None:
    """It has kept its windows: these are compared, of rows and outcomes nothing is said."""
    as_an_earlier_version_left_it(promoted)
    assert found_in(promoted) == {}

    change(promoted, f"UPDATE orb_outcomes SET outcome = 'scratch' WHERE {WIN}")
    [(strategy_id, (what, _))] = found_in(promoted).items()
    assert (strategy_id, what) == ("MGC_OTHER_TARGET", ("trades", "expectancy", "windows"))


def test_imported_trades(tmp_path: Path) -> None:
    """Setups of trade logs are computed again too; one result that has changed is found."""
    path = tmp_path / "log.duckdb"
    import_trades(log(3, 300), path, "TRADES", unit="r")
    promote(path, instrument="TRADES")
    assert not audit(path).differs

    change(path, f"UPDATE {TRADES} SET result = result + 1 WHERE strategy_id = 'S1' AND trading_day > '2022-12-01'")
    found = audit(path, "TRADES")
    assert [(each.strategy_id, "windows" in each.what, each.causes) for each in found.drifted] == [
        ("S1", True, ("outcomes",))
    ]


def test_an_instrument_alone(promoted: Path) -> None:
    """Setups of others are not looked at; a symbol whose strategies have no setup has none."""
    change(promoted, "UPDATE experimental_strategies SET instrument = 'MES' WHERE strategy_id = 'MGC_LOSES'")
    assert audit(promoted, "MES").totals["active"] == 0


def test_frames(promoted: Path) -> None:
    """One row a setup that differs, also where none does."""
    assert audit(promoted).differences.empty
    change(promoted, "UPDATE experimental_strategies SET sample_size = 20 WHERE strategy_id = 'MGC_GOOD'")
    [row] = audit(promoted).differences.to_dict("records")

    assert (row["strategy_id"], row["what"], row["causes"]) == ("MGC_GOOD", "verdict, trades", "row")
    assert row["details"].startswith("passed -> phase 1 (sample size): trades 200 -> 20, needed >= 30")
    assert json.dumps(audit(promoted).to_dict())
