"""The twin against the recorded answers, and by hand where those are silent."""

from __future__ import annotations

import argparse
import json
import math
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.recorded import (
    SMALL,
    RecordedRun,
    build_database,
    compare_lines,
    compare_setups,
    compare_strategies,
    except_ids,
    recorded_runs,
)

from .errors import Unusable
from .fdr import benjamini_hochberg, promoted_fdr
from .filters import eligible
from .screening import COSTS, screen
from .seasons import bounds_and_weekdays, is_winter, season_split, split_for
from .settings import Settings
from .validate import validate
from .walkforward import add_months, walkforward
from .written import store

EXCEPT = except_ids(SMALL)
RUNS = recorded_runs(SMALL)


def settings_of(flags: list[str]) -> Settings:
    """The settings that recorded flags stand for."""
    parser = argparse.ArgumentParser()
    for name in ("min-sample", "wf-test-months", "wf-min-trades", "wf-min-windows"):
        parser.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS)
    for name in ("min-sharpe", "max-drawdown", "min-years-positive-pct", "wf-min-pct-positive"):
        parser.add_argument(f"--{name}", type=float, default=argparse.SUPPRESS)
    for name in ("no-walkforward", "no-regime-waivers"):
        parser.add_argument(f"--{name}", action="store_true", default=argparse.SUPPRESS)
    parser.add_argument("--exclude-years", type=int, nargs="+", default=argparse.SUPPRESS)
    values: dict[str, Any] = vars(parser.parse_args([flag for flag in flags if flag != "--dry-run"]))
    if "exclude_years" in values:
        values["exclude_years"] = tuple(values["exclude_years"])
    return Settings(**values)


