"""A promotion whose filter is unknown keeps its verdict and is nowhere shown as a clean pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from dask_validator import RunConfig, RunResult, explain, validate
from dask_validator.events import Decided, Started
from dask_validator.model import Status
from dask_validator.views.live import markup
from dask_validator.views.live.progress import Progress
from dask_validator.views.monitor.summary import render
from dask_validator.views.report.of_run import report_result
from tests.support.tiny import rows_by_id, tiny_database

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

KNOWN, UNKNOWN, FALLEN = "MGC_GOOD", "MGC_MYSTERY", "MGC_NEVER"
SAID = "1 of 2 passed on unknown filters, taken as every day"
NOTE = "filter 'MYSTERY' is unknown, walk-forward took every day"


class Ran(NamedTuple):
    """A committed run: a pass on a known filter and one on an unknown filter, and a strategy that always loses."""

    database: Path
    result: RunResult
    report: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run for all tests of this module."""
    folder = tmp_path_factory.mktemp("unknown")
    rows = [
        {"strategy_id": KNOWN},
        {"strategy_id": UNKNOWN, "filter_type": "MYSTERY"},
        {"strategy_id": FALLEN, "filter_type": "MYSTERY", "rr_target": 4.0},
    ]
    losing = {"rr_target = 4": {"pnl_r": -1.0, "outcome": "loss"}}
    database = tiny_database(folder / "tiny.duckdb", rows, outcomes=losing)
    result = validate(database, workers=1, progress=False, wf_output=folder / "wf.jsonl")
    report_result(result, RunConfig(), folder / "run.html")
    return Ran(database, result, folder / "run.html")


def test_the_verdict_stays_and_the_note_tells(ran: Ran) -> None:
    """Status and phase are the reference's; the note of a pass and of a fall in phase 6 says what was done instead."""
    rows = rows_by_id(ran.database, "experimental_strategies", "validation_status", "validation_notes")
    said = {strategy_id: tuple(row.values()) for strategy_id, row in rows.items()}

    assert said[KNOWN] == ("PASSED", "All phases passed")
    assert said[UNKNOWN] == ("PASSED", NOTE)
    assert said[FALLEN] == ("REJECTED", f"Phase 6: positive windows 0.0%, needed 60.0%; {NOTE}")


def test_the_summary_counts_them(ran: Ran) -> None:
    """`--json`, terminal and notebook; fallen ones do not count."""
    assert ran.result.summary["walkforward"]["passed_on_unknown_filters"] == 1
    assert SAID in render(ran.result.summary)
    assert SAID in ran.result._repr_html_()


def test_explain_compares_the_trades(ran: Ran) -> None:
    """An explanation says how many trades the windows hold and how many the backtest had."""
    told, clean = str(explain(ran.database, UNKNOWN)), str(explain(ran.database, KNOWN))
    [verdict] = [verdict for verdict in ran.result.verdicts if verdict.strategy_id == UNKNOWN]
    assert verdict.walkforward is not None
    tested = sum(window.test_n for window in verdict.walkforward.windows)

    assert tested > 200
    assert f"{NOTE}: {tested} trades in the test windows, 200 in the backtest" in told
    assert "unknown" not in clean


def test_the_live_page_says_it_when_all_is_decided(ran: Ran) -> None:
    """Below the instrument, where a run says how it ended."""
    progress = Progress()
    progress.see(Started("run-1", "MGC", "gold.db", False))
    assert "unknown" not in markup.title(progress.message())
    progress.see(Decided(ran.result.summary, []))

    assert f"<p>{SAID}</p>" in markup.title(progress.message())


def test_the_report_marks_them_and_can_leave_them_out(ran: Ran, browser: Chrome) -> None:
    """A badge in the row, a sentence at the top, and a box that shows strategies of known filters only."""
    browser.get(ran.report.as_uri())
    shown = "return [...document.querySelectorAll('tr.row:not([hidden])')].map(row => row.cells[2].textContent)"

    assert SAID in browser.find_element("css selector", "main").text
    assert sorted(browser.execute_script(shown)) == ["MYSTERY every day", "ORB_G4"]
    browser.find_element("id", "known").click()
    assert browser.execute_script(shown) == ["ORB_G4"]


def test_without_walkforward_no_filter_is_taken_for_another(tmp_path: Path) -> None:
    """Nothing has looked at days then, so nothing is doubted; strict filters fail the strategy instead."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"filter_type": "MYSTERY"}])
    unwalked, strict = (
        validate(database, workers=1, progress=False, dry_run=True, **flags)
        for flags in ({"no_walkforward": True}, {"strict_filters": True})
    )

    assert unwalked.strategies["note"].tolist() == ["All phases passed"]
    assert "unknown filters, taken" not in render(unwalked.summary)
    assert strict.verdicts[0].status is Status.FAILED
    assert not strict.verdicts[0].every_day
