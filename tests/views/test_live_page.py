"""The page of a run on the Dask dashboard, looked at in Chromium while real runs go on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from distributed import Client, LocalCluster

from dask_validator import __version__, validate
from dask_validator.api.executors import open_executor
from dask_validator.events import Ended, Ending, Event, Listeners, Started
from dask_validator.execution.dask.client import ClientExecutor
from dask_validator.views.live.plugin import MOST_RUNS, ValidationPage
from dask_validator.views.live.progress import TOPIC, Progress
from dask_validator.views.live.sender import Sender
from tests.conftest import Command
from tests.support.browser import console_errors
from tests.support.clusters import BARE_DASK, SLOW, Cluster, running_scheduler

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PATIENCE_S = 60
HOSTILE = "<img src=x onerror=\"window.hacked='yes'\">'&amp;"
COUNTS = ("passed", "rejected", "skipped", "failed")
NARROW, WIDE = 800, 1280

# The page is made of shadow roots within shadow roots, which no CSS selector enters.
FIND = """
const inside = root => [...root.querySelectorAll('*')].flatMap(e => e.shadowRoot ? [e, ...inside(e.shadowRoot)] : [e]);
const found = inside(document).filter(e => e.matches(arguments[0]));
"""
# As users start it, but with a task for every group, so that a small database is a long run.
MANY_TASKS = [
    "-c",
    "import math, sys; from dask_validator.cli import commands; from dask_validator.work import plan; "
    "plan.OUTCOMES_PER_TASK = 1, 1; plan.SCANNED_PER_OUTCOME = math.inf; commands.main(sys.argv[1:])",
]
# And one whose screening lasts until a file is there.
LONG_SCREENING = [
    "-c",
    "import sys, time; from pathlib import Path; from dask_validator.cli import commands\n"
    "from dask_validator.run import run; screen = run._screen\n"
    "def slowly(*args):\n    while not Path('go').exists(): time.sleep(0.05)\n    return screen(*args)\n"
    "run._screen = slowly; commands.main(sys.argv[1:])",
]


class Running:
    """A command that is alive, in a folder of its own."""

    def __init__(self, args: list[object], folder: Path, python: list[str] | None = None) -> None:
        folder.mkdir()
        self.folder = folder
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, *(python or ["-m", "dask_validator"]), *map(str, args)]
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, preexec_fn=_heed_ctrl_c)

    def wait_for(self, pattern: str) -> str:
        """What the pattern's group matches on stderr."""
        until(lambda: re.search(pattern, self.stderr) or self.process.poll() is not None, lambda: self.stderr)
        found = re.search(pattern, self.stderr)
        assert found, self.stderr
        return found.group(1)

    @property
    def stderr(self) -> str:
        """Everything said so far."""
        return self._err.read_text()

    @property
    def link(self) -> str:
        """Of its page, as soon as it is told."""
        return self.wait_for(r"(http://\S+/validation)")

    @property
    def summary(self) -> dict[str, Any]:
        """The object that `--json` printed."""
        until(lambda: self._out.read_text().endswith("\n"), lambda: self.stderr)
        loaded: dict[str, Any] = json.loads(self._out.read_text().splitlines()[-1])
        return loaded

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it, if it has not ended; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


def _heed_ctrl_c() -> None:
    """A suite started in the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(reached: Callable[[], object], explain: Callable[[], object]) -> None:
    """Waits for something that others do."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


