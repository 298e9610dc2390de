"""A sweep promotes, under every combination, exactly what separate runs promote."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pandas as pd
import pytest

from dask_validator import InputError, RunConfig, import_trades, sweep, validate
from dask_validator.model import Status
from tests.conftest import Command, everything_in
from tests.support.sweeps import promoted_under
from tests.support.tiny import tiny_database
from tests.support.trade_logs import log

VALUES: dict[str, list[Any]] = {
    "min_sample": [60],
    "stress_multiplier": [0.5, 4.0],
    "min_sharpe": [0.15],
    "max_drawdown": [9.0],
    "min_win_rate": [0.5],
    "exclude_years": [[2020], [2019, 2021]],
    "min_years_positive_pct": [0.5, 0.8],
    "min_trades_per_year": [12],
    "no_regime_waivers": [False],
    "waived_years": ["positive"],
    "no_walkforward": [True],
    "wf_test_months": [4],
    "wf_min_train_months": [30],
    "wf_min_trades": [10, 25],
    "wf_min_windows": [1, 5],
    "wf_min_pct_positive": [0.5, 0.8],
    "strict_filters": [True],
    "unknown_filters": ["none"],
    "wf_window_trades": [20],
    "min_wfe": [0.7],
    "gate": [[]],
    "fdr_method": ["by", "raw"],
    "fdr_sides": [2],
    "gate_alpha": [0.2],
    "fdr_group_by": [["orb_label"]],
    "min_sharpe_ann": [1.0],
    "small_sample": [0, 300],
    "small_wf_min_windows": [1],
    "small_wf_min_trades": [20],
    "small_min_trades_per_year": [9],
    "era_starts": [[2018, 2021, 2024]],
    "era_min_trades": [40],
    "era_min_exp": [0.1],
    "holdout_from": ["2024-06-01"],
    "holdout_min_trades": [30],
    "holdout_few": ["pass"],
    "holdout_min_exp": [0.1],
    "holdout_min_ratio": [0.5],
}
SWITCHED_ON: dict[str, Any] = {
    "no_regime_waivers": True,
    "min_years_positive_pct": 0.6,
    "wf_in_sample": True,
    "gate": ["fdr"],
    "small_sample": 120,
    "small_wf_min_windows": 2,
    "small_wf_min_trades": 12,
    "era_starts": [2016, 2020, 2023],
    "era_min_trades": 10,
    "holdout_from": "2024-01-01",
    "holdout_min_trades": 5,
}
HANDS = 12


def dealt() -> list[RunConfig]:
    """Each of the values once, several together; the first settings are the usual ones."""
    cards = [(name, value) for name, values in VALUES.items() for value in values]
    Random(16).shuffle(cards)
    return [RunConfig(), *(RunConfig(**{**SWITCHED_ON, **dict(cards[hand::HANDS])}) for hand in range(HANDS))]


@pytest.fixture(scope="module")
def waiting(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded small database in which all strategies wait: then a run judges what a sweep judges."""
    path = Path(shutil.copy(small_source, tmp_path_factory.mktemp("sweep") / "all.duckdb"))
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE experimental_strategies SET validation_status = NULL")
    return path


def run(database: Path, config: RunConfig) -> list[str]:
    """Whom a dry run promotes."""
    verdicts = validate(database, "MGC", config, dry_run=True, workers=1, progress=False).verdicts
    return [verdicts.ids[i] for i in verdicts.of(Status.PASSED)]


def test_settings_promote_what_runs_promote(waiting: Path) -> None:
    """Thresholds, what gates see of years, stress, windows, eras and holdouts, and what facts depend on, mixed."""
    settings = dealt()
    promoted = promoted_under(waiting, settings)

    assert promoted == [run(waiting, config) for config in settings]
    assert len({tuple(each) for each in promoted}) > HANDS / 2
    assert sum(map(bool, promoted)) > HANDS / 2


def test_what_a_setup_lacks_keeps_it_from_being_promoted(tmp_path: Path) -> None:
    """Where the user's table wants a column that not every setup has, each setting decides whether it has it."""
    years = {str(year): {"trades": 60, "avg_r": 0.5} for year in (2022, 2023)}
    waived = json.dumps({**years, "2021": {"trades": 3, "avg_r": -0.1}})
    quiet = {"year(trading_day) = 2021": {"atr_20": 12.0}}
    rows = [{}, {"strategy_id": "MGC_WAIVED", "yearly_results": waived}]
    database = tiny_database(tmp_path / "tiny.duckdb", rows, features=quiet, not_null=["regime_waivers"])
    settings = [RunConfig(), RunConfig(exclude_years=(2021,)), RunConfig(no_regime_waivers=True)]
    promoted = promoted_under(database, settings)

    assert promoted == [["MGC_WAIVED"], [], []]
    assert promoted == [run(database, config) for config in settings]


