"""What a notebook shows of a run, event by event, without a notebook."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from dask_validator.events import Committed, Computed, Event, Opened, Ready, Said, Screened, TaskDone
from dask_validator.views.monitor import notebook
from dask_validator.views.monitor.notebook import PAUSE_S, Notebook, in_notebook
from dask_validator.views.monitor.notebook_view import View, as_html, as_text

LINK = "http://127.0.0.1:8787/status"
HOSTILE = "<script>alert('x')</script> \"&\n"


class FromTheFuture(NamedTuple):
    """An event that this view has never heard of."""

    text: str = HOSTILE


def after(*events: Any, now: float = 0.0) -> View:
    """The view of a run once these have happened, all at one time."""
    view = View("MGC in gold.db")
    for event in events:
        view = view.after(event, now)
    return view


COMPUTING = (Screened(1_000, 600), Opened(LINK), Ready(4, 30), TaskDone(100), TaskDone(50))


def test_progress_has_counts_rate_and_time_left() -> None:
    """After ten seconds with 150 of 600 there are 30 seconds to go, in both texts."""
    view = after(*COMPUTING)

    for text in (as_text(view, 10.0), as_html(view, 10.0)):
        assert "150 of 600 strategies (25%), 15 a second, 30 s left" in text
    assert "[#######                       ]" in as_text(view, 10.0)
    assert '<progress max="600" value="150"' in as_html(view, 10.0)


def test_the_text_of_a_finished_run_tells_its_story() -> None:
    """What is saved reads from top to bottom: how it ended, and each step."""
    view = after(*COMPUTING, Computed(1.5), Committed(1_000), Said("take care", warning=True))

    assert as_text(view._replace(dashboard=None), 99.0).splitlines() == [
        "MGC in gold.db: committed",
        "Screened 1,000 strategies: 600 walk forward",
        "30 tasks for 4 worker(s)",
        "Computed 150 strategies in 1.50 s",
        "Committed 1,000 verdicts",
        "warning: take care",
    ]


def test_an_unknown_event_changes_nothing() -> None:
    """Who adds an event need not look here."""
    assert after(*COMPUTING, FromTheFuture()) == after(*COMPUTING)


def test_a_run_that_looks_again_counts_anew() -> None:
    """When others have changed the database, screening and computing start over."""
    view = after(*COMPUTING, Computed(1.0), Screened(1_000, 20), Ready(4, 2))

    assert "0 of 20 strategies" in as_text(view, 1.0)


def test_workers_that_do_not_see_the_file_are_mentioned() -> None:
    """The outcomes then travel with the tasks, which takes longer."""
    assert "2 worker(s) do not see the database" in as_text(after(Ready(4, 3, ["a", "b"])), 0.0)


def test_warnings_are_grouped() -> None:
    """Equal ones are one line with a count, below a heading that counts all."""
    view = after(Said("odd", warning=True), Said("odd", warning=True), Said("other", warning=True))

    assert "warning: odd (2 times)\nwarning: other" in as_text(view, 0.0)
    assert "<summary>3 warnings</summary>" in as_html(view, 0.0)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.tags


def test_the_dashboard_can_be_clicked() -> None:
    """The link opens beside the notebook; one of this machine says how to reach it from another."""
    html = as_html(after(Opened(LINK)), 0.0)
    proxied = as_html(after(Opened("/proxy/8787/status")), 0.0)

    assert ("a", {"href": LINK, "target": "_blank", "rel": "noopener"}) in _tags(html)
    assert "ssh -L 8787:127.0.0.1:8787" in html
    assert ("a", {"href": "/proxy/8787/status", "target": "_blank", "rel": "noopener"}) in _tags(proxied)
    assert "ssh" not in proxied


def test_everything_is_escaped() -> None:
    """Names of filters, files and errors come from elsewhere: none of them becomes a tag or a link to run."""
    events = (Said(HOSTILE), Said(HOSTILE, warning=True), Opened(f"javascript:alert(1)//{HOSTILE}"))
    view = after(*events)._replace(title=HOSTILE).ended(HOSTILE)

    assert {tag for tag, _ in _tags(as_html(view, 0.0))} == {"div", "strong", "details", "summary", "ul", "li"}


class Clock:
    """A clock that the test turns."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Screen:
    """Stands for IPython's display: what was shown when."""

    def __init__(self, clock: Clock) -> None:
        self.shown: list[tuple[float, dict[str, str]]] = []
        self._clock = clock

    def __call__(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Screen:
        """Show for the first time."""
        assert raw
        assert display_id
        self.update(bundle, raw=True)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        """Show in its place."""
        self.shown.append((self._clock.now, bundle))


@pytest.fixture
def clock() -> Clock:
    """Stands still until it is turned."""
    return Clock()


@pytest.fixture
def screen(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A notebook's place for output."""
    screen = Screen(clock)
    monkeypatch.setattr(notebook, "_display", screen)
    return screen


def test_at_most_four_updates_a_second(clock: Clock, screen: Screen) -> None:
    """A task a millisecond is shown four times a second, the steps of a run and its end at once."""
    with Notebook("MGC", clock=clock) as listener:
        steps: list[Event] = [Screened(9_000, 3_000), Ready(4, 3_000)]
        for event in steps:
            listener.listen(event)
        for _ in range(3_000):
            clock.now += 0.001
            listener.listen(TaskDone(1))
        updates = [now for now, _ in screen.shown[3:]]
        listener.listen(Computed(3.0))

    assert 10 <= len(updates) <= 3 / PAUSE_S
    assert all(later - earlier >= PAUSE_S - 1e-9 for earlier, later in pairwise(updates))
    assert "Computed 3,000 strategies" in screen.shown[-1][1]["text/plain"]


def test_a_quiet_run_without_warnings_shows_nothing(clock: Clock, screen: Screen) -> None:
    """Not even an empty output."""
    with Notebook("MGC", quiet=True, clock=clock) as listener:
        for event in (*COMPUTING, Computed(1.0), Committed(3)):
            listener.listen(event)

    assert screen.shown == []


def test_an_unexpected_error_keeps_its_traceback(clock: Clock, screen: Screen) -> None:
    """A defect of ours has to be found: only what users can act on is one line."""
    with pytest.raises(ZeroDivisionError) as caught, Notebook("MGC", clock=clock):
        raise ZeroDivisionError

    assert not hasattr(caught.value, "_render_traceback_")
    assert screen.shown[-1][1]["text/plain"].startswith("MGC: ended by ZeroDivisionError")


def test_a_script_is_no_notebook() -> None:
    """Nothing changes where there is no kernel."""
    assert not in_notebook()