@pytest.fixture(scope="module", name="small")
def small_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded inputs as a database."""
    path: Path = tmp_path_factory.mktemp("small") / "small.duckdb"
    build_database(SMALL / "input", path)
    return path


@pytest.mark.parametrize("run", RUNS, ids=[run.name for run in RUNS])
def test_recorded_run(run: RecordedRun, small: Path, tmp_path: Path) -> None:
    """The twin reproduces every recorded answer, so that agreeing with it means agreeing with the reference."""
    settings = settings_of(run.flags)
    with duckdb.connect(str(small), read_only=True) as con:
        answers = validate(con, run.instrument, settings, COSTS[run.instrument])

    statuses = [answer["status"] for answer in answers["strategies"].values()]
    # The reference lets NaN pass: of the planted rows, those that it promoted are rejections of ours.
    nan_passed = 2 if settings.no_walkforward else 1
    ours = {"passed": statuses.count("PASSED") + nan_passed, "rejected": statuses.count("REJECTED") - nan_passed}
    ours["skipped"] = statuses.count("SKIPPED")
    assert {name: ours[name] for name in run.counts} == run.counts
    if "--dry-run" in run.flags:
        return

    written = tmp_path / "written.duckdb"
    build_database(SMALL / "input", written)
    with duckdb.connect(str(written)) as con:
        store(con, answers)
        assert compare_strategies(con, run.folder, EXCEPT) == []
        assert compare_setups(con, run.folder, EXCEPT) == []
    if settings.no_walkforward:
        assert answers["lines"] == []
    else:
        assert compare_lines(answers["lines"], run.folder / "wf.jsonl", EXCEPT) == []


ROW: dict[str, Any] = {
    "strategy_id": "MGC_0900_E1_RR2.0_CB1_ORB_G4",
    "orb_label": "0900",
    "filter_type": "ORB_G4",
    "filter_params": None,
    "sample_size": 200,
    "expectancy_r": 0.2,
    "yearly_results": '{"2020": {"trades": 50, "avg_r": 0.1}}',
    "median_risk_points": 5.0,
    "avg_risk_points": None,
    "sharpe_ratio": None,
    "max_drawdown_r": None,
    "dst_verdict": None,
}


def phase(settings: Settings | None = None, atr_by_year: dict[int, float] | None = None, **changed: Any) -> int | None:
    """The phase that rejects the row above with some columns changed."""
    return screen(ROW | changed, settings or Settings(), COSTS["MGC"], atr_by_year or {}).phase


def days(number: int, first: date) -> list[date]:
    """Consecutive days."""
    return [first + timedelta(days=ahead) for ahead in range(number)]


@pytest.mark.parametrize(
    "yearly",
    [
        "[]", "1", '"text"', "true", '{"soon": {}}', '{"2020": null}', '{"2020": []}',
        '{"2020": {"trades": null}}', '{"2020": {"trades": NaN}}', '{"2020": {"trades": 9, "avg_r": null}}',
        '{"2020": {"trades": 0, "avg_r": "0.1"}}',
    ],
)  # fmt: skip
def test_yearly_of_the_wrong_shape(yearly: str) -> None:
    """A malformed year is neither positive nor negative, and an earlier rejection hides it."""
    with pytest.raises(Unusable):
        phase(yearly_results=yearly)
    assert phase(yearly_results=yearly, sample_size=None) == 1


def test_yearly_of_an_excluded_year() -> None:
    """Only the key of an excluded year is read."""
    yearly = '{"2019": null, "2020": {"trades": 50, "avg_r": 0.1}}'
    assert phase(Settings(exclude_years=(2019,)), yearly_results=yearly) is None


@pytest.mark.parametrize("yearly", [None, "", "{", "{}", "null"])
def test_no_yearly_data(yearly: str | None) -> None:
    """Missing yearly data is a rejection, not a failure."""
    assert phase(yearly_results=yearly) == 3


def test_nan_is_rejected() -> None:
    """NaN fails closed in every phase."""
    assert phase(expectancy_r=math.nan) == 2
    assert phase(yearly_results='{"2020": {"trades": 50, "avg_r": NaN}}') == 3
    assert phase(Settings(min_sharpe=0.1), sharpe_ratio=math.nan) == 5
    assert phase(Settings(max_drawdown=20), max_drawdown_r=math.nan) == 5


def test_waivers() -> None:
    """A negative year is waived only when it is known to be dormant, and has few trades."""
    yearly = '{"2018": {"trades": 5, "avg_r": -1}, "2020": {"trades": 50, "avg_r": 0.1}}'
    assert phase(yearly_results=yearly, atr_by_year={2018: 19.9}) is None
    assert phase(yearly_results=yearly, atr_by_year={2018: 20.0}) == 3
    assert phase(yearly_results=yearly, atr_by_year={2020: 19.9}) == 3
    assert phase(yearly_results=yearly.replace("5,", "6,"), atr_by_year={2018: 19.9}) == 3
    assert phase(Settings(min_years_positive_pct=0.5), yearly_results=yearly) is None


def test_day_without_features() -> None:
    """Only filters that read no features let such a day through."""
    day = date(2024, 1, 5)
    assert eligible("NO_FILTER", "0900", day, None, True)
    assert eligible("MYSTERY_X", "0900", day, None, False)
    assert eligible("DIR_LONG", "0900", day, None, False)
    for filter_type in ("DIR_LONG", "NO_DBL_BREAK", "ORB_G4", "ORB_G4_NOFRI", "M6E_G4", "VOL_RV12_N20"):
        assert not eligible(filter_type, "0900", day, None, True)


def test_filters_on_a_day() -> None:
    """NULLs and boundaries fall on the side that the rules name."""
    friday = date(2024, 1, 5)
    features: dict[str, Any] = {
        "day_of_week": None,
        "orb_0900_size": 4.0,
        "orb_0900_break_delay_min": 5.0,
        "orb_0900_break_bar_continues": None,
        "orb_0900_break_dir": "long",
        "orb_0900_double_break": None,
    }
    expected = {
        "ORB_G4": True,
        "ORB_G5": False,
        "ORB_G4_NOFRI": False,
        "ORB_G4_NOMON": True,
        "ORB_G4_FAST5": True,
        "ORB_G4_CONT": False,
        "VOL_RV12_N20": False,
        "DIR_LONG": True,
        "DIR_SHORT": False,
        "ORB_G4_L12": True,
        "ORB_G5_L12": False,
        "NO_DBL_BREAK": True,
    }
    assert {name: eligible(name, "0900", friday, features, True) for name in expected} == expected
    assert eligible("DIR_SHORT", "0900", friday, features, False)
    assert not eligible("ORB_G4_L12", "0900", friday, features | {"orb_0900_size": 12.0}, True)
    assert not eligible("ORB_G4", "0900", friday, features | {"orb_0900_size": None}, True)


def test_filters_that_cannot_be_evaluated() -> None:
    """What does not exist is named instead of guessed."""
    for filter_type, label, strict in [
        ("ORB_G4", "0901", False),
        ("MYSTERY_X", "0900", True),
        ("ORB_G4", "1000", True),
    ]:
        with pytest.raises(Unusable):
            eligible(filter_type, label, date(2024, 1, 5), {"day_of_week": 4, "orb_0900_size": 9.0}, strict)


def test_add_months() -> None:
    """Each step starts from the previous, possibly clamped, date."""
    assert add_months(date(2021, 8, 31), 6) == date(2022, 2, 28)
    assert add_months(date(2022, 2, 28), 6) == date(2022, 8, 28)
    assert add_months(date(2023, 12, 31), 2) == date(2024, 2, 29)


def test_last_day_opens_a_window() -> None:
    """Windows are made while their start is not after the last outcome, even one that is no trade."""
    start = (date(2020, 1, 1), "scratch", None)
    assert walkforward([start, (date(2021, 1, 1), "win", 1.0)], Settings())["n_total_windows"] == 1
    assert walkforward([start, (date(2021, 7, 1), "early_exit", None)], Settings())["n_total_windows"] == 2
    assert walkforward([start, (date(2020, 12, 31), "win", 1.0)], Settings())["rule"] == "no_windows"
    assert walkforward([], Settings())["rule"] == "no_outcomes"


def test_loss_with_positive_r() -> None:
    """A loss counts against the strategy whatever its sign."""
    outcomes = [(date(2020, 1, 1), "scratch", None), (date(2021, 1, 1), "win", 1.0), (date(2021, 1, 2), "loss", 0.5)]
    assert walkforward(outcomes, Settings())["windows"][0]["test_exp_r"] == 0.25


@pytest.mark.parametrize("pnl_r", [None, math.nan, math.inf])
def test_bad_outcome(pnl_r: float | None) -> None:
    """A win or loss without a result fails the strategy, in training too; a scratch needs none."""
    with pytest.raises(Unusable):
        walkforward([(date(2020, 1, 1), "win", pnl_r)], Settings())
    walkforward([(date(2020, 1, 1), "scratch", pnl_r)], Settings())


def windows_of(wins: list[tuple[int, float]], settings: Settings) -> dict[str, Any]:
    """The walk-forward of windows with so many trades of such a result each."""
    outcomes: list[tuple[date, str, float | None]] = [(date(2000, 1, 1), "scratch", None)]
    start = date(2001, 1, 1)
    for number, pnl_r in wins:
        outcomes += [(day, "win" if pnl_r > 0 else "loss", pnl_r) for day in days(number, start)]
        start = add_months(start, 6)
    return walkforward(outcomes, settings)


def test_unrounded_where_the_rules_say_so() -> None:
    """The pass rule and the imbalance look at unrounded numbers, the windows at rounded ones."""
    two_of_three = windows_of([(15, 1.0), (15, 1.0), (15, -0.1)], Settings(wf_min_pct_positive=0.66667))
    assert (two_of_three["pct_positive"], two_of_three["rule"]) == (0.6667, "pct_positive")
    imbalanced = windows_of([(101, 1.0), (20, 1.0)], Settings())
    assert (imbalanced["window_imbalance_ratio"], imbalanced["window_imbalanced"]) == (5.0, True)
    tiny = windows_of([(15, 0.00004)] * 3, Settings())
    assert (tiny["n_positive_windows"], tiny["rule"]) == (0, "pct_positive")
    losing = windows_of([(15, 0.1), (15, 0.1), (15, -0.3)], Settings())
    assert losing["rule"] == "expectancy"


def test_daylight_saving_at_noon() -> None:
    """On the day that the clocks change, noon decides and not midnight."""
    assert is_winter("0900", date(2024, 3, 9))
    assert not is_winter("0900", date(2024, 3, 10))
    assert not is_winter("0030", date(2024, 11, 2))
    assert is_winter("2300", date(2024, 11, 3))
    assert is_winter("1800", date(2024, 3, 30))
    assert not is_winter("1800", date(2024, 3, 31))


@pytest.mark.parametrize(
    ("filter_type", "filter_params", "expected"),
    [
        ("ORB_G4", None, (4, None, [])),
        ("ORB_G5_L12", "{broken", (5, 12, [])),
        ("ORB_G5_L12_NOFRI", "null", (5, 12, [])),
        ("ORB_G6_NOMON", "{}", (6, None, [])),
        ("ORB_G6_FAST5", "{}", (None, None, [])),
        ("ORB_G8", '{"max_size": 9}', (None, 9, [])),
        ("ORB_G8", '{"min_size": null, "base": {"min_size": 3, "max_size": null}}', (3, None, [])),
        ("ORB_G8", '{"max_size": 9, "base": {"min_size": 3}}', (None, 9, [])),
        ("X", '{"overlay": {"skip_days": [4], "min_size": 2}}', (None, None, [4])),
        ("X", '{"skip_days": [0], "overlay": {"skip_days": [4]}}', (None, None, [0])),
        (None, None, (None, None, [])),
    ],
)
def test_bounds_and_weekdays(filter_type: str | None, filter_params: str | None, expected: tuple[Any, ...]) -> None:
    """Bounds come from the top level, else the base, else the name; weekdays never from the name."""
    assert bounds_and_weekdays(filter_type, filter_params) == expected


@pytest.mark.parametrize(
    "filter_params",
    [
        "[]", "1", '"text"', '{"base": []}', '{"overlay": 1}', '{"min_size": "4"}', '{"base": {"max_size": true}}',
        '{"skip_days": 4}', '{"overlay": {"skip_days": ["4"]}}',
    ],
)  # fmt: skip
def test_filter_params_of_the_wrong_shape(filter_params: str) -> None:
    """Parameters that cannot be understood are not ignored."""
    with pytest.raises(Unusable):
        bounds_and_weekdays("ORB_G4", filter_params)


def test_season_split() -> None:
    """Size bounds and skipped weekdays decide which trades count; the means are rounded, the verdict is not."""
    features = {"day_of_week": None, "orb_0900_size": 4.0}
    rows: list[Any] = [(day, "win", 0.1, features) for day in days(15, date(2024, 1, 1))]
    rows += [(day, "loss", 0.20001, features) for day in days(15, date(2024, 7, 1))]
    assert season_split("0900", "ORB_G4", None, rows) == (15, 0.1, 15, 0.2, "SUMMER-DOM")
    assert season_split("0900", "ORB_G5", None, rows) == (0, None, 0, None, "LOW-N")
    assert season_split("0900", "X", '{"skip_days": [0]}', rows)[:3:2] == (12, 12)


def test_season_split_order() -> None:
    """A stored verdict wins over the id's ending, that over the session, and only then is anything computed."""
    stored = {"dst_verdict": "OLD", "dst_winter_n": 1, "dst_winter_avg_r": 2.0, "dst_summer_n": 3}
    stored |= {"dst_summer_avg_r": None, "strategy_id": "X_W"}
    assert split_for(ROW | stored, []) == (1, 2.0, 3, None, "OLD")
    assert split_for(ROW | {"strategy_id": "X_S", "orb_label": "1000"}, []) == (None,) * 5
    assert split_for(ROW | {"orb_label": "1000", "filter_params": "[]"}, []) == (None, None, None, None, "CLEAN")
    assert split_for(ROW, []) == (0, None, 0, None, "LOW-N")