class Page:
    """What somebody sees who opens the page."""

    def __init__(self, browser: Chrome, link: str, width: int = WIDE) -> None:
        self._browser = browser
        browser.set_window_size(width, 1000)
        browser.get(link)
        until(lambda: self.has("state"), self.text)

    def has(self, key: str) -> bool:
        """Whether there is such a number or word."""
        return bool(self._all(f"[data-key={key}]"))

    def sees(self, key: str) -> bool:
        """Whether it can be seen, too."""
        seen: bool = self._browser.execute_script(
            FIND + "return found.some(e => e.checkVisibility());", f"[data-key={key}]"
        )
        return seen

    def word(self, key: str) -> str:
        """One word."""
        return self._all(f"[data-key={key}]")[0]

    def number(self, key: str) -> int:
        """One number."""
        return int(self.word(key).replace(",", "").split()[0])

    def wait_for(self, reached: Callable[[Page], object]) -> None:
        """Waits until the page shows it, without loading it again."""
        until(lambda: reached(self), self.text)

    def text(self) -> str:
        """Everything that can be read."""
        return "\n".join(self._all("h2, h3, p, td, th, b, span, option"))

    def elements(self, selector: str) -> int:
        """How many elements match, anywhere."""
        return len(self._all(selector))

    def choose(self, run_id: str) -> None:
        """Picks a run from the list."""
        pick = "const option = found.find(e => e.textContent.startsWith(arguments[1])); option.selected = true; "
        self._browser.execute_script(
            f"{FIND}{pick}option.parentElement.dispatchEvent(new Event('change'));", "option", run_id
        )

    def _all(self, selector: str) -> list[str]:
        found: list[str] = self._browser.execute_script(FIND + "return found.map(e => e.textContent);", selector)
        return found


def shown_counts(page: Page) -> dict[str, Any]:
    """The counts as the summary names them."""
    counts: dict[str, Any] = {name: page.number(name) for name in COUNTS}
    return counts | {"rejected_by_phase": {str(phase): page.number(f"phase_{phase}") for phase in range(1, 7)}}


def counts_of(summary: dict[str, Any]) -> dict[str, Any]:
    """What the page must show of a summary."""
    return {name: summary[name] for name in (*COUNTS, "rejected_by_phase")}


@pytest.fixture(autouse=True)
def left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """No page outlives its test: what it complains of when its server goes is no other test's matter."""
    yield
    if "browser" in request.fixturenames:
        browser: Chrome = request.getfixturevalue("browser")
        browser.get("about:blank")
        console_errors(browser)


