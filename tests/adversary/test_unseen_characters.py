"""Names that are not what they look like: characters that turn the reading direction, take no room or leave a blank."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_validator import RunConfig, RunResult, validate
from dask_validator.events import Opened, Ready, Said, Started
from dask_validator.views.live import markup
from dask_validator.views.live.progress import Progress
from dask_validator.views.monitor.notebook_view import View, as_html, as_text
from dask_validator.views.plots import windows_figure
from dask_validator.views.report.of_run import report_result
from dask_validator.wording.harmless import plain
from tests.support.tiny import tiny_database

OVERRIDE, ZERO_WIDTH, FILLER, VARIANT, JOINER, BLANK = "\u202e", "\u200b", "\u3164", "\ufe0f", "\u034f", "\u2800"
SPOOF = f"MGC_{OVERRIDE}DOOG{ZERO_WIDTH}_{FILLER}{VARIANT}{JOINER}{BLANK}\u2066\u061c\ufeff\x1b[2J"
BY_NAME = re.compile(
    "VARIATION SELECTOR|GRAPHEME JOINER|(HANGUL|HALFWIDTH|KHITAN).* FILLER|PATTERN BLANK|VOWEL INHERENT|NULL NOTEHEAD"
)


def is_unseen(c: str) -> bool:
    """Whether nobody sees a character, by what Unicode says of it; a space is seen by what it keeps apart."""
    return c != " " and (unicodedata.category(c)[0] in "CZ" or bool(BY_NAME.search(unicodedata.name(c, ""))))


def unseen(text: str) -> set[str]:
    """Such characters of a text, whose line ends are its own."""
    return set(filter(is_unseen, text)) - {"\n"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run of strategies of such names, filters and season verdicts: one passes, one falls."""
    rows = [
        {"strategy_id": f"{SPOOF}1", "filter_type": SPOOF, "dst_verdict": SPOOF},
        {"strategy_id": f"{SPOOF}2", "sample_size": 28},
    ]
    database = tiny_database(tmp_path_factory.mktemp("spoof") / f"tiny{OVERRIDE}.duckdb", rows)
    return validate(database, "MGC", RunConfig(dry_run=True), workers=1, progress=False)


def test_the_report(judged: RunResult, tmp_path: Path) -> None:
    """Bidi controls, zero-width characters and fillers in names: the report spells them out."""
    report_result(judged, RunConfig(dry_run=True), tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text().replace("<wbr>", "")

    assert judged.summary["passed"] == 1
    assert unseen(page) == set()
    assert page.count(plain(f"{SPOOF}1")) >= 1
    assert page.count(plain(f"{SPOOF}2")) >= 1


def _live_page(judged: RunResult) -> str:
    progress = Progress()
    progress.see(Started(SPOOF, SPOOF, SPOOF, False))
    message = progress.message() | {"slowest": [[SPOOF, 1.0]], "failures": [[SPOOF, SPOOF]], "reason": SPOOF}
    parts = markup.title, markup.choice, markup.slowest, markup.failures
    return "".join(part(message) for part in parts)


def _view() -> View:
    view = View(SPOOF)
    for event in (Said(SPOOF), Said(SPOOF, warning=True), Opened(f"http://127.0.0.1/{SPOOF}"), Ready(1, 1)):
        view = view.after(event, 0.0)
    return view


VIEWS: dict[str, Callable[[RunResult], str]] = {
    "a saved notebook": lambda judged: as_text(_view(), 0.0),
    "a notebook": lambda judged: as_html(_view(), 0.0),
    "the table of a result": lambda judged: judged._repr_html_(),
    "an explanation": lambda judged: str(judged.explain(f"{SPOOF}1")),
    "an explanation in a notebook": lambda judged: judged.explain(f"{SPOOF}2")._repr_html_(),
    "the live page": _live_page,
    "a figure": lambda judged: str(
        windows_figure(SPOOF, judged.verdicts[0].walkforward.windows, 15).title.text.text  # type: ignore[union-attr]
    ),
}


def test_other_screens(judged: RunResult) -> None:
    """The same names in notebooks, explanations, figures and on the live page."""
    shown = {name: show(judged) for name, show in VIEWS.items()}

    assert {name: unseen(text) for name, text in shown.items() if unseen(text)} == {}
    assert [name for name, text in shown.items() if r"\u202e" not in text or r"\u3164" not in text] == []


def test_every_character_that_nobody_sees() -> None:
    """All of Unicode: what has no shape, by category or by name, is spelled out; what has one stays."""
    for code in range(0x110000):
        c = chr(code)
        assert (plain(c) != c) == is_unseen(c), hex(code)
