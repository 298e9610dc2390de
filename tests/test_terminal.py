"""What a run says while it goes on: on a terminal, in a log file, into a pipe that nobody reads."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dask_validator.events import Computed, Ready, Screened, TakenOver, TaskDone
from dask_validator.model import Answer, Status, Verdict
from dask_validator.monitor.summary import failures
from dask_validator.monitor.terminal import Terminal
from dask_validator.monitor.tunnel import tunnel
from dask_validator.plain import plain
from tests.tiny import rows_by_id, tiny_database


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


def test_a_terminal_gets_a_bar(small: Path) -> None:
    """On a terminal progress is a bar with counts and a rate, ended by a line end."""
    ours, theirs = pty.openpty()
    process = run(small, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)

    assert process.wait() == 0
    assert b"Computing  [" in shown
    assert b"a second" in shown
    assert b"\r\nComputed in" in shown


def test_a_pipe_that_nobody_reads_ends_no_run(small: Path) -> None:
    """`dask-validator run 2>&1 | head -1` commits like any other run."""
    process = run(small, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.wait() == 0
    statuses = {row["validation_status"] for row in rows_by_id(small, "experimental_strategies").values()}
    assert statuses >= {"PASSED", "REJECTED"}


def test_a_message_goes_above_the_bar(small: Path) -> None:
    """What is said while a bar is shown has a line of its own, and the bar is drawn again below it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", TALKING, str(small)], stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass
    os.close(ours)

    assert process.wait() == 0
    plainly = re.sub(rb"\x1b\[(0m|\?25[lh])", b"", shown)  # colours and the cursor
    assert b"\r\x1b[Khello\r\n\rComputing  [" in plainly


TALKING = """
import sys
from dask_validator.events import Computed, Ready, Said, Screened, TaskDone
from dask_validator.monitor.terminal import Terminal

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
    many = [Verdict(f"MGC_{n:02}", Status.FAILED, "filter_type is NULL") for n in range(64)]
    lines = failures([*many, Verdict("MGC_X", Status.FAILED, "odd")])

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
