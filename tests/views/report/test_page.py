"""The report as one sees it: in Chromium, from the disk, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dask_validator import RunConfig, validate
from dask_validator.views.report.of_run import report_result
from dask_validator.wording.harmless import plain
from tests.support.browser import console_errors
from tests.support.tiny import tiny_database

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HOSTILE = "<script>alert(1)</script>'\"&\n</script><img src=x onerror=alert(2)>"
IDS = "return [...document.querySelectorAll('#strategies tr.row:not([hidden]) .open')].map(b => b.textContent)"


def column(index: int) -> str:
    """A script that returns the visible cells of a column as text."""
    cell = f"row => row.cells[{index}].textContent"
    return f"return [...document.querySelectorAll('#strategies tr.row:not([hidden])')].map({cell})"


@pytest.fixture(scope="module")
def report(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a dry run of the recorded small input."""
    path = tmp_path_factory.mktemp("report") / "run.html"
    config = RunConfig(dry_run=True)
    report_result(validate(small_source, "MGC", config, workers=1, progress=False), config, path)
    return path


@pytest.fixture
def page(browser: Chrome, report: Path) -> Iterator[Chrome]:
    """The report in a browser; whatever a test does, the page has nothing to complain about and asks for nothing."""
    browser.get(report.as_uri())
    yield browser
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert console_errors(browser) == []


def keys(page: Chrome, *pressed: str) -> None:
    """Press keys, wherever the focus is."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).send_keys(*pressed).perform()


def test_it_opens(page: Chrome) -> None:
    """All sections are there, and none is wider than the window."""
    sections = page.execute_script("return [...document.querySelectorAll('main section')].map(s => s.id)")
    assert sections == ["funnel", "walkforward", "passed", "discovery", "seasons", "computing", "origin"]
    assert page.execute_script("return document.querySelectorAll('svg').length") >= 8
    for width in (800, 1280):
        page.set_window_size(width, 900)
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_no_request_leaves_the_file(browser: Chrome, report: Path) -> None:
    """Not even one that a script would make: the page forbids it to itself."""
    browser.get(report.as_uri())
    blocked = browser.execute_async_script(
        "const done = arguments[0]; document.addEventListener('securitypolicyviolation', e => done(e.blockedURI));"
        "fetch('https://example.org/x.json').catch(() => null)"
    )
    assert blocked.startswith("https://example.org")
    assert any("Content Security Policy" in message for message in console_errors(browser))


def test_sorting(page: Chrome) -> None:
    """Numbers by value, the largest first, then the smallest; empty cells last; words by alphabet."""
    page.set_window_size(1400, 900)  # room for all columns
    headers = page.find_elements("css selector", "#strategies thead button")
    for index in (4, 5, 7, 8, 10):
        for descending in (True, False):
            headers[index].click()
            shown = [text.replace(",", "") for text in page.execute_script(column(index))]
            values = [float(text.lstrip("<")) for text in shown if text]
            assert values == sorted(values, reverse=descending)
            assert shown[: len(values)] == [text for text in shown if text]
    headers[0].click()
    names = page.execute_script(IDS)
    assert names == sorted(names)
    assert page.execute_script("return document.querySelectorAll('th[aria-sort]').length") == 1


def test_searching(page: Chrome) -> None:
    """All words, in any case, in names, sessions, filters and seasons, not in numbers; the count says what is left."""
    columns = [page.execute_script(column(index)) for index in (0, 1, 2, 13)]
    rows = [" ".join(cells) for cells in zip(*columns, strict=True)]
    page.find_element("id", "search").send_keys("orb_g4 0900")

    expected = [name for name, row in zip(columns[0], rows, strict=True) if "ORB_G4" in row and "0900" in row]
    assert page.execute_script(IDS) == expected
    assert 0 < len(expected) < len(rows)
    assert page.find_element("id", "count").text == f"{len(expected)} of {len(rows)} shown"


def test_by_keyboard(page: Chrome) -> None:
    """Tab reaches a name, Enter opens its windows, arrow keys go on, Enter again closes."""
    from selenium.webdriver.common.keys import Keys

    page.execute_script("document.querySelector('#strategies thead th:last-child button').focus()")
    keys(page, Keys.TAB, Keys.ENTER)
    windows = page.execute_script("return JSON.parse(document.getElementById('details').textContent)[0].windows")
    bars = page.find_elements("css selector", "tr.detail rect:not(.band)")
    assert len(bars) == sum(r is not None for _, _, r in windows) > 0
    tips = [bar.find_element("css selector", "title").get_attribute("textContent") for bar in bars]
    traded = [window for window in windows if window[2] is not None]
    assert [f"{r:.4f} R per trade, {n} trades" in tip for tip, (_, n, r) in zip(tips, traded, strict=True)].count(
        False
    ) == 0
    numbers = [text.text for text in page.find_elements("css selector", "tr.detail text.value")]
    assert numbers == [str(n) for _, n, _ in windows]
    keys(page, Keys.ARROW_DOWN)
    second = page.execute_script("return document.activeElement.textContent")
    assert second == page.execute_script(IDS)[1]
    keys(page, Keys.ARROW_UP, Keys.ENTER)
    assert page.find_elements("css selector", "tr.detail") == []
    assert page.execute_script("return document.activeElement.ariaExpanded") == "false"


def test_opened_rows_stay_with_their_strategy(page: Chrome) -> None:
    """Sorting and searching take them along."""
    page.execute_script("document.querySelectorAll('.open')[3].click()")
    name = page.execute_script(IDS)[3]
    of = "return document.querySelector('tr.detail').previousElementSibling.querySelector('.open').textContent"
    page.find_elements("css selector", "#strategies thead button")[0].click()
    assert page.execute_script(of) == name
    page.find_element("id", "search").send_keys("nobody is called so")
    assert page.execute_script("return document.querySelector('tr.detail').hidden")


def test_light_and_dark(page: Chrome) -> None:
    """As the reader's system has it; text stands out from its ground either way."""
    grounds = {}
    for scheme in ("light", "dark"):
        feature: dict[str, Any] = {"name": "prefers-color-scheme", "value": scheme}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        ground, text = (_brightness(colour) for colour in page.execute_script(script))
        assert abs(ground - text) > 150
        grounds[scheme] = ground
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert grounds["light"] > 200 > 60 > grounds["dark"]


