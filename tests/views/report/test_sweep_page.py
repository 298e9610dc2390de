"""The page of a sweep: every number of the table, a curve for each flag, a heatmap of two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dask_validator.config import RunConfig, combinations, one_at_a_time
from dask_validator.run.swept import Sweep
from dask_validator.views.report.of_sweep import report_sweep
from tests.support.browser import console_errors

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NOW = RunConfig()
TWO: dict[str, list[Any]] = {"wf_min_windows": [2, 3, 5], "min_sharpe": [None, 0.1]}


def a_sweep(values: dict[str, list[Any]], *, alone: bool = False) -> Sweep:
    """The n-th setting promotes n of ten strategies, the first three of which are promoted today."""
    settings: Sequence[RunConfig] = one_at_a_time(NOW, values) if alone else combinations(NOW, values)
    ids = [f"S{i}" for i in range(10)]
    promoted = np.array([[i < n for i in range(10)] for n in range(len(settings))])
    return Sweep("<MGC>", "gold.db", NOW, settings, tuple(values), alone, 10, frozenset(ids[:3]), ids, promoted, 1.0)


def page(sweep: Sweep, tmp_path: Path) -> str:
    """Its text."""
    report_sweep(sweep, tmp_path / "sweep.html")
    return (tmp_path / "sweep.html").read_text()


def tips(text: str) -> list[str]:
    """What a pointer resting on points and cells is shown."""
    return re.findall(r"<title>(--[^<]+)</title>", text)


def test_two_flags_have_a_table_two_curves_and_a_heatmap(tmp_path: Path) -> None:
    """Most and fewest promotions by value of each, and one cell a combination."""
    text = page(a_sweep(TWO), tmp_path)
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>(<td.*?)</tr>", text)]

    assert rows == [
        ["2", "none", "0", "0", "3", "0", ""],
        ["2", "0.1", "1", "1", "2", "0", ""],
        ["3", "none", "2", "2", "1", "0", "as given"],
        ["3", "0.1", "3", "3", "0", "0", ""],
        ["5", "none", "4", "3", "0", "1", ""],
        ["5", "0.1", "5", "3", "0", "2", ""],
    ]
    shown = tips(text)
    assert {f"--wf-min-windows {v}: {n} promoted" for v, n in ((2, 0), (2, 1), (3, 2), (3, 3), (5, 4), (5, 5))} <= {
        *shown
    }
    assert {"--min-sharpe none: 0 promoted", "--min-sharpe none: 4 promoted"} <= {*shown}
    assert "--wf-min-windows 5 --min-sharpe 0.1: 5 promoted" in shown
    assert len(shown) == 2 * 3 + 2 * 2 + 6


def test_flags_alone_have_one_curve_each_through_what_is_now(tmp_path: Path) -> None:
    """The other flags are as they are, so there is nothing to put together."""
    text = page(a_sweep({**TWO, "holdout_few": ["pass", "reject"]}, alone=True), tmp_path)

    assert tips(text) == [
        *("--wf-min-windows 2: 1 promoted", "--wf-min-windows 3: 0 promoted", "--wf-min-windows 5: 2 promoted"),
        *("--min-sharpe none: 0 promoted", "--min-sharpe 0.1: 3 promoted"),
        *("--holdout-few reject: 0 promoted", "--holdout-few pass: 4 promoted"),
    ]
    assert "Both together" not in text


def test_a_sweep_in_which_nobody_is_promoted_has_a_page(tmp_path: Path) -> None:
    """Also where no strategy is promoted today."""
    nobody = replace(
        a_sweep({"min_sample": [30]}), today=frozenset(), ids=[], promoted=np.zeros((1, 0), dtype=np.bool_)
    )

    assert "every promotion is new" in page(nobody, tmp_path)


@pytest.mark.parametrize(("values", "is_dashed"), [([2, 3], True), ([2, 4], False)])
def test_what_is_given_is_named_where_it_is_drawn(tmp_path: Path, values: list[int], is_dashed: bool) -> None:
    """A sweep over other values than those given has no dashed line."""
    assert ("Dashed: as given" in page(a_sweep({"wf_min_windows": values}), tmp_path)) == is_dashed


def test_the_page_opens_without_a_network(browser: Chrome, tmp_path: Path) -> None:
    """It asks for nothing, complains about nothing, fits a telephone, and shows names as they are."""
    report_sweep(a_sweep(TWO), tmp_path / "sweep.html")
    browser.get((tmp_path / "sweep.html").as_uri())

    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert console_errors(browser) == []
    assert browser.title.startswith("<MGC>: ")
    browser.set_window_size(360, 800)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.set_window_size(1280, 900)