@pytest.fixture(scope="module")
def hostile(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small database; what its best strategies are called, and how they trade, is HTML."""
    path = Path(shutil.copy(small_source, tmp_path_factory.mktemp("hostile") / "<b>small.duckdb"))
    passed = validate(path, dry_run=True, workers=1, progress=False).strategies.query("verdict == 'PASSED'")
    with duckdb.connect(str(path)) as connection:
        for position, strategy_id in enumerate(passed["strategy_id"][:2]):
            change = "UPDATE experimental_strategies SET strategy_id = ?, filter_type = ? WHERE strategy_id = ?"
            connection.execute(change, [f"{HOSTILE} {position}", HOSTILE, strategy_id])
    return path


@pytest.fixture(scope="module")
def finished(browser: Chrome, hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A run that has ended, its dashboard kept."""
    flags = ["--workers", 2, "--strict-filters", "--json", "--dashboard-address", "127.0.0.1:0"]
    running = Running(
        ["run", "--db", hostile, *flags, "--keep-dashboard", 10 * PATIENCE_S], tmp_path_factory.mktemp("runs") / "own"
    )
    running.wait_for("(The dashboard stays at)")
    yield running
    running.end(signal.SIGINT)


def test_counts_are_those_of_the_summary(browser: Chrome, finished: Running) -> None:
    """Opened after the end, the page shows every count of the summary, and the browser has nothing to complain of."""
    page, summary = Page(browser, finished.link), finished.summary

    assert shown_counts(page) == counts_of(summary)
    assert page.number("waiting") == summary["rows"]
    assert (page.number("open"), page.number("running")) == (0, 0)
    assert page.word("speedup") == f"{summary['walkforward']['speedup']:.2f}"
    assert page.word("cpu_speedup") == f"{summary['walkforward']['cpu_speedup']:.2f}"
    assert page.word("state") == "done"
    assert summary["committed"]
    assert console_errors(browser) == []


def test_strings_of_the_database_are_text(browser: Chrome, finished: Running) -> None:
    """A strategy may be called like an image that runs a script: it is shown by this name, and nothing runs."""
    page = Page(browser, finished.link)

    assert finished.summary["failed"] >= 2
    for text in (f"{HOSTILE} 0", f"{HOSTILE} 1", f"filter {HOSTILE!r} is unknown", "<b>small.duckdb"):
        assert text in page.text(), page.text()
    assert page.elements("img[src=x]") == 0
    assert browser.execute_script("return window.hacked") is None


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_layout(browser: Chrome, finished: Running, width: int) -> None:
    """Nothing is cut off, nothing overlaps, and the page does not scroll sideways."""
    Page(browser, finished.link, width)
    until(lambda: len(_cards(browser)) == 6, lambda: _cards(browser))
    cards = _cards(browser)

    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert min(card["width"] for card in cards) >= 320
    assert not [
        (one, other)
        for position, one in enumerate(cards)
        for other in cards[:position]
        if one["left"] < other["right"] - 1
        and other["left"] < one["right"] - 1
        and one["top"] < other["bottom"] - 1
        and other["top"] < one["bottom"] - 1
    ]


def _cards(browser: Chrome) -> list[dict[str, float]]:
    framed = "found.filter(e => getComputedStyle(e).borderRadius === '6px')"
    rectangles = f"return {framed}.map(e => e.getBoundingClientRect().toJSON());"
    found: list[dict[str, float]] = browser.execute_script(FIND + rectangles, ".bk-Figure, .bk-Div")
    return found


def test_every_page_links_to_it_once(finished: Running) -> None:
    """The dashboard's own pages have it in their navigation bar."""
    status = finished.link.replace("/validation", "/status")
    for link in (status, finished.link):
        with urllib.request.urlopen(link) as answer:
            assert answer.read().decode().count('<a href="validation">Validation</a>') == 1


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, tasks take longer than a browser on a busy machine needs to see them."""
    return tmp_path_factory.mktemp("preload") / "slower"


@pytest.fixture(scope="module")
def cluster(slower: Path) -> Iterator[LocalCluster]:
    """A cluster of somebody else, with two slow workers."""
    slow = slower.with_name("slow_worker.py")
    slow.write_text(SLOW.replace("0.1", f"1.5 if __import__('os').path.exists({str(slower)!r}) else 0.1"))
    addresses = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, threads_per_worker=1, preload=[str(slow)], **addresses) as found:
        yield found


@pytest.fixture
def start(cluster: LocalCluster, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts long runs on that cluster, and ends what is left of them."""
    started: list[Running] = []

    def run(database: Path, *flags: object) -> Running:
        args = ["run", "--db", database, "--scheduler", cluster.scheduler_address, "--json", *flags]
        started.append(Running(args, tmp_path / f"run-{len(started)}", MANY_TASKS))
        return started[-1]

    yield run
    for running in started:
        running.end()


def test_while_running_and_two_runs(browser: Chrome, start: Callable[..., Running], small: Path, slower: Path) -> None:
    """A page opened in mid-run goes on by itself, learns of Ctrl-C, goes over to the next run, and keeps the first."""
    slower.touch()
    first = start(small)
    page = Page(browser, first.link)
    page.wait_for(lambda page: page.word("state") == "computing" and page.number("done") > 0)
    done, running = page.number("done"), page.number("running")
    page.wait_for(lambda page: page.number("done") > done)

    assert 1 <= running <= 2
    assert page.number("done") < page.number("to_compute")

    assert first.end(signal.SIGINT) == 130
    page.wait_for(lambda page: page.word("state") == "interrupted")
    kept = page.number("done")

    slower.unlink()
    second = start(small, "--resume", "--wait-for-lock", PATIENCE_S)  # tasks that had begun keep the file for a while
    assert second.process.wait(PATIENCE_S) == 0, second.stderr
    page.wait_for(lambda page: page.word("state") == "done")

    assert shown_counts(page) == counts_of(second.summary)
    assert second.summary["walkforward"]["reused"] >= kept > 0

    (first_id,) = re.findall(r"(\S+) MGC \(interrupted\)", page.text())
    page.choose(first_id)
    page.wait_for(lambda page: page.word("state") == "interrupted")

    assert page.number("done") == kept
    assert console_errors(browser) == []


def test_screening_can_be_watched(browser: Chrome, small: Path, tmp_path: Path) -> None:
    """The link is told as soon as there is a page; the page says what goes on, how it ended, and that it is cut off."""
    flags = ["--workers", 2, "--dry-run", "--json", "--dashboard-address", "127.0.0.1:0", "--keep-dashboard"]
    running = Running(["run", "--db", small, *flags], tmp_path / "run", LONG_SCREENING)
    try:
        page = Page(browser, running.link)
        said = running.stderr
        assert page.word("state") == "screening"
        assert "screening the strategies" in page.text()
        (running.folder / "go").touch()
        page.wait_for(lambda page: page.word("state") == "done · dry run")
        page.wait_for(lambda page: page.word("time").startswith("took "))
        assert not page.sees("disconnected")
        running.end(signal.SIGINT)
        page.wait_for(lambda page: page.sees("disconnected"))
    finally:
        running.end(signal.SIGINT)

    assert "Screened" not in said
    assert running.stderr.count("Dask dashboard:") == 1


def test_a_run_that_is_killed(browser: Chrome, start: Callable[..., Running], small: Path) -> None:
    """A process that dies says no last word; the page says so in its place."""
    running = start(small, "--dry-run")
    page = Page(browser, running.link)
    page.wait_for(lambda page: page.word("state") == "computing")
    running.end(signal.SIGKILL)
    page.wait_for(lambda page: page.word("state") == "interrupted")

    assert "the process that ran it has gone" in page.text()


def test_many_runs_and_clients_leave_little_behind(cluster: LocalCluster) -> None:
    """The page is there once whoever registers it, keeps the last runs only, and Dask keeps no message of theirs."""
    for _ in range(2):
        with Client(cluster, set_as_default=False) as client:
            client.register_plugin(ValidationPage())
    scheduler = cluster.scheduler
    page = scheduler.plugins[ValidationPage.name]
    for number in range(3 * MOST_RUNS):
        progress = Progress()
        progress.see(Started(f"run-{number}", "MGC", "gold.db", False))
        scheduler.log_event(TOPIC, progress.message() | {"version": __version__, "client": "", "started": number})

    kept = [run_id for run_id, _ in page.runs()]
    assert len(kept) == MOST_RUNS
    assert kept[-1] == f"run-{3 * MOST_RUNS - sum(run_id.startswith('run-') for run_id in kept)}"
    assert scheduler.get_events(TOPIC) == ()


def test_a_scheduler_that_cannot_show_it(
    tmp_path_factory: pytest.TempPathFactory, small: Path, command: Command
) -> None:
    """A scheduler without this package and Bokeh runs everything all the same; one line says what is missing."""
    with running_scheduler(BARE_DASK, tmp_path_factory.mktemp("bare_scheduler")) as client:
        bare = Cluster(client, tmp_path_factory.mktemp("workers"))
        try:
            bare.start_worker()
            bare.wait_for(1)
            ran = command("run", "--db", small, "--dry-run", "--scheduler", bare.address)
        finally:
            bare.end_workers()

    assert ran.code == 0, ran.stderr
    assert ran.stderr.count("No page of this run on the dashboard: its scheduler cannot show one (ModuleNotFound") == 1
    assert "/validation" not in ran.stderr


def test_a_page_that_comes_too_late_is_not_told(cluster: LocalCluster) -> None:
    """A cluster may be up only after the run has ended: what follows the end would be a link to nowhere."""
    told: list[Event] = []
    with Client(cluster, set_as_default=False) as client:
        executor = ClientExecutor(client)
        listeners = Listeners(told.append)
        with Sender(executor, listeners):
            for event in (Started("run-1", "MGC", "gold.db", False), Ended(Ending.DONE)):
                listeners(event)
        executor.start()

    assert [type(event) for event in told] == [Started, Ended]


@pytest.mark.parametrize(("workers", "address"), [(1, "127.0.0.1:0"), (2, None)])
def test_no_page_without_a_dashboard(workers: int, address: str | None) -> None:
    """A serial run, and one with `--no-dashboard`, adds nothing up for a page that nobody can open."""
    with open_executor(workers, dashboard_address=address) as executor:
        sender = Sender(executor, Listeners())

        assert sender._progress is None
        assert sender.link is None
