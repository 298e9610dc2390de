"""What a run on a cluster opens, leaves lying about, and does when it is told to stop."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dask_validator.store.connection import reading
from tests.recorded import SHARED, build_database

FULL = SHARED / "golden" / "full" / "input"
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
LINK = re.compile(r"Dask dashboard: (http://\S+)")


def _listen_to_ctrl_c() -> None:
    """A suite started in the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A command that is still alive; what it says on stderr is gathered meanwhile."""

    def __init__(self, args: list[object], cwd: Path, scratch: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dask_validator", *map(str, args)],
            cwd=cwd,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # all that it starts can be found by the session, and sent a terminal's Ctrl-C
            preexec_fn=_listen_to_ctrl_c,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(iter(self.process.stderr.readline, ""))

    @property
    def stderr(self) -> str:
        """Everything said so far."""
        return "".join(self.said)

    def wait_for(self, pattern: str, timeout: float = 60) -> re.Match[str]:
        """The first match on stderr."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.stderr)):
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.05)
        return found

    def members(self) -> list[psutil.Process]:
        """The command and whatever it started that is still alive, orphans included."""
        return [process for process in psutil.process_iter() if session_of(process) == self.process.pid]

    def stop(self, how: str) -> None:
        """`Ctrl-C` as a terminal does it, to every process of the command; `SIGTERM` to the first one only."""
        if how == "Ctrl-C":
            os.killpg(self.process.pid, signal.SIGINT)
        else:
            self.process.send_signal(signal.Signals[how])

    def ended_altogether(self, timeout: float = 10) -> bool:
        """Whether no process is left within the time."""
        deadline = time.monotonic() + timeout
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.members()

    def finish(self, timeout: float = 60) -> int:
        """Waits for the end; the exit code."""
        code = self.process.wait(timeout)
        self._reader.join(5)  # an orphan would keep the pipe open
        return code

    def kill(self) -> None:
        """Ends whatever is left, each process by itself."""
        for process in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.finish()


Start = Callable[..., Running]


def session_of(process: psutil.Process) -> int | None:
    """The session that a process belongs to, None when it is gone or only a zombie."""
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.Error, ProcessLookupError):
        return None


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder that the command takes for the system's temporary directory."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Iterator[Start]:
    """Starts `python -m dask_validator ARGS` in a directory of its own, and ends what is left of it."""
    started: list[Running] = []

    def run(*args: object) -> Running:
        started.append(Running(list(args), tmp_path_factory.mktemp("working_directory"), scratch))
        return started[-1]

    yield run
    for running in started:
        running.kill()


@pytest.fixture(scope="session")
def full_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded database of 12,996 strategies, whose run lasts long enough to be interrupted."""
    if not FULL.is_dir():
        pytest.skip("needs the full recorded database, which is not in the repository")
    path = tmp_path_factory.mktemp("recorded") / "full.duckdb"
    build_database(FULL, path)
    return path


@pytest.fixture
def full(full_source: Path, tmp_path: Path) -> Path:
    """A fresh copy of the full recorded database, alone in its folder."""
    return Path(shutil.copy(full_source, tmp_path))


def listening_addresses(processes: list[psutil.Process]) -> set[str]:
    """Addresses of the listening TCP sockets of these processes."""
    found: set[str] = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        found.update(connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN)
    return found


def test_only_loopback_listens(start: Start, small: Path) -> None:
    """Scheduler, workers and dashboard listen on this machine only, and the printed link answers."""
    running = start("run", "--db", small, "--workers", 2, "--keep-dashboard", 20)
    link = running.wait_for(LINK.pattern)[1]
    addresses = listening_addresses(running.members())
    running.wait_for("The dashboard stays at")
    addresses |= listening_addresses(running.members())

    assert len(running.members()) >= 3  # ourselves and two workers
    assert addresses
    assert addresses <= LOOPBACK
    assert link.startswith("http://127.0.0.1:")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(link, timeout=20) as answer:
        assert answer.status == 200
        assert b"bokeh" in answer.read().lower()

    running.stop("Ctrl-C")
    assert running.finish() == 0  # the way out that the kept dashboard offers


def test_taken_port(start: Start, small: Path) -> None:
    """A taken dashboard port is no failure: the second run prints another link, and no warning of Dask's."""
    first = start("run", "--dry-run", "--db", small, "--workers", 2, "--keep-dashboard", 20)
    link = first.wait_for(LINK.pattern)[1]
    second = start("run", "--dry-run", "--db", small, "--workers", 2, "--keep-dashboard", 0)
    assert second.wait_for(LINK.pattern)[1] != link
    assert second.finish() == 0
    assert "UserWarning" not in second.stderr


