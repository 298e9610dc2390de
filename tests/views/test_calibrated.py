"""What a calibration says: in the terminal, to Python, as a page, in the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dask_validator import CalibrationResult, RunConfig, calibrate, validate
from dask_validator.demo import build_demo, truth_report
from dask_validator.run.forecast import NOT_REPLAYED
from dask_validator.views.monitor.calibrated import kept_promises, render
from dask_validator.views.report.of_calibration import report_calibration
from dask_validator.views.report.of_run import report_result
from dask_validator.wording import luck
from tests.conftest import Command
from tests.support.browser import console_errors

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

FLAGS: dict[str, Any] = {"no_regime_waivers": True, "worlds": 100}
NUMBERS: dict[str, Any] = {
    "settings": {"min_sample": 30},
    "worlds": 1000,
    "block_days": 5.0,
    "strategies": 917,
    "not_calibrated": 0,
    "promoted_not_calibrated": 0,
    "promoted": 100,
    "null_mean": 20.04,
    "null_q05": 10.0,
    "null_q50": 20.0,
    "null_q95": 45.0,
    "null_sd": 11.0,
    "false_share": 0.2004,
    "false_share_low": 0.1,
    "false_share_high": 0.45,
    "losing": 100,
    "upper_bound": False,
    "last_day": "2025-12-31",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred invented strategies."""
    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    build_demo(path, strategies=400, seed=1)
    return path


@pytest.fixture(scope="module")
def found(database: Path) -> CalibrationResult:
    """Three settings that share the worlds, and what goes with a report."""
    several = [0.5, 0.6, 1.0]
    return calibrate(
        database, workers=1, progress=False, companions=True, min_years_positive_pct=several, min_sample=[30], **FLAGS
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"promoted": 45}, [luck.NO_EVIDENCE]),
        ({"losing": 459}, [luck.TOO_HIGH]),
        ({"null_q05": 8.9}, [luck.CLUSTERS]),
        ({"null_q05": 0.0}, [luck.CLUSTERS]),
        ({"null_q05": 0.0, "null_q95": 3.0, "null_mean": 1.1, "null_sd": 1.1}, []),
        ({"null_q05": 0.0, "null_q95": 3.0, "null_mean": 1.1, "null_sd": 1.6}, [luck.CLUSTERS]),
    ],
)
def test_it_says_what_follows_from_the_numbers(changed: dict[str, Any], said: list[str]) -> None:
    """No evidence where luck makes as many; too high where most lose; clusters where the interval is wider
    than that of as many strategies drawn one by one, which is wide too where few are promoted.
    """
    numbers = NUMBERS | changed
    first, *others = luck.verdict([numbers])

    assert first.startswith("If no strategy had an edge, a run with these flags on these days would promote")
    assert f"promote {numbers['null_mean']:.1f} of 917 (90 %: " in first
    assert others == said


def test_without_promotions_there_is_no_share() -> None:
    """Nothing is divided by nothing."""
    none = dict.fromkeys(("false_share", "false_share_low", "false_share_high"))
    [first, *_] = luck.verdict([NUMBERS | none | {"promoted": 0}])

    assert first.endswith("It promoted 0.")
    assert luck.row(NUMBERS | none | {"promoted": 0})[-1] == "-"


def test_a_few_strategies_read_well() -> None:
    """Where hardly a world promotes one, no mean reads 0.0 and no interval goes from nothing to nothing."""
    few = {"promoted": 2, "null_mean": 0.02, "null_q05": 0.0, "null_q95": 0.0}
    [first, *_] = luck.verdict(
        [NUMBERS | few | {"false_share": 0.012, "false_share_low": 0.0, "false_share_high": 0.0}]
    )

    assert "would promote less than 0.1 of" in first
    assert first.endswith("At most about 1.2% of them would then be luck: most worlds promote none.")


