"""Figures of a result: the columns behind them, and what is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from dask_validator import InputError, RunResult, validate
from dask_validator.model import WindowResult
from dask_validator.run.forecast import Forecast
from dask_validator.views.funnel import funnel, steps
from dask_validator.views.plots import funnel_columns, speedup_figure, windows_columns, windows_figure
from dask_validator.wording.harmless import plain
from tests.support.browser import console_errors

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from selenium.webdriver import Chrome

HOSTILE = "$$x$$ <img src=x onerror=\"document.title='owned'\"> '\"\n&amp;"
PASSES = WindowResult("2020-01-31", "2020-07-31", 20, 0.25, 0.5, 0.1, True)
TOO_FEW = WindowResult("2020-07-31", "2021-01-31", 14, 0.5, 0.6, 0.2, False)
NEGATIVE = WindowResult("2021-01-31", "2021-07-31", 40, -0.3, 0.4, -0.1, False)
EMPTY = WindowResult("2021-07-31", "2022-01-31", 0, None, None, None, False)
WINDOWS = (PASSES, TOO_FEW, NEGATIVE, EMPTY)


@pytest.fixture(scope="module")
def result(small_source: Path) -> RunResult:
    """One dry run of the small database."""
    return validate(small_source, workers=1, dry_run=True, progress=False)


def test_the_funnel_adds_up(result: RunResult) -> None:
    """What a stage leaves is what it was given less what it removed, down to those that passed."""
    columns = funnel_columns(steps(result.summary))

    assert columns["left"][0] == result.summary["rows"]
    assert columns["left"][-2] == columns["left"][-1] == result.summary["passed"]
    assert columns["before"][1:-1] == columns["left"][:-2]
    assert columns["stage"][2] == "phase 1 (sample size)"


def test_a_window_is_a_rectangle_over_its_days() -> None:
    """A bar is as high as the expectancy, as wide as the window, and says how many trades and what became of it."""
    columns = windows_columns(WINDOWS, 15)

    assert [f"{day:%Y-%m-%d}" for day in columns["start"]] == [window.window_start for window in WINDOWS]
    assert [f"{day:%Y-%m-%d}" for day in columns["end"]] == [window.window_end for window in WINDOWS]
    assert columns["exp_r"] == [0.25, 0.5, -0.3, 0.0]
    assert columns["label"] == ["20", "14", "40", "0"]
    assert columns["win_rate"] == ["50%", "60%", "40%", ""]
    assert columns["became"] == ["passes", "too few trades", "zero or negative", "too few trades"]
    assert len(set(columns["color"])) == 3


def test_the_windows_of_a_strategy_are_those_of_the_table(result: RunResult) -> None:
    """`plot_windows` draws the rows that `windows` has for the strategy, all in view."""
    strategy_id = result.windows["strategy_id"].iloc[0]
    rows = result.windows[result.windows["strategy_id"] == strategy_id]

    plot = result.plot_windows(strategy_id)

    source = plot.renderers[0].data_source.data
    assert list(source["n"]) == list(rows["test_n"])
    assert plot.y_range.start < min(0, rows["test_exp_r"].min())
    assert plot.y_range.end > max(0, rows["test_exp_r"].max())


def test_speedup_marks_the_run_and_the_recommendation(result: RunResult) -> None:
    """The replay, the ideal line, which has no serial part, the recommended count and the measured run."""
    forecasts = [Forecast(1, 8.0, False), Forecast(2, 5.0, True), Forecast(4, 4.9, False)]

    lines = {
        item.label.value: dict(item.renderers[0].data_source.data)
        for item in speedup_figure(forecasts, workers=3, total_s=6.5).legend[0].items
    }

    assert lines["ideal"] == {"x": [1, 2, 4], "y": [8.0, 4.0, 2.0]}
    assert lines["replayed"] == {"x": [1, 2, 4], "y": [8.0, 5.0, 4.9]}
    assert lines["recommended: 2"] == {"x": [2], "y": [5.0]}
    assert lines["this run, measured"] == {"x": [3], "y": [6.5]}
    recommended = next(forecast.workers for forecast in result.forecasts if forecast.recommended)
    assert f"recommended: {recommended}" in [item.label.value for item in result.plot_speedup().legend[0].items]


def test_an_unknown_strategy_is_answered_with_known_ones(result: RunResult) -> None:
    """The message names what there is, those first that begin like what was asked for."""
    known = result.windows["strategy_id"].iloc[0]

    with pytest.raises(InputError, match=r"got '.*x', which is not in this run; known are ") as caught:
        result.plot_windows(known + "x")

    assert f"known are {known!r}" in str(caught.value)
    assert f"{len(result.verdicts) - 3:,} more" in str(caught.value)


def test_a_strategy_without_windows_says_why(result: RunResult) -> None:
    """A strategy that fell before walk-forward has nothing to draw: its note, and who has windows."""
    fallen = result.strategies.query("phase == 2").iloc[0]
    with_windows = result.windows["strategy_id"].nunique()

    with pytest.raises(InputError) as caught:
        result.plot_windows(fallen["strategy_id"])

    assert fallen["note"] in str(caught.value)
    assert f"{with_windows - 3:,} more" in str(caught.value)


def test_no_tasks_no_speedup(small_source: Path) -> None:
    """A run that computed nothing has nothing to replay."""
    result = validate(small_source, workers=1, dry_run=True, progress=False, min_sample=10**9)
    finished = RunResult(result.summary, result.verdicts, timings=())

    with pytest.raises(InputError, match="no task to replay"):
        finished.plot_speedup()


def _page(path: Path, plot: figure) -> str:
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    path.write_text(file_html(plot, INLINE, "windows"))
    return path.as_uri()


def test_names_from_the_database_are_plain_text(browser: Chrome, tmp_path: Path) -> None:
    """A strategy_id is drawn letter by letter: neither HTML nor TeX, and nothing on the page complains."""
    drawn = "return Bokeh.documents.length > 0 && Bokeh.documents.every(document => document.is_idle)"
    title = "const {text} = Bokeh.documents[0].roots()[0].title; return [text.type, text.text]"

    browser.get(_page(tmp_path / "figure.html", windows_figure(HOSTILE, WINDOWS, 15)))
    WebDriverWait(browser, 20).until(lambda page: page.execute_script(drawn))

    assert browser.execute_script(title) == ["PlainText", plain(HOSTILE)]
    assert browser.title == "windows"
    assert console_errors(browser) == []


def test_the_result_is_a_table(result: RunResult) -> None:
    """Jupyter shows the funnel with its shares, walk-forward, what the p-values say and the run time."""
    html = result._repr_html_()
    summary = result.summary

    for stage, count in funnel(summary)[1:-1]:
        assert stage in html
        assert f">{count:,}<" in html
    assert f"{summary['passed'] / summary['rows']:.1%}" in html
    assert f"{summary['walkforward']['passed']:,} of {summary['walkforward']['strategies']:,} strategies" in html
    assert f"{summary['fdr']['earning']:,} of {summary['fdr']['tested']:,} earn significantly" in html
    assert f"; {summary['fdr']['losing']:,} lose significantly" in html
    assert f"{summary['total_s']:.2f} s" in html
    assert "dry run, nothing written" in html
    assert "color: " not in html.replace("background-color: ", "")  # the page's own text colour, dark or light


def test_the_table_is_escaped(result: RunResult) -> None:
    """Whatever the database calls things, the page shows it as text."""
    summary = json.loads(json.dumps(result.summary)) | {"instrument": HOSTILE}

    html = RunResult(summary, (), warnings=[HOSTILE])._repr_html_()

    assert "<img" not in html
    assert html.count("&lt;img") == 2