def test_benjamini_hochberg() -> None:
    """Ties share a value, NaN and NULL take no part, and significance is decided before rounding."""
    adjusted = benjamini_hochberg({"a": 0.01, "b": 0.02, "c": 0.02, "d": 0.9, "e": math.nan, "f": None})
    assert adjusted == {"a": 0.04, "b": 0.02 * 4 / 3, "c": 0.02 * 4 / 3, "d": 0.9} | {"a": 0.02 * 4 / 3}
    assert promoted_fdr(adjusted, "e") == (None, None)
    assert promoted_fdr({"a": 0.0499999999}, "a") == (True, 0.05)
    assert promoted_fdr({"a": 0.05}, "a") == (False, 0.05)


def test_failures_stay_alone(small: Path, tmp_path: Path) -> None:
    """Strategies that cannot be validated fail without a line, retire nothing, and change no other verdict."""
    with duckdb.connect(str(small), read_only=True) as con:
        before = validate(con, "MGC", Settings(), COSTS["MGC"])
    seasonal = [
        strategy_id
        for strategy_id, answer in before["strategies"].items()
        if answer["status"] == "PASSED" and answer["dst"][4] not in (None, "CLEAN")
    ]
    no_filter, no_win_rate, bad_yearly, bad_params, no_sharpe, bad_label = seasonal[:6]
    rejected = next(
        strategy_id
        for strategy_id, answer in before["strategies"].items()
        if answer["phase"] == 2 and answer["dst"][4] not in (None, "CLEAN")
    )
    sabotage = {
        no_filter: ("filter_type", None),
        no_win_rate: ("win_rate", None),
        bad_yearly: ("yearly_results", json.dumps([])),
        bad_params: ("filter_params", json.dumps([])),
        no_sharpe: ("sharpe_ratio", None),
        bad_label: ("orb_label", "0901"),
        rejected: ("filter_params", json.dumps([])),
    }
    failed = set(sabotage) - {rejected}

    broken = tmp_path / "broken.duckdb"
    shutil.copy(small, broken)
    with duckdb.connect(str(broken)) as con:
        con.execute("DROP TABLE edge_families")
        con.execute("DROP TABLE validated_setups_archive")
        con.execute("DELETE FROM validated_setups")
        con.execute("ALTER TABLE validated_setups ALTER sharpe_ratio SET NOT NULL")
        for strategy_id in (bad_params, rejected):
            active = before["setups"][bad_params] | {"strategy_id": strategy_id}
            store(con, {"strategies": {}, "setups": {strategy_id: active}, "retired": []})
        for strategy_id, (column, value) in sabotage.items():
            con.execute(
                f"UPDATE experimental_strategies SET {column} = ?, dst_verdict = NULL WHERE strategy_id = ?",
                [value, strategy_id],
            )
        after = validate(con, "MGC", Settings(), COSTS["MGC"])

    statuses = {strategy_id: answer["status"] for strategy_id, answer in before["strategies"].items()}
    expected = statuses | dict.fromkeys(failed, "FAILED")
    assert {strategy_id: answer["status"] for strategy_id, answer in after["strategies"].items()} == expected
    assert all(after["strategies"][strategy_id]["dst"] is None for strategy_id in failed)
    assert [line["strategy_id"] for line in after["lines"]] == [
        line["strategy_id"] for line in before["lines"] if line["strategy_id"] not in failed
    ]
    assert set(after["setups"]) == set(before["setups"]) - failed
    assert (after["strategies"][rejected]["phase"], after["strategies"][rejected]["dst"]) == (2, (None,) * 5)
    assert after["retired"] == [rejected]