def test_every_setting_has_its_doubts() -> None:
    """What is true of all settings is said once; what is true of some names them, also those beside the first."""
    rows = [NUMBERS | {"settings": {"min_sample": sample}, "losing": 459} for sample in (20, 30, 60)]
    rows[1] = rows[1] | {"promoted": 45}
    rows[2] = rows[2] | {"promoted": 45, "upper_bound": True}
    first, *others = luck.verdict(rows)

    assert first.startswith("--min-sample 20: If no strategy had an edge")
    assert others[:2] == [luck.TOO_HIGH, f"--min-sample 30, --min-sample 60: {luck.NO_EVIDENCE}"]
    assert others[2].startswith("--min-sample 60: The worlds do not know of drawdowns")


def test_who_is_left_out_is_named() -> None:
    """By reason, the most frequent first, no more of them and of reasons than a terminal holds."""
    reasons = {f"MGC_{i:02}": "no trades" for i in range(8)} | {f"OTHER_{i}": f"reason {i}" for i in range(7)}
    said = luck.named(reasons)

    assert said[0] == "not calibrated, because no trades: MGC_00, MGC_01, MGC_02, MGC_03, MGC_04 and 3 more"
    assert said[1:5] == [f"not calibrated, because reason {i}: OTHER_{i}" for i in range(4)]
    assert said[5:] == ["not calibrated for 3 other reasons: 3 more"]


def test_who_is_left_out_is_counted() -> None:
    """With how many of them the run promotes."""
    said = luck.verdict([NUMBERS | {"not_calibrated": 1_634, "promoted_not_calibrated": 59}])

    assert said[-1].startswith("1,634 strategies, 59 of them promoted, are not calibrated")


def test_the_table_fits_a_terminal(found: CalibrationResult) -> None:
    """80 columns hold each row, also with large numbers and several flags."""
    rows = found.to_dict()["calibration"]
    large = {"promoted": 123_456, "null_mean": 98_765.4, "null_q05": 12_345.0, "null_q95": 123_456.0}
    rows = [row | large for row in rows]
    for row, sample in zip(rows, (20, 30, 60), strict=True):
        row["settings"] = row["settings"] | {"min_sample": sample}
    table = render("MGC", rows).split("\n\n")[0].splitlines()

    assert len(table) == 2 + 2 * len(rows)
    assert max(map(len, table)) <= 80
    assert "--min-sample 20 --min-years-positive-pct 0.5" in table[2]


def test_python_has_frames_of_it(found: CalibrationResult) -> None:
    """One row a setting with the numbers of `--json`, one a strategy with its share of luck."""
    settings, strategies = found.by_setting, found.by_strategy

    assert list(settings["setting"]) == [f"--min-years-positive-pct {share}" for share in (0.5, 0.6, 1.0)]
    assert list(settings["promoted"]) == [setting.promoted for setting in found.settings]
    assert list(settings["null_mean"]) == found.counts[:, 0].mean(axis=1).tolist()
    shown = {"strategy_id", "promoted", "luck", "z", "z_stitched", "luck_q", "luck_bound", "stepm_p"}
    assert shown <= set(strategies.columns)
    assert strategies["promoted"].sum() == found.settings[0].promoted
    assert strategies["luck_bound"].notna().sum() == found.settings[0].promoted
    assert len(repr(found)) < 100
    assert "<table" in found._repr_html_()


def test_a_run_carries_its_calibration(database: Path) -> None:
    """Its frame of strategies has the columns, its summary the numbers; without it they are empty."""
    asked = validate(database, workers=1, dry_run=True, calibrate=True, progress=False, **FLAGS)
    plain = validate(database, workers=1, dry_run=True, progress=False, no_regime_waivers=True)

    assert asked.calibration is not None
    assert asked.summary["calibration"] == asked.calibration.to_dict()["calibration"]
    assert all(sentence in asked._repr_html_() for sentence in luck.limits(asked.summary["calibration"][0]))
    known, frame = asked.calibration.strategies, asked.strategies.set_index("strategy_id")
    for name in ("z", "z_stitched"):
        column = zip(known.ids, getattr(known, name).tolist(), strict=True)
        assert frame[name].dropna().to_dict() == {of: value for of, value in column if not np.isnan(value)}
    assert plain.strategies[["z", "z_stitched", "luck", "luck_q", "luck_bound", "stepm_p"]].isna().all(axis=None)
    assert "luck" in asked._repr_html_()


