"""What a run says while it goes on: on a terminal, in a log file, into a pipe that nobody reads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dask_validator.api.preparing import prepared
from dask_validator.config import RunConfig
from dask_validator.events import Computed, Event, Progressed, Ready, Screened, TakenOver, TaskDone
from dask_validator.execution.serial import SerialExecutor
from dask_validator.model import Answer
from dask_validator.run.run import run_validation
from dask_validator.views.monitor import foot
from dask_validator.views.monitor.folding import folded
from dask_validator.views.monitor.foot import Stage
from dask_validator.views.monitor.streams import Forgiving
from dask_validator.views.monitor.summary import failures
from dask_validator.views.monitor.terminal import Terminal
from dask_validator.views.monitor.tunnel import tunnel
from dask_validator.wording.harmless import plain
from tests.support.terminals import on_terminal
from tests.support.tiny import rows_by_id, tiny_database


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_log_file_gets_one_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Not on a terminal, progress is a line a minute with counts, rate and time left, of what is to compute."""
    clock = Clock()
    with Terminal(clock=clock) as terminal:
        terminal.listen(Screened(20_000, 14_000))
        terminal.listen(TakenOver([Answer("MGC", None, None, None, None, 0.0)] * 2_000))
        terminal.listen(Ready(2, 120))
        for _ in range(100):
            clock.now += 1.5
            terminal.listen(TaskDone(100))
        terminal.listen(Computed(150.0))
    lines = capsys.readouterr().err.splitlines()

    assert [line for line in lines if line.startswith("Computing:")] == [
        "Computing: 4,000 of 12,000 strategies (33%), 67 a second, 2 min 00 s left",
        "Computing: 8,000 of 12,000 strategies (67%), 67 a second, 1 min 00 s left",
    ]
    assert len(lines) == 5


def test_quiet_means_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """`-q` shows warnings and nothing else."""
    clock = Clock()
    with Terminal(quiet=True, clock=clock) as terminal:
        terminal.listen(Ready(2, 120))
        clock.now += 100
        terminal.listen(TaskDone(100))
        terminal.warn(["look"])

    assert capsys.readouterr().err == "warning: look\n"


