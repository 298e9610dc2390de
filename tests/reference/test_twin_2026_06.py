"""The twin of the options against the answers recorded in 2026-06, and by hand where those are silent."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.recorded_2026_06 import RULES, SMALL_RUNS, Recorded, append_log, build, compare_run, settings

from .days import Day
from .eras import has_era_of_losses
from .errors import Unusable
from .families import InFamily, families, family_fdr, rejecting_phase
from .filter_params import DEEPEST, EveryDay, Unknown, columns_of, holds, understood
from .gated import is_gated
from .holdout import FAILED_RATIO, FEW_REJECT, NEGATIVE, NO_DATA, PASSED, Held, held_out, holdout
from .promotion import of_mode, of_years
from .rules_file import costs_for, settings_for
from .screening import COSTS, Year, screen
from .seasons import in_season
from .settings import GatesOnly, Promotion, Settings
from .small_samples import in_use
from .stops import Path as Way
from .stops import multiplier, replayed
from .test_twin import ROW, days
from .validate import validate
from .walkforward import Outcome, walkforward
from .written import store

FILTERS = SMALL_RUNS.parent / "filters"


@pytest.mark.parametrize("recorded", settings(SMALL_RUNS), ids=lambda recorded: recorded.name)
def test_recorded_setting(recorded: Recorded, tmp_path: Path) -> None:
    """The twin reproduces every recorded answer of the setting, but where the specification says otherwise."""
    build(SMALL_RUNS, tmp_path / "small.duckdb")
    rules = tomllib.loads(recorded.rules.read_text())
    lines = []
    with duckdb.connect(str(tmp_path / "small.duckdb")) as con:
        for instrument in recorded.instruments:
            answers = validate(con, instrument, settings_for(rules, instrument), costs_for(rules, instrument))
            store(con, answers, by_rules=True)
            append_log(con, answers["log"])
            lines += answers["lines"]

        assert compare_run(con, lines, recorded) == []


def feature_rows() -> dict[tuple[str, int, date], dict[str, Any]]:
    """The recorded features by symbol, window and day."""
    with duckdb.connect() as con:
        found = con.execute(f"FROM '{FILTERS}/daily_features.parquet'")
        names = [name for name, *_ in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row["symbol"], row["orb_minutes"], row["trading_day"]): row for row in rows}


def recorded_days() -> Iterator[tuple[Any, ...]]:
    """Filter, parameters, symbol, label, window, days, and the answers, ours where we differ on purpose."""
    with duckdb.connect() as con:
        yield from con.execute(
            "SELECT filter_type, filter_params, symbol, orb_label, orb_minutes, list(trading_day), list(eligible) "
            f"FROM '{FILTERS}/eligible.parquet' GROUP BY ALL"
        ).fetchall()


def test_recorded_days() -> None:
    """Each of 99 recorded filters lets the recorded days through, those beside a bound and without a row included."""
    features = feature_rows()
    columns = list(next(iter(features.values())))
    rules = tomllib.loads((RULES / "main.toml").read_text())
    compared = 0
    for filter_type, text, symbol, label, minutes, when, expected in recorded_days():
        node, costs = understood(filter_type, text, columns), costs_for(rules, symbol)
        found = []
        for day in when:
            row = features.get((symbol, minutes, day))
            seen = None if row is None else Day(label, day, row, lambda s, d=day: features.get((s, 5, d)), costs)
            found.append(isinstance(node, EveryDay) or (seen is not None and holds(node, seen)))
        assert found == expected, (filter_type, symbol, label, minutes)
        compared += len(found)
    assert compared == 57_024


MONDAY = date(2024, 1, 8)
FEATURES: dict[str, Any] = {
    "day_of_week": 0,
    "orb_A_size": 5.0,
    "orb_A_high": 12.0,
    "orb_A_low": 8.0,
    "orb_A_break_dir": "long",
    "orb_A_break_delay_min": 5.0,
    "orb_A_break_bar_continues": True,
    "orb_A_volume": 100.0,
    "orb_A_vwap": 9.0,
    "rel_vol_A": 1.2,
    "orb_P_size": 1.0,
    "orb_P_high": 11.0,
    "orb_P_low": 7.0,
    "orb_P_break_dir": "long",
    "atr_20": 10.0,
    "atr_20_pct": 50.0,
    "atr_vel_ratio": 1.1,
    "overnight_range": 30.0,
    "overnight_range_pct": 55.0,
    "prev_day_range": 8.0,
    "prev_day_high": 20.0,
    "prev_day_low": 5.0,
    "prev_day_close": 5.0,
    "gap_open_points": -0.5,
    "pit_range_atr": 0.1,
    "garch_forecast_vol_pct": 70.0,
}


def on_day(node: dict[str, Any] | str, name: str = "X", day: date = MONDAY, **changed: Any) -> bool:
    """Whether a filter holds on a day with the features above, some changed."""
    features = FEATURES | changed
    text = node if isinstance(node, str) else json.dumps(node)
    return holds(understood(name, text, features), Day("A", day, features, lambda _: None, COSTS["MGC"]))


@pytest.mark.parametrize(
    ("node", "changed", "expected"),
    [
        ({"mode": "below_pdl_long"}, {"prev_day_low": 10.0}, False),  # the middle is 10
        ({"mode": "below_pdl_long"}, {"prev_day_low": 10.1}, True),
        ({"mode": "below_pdl_long"}, {"prev_day_low": 10.1, "orb_A_break_dir": "short"}, False),
        ({"mode": "below_pdl_long"}, {"prev_day_low": 10.1, "atr_20": None}, True),
        ({"mode": "inside_pdr_long"}, {"prev_day_low": 9.0}, True),
        ({"mode": "inside_pdr_long"}, {"prev_day_low": 10.0}, False),
        ({"mode": "inside_pdr_long"}, {"prev_day_high": 10.0}, False),
        ({"mode": "downside_displacement_long"}, {"prev_day_low": 8.5}, False),  # a distance of 0.15 exactly
        ({"mode": "downside_displacement_long"}, {"prev_day_low": 8.6}, True),
        ({"mode": "downside_displacement_long"}, {"prev_day_low": 10.1, "atr_20": 0.0}, False),
        ({"mode": "near_pivot_long_50"}, {"prev_day_close": 20.0}, False),  # pivot 15: 0.50 exactly
        ({"mode": "near_pivot_long_50"}, {"prev_day_close": 19.9}, True),
        ({"mode": "near_pivot_long_50"}, {"prev_day_close": None}, False),
        ({"mode": "clear_of_congestion_long"}, {"prev_day_low": 11.0, "prev_day_close": 20.0}, True),
        ({"mode": "clear_of_congestion_long"}, {"prev_day_close": 20.0}, False),
        ({"mode": "go_long_context"}, {"prev_day_low": 8.6, "prev_day_close": 5.0}, True),
        ({"mode": "go_long_context"}, {"prev_day_low": 8.6, "prev_day_close": None}, False),
        ({"pct_threshold": 70, "direction": "high", "strict_gt": False}, {}, True),
        ({"pct_threshold": 70, "direction": "high", "strict_gt": True}, {}, False),
        ({"pct_threshold": 70, "direction": "low", "strict_gt": False}, {}, True),
        ({"skip_days": [0, 4]}, {}, False),
        ({"skip_days": [1, 4.0]}, {}, True),
        ({"skip_days": []}, {}, True),
        ({"skip_days": [0]}, {"day_of_week": None}, False),
        ({"min_size": None, "max_size": None}, {}, True),
        ({"min_size": None}, {"orb_A_size": math.nan}, False),
        ({"max_size": 5}, {}, False),
        ({"min_rel_vol": 1.2, "lookback_days": 20.0}, {}, True),
        ({"prior_session": "P"}, {}, True),
        ({"prior_session": "P"}, {"orb_A_high": 11.0}, False),  # equal is losing
        ({"prior_session": "P"}, {"orb_A_high": None}, False),
        ({"prior_session": "P"}, {"orb_A_break_dir": "short", "orb_A_low": 11.0}, True),
        ({"definition": "break_price"}, {"orb_A_low": None}, True),
        ({"definition": "orb_mid"}, {"orb_A_low": None}, False),
        ({"definition": "orb_mid"}, {"orb_A_vwap": 10.0}, False),
        ({"filter_type": "X", "base": {"filter_type": "NO_FILTER"}, "overlay": {"min_size": 5}}, {}, True),
    ],
)
def test_conditions(node: dict[str, Any], changed: dict[str, Any], expected: bool) -> None:
    """Bounds fall on the side that the specification names, and nothing missing makes a day eligible."""
    assert on_day(node, **changed) is expected


def test_cost_share_beside_its_bound() -> None:
    """The share is strictly below its bound, in the order of operations that is written."""
    share = 100.0 * 8.4 / (5.0 * 10 + 8.4)
    assert not on_day({"max_cost_ratio_pct": share})
    assert on_day({"max_cost_ratio_pct": math.nextafter(share, 100)})
    assert not on_day({"max_cost_ratio_pct": 100}, orb_A_size=0.0)


def nested(deep: int) -> dict[str, Any]:
    """A composite within a composite, so deep."""
    return {"base": nested(deep - 1), "overlay": {"min_size": 1}} if deep else {"min_size": 1}


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", "null", "{}", '{"filter_type": "Y", "min_size": 5}', '{"min_size": 5, "min_size": 5}',
        '{"min_size": "5"}', '{"min_size": true}', '{"min_size": NaN}', '{"min_size": Infinity}', '{"min_size": 1e999}',
        '{"min_size": 5, "more": 1}', '{"min_pct": 5}', '{"min_pct": 5, "strict_gt": 1, "max_pct": null}',
        '{"min_rel_vol": 1, "lookback_days": 10}', '{"min_rel_vol": 1, "lookback_days": true}',
        '{"filter_type": "X", "min_ratio": 1}', '{"pct_threshold": 1, "direction": "low", "strict_gt": true}',
        '{"mode": "other"}', '{"definition": "close"}', '{"prior_session": "Q"}', '{"direction": "up"}',
        '{"skip_days": [7]}', '{"skip_days": [true]}', '{"skip_days": 4}', '{"require_continues": null}',
        '{"base": {"min_size": 5}}', '{"base": {"min_size": 5}, "overlay": {"zigzag": 1}}',
        '{"base": {"min_size": 5}, "overlay": {"min_size": 5}, "min_size": 5}', '{"exclude": true}',
        '{"base": {"filter_type": 1, "min_size": 5}, "overlay": {"min_size": 5}}', '{"skip_nfp": true}',
        '{"apply_to_sessions": ["A"]}', json.dumps(nested(DEEPEST + 1)),
    ],
)  # fmt: skip
def test_what_nobody_understands(text: str) -> None:
    """A field too many, too few, twice, or of another type is not guessed at."""
    with pytest.raises(Unknown):
        understood("X", text, FEATURES)


def test_the_deepest_composite() -> None:
    """Four composites within each other are understood."""
    assert on_day(nested(DEEPEST))


def test_names_without_parameters() -> None:
    """Without parameters the names of the rules are read, and cost shares; any other name is unknown."""
    cost = 100.0 * 8.4 / (5.0 * 10 + 8.4)
    assert 14 < cost < 15
    expected = {
        "NO_FILTER": True, "ORB_G5": True, "ORB_G6": False, "M6E_G8": True, "ORB_G4_NOMON": False,
        "ORB_G4_NOFRI": True, "ORB_G4_FAST5": True, "ORB_G4_CONT": True, "VOL_RV12_N20": True, "COST_LT15": True,
        "COST_LT14": False,
    }  # fmt: skip
    assert {name: on_day("", name) for name in expected} == expected
    for name in ("DIR_LONG", "ORB_G4_L12", "NO_DBL_BREAK", "COST_LT8", "COST_LT150", "ORB_G7", "COST_LT10_FAST5"):
        with pytest.raises(Unknown):
            understood(name, None, FEATURES)


def test_columns_of_a_condition() -> None:
    """A composite needs the columns of both of its nodes."""
    node = understood("X", '{"base": {"min_size": 5}, "overlay": {"max_delay_min": 5}}', FEATURES)
    assert columns_of(node, "A") == ["orb_A_size", "orb_A_break_delay_min"]


@pytest.mark.parametrize("m", [0.0, -1.0, math.nan])
def test_stop_that_is_none(m: float) -> None:
    """A stop at or behind the entry fails the strategy; NULL is the whole distance."""
    with pytest.raises(Unusable):
        multiplier(m)
    assert multiplier(None) == 1.0


def test_replayed_stop() -> None:
    """A trade that went as far as the tight stop, costs included, lost that much, whatever it was."""
    costs = COSTS["MGC"]  # 8.4 dollars a round trip, 10 a point
    win: Outcome = (MONDAY, "win", 2.0)
    touched = 0.75 * 10 * 10 / (10 * 10 + 8.4)
    assert touched * (10 * 10 + 8.4) / 10 == 0.75 * 10
    assert replayed(win, Way(touched, 100.0, 90.0), 0.75, costs) == (MONDAY, "loss", -0.75)
    assert replayed(win, Way(math.nextafter(touched, 0), 100.0, 90.0), 0.75, costs) == win
    assert replayed((MONDAY, "scratch", 0.0), Way(0.9, 90.0, 100.0), 0.75, costs) == (MONDAY, "loss", -0.75)
    for path in (Way(math.nan, 100.0, 90.0), Way(None, 100.0, 90.0), Way(9.0, 90.0, 90.0), Way(9.0, None, 90.0)):
        assert replayed(win, path, 0.75, costs) == win
    assert replayed(win, Way(9.0, 100.0, 90.0), 1.0, costs) == win


def test_stop_is_no_season() -> None:
    """`_S075` is a stop: only a name that ends in the letter names a season, and only where there are seasons."""
    zones = {"A": "America/New_York"}
    summer, winter = date(2024, 7, 1), date(2024, 1, 8)
    assert [in_season("X_S075", "A", day, zones) for day in (summer, winter)] == [True, True]
    assert [in_season("X_S075_S", "A", day, zones) for day in (summer, winter)] == [True, False]
    assert [in_season("X_S", "A", day, {}) for day in (summer, winter)] == [True, True]


def trades_of(*results: float | None, first: date = date(2020, 1, 1)) -> list[Outcome]:
    """One trade a day; None is a scratch."""
    return [
        (day, "scratch" if r is None else "win" if r > 0 else "loss", r)
        for day, r in zip(days(len(results), first), results, strict=True)
    ]


def test_windows_by_trades() -> None:
    """A window has so many wins and losses, a scratch voids none, and what does not fill one is left over."""
    by_trades = Settings(wf_window_trades=2, wf_train_trades=3, wf_min_windows=2)
    found = walkforward(trades_of(1, 1, None, 1, 1, None, -1, 1, 1, 1), by_trades)
    assert [(w["window_start"], w["window_end"], w["test_n"]) for w in found["windows"]] == [
        ("2020-01-05", "2020-01-08", 2),
        ("2020-01-08", "2020-01-10", 2),
    ]
    assert [w["test_pass"] for w in found["windows"]] == [False, True]
    assert (found["n_valid_windows"], found["rule"]) == (2, "pct_positive")
    assert walkforward(trades_of(1, 1, 1, 1), by_trades)["rule"] == "no_windows"
    assert walkforward(trades_of(1, 1, 1, 1, 1), Settings(wf_window_trades=2))["n_total_windows"] == 1


def test_first_and_last_day() -> None:
    """Windows start after the first day, earlier trades stay training, and later ones than the last are not there."""
    outcomes = trades_of(*[1.0] * 900)
    found = walkforward(outcomes, Settings(wf_first_day=date(2020, 7, 1), wf_last_day=date(2022, 1, 1)))
    assert [w["window_start"] for w in found["windows"]] == ["2021-07-01", "2022-01-01"]
    assert [w["test_n"] for w in found["windows"]] == [184, 1]
    assert walkforward(outcomes, Settings(wf_last_day=date(2019, 1, 1)))["rule"] == "no_outcomes"
    by_trades = Settings(wf_first_day=date(2020, 7, 1), wf_window_trades=30)
    assert walkforward(outcomes, by_trades)["windows"][0]["window_start"] == "2020-07-31"


def test_efficiency() -> None:
    """What is left out of sample is weighed by trades, where there was something in sample."""
    rules = Settings(wf_window_trades=2, wf_train_trades=2, wf_in_sample=True, wf_in_sample_min=2, wf_min_windows=1)
    found = walkforward(trades_of(-1, -1, 1, 1, 1, 1, 0.5, 0.5), rules)
    assert [w["is_exp_r"] for w in found["windows"]] == [-1.0, 0.0, 0.3333]
    assert found["wfe"] == round(0.5 / 0.3333, 4)
    assert walkforward(trades_of(-1, -1, 1, 1), rules)["wfe"] is None
    few = Settings(wf_in_sample=True)
    assert walkforward(trades_of(*[1.0] * 400), few)["windows"][0]["is_exp_r"] == 1.0
    scratches = trades_of(*[None] * 14, 1.0) + trades_of(*[1.0] * 20, first=date(2021, 2, 1))
    assert walkforward(scratches, few)["windows"][0]["is_exp_r"] == 1.0  # scratches count towards the fifteen
    assert walkforward(scratches[1:], few)["windows"][0]["is_exp_r"] is None


def test_small_samples() -> None:
    """Fewer trades than the bound have their own numbers, even laxer ones; what is not given stays."""
    rules = Settings(small_sample=100, small_wf_min_trades=5, small_wf_window_trades=10, wf_min_windows=4)
    small = in_use(rules, {"sample_size": 99})
    assert (small.wf_min_trades, small.wf_window_trades, small.wf_min_windows) == (5, 10, 4)
    assert in_use(rules, {"sample_size": 100}) == rules
    assert in_use(rules, {"sample_size": None}) == small


def phase(rules: Settings, atr: dict[int, float], **years: dict[str, float]) -> int | None:
    """The phase that rejects a row with such years."""
    text = json.dumps({name.removeprefix("y"): year for name, year in years.items()})
    return screen(ROW | {"yearly_results": text}, rules, COSTS["MGC"], atr).phase


def test_waived_years_count_as_positive() -> None:
    """Waived years make up for others, but not without a positive one."""
    good, dead, bad = {"trades": 50, "avg_r": 0.1}, {"trades": 5, "avg_r": -1.0}, {"trades": 50, "avg_r": -1.0}
    rules = Settings(waived_years="positive", min_years_positive_pct=2 / 3)
    atr = {2018: 10.0}
    assert phase(rules, atr, y2018=dead, y2019=bad, y2020=good) is None
    assert phase(Settings(min_years_positive_pct=2 / 3), atr, y2018=dead, y2019=bad, y2020=good) == 3
    assert phase(rules, atr, y2018=dead, y2019=bad, y2020=bad, y2021=good) == 3
    assert phase(Settings(waived_years="positive", min_years_positive_pct=0.1), atr, y2018=dead) == 3


def test_years_that_are_counted() -> None:
    """Promotion counts years with enough trades, by the plain number, not that of small samples."""
    years = '{"2019": {"trades": 3, "avg_r": -1}, "2020": {"trades": 50, "avg_r": 0.1}}'
    rules = Settings(years_counted="tested", min_trades_per_year=3, small_sample=300, small_min_trades_per_year=5)
    tested = screen(ROW | {"yearly_results": years}, rules, COSTS["MGC"], {})
    assert (tested.phase, tested.years_tested, tested.all_years_positive) == (None, 2, False)


def year(total_r: float) -> Year:
    """A year that earned so much."""
    return Year(10, total_r / 10, total_r)


def test_share_of_the_best_year() -> None:
    """The share is judged unrounded; without a gain there is none."""
    assert of_years([year(0.500004), year(0.499996)]) == {"max_year_pct": 0.5, "era_dependent": True}
    assert of_years([year(1.0), year(1.0)]) == {"max_year_pct": 0.5, "era_dependent": False}
    assert of_years([year(1.0), year(-1.0)]) == {"max_year_pct": None, "era_dependent": False}
    assert of_years([]) == {"max_year_pct": None, "era_dependent": False}


def test_holdout() -> None:
    """Reaching a bound passes, few trades and none are decided by one setting, and a missing ratio is none."""
    rules = Settings(holdout_min_trades=2, holdout_min_exp=0.1, holdout_min_ratio=0.5)
    assert holdout([0.1, 0.1], 0.2, rules) == Held(PASSED, True)
    assert holdout([0.1, 0.1], math.nextafter(0.2, 1), rules) == Held(FAILED_RATIO, False)
    assert holdout([0.1, 0.0999], 0.2, rules) == Held(NEGATIVE, False)
    assert holdout([0.1], 0.2, rules) == Held(FEW_REJECT, False)
    assert holdout([], 0.2, rules) == Held(NO_DATA, False)
    assert holdout([], 0.2, Settings(holdout_few="pass")) == Held(NO_DATA, True)
    for expectancy_r in (None, math.nan, -1.0):
        assert holdout([0.1, 0.1], expectancy_r, rules).passes
    assert held_out(trades_of(1, -1, None, 1), date(2020, 1, 2)) == [-1, 1]


def test_eras() -> None:
    """An era with enough trades must not lose; absent numbers are nothing, and years outside do not count."""
    rules = Settings(era_starts=(2015, 2020, 2023), era_min_trades=50, era_min_exp=-0.05)

    def loses(changed: Settings = rules, **years: Any) -> bool:
        return has_era_of_losses(json.dumps({name[1:]: value for name, value in years.items()}), changed)

    assert not loses(y2020={"trades": 50, "avg_r": -0.05})
    assert loses(y2020={"trades": 25, "avg_r": -0.05}, y2022={"trades": 25, "avg_r": -0.051})
    assert not loses(y2020={"trades": 49, "avg_r": -1})
    assert not loses(y2023={"trades": 99, "avg_r": -1}, y2014={"trades": 99, "avg_r": -1})
    assert loses(y2020={"trades": 50, "avg_r": math.nan})
    assert not loses(y2020={"trades": 50, "avg_r": None}, y2021={"avg_r": -1})
    later = Settings(era_starts=(2015, 2020), era_min_trades=1, era_min_exp=0, wf_first_day=date(2016, 6, 1))
    assert not loses(later, y2015={"trades": 9, "avg_r": -1}, y2016={"trades": 9, "avg_r": 0.5})
    for unreadable in (None, "", "{", "[]", '{"2020": null}', '{"soon": {}}'):
        assert not has_era_of_losses(unreadable, rules)


def test_rows_that_two_gates_are_for() -> None:
    """A row escapes by an empty column, or by being made no later than the moment; without a moment too."""
    moment = datetime(2026, 4, 8, tzinfo=UTC)
    only = GatesOnly("hash", moment)
    rules = Settings(holdout_from=date(2026, 1, 1), gates_only=only)
    later = moment + timedelta(microseconds=1)
    assert is_gated({"hash": "x", "created_at": later}, rules)
    for row in (
        {"hash": None, "created_at": later},
        {"hash": "x", "created_at": moment},
        {"hash": "x", "created_at": None},
    ):
        assert not is_gated(row, rules)
    assert is_gated({}, Settings(era_starts=(2015, 2020)))


def candidate(name: str, p: float | None, **changed: Any) -> dict[str, Any]:
    """A row of a family."""
    row = {"strategy_id": name, "instrument": "MGC", "orb_label": "A", "orb_minutes": 5, "p_value": p}
    return {**row, "is_canonical": True, "expectancy_r": 0.1, "sharpe_ann": 1.0, **changed}


def test_families() -> None:
    """Groups are tested apart, instruments together; rows that are no independent test, or have no p, are in none."""
    everything = [
        candidate("a", 0.01),
        candidate("b", 0.04, instrument="MNQ"),
        candidate("c", 0.04),
        candidate("other group", 0.04, orb_minutes=15),
        candidate("other instrument", 0.04, instrument="MES"),
        candidate("alias", 0.04, is_canonical=False),
        candidate("unclear", 0.04, is_canonical=None),
        candidate("no p", None),
        candidate("nan", math.nan),
    ]
    two = {"fdr_sides": 2, "fdr_group_by": ("orb_label", "orb_minutes"), "fdr_instruments": ("MNQ",)}
    found = families(everything, Settings(**two), "MGC")  # type: ignore[arg-type]
    assert found == {
        "a": InFamily(0.03, 3), "b": InFamily(0.04, 3), "c": InFamily(0.04, 3), "other group": InFamily(0.04, 1),
    }  # fmt: skip
    by = families(everything, Settings(fdr_method="by", **two), "MGC")  # type: ignore[arg-type]
    assert by["a"] == InFamily(0.03 * (1 + 1 / 2 + 1 / 3), 3)
    assert by["c"] == InFamily(0.04 * (1 + 1 / 2 + 1 / 3), 3)
    raw = families(everything, Settings(fdr_method="raw", fdr_sides=2), "MGC")
    at_same_p = ("c", "other group", "unclear")
    assert raw == {"a": InFamily(0.01, 1)} | dict.fromkeys(at_same_p, InFamily(0.04, 1))
    wide = families(everything, Settings(fdr_k={"A|5": 30}, **two), "MGC")  # type: ignore[arg-type]
    assert wide["a"] == InFamily(0.3, 30)


def test_one_side() -> None:
    """On one side a losing strategy's small p-value speaks against it, and so does an unknown expectancy."""
    everything = [
        candidate("wins", 0.04),
        candidate("loses", 0.04, expectancy_r=-0.1),
        candidate("?", 0.04, expectancy_r=None),
    ]
    found = families(everything, Settings(fdr_group_by=("strategy_id",)), "MGC")
    assert {name: tested.adjusted for name, tested in found.items()} == {"wins": 0.02, "loses": 0.98, "?": 0.98}


