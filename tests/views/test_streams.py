"""Streams that cannot be written: nobody reads, and what goes on goes on all the same."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dask_validator import validate
from tests.conftest import Command
from tests.support.tiny import rows_by_id, tiny_database

NOBODY_READS = {
    "closed": "<&- >&- 2>&-",
    "full": ">/dev/full 2>/dev/full",
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """One good strategy."""
    return tiny_database(tmp_path / "tiny.duckdb")


def in_shell(redirections: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python with its streams redirected as a shell does it."""
    if "/dev/full" in redirections and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    line = shlex.join([sys.executable, *map(str, words)])
    return subprocess.run(["sh", "-c", f"{line} {redirections}"], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("redirections", NOBODY_READS.values(), ids=NOBODY_READS)
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["run", "--workers", 1, "--json", "-v", "--report", "run.html"], 0),
        (["check"], 0),
        (["explain", "MGC_GOOD"], 0),
        (["run", "--db", "absent.duckdb"], 2),
        (["--help"], 0),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_no_reader_changes_no_exit_code(redirections: str, args: list[object], code: int, tiny: Path) -> None:
    """Every command does what it does and ends as it ends, were both streams closed or on a full disk."""
    given = ["--db", tiny] if "--db" not in args and "--help" not in args else []

    assert in_shell(redirections, "-m", "dask_validator", *args, *given, cwd=tiny.parent).returncode == code
    if args[0] == "run" and code == 0:
        assert rows_by_id(tiny, "experimental_strategies")["MGC_GOOD"]["validation_status"] == "PASSED"


def test_workers_need_no_streams(tiny: Path) -> None:
    """Worker processes inherit the closed streams and compute all the same."""
    words = ["-m", "dask_validator", "run", "--workers", 2, "--db", tiny]

    assert in_shell(NOBODY_READS["closed"], *words, cwd=tiny.parent).returncode == 0
    assert rows_by_id(tiny, "experimental_strategies")["MGC_GOOD"]["validation_status"] == "PASSED"


def test_a_closed_stream_lends_its_number_to_no_file(tmp_path: Path) -> None:
    """What C code says on a closed stderr must not end in the database that was opened next."""
    code = "from dask_validator.views.monitor.streams import forgive; forgive(); print(open('next', 'wb').fileno())"

    assert int(in_shell("<&- 2>&-", "-c", code, cwd=tmp_path).stdout) > 2


def test_a_full_disk_under_the_summary_is_named(tiny: Path) -> None:
    """Whoever counts on the object of `--json` learns on stderr that it could not be written."""
    words = ["-m", "dask_validator", "run", "--workers", 1, "--json", "--db", tiny]
    ran = in_shell(">/dev/full", *words, cwd=tiny.parent)

    assert ran.returncode == 0
    assert "warning: stdout could not be written (No space left on device)" in ran.stderr


def test_warnings_and_logging_end_no_command(tmp_path: Path) -> None:
    """What Python itself and libraries write to a full stderr leaves the exit code alone."""
    code = (
        "import logging, sys, warnings\nfrom dask_validator.views.monitor.streams import forgive\nforgive()\n"
        "warnings.warn('odd')\nlogging.error('odd')\nprint('odd', file=sys.stderr)\n"
    )
    assert in_shell("2>/dev/full", "-c", code, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_validate_in_a_script_without_a_reader(redirection: str, tiny: Path) -> None:
    """A script that calls `validate()` ends with 0, and its own stdout is untouched."""
    code = f"from dask_validator import validate; print(validate({str(tiny)!r}, workers=1).summary['passed'])"
    ran = in_shell(redirection, "-c", code, cwd=tiny.parent)

    assert (ran.returncode, ran.stdout) == (0, "1\n")


class Collects:
    """The least that can be written to, as some hosts of Python put in place of stderr."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        """Keep it."""
        self.text += text


class Gone:
    """A window that was closed."""

    def write(self, text: str) -> None:
        """Fail."""
        raise RuntimeError("the window is closed")


def closed() -> Any:
    """A file that was closed."""
    file = open(os.devnull, "w")  # noqa: SIM115
    file.close()
    return file


@pytest.mark.parametrize("make", [Collects, Gone, object, closed, lambda: None])
def test_any_object_may_stand_for_stderr(make: Callable[[], Any], tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python stderr may be whatever the host has put there: without `isatty`, broken, closed, None."""
    stderr = make()
    monkeypatch.setattr(sys, "stderr", stderr)
    summary = validate(tiny, workers=1, dry_run=True).summary

    assert summary["passed"] == 1
    if isinstance(stderr, Collects):
        assert "Screened 1 strategy" in stderr.text


def test_a_name_that_the_terminal_cannot_spell(tmp_path: Path, command: Command) -> None:
    """A locale without the letters of a name spells them out instead of ending `explain` with a traceback."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"strategy_id": "MGC_日本"}])
    ran = command("explain", "MGC_日本", "--db", database, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"})

    assert ran.code == 0, ran.stderr
    assert r"MGC_\u65e5\u672c of MGC" in ran.stdout


TALKING = """
import signal, sys
from dask_validator.events import Computed, Ready, Said, Screened, TaskDone
from dask_validator.views.monitor.terminal import Terminal

signal.signal(signal.SIGHUP, signal.SIG_IGN)
with Terminal() as terminal:
    terminal.listen(Screened(9, 9))
    terminal.listen(Ready(1, 9, []))
    print(flush=True)
    sys.stdin.readline()
    for event in (TaskDone(3), Said("hello"), TaskDone(6), Computed(1.0)):
        terminal.listen(event)
"""


def test_a_terminal_that_goes_away_ends_nothing() -> None:
    """With SIGHUP ignored, as by nohup, a run outlives the terminal that its bar was drawn on."""
    ours, theirs = pty.openpty()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", TALKING], stderr=theirs, **pipes) as process:  # type: ignore[call-overload]
        os.close(theirs)
        process.stdout.readline()
        os.close(ours)
        process.communicate(b"\n")

    assert process.returncode == 0
