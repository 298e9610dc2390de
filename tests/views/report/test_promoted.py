"""The table of promoted strategies, and what surrounds it: narrow, searched, exported, after the rows have changed."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.keys import Keys

from dask_validator import RunConfig, load_run, validate
from dask_validator.run.taken import CHANGED
from dask_validator.sources.chosen import source_of
from dask_validator.store.database import Database
from dask_validator.store.past_runs import latest_runs
from dask_validator.views.report.of_run import report_past_run
from dask_validator.wording.harmless import shell_word
from tests.conftest import Command
from tests.support.browser import console_errors
from tests.support.tiny import change, tiny_database
from tests.views.report.test_writing import opened

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROWS = "document.querySelectorAll('#strategies tr.row:not([hidden])')"
# Each part of a name, up to a `_`, is on one line.
PARTS = """
return [...document.querySelectorAll('.open')].flatMap(button => [...button.childNodes])
  .filter(node => node.nodeType === Node.TEXT_NODE).map(node => {
    const range = document.createRange(); range.selectNode(node);
    return [node.data, range.getClientRects().length];
  });
"""
LONGEST = """
document.querySelectorAll('.threads code').forEach(flag => { flag.textContent = '--small-min-trades-per-year'; });
const names = [...document.querySelectorAll('#strategies th')].map(th => th.textContent);
for (const row of document.querySelectorAll('#strategies tr.row')) {
  row.cells[names.indexOf('p')].textContent = '0.000472';
  row.cells[names.indexOf('adjusted p')].textContent = '0.004720\u00a0*';
}
"""
OVERPRINTED = """
const range = document.createRange();
const cells = [...document.querySelectorAll('#strategies tr.row td, .threads td')].filter(cell => cell.offsetWidth);
const beyond = cells.filter(cell => {
  range.selectNodeContents(cell);
  const [inner, outer] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
  return inner.width && (inner.right > outer.right + 0.5 || inner.left < outer.left - 0.5);
});
return {seen: cells.length, beyond: beyond.map(cell => cell.textContent)};
"""
WIDE = """
return [...document.querySelectorAll('main *')].filter(e => !e.closest('.tall, .scroll'))
  .filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 80));
"""


def reported(database: Path, output: Path) -> Path:
    """The report of the latest run."""
    report_past_run(Database.at(database, source_of(database), to_write=False), "MGC", None, output)
    return output


@pytest.fixture(scope="module")
def committed(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small database after a run."""
    folder = tmp_path_factory.mktemp("committed")
    database = Path(shutil.copy(small_source, folder / "it's small.duckdb"))
    validate(database, "MGC", RunConfig(wf_output=folder / "wf.jsonl"), workers=1, progress=False)
    return database


@pytest.fixture(scope="module")
def report(committed: Path) -> Path:
    """Its report."""
    return reported(committed, committed.parent / "run.html")