def test_gates_on_unrounded_values() -> None:
    """Who is not tested, reaches alpha only by rounding, or is as efficient as asked for, falls on the strict side."""
    rules = Settings(gates=("fdr",), min_wfe=0.5, min_sharpe_ann=0.0)
    row = candidate("x", 0.01)
    below, close = InFamily(math.nextafter(0.05, 0), 9), InFamily(0.05, 9)
    assert rejecting_phase(row, below, 0.5, rules) is None
    assert rejecting_phase(row, close, 0.5, rules) == 7
    assert rejecting_phase(row, None, 0.5, rules) == 7
    assert rejecting_phase(row | {"sharpe_ann": 0.0}, below, 0.5, rules) == 7
    assert rejecting_phase(row | {"sharpe_ann": math.nan}, below, 0.5, rules) == 7
    assert rejecting_phase(row, below, 0.4999, rules) == 8
    assert rejecting_phase(row, below, None, rules) == 8
    assert family_fdr(InFamily(0.0499999, 9), Settings(fdr_method="bh")) == (True, 0.05)
    assert family_fdr(InFamily(0.0499999, 1), Settings(fdr_method="raw")) == (True, 0.0499999)


def test_modes() -> None:
    """A row that says nothing is written as the default; a mode that nobody names does not become live."""
    rules = Promotion(default_mode="STANDARD", modes={"RESEARCH": {"status": "R"}}, constants={"scope": "all"})
    live = {
        "scope": "all",
        "status": "active",
        "verdict_ceiling": None,
        "pseudo_oos_window_start": None,
        "pseudo_oos_window_end": None,
    }
    for stored in (None, "", "STANDARD"):
        assert of_mode({"validation_mode": stored}, rules) == {"validation_mode": "STANDARD", **live}
    assert of_mode({"validation_mode": "RESEARCH"}, rules) == {**live, "validation_mode": "RESEARCH", "status": "R"}
    with pytest.raises(Unusable):
        of_mode({"validation_mode": "research"}, rules)
