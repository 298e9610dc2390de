"""What the tests share: recorded databases, the real command, and a process that each test leaves as it found it."""

from __future__ import annotations

import copy
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import distributed  # noqa: F401  # which adds to Dask's configuration
import duckdb
import pytest
from hypothesis import HealthCheck, settings

from dask_validator.cli.commands import main
from tests.recorded import SMALL, build_database
from tests.support.browser import open_browser

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


# No test fails because the machine is busy.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The object that `--json` printed."""
        loaded: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return loaded


Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _signals_as_on_a_terminal() -> None:
    """`nohup` and a shell's `&` have signals ignored; a command that another test has run here has left its handler."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """In Python 3.11 what Dask logs of garbage that is collected can disturb the parser of test files."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def _dask_is_configured_as_before() -> Iterator[None]:
    """Whatever a test has run, Dask's configuration is as before: it holds for all of a user's process."""
    before = copy.deepcopy(dask.config.config)
    yield
    after = copy.deepcopy(dask.config.config)
    dask.config.config.clear()
    dask.config.config.update(before)  # one failure, not that of all tests to come
    assert after == before


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `python -m dask_validator ARGS` in a process of its own, in the test's directory."""

    def run(*args: object, cwd: Path = tmp_path, env: dict[str, str] | None = None, timeout: float = 120) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "dask_validator", *map(str, args)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def handlers() -> Iterator[None]:
    """What a command that runs in this process listens to is as before in the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def called(
    handlers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command as `command` does, but in this process, which has imported all that it needs."""

    def run(*args: object, env: dict[str, str] | None = None) -> Ran:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            for stream in ("stdout", "stderr"):  # which the command wraps
                patch.setattr(sys, stream, getattr(sys, stream))
            with pytest.raises(SystemExit) as ended:
                main(list(map(str, args)))
        said = capfd.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """A run that waits for ever is a failed test, not a suite that hangs; the module's BOUND_S is in seconds."""
    expired: list[int] = []

    def give_up(number: int, _: object) -> None:
        expired.append(number)
        pytest.fail("the test took too long")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(request.module.BOUND_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert not expired  # even where an interrupt has hidden it


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """Headless Chromium, started once; a test opens its own page."""
    with open_browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded small input as a database; never written, only copied."""
    path = tmp_path_factory.mktemp("recorded") / "small.duckdb"
    build_database(SMALL / "input", path)
    return path


@pytest.fixture
def small(small_source: Path, tmp_path: Path) -> Path:
    """A fresh copy of the small database, about 600 strategies of MGC, in the test's directory."""
    return Path(shutil.copy(small_source, tmp_path / "small.duckdb"))


@pytest.fixture
def connect() -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Opens databases and closes what a test left open."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def opener(path: Path, **options: Any) -> duckdb.DuckDBPyConnection:
        opened.append(duckdb.connect(str(path), **options))
        return opened[-1]

    yield opener
    for connection in opened:
        connection.close()


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, sorted, to compare a database with itself."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        return {
            name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"').fetchall()))  # type: ignore[misc]
            for (name,) in tables
        }


def everything_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
