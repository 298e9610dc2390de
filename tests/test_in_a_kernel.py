"""`validate()` in a real Jupyter kernel: what is shown, what is left open, and the stop button."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

PATIENCE_S = 60
PASSED = 44
BEGIN = """
import gc, os, signal, time
from pathlib import Path
import duckdb
from dask_validator import validate
from dask_validator.store import connection
from dask_validator.journal.journal import Journal

answered = Journal.answered

def answered_then_stop(self, answers):
    answered(self, answers)
    Path("reached").touch()
    while not Path("interrupted").exists():
        time.sleep(0.01)
"""


@dataclass
class Shown:
    """What a cell has shown."""

    displays: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # every state of each, oldest first
    texts: list[str] = field(default_factory=list)  # of results and streams
    error: tuple[str, list[str]] | None = None  # its name and the lines shown

    @property
    def last(self) -> str:
        """The plain text that a display is saved with."""
        [states] = self.displays.values()
        text: str = states[-1]["text/plain"]
        return text

    def add(self, message: dict[str, Any]) -> None:
        """Take one message of the kernel's."""
        content = message["content"]
        match message["msg_type"]:
            case "display_data" | "update_display_data":
                self.displays.setdefault(content["transient"]["display_id"], []).append(content["data"])
            case "execute_result":
                self.texts.append(content["data"]["text/plain"])
            case "stream":
                self.texts.append(content["text"])
            case "error":
                self.error = (content["ename"], content["traceback"])