def test_strategies_that_cannot_be_judged_are_promoted_by_nobody(tmp_path: Path) -> None:
    """What is FAILED in a run is FAILED under every setting, but for years that a setting leaves out."""
    odd = {"2022": {"trades": 60, "avg_r": "much"}, "2023": {"trades": 60, "avg_r": 0.5}}
    rows: list[dict[str, Any]] = [
        {},
        {"strategy_id": "MGC_ALIAS", "is_canonical": False},
        {"strategy_id": "MGC_UNTOLD", "is_canonical": None, "p_value": None},
        {"strategy_id": "MGC_NO_FILTER", "filter_type": None},
        {"strategy_id": "MGC_NO_SESSION", "orb_label": "0815"},
        {"strategy_id": "MGC_NO_WIN_RATE", "win_rate": None},
        {"strategy_id": "MGC_NO_PARAMS", "filter_params": "[1]"},
        {"strategy_id": "MGC_ODD_YEAR", "yearly_results": json.dumps(odd)},
    ]
    database = tiny_database(tmp_path / "tiny.duckdb", rows)
    settings = [RunConfig(), RunConfig(exclude_years=(2022,)), RunConfig(no_walkforward=True)]
    promoted = promoted_under(database, settings)

    assert promoted == [run(database, config) for config in settings]
    assert promoted[0] == ["MGC_GOOD", "MGC_UNTOLD"]
    assert promoted[1] == ["MGC_GOOD", "MGC_ODD_YEAR", "MGC_UNTOLD"]


def test_imported_trades_are_swept(tmp_path: Path) -> None:
    """Also strategies of other tools, which have costs of their own."""
    weak = log(3, mean=0.12, seed=1).replace({"strategy_id": {f"S{i}": f"W{i}" for i in range(3)}})
    database = tmp_path / "mine.duckdb"
    import_trades(pd.concat([log(mean=0.3), weak]), database, "MINE", cost_per_trade=0.1)
    values = {"stress_multiplier": [1.5, 4.0], "wf_min_pct_positive": [0.5, 0.8]}
    found = sweep(
        database, "MINE", values, min_years_positive_pct=0.5, no_regime_waivers=True, workers=1, progress=False
    )
    of_all: dict[str, Any] = {"min_years_positive_pct": 0.5, "no_regime_waivers": True, "dry_run": True}
    runs = [
        validate(database, "MINE", workers=1, progress=False, **of_all, **setting).summary["passed"]
        for setting in found[[*values]].to_dict("records")
    ]

    assert found["promoted"].tolist() == runs
    assert len({*runs}) > 2


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """Two strategies are promoted today, one of them no longer by the rules; a third would be."""
    rows: list[dict[str, Any]] = [
        {"validation_status": "PASSED"},
        {"strategy_id": "MGC_FEW", "sample_size": 20, "validation_status": "PASSED"},
        {"strategy_id": "MGC_FORMER", "validation_status": "REJECTED"},
    ]
    setups = [
        {"strategy_id": "MGC_GOOD"},
        {"strategy_id": "MGC_FEW"},
        {"strategy_id": "MGC_FORMER", "status": "retired"},
    ]
    return tiny_database(tmp_path / "some.duckdb", rows, setups=setups)


def test_the_frame_says_who_stays_and_who_is_new(some: Path) -> None:
    """Against the setups that are active today; whatever the status, all strategies are judged anew."""
    found = sweep(some, values={"min_sample": [10, 30, 300]}, workers=1, progress=False)

    assert list(found) == ["min_sample", "promoted", "stay", "lost", "new", "as_given"]
    assert found.to_numpy().tolist() == [
        [10, 3, 2, 0, 1, False],
        [30, 2, 1, 1, 1, True],
        [300, 0, 0, 2, 0, False],
    ]
    only = sweep(some, values={"min_sample": [10]}, strategies=["MGC_FEW"], workers=1, progress=False)
    assert only.to_numpy().tolist() == [[10, 1, 1, 0, 0, False]]