def run(database: Path, **streams: int) -> subprocess.Popen[bytes]:
    """The command in the background."""
    words = ["run", "--db", database, "--workers", 1, "--wf-output", database.parent / "wf.jsonl"]
    return subprocess.Popen([sys.executable, "-m", "dask_validator", *map(str, words)], **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal_gets_a_bar_that_fits(small: Path, columns: int) -> None:
    """On a terminal progress is a bar with a rate, taken away at the end; nothing is wider than the terminal."""
    words = ["run", "-v", "--db", small, "--workers", 1, "--dry-run"]
    shown = on_terminal("-m", "dask_validator", *words, columns=columns, cwd=small.parent)

    assert shown.code == 0
    assert any(line.startswith("Computing  [") and "a second" in line for line in shown.lines)
    assert "\r\x1b[KComputed in" in shown.text
    assert [line for line in shown.lines if len(line) > columns and str(small) not in line] == []


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("done", [0, 1, 999_999, 1_000_000])
def test_a_bar_fits_however_much_there_is_to_say(columns: int, done: int) -> None:
    """A million strategies and hours to go leave room for the last column, and say at least how far it is."""
    drawn = Stage("Computing", 1_000_000, 0.0, done).drawn(40_000.0, columns)

    assert len(drawn) < columns
    assert f"{done / 1_000_000:.0%}" in drawn


def test_a_silent_stage_shows_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is heard of a stage, as of a long commit, its seconds are drawn all the same."""
    drawn = threading.Event()
    screen = Forgiving(None)
    monkeypatch.setattr(Forgiving, "is_terminal", True)
    monkeypatch.setattr(Forgiving, "columns", 80)
    monkeypatch.setattr(screen, "write", lambda text: drawn.set() if "Committing ..." in text else None)
    monkeypatch.setattr(foot, "TICK_S", 0.001)
    shown = foot.Foot(lambda: screen, print, time.monotonic)
    shown.begin("Committing")

    assert drawn.wait(60)
    shown.close()


def test_screening_is_told_in_a_log_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Five seconds of silence are enough: then a stage says how far it is, and once a minute from there."""
    clock = Clock()
    with Terminal(clock=clock) as terminal:
        for done in range(0, 1_000_000, 10_000):
            terminal.listen(Progressed("Screening", done, 1_000_000))
            clock.now += 1.0
    lines = capsys.readouterr().err.splitlines()

    assert lines == [
        "Screening: 50,000 of 1,000,000 strategies (5%), 10,000 a second, 1 min 35 s left",
        "Screening: 650,000 of 1,000,000 strategies (65%), 10,000 a second, 35 s left",
    ]


def test_a_run_tells_how_far_its_screening_is(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million strategies are not screened in silence: every so many of them are an event."""
    monkeypatch.setattr("dask_validator.store.reader.COLUMNS", 200)
    heard: list[Event] = []
    with prepared(small, "MGC", RunConfig(dry_run=True)) as (order, journal):
        run_validation(order, SerialExecutor(), heard.append, journal)

    assert [event for event in heard if isinstance(event, Progressed)] == [
        Progressed("Screening", 200, 591),
        Progressed("Screening", 400, 591),
    ]


def test_colours_can_be_refused(small: Path) -> None:
    """A warning is coloured on a terminal, with NO_COLOR it is not, and then there is no escape sequence."""
    words = ["-m", "dask_validator", "run", "-q", "--db", small, "--workers", 1, "--dry-run"]

    assert on_terminal(*words).text.startswith("\x1b[33mwarning: 123 waiting")
    assert "\x1b" not in on_terminal(*words, NO_COLOR="1").text


def test_a_dumb_terminal_is_a_log_file(small: Path) -> None:
    """Where lines cannot be drawn anew there is no bar, and no escape sequence at all."""
    words = ["-m", "dask_validator", "run", "--db", small, "--workers", 1, "--dry-run"]
    shown = on_terminal(*words, TERM="dumb")

    assert shown.code == 0
    assert "\x1b" not in shown.text
    assert "\r" not in shown.text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three four", ["one two", "  three", "  four"]),
        ("  one two three", ["  one two", "    three"]),
        ("short", ["short"]),
        ("go on with dask-validator run --db a.duckdb", ["go on with", "  dask-validator run --db a.duckdb"]),
        ("  name       value", ["  name       value"]),
        ("averyverylongword", ["averyverylongword"]),
    ],
    ids=["words", "indented", "short", "a command", "a table", "a word"],
)
def test_long_lines_are_folded_between_words(text: str, lines: list[str]) -> None:
    """What is to be pasted, and what stands in columns, stays on its line."""
    assert folded(text, 10).split("\n") == lines


def test_a_pipe_that_nobody_reads_ends_no_run(small: Path) -> None:
    """`dask-validator run 2>&1 | head -1` commits like any other run."""
    process = run(small, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.wait() == 0
    statuses = {row["validation_status"] for row in rows_by_id(small, "experimental_strategies").values()}
    assert statuses >= {"PASSED", "REJECTED"}


def test_a_message_goes_above_the_bar() -> None:
    """What is said while a bar is shown has a line of its own, and the bar is drawn again below it."""
    shown = on_terminal("-c", TALKING)

    assert shown.code == 0
    assert "\r\x1b[Khello\r\n\rComputing  [" in shown.text


TALKING = """
import sys
from dask_validator.events import Computed, Ready, Said, Screened, TaskDone
from dask_validator.views.monitor.terminal import Terminal

with Terminal() as terminal:
    for event in (Screened(9, 9), Ready(1, 9), TaskDone(3), Said("hello"), TaskDone(6), Computed(1.0)):
        terminal.listen(event)
"""


@pytest.mark.parametrize(
    ("link", "command"),
    [
        ("http://127.0.0.1:8788/status", "ssh -L 8788:127.0.0.1:8788 USER@THIS_HOST"),
        ("http://localhost:1/status", "ssh -L 1:127.0.0.1:1 USER@THIS_HOST"),
        ("/user/you/proxy/8787/status", None),
        ("http://10.0.0.7:8787/status", None),
    ],
)
def test_tunnel(link: str, command: str | None) -> None:
    """How to reach a dashboard from elsewhere is said only of one that listens here alone."""
    assert tunnel(link) == command


def test_failures_are_grouped() -> None:
    """Strategies that failed for one reason are one line, however many; `-v` names all."""
    many = [(f"MGC_{n:02}", "filter_type is NULL") for n in range(64)]
    lines = failures([*many, ("MGC_X", "odd")])

    assert lines[0].startswith("64 strategies FAILED: filter_type is NULL: MGC_00, MGC_01, ")
    assert lines[0].endswith("MGC_09 and 54 more (-v shows all)")
    assert lines[1:] == ["FAILED MGC_X: odd"]
    assert "MGC_63" in failures(many, most=None)[0]


FORGED = "MGC_X\nwarning: all is well\x1b[2J"


def test_names_from_the_database_cannot_drive_a_terminal(tmp_path: Path) -> None:
    """Line ends and escape sequences in a strategy's name are spelled out."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"strategy_id": FORGED, "filter_type": None}])
    process = run(database, stderr=subprocess.PIPE)
    said = process.communicate()[1].decode()

    assert process.returncode == 3
    assert r"FAILED MGC_X\nwarning: all is well\x1b[2J: filter_type is NULL" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("text", "shown"), [("plain", "plain"), ("Größe 日本", "Größe 日本"), ("a\tb\r", r"a\tb\r"), ("\u202e", r"\u202e")]
)
def test_plain(text: str, shown: str) -> None:
    """Letters of all languages stay; what moves the cursor, or turns the writing around, is spelled out."""
    assert plain(text) == shown
