"""A cluster of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dask.system import CPU_COUNT
from distributed import utils

from dask_validator.api.executors import open_executor
from tests.conftest import Command
from tests.support.jobs import job
from tests.support.tiny import tiny_database

WHO = "(__import__('os').getpid(), {name.split('.')[0] for name in __import__('sys').modules})"


def test_workers_import_only_what_they_need() -> None:
    """Every worker pays for its imports in memory and start-up; the dashboard and the tables need none in there."""
    assert hasattr(utils, "_forkserver_preload_set")  # an internal of Dask's that we set, or it preloads pandas
    with open_executor(2, dashboard_address=None) as executor:
        answers = list(executor.map(job(eval, [WHO, WHO])))

    for pid, modules in answers:
        assert pid != os.getpid()
        assert {"numpy", "duckdb", "dask_validator"} <= modules
        assert not modules & {"pandas", "scipy", "bokeh"}


def test_more_workers_than_cores_warn_once(tmp_path: Path, command: Command) -> None:
    """The speedup of workers without a core of their own is an illusion, and the log says so."""
    ran = command("run", "--db", tiny_database(tmp_path / "tiny.duckdb"), "--workers", CPU_COUNT + 1)

    assert ran.code == 0, ran.stderr
    assert ran.stderr.count(f"more than the {CPU_COUNT} cores") == 1


def test_nothing_waiting_starts_nothing(tmp_path: Path, command: Command) -> None:
    """A second run, which has nothing to do, does not make anybody wait for a cluster."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    command("run", "--db", database, "--workers", 1)
    again = command("run", "--db", database, "--workers", 2)

    assert again.code == 0, again.stderr
    assert "dashboard" not in again.stderr
    assert "Nothing was waiting" in again.stdout


SCRIPT = """
import multiprocessing, sys, time
from dask_validator.execution.dask.cluster import local_cluster
if __name__ == "__main__":
    with local_cluster(2, None) as executor:
        executor.start()
        print(executor.start_up_s, flush=True)
        executor.wait()
        print(executor.start_up_s > 0, flush=True)
"""


def test_the_cluster_starts_in_the_background() -> None:
    """Starting does not keep the main process from screening."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout.split() == ["None", "True"]


HALF_STARTED = """
import sys
from distributed import Nanny
from dask_validator.api.executors import open_executor
from dask_validator.errors import InputError

async def refused(self, *args, **kwargs):
    raise RuntimeError("can't start new thread")

async def half(self):
    await start(self)
    await refused(self)

start, Nanny.start_unsafe, Nanny.kill = Nanny.start_unsafe, half, refused
if __name__ == "__main__":
    try:
        with open_executor(2, dashboard_address=None) as executor:
            executor.wait()
    except InputError as error:
        print(error, file=sys.stderr)
"""


def test_workers_that_are_half_started(tmp_path: Path) -> None:
    """Processes that Dask has started, and cannot end before ours does, put no line below the one that says why."""
    script = tmp_path / "half.py"
    script.write_text(HALF_STARTED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)

    [line] = done.stderr.splitlines()
    assert line.startswith("2 workers cannot be started here (RuntimeError: can't start new thread)")