def test_the_command_writes_table_and_page_and_nothing_else(some: Path, called: Command) -> None:
    """One object alone on stdout; no byte of the database changes, and no journal is left.

    A value given twice counts once, and the table of an earlier sweep is replaced.
    """
    before = everything_in(some.parent)
    (some.parent / "t.csv").write_text("wf_min_windows,promoted,stay,lost,new,as_given\n3,0,0,0,0,True\n")
    ran = called(
        *("sweep", "--db", some, "--workers", 1, "--json", "--csv", "t.csv", "--html", "page.html"),
        *("--min-sample", 10, 30, 10, "--holdout-few", "pass", "reject", "--era-min-exp", -0.5, -0.1),
        *("--wf-first-day", "2020-12-01", "2021-01-15", "--stress-multiplier", 2),
    )
    found = json.loads(ran.stdout)
    with (some.parent / "t.csv").open() as file:
        table = list(csv.DictReader(file))

    assert ran.code == 0, ran.stderr
    assert found["flags"] == ["min_sample", "holdout_few", "era_min_exp", "wf_first_day"]  # as they were typed
    assert len(found["combinations"]) == len(table) == 16
    assert [row["promoted"] for row in table] == [str(row["promoted"]) for row in found["combinations"]]
    assert {row["era_min_exp"] for row in found["combinations"]} == {-0.5, -0.1}
    assert {row["wf_first_day"] for row in table} == {"2020-12-01", "2021-01-15"}
    assert ran.stderr.count("warning: without --holdout-from nothing asks for --holdout-few") == 1
    assert {*everything_in(some.parent)} - {*before} == {"t.csv", "page.html"}
    assert {name: everything_in(some.parent)[name] for name in before} == before


def test_each_flag_alone(some: Path, called: Command) -> None:
    """The settings as they are first, then each value of each flag with the others as they are."""
    ran = called(
        *("sweep", "--db", some, "--workers", 1, "--json", "-q", "--one-at-a-time"),
        *("--min-sample", 10, 30, 10, "--wf-min-windows", 2, 9, "--wf-min-trades", 20),
    )
    rows = json.loads(ran.stdout)["combinations"]

    assert ran.stderr == ""
    assert [(row["min_sample"], row["wf_min_windows"], row["as_given"]) for row in rows] == [
        (30, 3, True),
        (10, 3, False),
        (30, 2, False),
        (30, 9, False),
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--min-sample", "30"], "no flag with several values; needed one at least"),
        (["--gate", "luck", "--min-sample", "20", "30"], "--gate luck; needed none that takes null worlds"),
        (["--wf-min-pct-positive", "0.5", "5"], "--wf-min-pct-positive got 5.0; needed a share"),
        (["--min-sample", "20", "30", "--csv", "some.duckdb"], "--csv got some.duckdb, which is the database"),
        (["--min-sample", "20", "30", "--csv", "other.duckdb"], "needed a name that ends in .csv"),
        (["--min-sample", "20", "30", "--csv", "mine.csv"], "which is there and is no such table"),
        (["--min-sample", "20", "30", "--csv", "mine.csv", "--ids", "mine.csv"], "which is the --ids"),
        (["--min-sample", "20", "30", "--csv", "mine.csv", "--instruments", "mine.csv"], "which is the --instruments"),
        (["--min-sample", "20", "30", "--csv", "rules.csv", "--rules", "./rules.csv"], "which is the --rules"),
        (
            ["--min-sample", "20", "30", "--csv", "mine.csv", "--gate", "fdr", "--fdr-k-file", "mine.csv"],
            "which is the --fdr-k-file",
        ),
        (["--min-sample", "20", "30", "--html", "mine.csv", "--tls-key", "mine.csv"], "which is the --tls-key"),
        (["--min-sample", "20", "30", "--csv", "x", "--html", "x"], "give it a file of its own"),
        (["--min-sample", "20", "30", "--csv", "no/where.csv"], "which cannot be written"),
        (["--min-sample", "20", "30", "--instrument", "MES"], "has no strategies of MES"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_line(flags: list[str], said: str, some: Path, called: Command) -> None:
    """With what was needed, before any work, and nothing changes, whatever was given as an output."""
    (some.parent / "mine.csv").write_text("strategy_id,promoted\nMGC_FEW,1\n")
    (some.parent / "rules.csv").touch()
    before = everything_in(some.parent)
    ran = called("sweep", "--db", "some.duckdb", "--workers", 1, *flags)

    assert ran.code == 2
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert everything_in(some.parent) == before


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "no flag with several values"),
        ({"min_sampel": [1]}, "min_sampel; needed flags of these: min_sample"),
        ({"worlds": [20, 40]}, "several values of worlds"),
        ({"min_sample": []}, "--min-sample []; needed a list of values"),
        ({"min_sample": 30}, "--min-sample 30; needed a list of values"),
    ],
)
def test_values_that_are_none_are_refused(values: Any, said: str, some: Path) -> None:
    """Python is told the same way."""
    with pytest.raises(InputError, match=re.escape(said)):
        sweep(some, values=values, workers=1, progress=False)