class Kernel:
    """A Jupyter kernel in a folder of its own."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient, folder: Path) -> None:
        self.folder = folder
        self._manager = manager
        self._client = client

    def run(self, code: str) -> Shown:
        """Run a cell to its end."""
        shown = Shown()
        self._client.execute_interactive(code, output_hook=shown.add, timeout=PATIENCE_S)
        return shown

    def fresh(self, source: Path) -> Path:
        """A database that nobody has validated yet, and nothing beside it."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return Path(shutil.copy(source, self.folder / "small.duckdb"))

    def interrupted(self, code: str) -> Shown:
        """Run a cell and press the stop button when the first task has answered."""

        def press() -> None:
            until((self.folder / "reached").exists)
            self._manager.interrupt_kernel()
            (self.folder / "interrupted").touch()

        button = threading.Thread(target=press)
        button.start()
        shown = self.run(f"Journal.answered = answered_then_stop\n{code}")
        button.join()
        self.run("Journal.answered = answered")
        return shown


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_free(database: Path) -> bool:
    """Whether another process, this one, may write."""
    try:
        duckdb.connect(str(database)).close()
    except duckdb.IOException:
        return False
    return True


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for all tests: it must survive each of them."""
    folder = tmp_path_factory.mktemp("kernel")
    manager, client = start_new_kernel(cwd=str(folder))
    try:
        kernel = Kernel(manager, client, folder)
        assert kernel.run(BEGIN).error is None
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def own_client(kernel: Kernel) -> Iterator[str]:
    """The name, in the kernel, of a client that the user has; its workers keep files open until they are told."""
    start = "client = Client(n_workers=2, threads_per_worker=1, dashboard_address='127.0.0.1:0')"
    keep = "client.run(setattr, connection, 'KEEP_S', 3600.0)"
    assert kernel.run(f"from distributed import Client\n{start}\n{keep}").error is None
    yield "client"
    kernel.run("client.close(); client.cluster.close()")


def test_one_display_follows_the_run(kernel: Kernel, small_source: Path) -> None:
    """It is updated in place; what is saved says what was done, as text and as HTML, with the link while it works."""
    kernel.fresh(small_source)

    shown = kernel.run("result = validate('small.duckdb', workers=2)")

    assert shown.error is None
    assert shown.texts == []
    [states] = shown.displays.values()
    assert shown.last.splitlines()[0] == "MGC in small.duckdb: committed"
    assert "Committed 591 verdicts" in shown.last
    assert "warning: " in shown.last
    assert "http" not in shown.last  # that dashboard is gone
    assert any('href="http://127.0.0.1:' in state["text/html"] for state in states)
    assert set(states[-1]) == {"text/plain", "text/html"}


def test_the_file_is_free_afterwards(kernel: Kernel, small_source: Path) -> None:
    """Another process may write when the call is back, the kernel too, and the same kernel can run again."""
    for workers in (1, 2):
        database = kernel.fresh(small_source)
        ran = kernel.run(f"validate('small.duckdb', workers={workers}, progress=False).summary['passed']")
        wrote = kernel.run(
            "import duckdb\nwith duckdb.connect('small.duckdb') as mine: mine.execute('CREATE TABLE t (i INT)')"
        )

        assert ran.texts == [str(PASSED)]
        assert wrote.error is None
        assert is_free(database)


def test_quiet_shows_warnings_only(kernel: Kernel, small_source: Path) -> None:
    """With progress=False a notebook has nothing but the warnings."""
    kernel.fresh(small_source)

    shown = kernel.run("result = validate('small.duckdb', workers=1, dry_run=True, progress=False)")

    first, *others = shown.last.splitlines()
    assert first == "MGC in small.duckdb: done, nothing written"
    assert others
    assert all(line.startswith("warning: ") for line in others)


def test_an_error_is_one_line(kernel: Kernel) -> None:
    """Bad input is said without a traceback."""
    shown = kernel.run("validate('missing.duckdb')")

    assert shown.error is not None
    name, [line] = shown.error
    assert name == "InputError"
    assert line.startswith("InputError: database missing.duckdb: No such file or directory; give")
    assert shown.last == "MGC in missing.duckdb: ended by InputError, nothing written"


@pytest.mark.parametrize("workers", [1, 2])
def test_the_stop_button_keeps_what_is_computed(kernel: Kernel, small_source: Path, workers: int) -> None:
    """Interrupted, a run says so in a line, frees the file and keeps its results; the same cell goes on from there."""
    database = kernel.fresh(small_source)
    cell = f"result = validate('small.duckdb', workers={workers})"

    shown = kernel.interrupted(cell)

    assert shown.error == ("KeyboardInterrupt", ["KeyboardInterrupt"])
    assert shown.texts == []
    assert shown.last.splitlines()[0].endswith(
        "interrupted, nothing written; what is computed is kept in small.duckdb.MGC.journal: run the cell again"
    )
    assert is_free(database)
    assert (kernel.folder / "small.duckdb.MGC.journal").exists()
    left = "gc.collect(); sum(type(thing).__name__ in ('_Run', 'Computer') for thing in gc.get_objects())"
    assert kernel.run(left).texts == ["0"]  # the error that IPython keeps keeps nothing of the run
    again = kernel.run(f"{cell}\nresult.summary['passed'], result.summary['walkforward']['reused'] > 0")
    assert again.texts == [f"({PASSED}, True)"]
    assert "Took over " in again.last
    assert not (kernel.folder / "small.duckdb.MGC.journal").exists()


def test_a_client_of_the_user_stays(kernel: Kernel, small_source: Path, own_client: str) -> None:
    """It is shown with its dashboard, which stays in the saved text as it stays open, and works afterwards."""
    database = kernel.fresh(small_source)

    shown = kernel.run(f"result = validate('small.duckdb', client={own_client})")

    assert shown.error is None
    assert "Dask dashboard: http://127.0.0.1:" in shown.last
    assert is_free(database)
    assert kernel.run(f"{own_client}.submit(sum, [1, 2]).result(), len({own_client}.nthreads())").texts == ["(3, 2)"]


def test_the_stop_button_leaves_the_users_workers_alive(kernel: Kernel, small_source: Path, own_client: str) -> None:
    """Jupyter interrupts workers too, and Dask's would end: not while they work for us, and then as before."""
    database = kernel.fresh(small_source)
    before = kernel.run(f"sorted({own_client}.nthreads())").texts
    cell = f"result = validate('small.duckdb', client={own_client})"

    shown = kernel.interrupted(cell)

    assert shown.error == ("KeyboardInterrupt", ["KeyboardInterrupt"])
    until(lambda: is_free(database))
    assert kernel.run(f"sorted({own_client}.nthreads())").texts == before
    ignoring = f"set({own_client}.run(lambda: signal.getsignal(signal.SIGINT) == signal.SIG_IGN).values())"
    assert kernel.run(ignoring).texts == ["{False}"]
    again = kernel.run(f"{cell}\nresult.summary['passed'], result.summary['walkforward']['reused'] > 0")
    assert again.texts == [f"({PASSED}, True)"]


def test_results_are_tables_and_figures(kernel: Kernel, small_source: Path) -> None:
    """The result is shown as HTML, and its figures are Bokeh's."""
    kernel.fresh(small_source)

    shown = kernel.run(
        "result = validate('small.duckdb', workers=1, dry_run=True, progress=False)\n"
        "plots = result.plot_funnel(), result.plot_windows(result.windows.strategy_id[0]), result.plot_speedup()\n"
        "'<table>' in result._repr_html_(), {type(plot).__name__ for plot in plots}"
    )

    assert shown.error is None
    assert shown.texts == ["(True, {'figure'})"]