def test_figures_show_every_setting_and_world(found: CalibrationResult) -> None:
    """Each setting has its mark in the data, each world its place in a bar."""
    settings, worlds = found.plot(), found.plot_worlds(1)

    assert settings.y_range.factors[::-1] == list(found.by_setting["setting"])
    bars = worlds.renderers[0].data_source.data["top"]
    assert int(np.sum(bars)) == found.design.worlds


def test_the_demonstration_keeps_its_promise_in_words(found: CalibrationResult, database: Path) -> None:
    """What luck would promote, and how many of the promoted never had an edge, with the gate and without."""
    promoted = found.strategies.promoted
    lines = kept_promises(found, 0.10, lambda statuses: truth_report(database, statuses))

    assert f"of the {int(promoted.sum()):,} promoted " in lines[0]
    kept = int((found.strategies.luck_bound[promoted] <= 0.10).sum())
    assert lines[1].startswith(f"With --gate luck --gate-share 0.1, of the {kept:,} promoted ")


def test_the_page_opens(found: CalibrationResult, database: Path, browser: Chrome, tmp_path: Path) -> None:
    """It needs nothing but itself, fits the window, and has every setting, world and promoted strategy."""
    path = tmp_path / "luck.html"
    report_calibration(found, database, path)
    browser.get(path.as_uri())

    sections = browser.execute_script("return [...document.querySelectorAll('main section')].map(s => s.id)")
    assert sections == ["luck", "worlds", "strongest", "companions", "left-out"]
    assert browser.execute_script("return document.querySelectorAll('svg').length") == 1 + len(found.settings)
    left_out = browser.execute_script("return document.querySelector('#left-out').textContent")
    assert all(name in left_out for name in found.not_calibrated)
    listed = browser.execute_script("return document.querySelectorAll('#strongest tbody tr').length")
    assert listed == found.settings[0].promoted
    for width in (800, 1280):
        browser.set_window_size(width, 900)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert console_errors(browser) == []


def test_the_report_of_a_run_has_a_section(database: Path, browser: Chrome, tmp_path: Path) -> None:
    """What the worlds say stands in it, and each promoted strategy has its numbers."""
    config = RunConfig(dry_run=True, calibrate=True, gate=("luck",), min_years_positive_pct=0.6, **FLAGS)
    result = validate(database, "MGC", config, workers=1, progress=False)
    path = tmp_path / "run.html"
    report_result(result, config, path)
    browser.get(path.as_uri())

    text = browser.execute_script("return document.querySelector('#luck').textContent")
    assert all(sentence in text for sentence in luck.verdict(result.summary["calibration"]))
    heads = browser.execute_script(
        "return [...document.querySelectorAll('#strategies th')].map(h => h.textContent.trim())"
    )
    assert {"z", "luck, at most", "step-down p"} <= set(heads)
    computing = browser.execute_script("return document.querySelector('#computing').textContent")
    assert NOT_REPLAYED in computing
    assert "the fewest" not in computing
    assert "phase 7: multiple testing" in browser.execute_script("return document.querySelector('#funnel').textContent")
    assert console_errors(browser) == []


def test_the_command_writes_page_and_object(database: Path, command: Command, tmp_path: Path) -> None:
    """`--json` alone on stdout is always a list of settings; the page lies where it was asked for."""
    done = command(
        *("calibrate", "--db", database, "--workers", 1, "--worlds", 50, "--json", "--report", tmp_path / "luck.html"),
        *("--min-sample", 20, 30, "--no-regime-waivers"),
    )

    assert done.code == 0, done.stderr
    rows = done.summary["calibration"]
    assert [row["settings"]["min_sample"] for row in rows] == [20, 30]
    assert [row["worlds"] for row in rows] == [50, 50]
    assert len(done.stdout.splitlines()) == 1
    assert "50 worlds are few" in done.stderr
    assert "warning: not calibrated, because its stored numbers do not follow from its outcomes" in done.stderr
    assert (tmp_path / "luck.html").read_text().startswith("<!doctype html><!-- report of dask_validator -->")
