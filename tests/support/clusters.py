"""Clusters that somebody else has started: real schedulers and workers, and what is done to them in mid-run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, Scheduler

from dask_validator.events import Event, TaskDone

PATIENCE_S = 60
LOST_S = 5.0
LOOPBACK = ["--host", "127.0.0.1"]
DASK = ["-m", "dask"]
# As a cluster of other people is: without this package, and without a dashboard's package.
BARE_DASK = [
    "-c",
    "import sys; sys.modules.update(dask_validator=None, bokeh=None); import dask.cli; dask.cli.run_cli()",
]
UNFINISHED = {"waiting", "no-worker", "queued", "processing"}

# A script for `dask worker --preload`.
SLOW = """
import time
from dask_validator.work import walkforward as task
def dask_setup(worker):
    compute = task.walkforward_task
    def slow(asked):
        time.sleep(0.1)
        return compute(asked)
    task.walkforward_task = slow
"""


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that we started, kindly at first."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def start(args: list[object], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Starts `python ARGS` in a folder."""
    folder.mkdir(exist_ok=True)
    with log.open("ab") as output:
        command = [sys.executable, *map(str, args)]
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def wait_until(reached: Callable[[], bool], log: Path) -> None:
    """Waits for something that processes do, which write to the log."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


class Cluster:
    """A scheduler of somebody else, and its workers: one process of one thread each."""

    def __init__(self, client: Client, scratch: Path) -> None:
        self.client = client
        self.address = client.scheduler.address
        self._scratch = scratch
        self._workers: list[subprocess.Popen[bytes]] = []

    @property
    def _log(self) -> Path:
        return self._scratch / "workers.log"

    def start_worker(self, folder: Path | None = None, preload: str = "") -> subprocess.Popen[bytes]:
        """Starts a worker in a folder, its own by default, that first runs a script; it joins a little later."""
        own = self._scratch / f"worker-{len(self._workers)}"
        own.mkdir()
        script = own / f"preload_{len(self._workers)}.py"
        script.write_text(preload)
        options = ["--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", own, "--preload", script]
        args = [*DASK, "worker", self.address, *LOOPBACK, *options]
        self._workers.append(start(args, folder or own, self._log))
        return self._workers[-1]

    def folder_of(self, worker: subprocess.Popen[bytes]) -> Path:
        """The folder of a worker that was started in its own."""
        return self._scratch / f"worker-{self._workers.index(worker)}"

    def wait_for(self, workers: int) -> None:
        """Waits until there are so many workers."""
        wait_until(lambda: len(self.client.nthreads()) == workers, self._log)

    def address_of(self, worker: subprocess.Popen[bytes]) -> str:
        """The address of a worker that has joined."""
        pids: dict[str, int] = self.client.run(os.getpid)
        return next(address for address, pid in pids.items() if pid == worker.pid)

    def is_busy(self, address: str) -> bool:
        """Whether a worker has tasks to do."""
        return bool(self.client.processing()[address])

    def end_workers(self) -> None:
        """Leaves the scheduler as it was."""
        for worker in self._workers:
            end(worker)
        self.wait_for(0)


@contextmanager
def running_scheduler(dask: list[str], folder: Path, timeout_s: float = PATIENCE_S) -> Iterator[Client]:
    """A client of a scheduler that runs in the folder until the end of the block; a lost one is looked for so long."""
    log, contact = folder / "scheduler.log", folder / "scheduler.json"
    options = ["--port", 0, "--dashboard-address", "127.0.0.1:0", "--scheduler-file", contact]
    process = start([*dask, "scheduler", *LOOPBACK, *options], folder, log)
    try:
        wait_until(lambda: contact.exists() and contact.read_text().endswith("}"), log)
        address = json.loads(contact.read_text())["address"]
        with Client(address, timeout=timeout_s, set_as_default=False) as client:
            yield client
    finally:
        end(process)


class Meanwhile:
    """A listener that acts once in mid-run: after the third task, as soon as the time has come."""

    def __init__(self, act: Callable[[], None], when: Callable[[], bool] = lambda: True) -> None:
        self.acted = False
        self._act = act
        self._when = when
        self._done = 0

    def __call__(self, event: Event) -> None:
        """Look whether the time has come."""
        self._done += isinstance(event, TaskDone)
        if not self.acted and self._done >= 3 and self._when():
            self.acted = True
            self._act()


def unfinished_tasks(scheduler: Scheduler) -> int:
    """How many tasks a scheduler in this process has still to see to, without those that it is just forgetting."""
    return sum(task.state in UNFINISHED for task in scheduler.tasks.copy().values())