@pytest.fixture
def page(browser: Chrome, report: Path) -> Iterator[Chrome]:
    """The report in a browser, which has nothing to complain about."""
    browser.get(report.as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert console_errors(browser) == []


def narrow(browser: Chrome, width: int) -> None:
    """A window that is narrower than Chromium lets one be."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.mark.parametrize("width", [360, 420])
def test_on_a_telephone(page: Chrome, width: int) -> None:
    """Nothing is wider than the window, an opened row included; names break after `_`, not within a word."""
    narrow(page, width)
    page.execute_script("document.querySelector('.open').click()")

    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.execute_script(WIDE) == []
    parts = page.execute_script(PARTS)
    assert len(parts) > 100
    assert [part for part, lines in parts if lines != 1] == []
    assert page.execute_script("return document.querySelector('tr.detail svg').getBoundingClientRect().width") < width


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_printed_over_its_neighbour(page: Chrome, width: int) -> None:
    """The longest p-values and flags that there are stay within their cells."""
    narrow(page, width)
    page.execute_script(LONGEST)
    cells = page.execute_script(OVERPRINTED)

    assert cells["seen"] > 100
    assert cells["beyond"] == []


def test_columns_keep_their_widths(page: Chrome) -> None:
    """Searching and opening rows move no column."""
    widths = "return [...document.querySelectorAll('#strategies th')].map(th => th.getBoundingClientRect().width)"
    before = page.execute_script(widths)
    page.find_element("id", "search").send_keys("0900")
    searched = page.execute_script(widths)
    page.execute_script("document.querySelector('#strategies tr.row:not([hidden]) .open').click()")

    assert searched == before
    assert page.execute_script(widths) == before


def test_no_hits_is_a_sentence(page: Chrome) -> None:
    """Nothing found is said in words, and only then."""
    none = page.find_element("id", "none")
    assert not none.is_displayed()
    page.find_element("id", "search").send_keys("nobody <b>")

    assert none.text.endswith("strategies has “nobody <b>” in its name, session, filter or season.")


def test_export(page: Chrome, tmp_path: Path) -> None:
    """The shown rows in their order become a CSV, offline, with whole names, exact numbers and every column."""
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.find_element("id", "sort").send_keys("trades")
    page.find_element("id", "search").send_keys("0900")
    page.find_element("id", "export").click()
    deadline = time.monotonic() + 60
    while not (files := list(tmp_path.glob("*.csv"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    with files[0].open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)

    names = page.execute_script(f"return [...{ROWS}].map(row => row.querySelector('.open').textContent)")
    assert [line[0] for line in lines] == names
    assert 0 < len(names) < page.execute_script("return document.querySelectorAll('#strategies tr.row').length")
    assert head[0] == "strategy"
    trades = [int(line[head.index("trades")]) for line in lines]
    assert trades == sorted(trades, reverse=True)
    assert all(float(line[head.index("p")]) >= 0 for line in lines)


def test_cumulative(page: Chrome) -> None:
    """Cumulative R is the sum over the trades of the windows that count, as the column and the last window say."""
    details: list[dict[str, Any]] = page.execute_script(
        "return JSON.parse(document.getElementById('details').textContent)"
    )
    shown = page.execute_script(f"return [...{ROWS}].map(row => row.cells[7].textContent)")

    for of, text in zip(details, shown, strict=True):
        total = sum(n * r for _, n, r in of["windows"] if n >= 15)
        assert float(text.replace(",", "")) == of["cumulative"][-1] == pytest.approx(total, abs=0.051)


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_no_column_is_cut_off(page: Chrome, width: int) -> None:
    """The table is as wide as its room; a column for which there is none is in the row that opens, and is sorted by."""
    narrow(page, width)
    page.execute_script("document.querySelector('.open').click()")
    wide = page.execute_script("const t = document.querySelector('.tall'); return [t.scrollWidth, t.clientWidth]")
    heads = "[...document.querySelectorAll('#strategies th')]"
    names = page.execute_script(f"return {heads}.map(th => [th.textContent, th.offsetWidth > 0])")
    told = page.execute_script("return [...document.querySelectorAll('.rest dt')].map(name => name.textContent)")
    cells = page.execute_script(
        "return [...document.querySelector('tr.row').cells].map(cell => cell.textContent.trim())"
    )
    hidden = [name for (name, is_seen), text in zip(names, cells, strict=True) if not is_seen and text]

    assert wide[0] <= wide[1]
    assert told == hidden
    assert bool(hidden) == (width < 1280)
    assert [name for name, _ in names] == page.execute_script(
        "return [...document.getElementById('sort').options].map(option => option.text)"
    )


def test_chips(page: Chrome) -> None:
    """By keyboard: chips of one kind widen, kinds narrow, and one button takes all back."""
    details: list[dict[str, Any]] = page.execute_script(
        "return JSON.parse(document.getElementById('details').textContent)"
    )
    lids = page.find_elements("css selector", "details.facet summary")
    lids[0].send_keys(Keys.ENTER)
    first, second = page.find_elements("css selector", "details.facet:first-of-type .chip")[:2]
    counts = [int(chip.find_element("css selector", "small").text) for chip in (first, second)]
    shown = f"return {ROWS}.length"
    first.send_keys(Keys.SPACE)
    assert page.execute_script(shown) == counts[0]
    second.send_keys(Keys.ENTER)
    assert page.execute_script(shown) == sum(counts)
    chip = page.find_element("css selector", "[aria-label=Significance] .chip")
    chip.send_keys(Keys.SPACE)
    kind, wanted = int(chip.get_attribute("data-facet") or 0), int(chip.get_attribute("data-chip") or 0)
    both = [of for of in details if of["facets"][0][0] in (0, 1) and wanted in of["facets"][kind]]

    assert page.execute_script(shown) == len(both) < sum(counts)
    assert page.find_element("id", "count").text.startswith(f"{len(both)} of ")
    page.find_element("id", "clear").send_keys(Keys.ENTER)
    assert page.execute_script(shown) == len(details)
    assert page.execute_script("return document.activeElement.id") == "search"
    assert not page.find_element("id", "clear").is_displayed()


def test_twins_are_found_together(page: Chrome) -> None:
    """A row names its twins and shows them alone; one of each group is as many as there are distinct results."""
    details: list[dict[str, Any]] = page.execute_script(
        "return JSON.parse(document.getElementById('details').textContent)"
    )
    groups = [of["group"] for of in details]
    row = next(i for i, group in enumerate(groups) if groups.count(group) > 1)
    page.execute_script("document.querySelectorAll('.open')[arguments[0]].click()", row)
    page.execute_script("document.querySelector('tr.detail .long .button').click()")
    names = page.execute_script(f"return [...{ROWS}].map(row => row.querySelector('.open').textContent)")
    said = page.find_element("css selector", "tr.detail p.long").text

    assert sorted(names) == sorted(of["id"] for of in details if of["group"] == groups[row])
    assert all(name in said for name in names if name != details[row]["id"])
    page.find_element("id", "clear").click()
    chip = next(c for c in page.find_elements("css selector", ".chip") if c.text.startswith("one of each group"))
    chip.click()
    assert page.execute_script(f"return {ROWS}.length") == len(set(groups))


def test_cumulative_result(page: Chrome, committed: Path) -> None:
    """An opened row draws what all trades came to over time, test windows shaded, and says how it ends in words."""
    details: list[dict[str, Any]] = page.execute_script(
        "return JSON.parse(document.getElementById('details').textContent)"
    )
    result = load_run(committed, latest_runs(committed)[0][0])
    frame = result.trades(details[0]["id"])
    page.execute_script("document.querySelector('.open').click()")
    figure = page.find_element("css selector", "tr.detail svg:has(.curve)")
    label = figure.get_attribute("aria-label") or ""
    fall = max(frame["cumulative"].cummax().clip(lower=0) - frame["cumulative"])

    assert label.startswith("cumulative R from ")
    assert f"{frame['cumulative'].iloc[-1]:,.1f} R in the end, deepest fall {fall:,.1f} R" in label
    assert len(figure.find_elements("css selector", ".band")) == len(details[0]["windows"])


def test_outcomes_that_have_changed_since(committed: Path, tmp_path: Path) -> None:
    """Where outcomes are no longer those of the run, that is said in place of another curve; the others keep theirs."""
    database = Path(shutil.copy(committed, tmp_path / "changed.duckdb"))
    before = opened(reported(database, tmp_path / "before.html").read_text())
    change(database, "UPDATE orb_outcomes SET pnl_r = pnl_r + 1 WHERE orb_label = '0900' AND outcome = 'win'")
    html = reported(database, tmp_path / "after.html").read_text()
    after = opened(html)
    changed = [of["id"] for of in after if of["lost"]]

    assert all(of["group"] is not None and not of["lost"] for of in before)
    assert changed == [of["id"] for of in after if of["group"] is None] == [n for n in changed if "_0900_" in n] != []
    assert len(changed) < len(after)
    assert {of["lost"] for of in after} - {""} == {CHANGED}
    assert f'<p class="gap">{len(changed)} of the {len(after)} have no curve' in html


def test_what_hangs_by_a_thread(committed: Path, report: Path) -> None:
    """The table says of each flag how many promotions a run with the tenth tighter flag alone would not have."""
    html = report.read_text()
    found = re.findall(
        r"<tr><td><code>--([\w-]+)</code></td>.*?<td class=\"n\">([\d.]+)</td><td class=\"n\"><b>(\d+)</b>", html
    )
    rows = {name: (value, int(fallen)) for name, value, fallen in found}
    value, fallen = rows["wf-min-pct-positive"]
    result = validate(
        committed, "MGC", dry_run=True, strategies="all", wf_min_pct_positive=float(value), workers=1, progress=False
    )
    passed = set(load_run(committed, latest_runs(committed)[0][0]).promoted["strategy_id"])

    assert fallen == len(passed - set(result.promoted["strategy_id"])) > 0
    assert "min-sample" in rows


def test_the_command_explains(page: Chrome, committed: Path, command: Command) -> None:
    """What an opened row gives to copy is a command that says why this strategy passed in this run."""
    page.execute_script("document.querySelectorAll('.open')[1].click()")
    text = page.find_element("css selector", ".command code").text
    program, *words = shlex.split(text)
    ran = command(*words)

    assert program == "dask-validator"
    assert str(committed) in words
    assert ran.code == 0, ran.stderr
    assert ran.stdout.startswith(f"{words[-1]} of MGC: PASSED")


@pytest.mark.parametrize("name", ["A B", "it's $(x) `y`", "-x", "a\nb", "\u202e\u200b\\n'é", "\U000e0100\x1b[2J\xa0f"])
def test_copied_names_are_one_word(name: str) -> None:
    """Whatever a strategy is called, bash reads the printed word as its name, and no character of it is unseen."""
    word = shell_word(name)
    done = subprocess.run(
        ["bash", "-c", f"printf %s {word}"], capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True
    )

    assert done.stdout.decode() == name if name != "-x" else word == name
    assert word.isprintable()


def test_rows_that_were_reset(committed: Path, report: Path, tmp_path: Path) -> None:
    """A report of a run whose rows wait again says so at the top, with how many; one of untouched rows does not."""
    database = Path(shutil.copy(committed, tmp_path / "reset.duckdb"))
    reset = "UPDATE experimental_strategies SET validation_status = NULL WHERE instrument = 'MGC'"
    change(database, f"{reset} AND validation_status = 'PASSED'")
    some = reported(database, tmp_path / "some.html").read_text()
    change(database, reset)
    every = reported(database, tmp_path / "all.html").read_text()
    passed = some.count('<tr class="row"')

    assert 'id="changed"' not in report.read_text()
    assert f"at least {passed} of its 591 strategies" in some
    assert "all 591 of its 591 strategies" in every


def test_an_empty_column_gives_way(tmp_path: Path) -> None:
    """A season column without a season is not there; with one it is."""
    heads = []
    for name, row in {"without": {}, "with": {"dst_verdict": "STABLE"}}.items():
        database = tiny_database(tmp_path / f"{name}.duckdb", [row])
        validate(database, "MGC", RunConfig(wf_output=tmp_path / "wf.jsonl"), workers=1, progress=False)
        change(database, "UPDATE experimental_strategies SET dst_verdict = ?", row.get("dst_verdict"))
        heads.append('<button type="button">season</button>' in reported(database, tmp_path / "run.html").read_text())

    assert heads == [False, True]