def test_no_dashboard(start: Start, small: Path) -> None:
    """With `--no-dashboard` no link is printed, nothing is kept open for it, and still only loopback listens."""
    running = start("run", "--dry-run", "--db", small, "--workers", 2, "--no-dashboard", "--keep-dashboard", 10)
    addresses: set[str] = set()
    while running.process.poll() is None:
        addresses |= listening_addresses(running.members())
        time.sleep(0.05)
    assert running.finish() == 0
    assert addresses == {"127.0.0.1"}
    assert "dashboard:" not in running.stderr
    assert "http://" not in running.stderr


def test_scratch_stays_in_the_temporary_directory(start: Start, small: Path, scratch: Path) -> None:
    """Dask's and DuckDB's own files appear in the system's temporary directory only, which is empty again after."""
    running = start("run", "--db", small, "--workers", 2, "--keep-dashboard", 1)
    cwd = Path(psutil.Process(running.process.pid).cwd())
    seen: dict[Path, set[str]] = {cwd: set(), small.parent: set(), scratch: set()}
    while running.process.poll() is None:
        for folder, names in seen.items():
            for parent, folders, files in os.walk(folder):  # which passes over what is removed meanwhile
                names.update(os.path.relpath(Path(parent, name), folder) for name in folders + files)
        time.sleep(0.02)
    assert running.finish() == 0
    assert seen[cwd] <= {"data", "data/walkforward_results.jsonl"}
    assert seen[small.parent] <= {"small.duckdb", "small.duckdb.wal", "small.duckdb.MGC.journal"}
    assert seen[scratch]
    assert list(scratch.rglob("*")) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
def test_interrupted(start: Start, full: Path, scratch: Path, how: str, workers: int) -> None:
    """Ctrl-C and SIGTERM in mid-run end with 130, without a traceback, an orphan, or a byte changed."""
    before = full.read_bytes()
    running = start("run", "--db", full, "--workers", workers)
    running.wait_for("Screened")
    time.sleep(0.3)
    running.stop(how)
    assert_clean_end(running, scratch)
    assert "nterrupted" in running.stderr
    assert "Committed" not in running.stderr
    assert full.read_bytes() == before
    left = [path.name for path in full.parent.iterdir() if not path.name.endswith(".journal")]
    assert left == ["full.duckdb"]


@pytest.mark.parametrize("after", [0.0, 0.5])
@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
def test_interrupted_while_starting(start: Start, full: Path, scratch: Path, how: str, after: float) -> None:
    """A signal while the cluster starts is as clean as a later one: nobody is left with half a cluster."""
    running = start("run", "--dry-run", "--db", full, "--workers", 2)
    while not any(scratch.iterdir()):  # the cluster's folder comes first
        assert running.process.poll() is None, running.stderr
        time.sleep(0.01)
    time.sleep(after)
    running.stop(how)
    assert_clean_end(running, scratch)


def test_ctrl_c_in_a_query(small: Path) -> None:
    """DuckDB reports Ctrl-C in mid-query as a RuntimeError; for us it stays Ctrl-C, not a defect with a traceback."""
    with pytest.raises(KeyboardInterrupt), reading(small):
        raise RuntimeError("Query interrupted")


def assert_clean_end(running: Running, scratch: Path) -> None:
    """Exit code 130, no traceback, no orphan, no scratch file."""
    assert running.finish(30) == 130, running.stderr
    assert "Traceback" not in running.stderr
    assert running.ended_altogether()
    assert list(scratch.rglob("*")) == []