def _brightness(colour: str) -> float:
    parts = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(parts) / 3


def test_strings_from_the_database_are_text(browser: Chrome, tmp_path: Path) -> None:
    """Names, filters and notes that are HTML are shown as they are, in tables, near misses and opened rows."""
    rows = [
        {"strategy_id": HOSTILE, "filter_type": HOSTILE},
        {"strategy_id": f"{HOSTILE}2", "sample_size": 28},
        {"strategy_id": f"{HOSTILE}3", "rr_target": 2.0, "dst_verdict": HOSTILE},
    ]
    database = tiny_database(tmp_path / "<b>'tiny'&.duckdb", rows)
    config = RunConfig(dry_run=True)
    result = validate(database, "MGC", config, workers=1, progress=False)
    report_result(result, config, tmp_path / "run.html")
    browser.get((tmp_path / "run.html").as_uri())
    browser.execute_script("document.querySelectorAll('.open').forEach(button => button.click())")

    assert result.summary["passed"] == 2
    shown = plain(HOSTILE)
    assert sorted(browser.execute_script(IDS)) == [shown, f"{shown}3"]
    assert f"{shown} every day" in browser.execute_script(column(2))
    assert shown in browser.execute_script(column(12))
    assert f"{shown}2" in browser.execute_script("return document.querySelector('.misses').textContent")
    assert shown in "".join(
        browser.execute_script("return [...document.querySelectorAll('tr.detail')].map(row => row.textContent)")
    )
    assert str(database) in browser.execute_script("return document.querySelector('header').textContent")
    assert browser.execute_script("return document.querySelectorAll('img, header b').length") == 0
    assert console_errors(browser) == []
