"""A run on a Dask cluster that somebody else started: real schedulers and workers, with what goes wrong on them."""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import os
import platform
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from dask_validator import validate
from dask_validator.api.executors import open_executor
from dask_validator.errors import Incomplete, InputError
from dask_validator.events import Event, Ready
from dask_validator.execution.dask import client as execution_client
from dask_validator.execution.dask import envelope, in_flight
from dask_validator.views.result import RunResult
from dask_validator.work import plan
from tests.conftest import Command
from tests.support.clusters import (
    BARE_DASK,
    DASK,
    LOST_S,
    PATIENCE_S,
    SLOW,
    Cluster,
    Meanwhile,
    end,
    running_scheduler,
    unfinished_tasks,
)
from tests.support.runs import Serial, answers, config, run_on, verdicts
from tests.support.tiny import change

OURS = envelope.versions()

# Scripts for `dask worker --preload`.
REFUSES = """
from pathlib import Path
from dask_validator.execution.dask import envelope
def dask_setup(worker):
    others = {**envelope.versions(), "dask_validator": "9.9"}
    def versions():
        with Path("asked").open("a") as times:
            times.write("x")
        return others
    envelope.versions = versions
"""
LACKS = """
import importlib.metadata, sys
def dask_setup(worker):
    version = importlib.metadata.version
    def lacking(name):
        if name == "dask_validator":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)
    importlib.metadata.version = lacking
    for name in list(sys.modules):
        if name.startswith("dask_validator"):
            sys.modules[name] = None
"""
CLAIMS = """
import importlib.metadata, platform
def dask_setup(worker):
    claimed = CLAIMED
    version, python_version = importlib.metadata.version, platform.python_version
    importlib.metadata.version = lambda name: claimed.get(name) or version(name)
    platform.python_version = lambda: claimed.get("python") or python_version()
"""

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/cwd, a path that workers see differently")


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """A run that waits for ever on a cluster is a failed test, not a suite that hangs."""

    def give_up(*_: object) -> None:
        raise TimeoutError("the test took too long")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(2 * PATIENCE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a scheduler whose workers come and go with the tests."""
    with running_scheduler(DASK, tmp_path_factory.mktemp("scheduler")) as found:
        yield found


@pytest.fixture
def cluster(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The scheduler, as yet without workers."""
    found = Cluster(client, tmp_path_factory.mktemp("workers"))
    yield found
    found.end_workers()


@pytest.fixture(scope="module")
def serial(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Serial:
    """The answers of `--workers 1` to the recorded input."""
    found = Serial(Path(shutil.copy(small_source, tmp_path_factory.mktemp("serial") / "small.duckdb")))
    assert len(found.answers["lines"]) > 50
    assert len(found.answers["validated_setups"]) > 40
    return found


@pytest.fixture
def many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task for every group, so that a small database is a long run."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))
    monkeypatch.setattr(plan, "SCANNED_PER_OUTCOME", math.inf)


def pids(result: RunResult) -> set[int]:
    """The processes that computed."""
    return {int(timing.worker.rsplit(":", 1)[1]) for timing in result.timings}


def test_same_results_on_somebody_elses_cluster(
    cluster: Cluster, small: Path, serial: Serial, command: Command
) -> None:
    """`--scheduler ADDRESS` gives what `--workers 1` gives, in every column and every line."""
    cluster.start_worker()
    cluster.start_worker()
    cluster.wait_for(2)
    ran = command("run", "--db", small, "--scheduler", cluster.address, "--wf-output", "wf.jsonl", "--json")

    assert ran.code == 0, ran.stderr
    assert ran.summary["walkforward"]["workers"] == 2
    assert ran.summary["walkforward"]["tasks"] > 1
    assert "travel" not in ran.stderr
    assert answers(small) == serial.answers


@pytest.mark.usefixtures("many_tasks")
def test_every_worker_computes(cluster: Cluster, small: Path, serial: Serial) -> None:
    """`validate(client=...)` uses all workers of the cluster, and says the same as a serial run."""
    workers = [cluster.start_worker(), cluster.start_worker()]
    cluster.wait_for(2)
    result = validate(small, "MGC", config(small), client=cluster.client, progress=False)

    assert pids(result) == {worker.pid for worker in workers}
    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


@only_linux
def test_worker_that_does_not_see_the_file(cluster: Cluster, small: Path, serial: Serial, command: Command) -> None:
    """Without a shared file system a run is as good: the outcomes travel with the tasks, and the log says so."""
    cluster.start_worker(folder=small.parent)
    cluster.start_worker()
    cluster.wait_for(2)
    database = f"/proc/self/cwd/{small.name}"
    ran = command("run", "--db", database, "--scheduler", cluster.address, "--wf-output", "wf.jsonl", cwd=small.parent)

    assert ran.code == 0, ran.stderr
    assert "1 worker(s) do not see the database: the outcomes travel with the tasks" in ran.stderr
    assert answers(small) == serial.answers


def test_scheduler_without_our_package(tmp_path_factory: pytest.TempPathFactory, small: Path, serial: Serial) -> None:
    """The scheduler only passes bytes on: it needs neither this package nor Bokeh."""
    with running_scheduler(BARE_DASK, tmp_path_factory.mktemp("bare_scheduler")) as client:
        for name in ("dask_validator", "bokeh"):
            with pytest.raises(ModuleNotFoundError):
                client.run_on_scheduler(importlib.import_module, name)
        cluster = Cluster(client, tmp_path_factory.mktemp("workers"))
        try:
            worker = cluster.start_worker()
            cluster.wait_for(1)
            result = run_on(client, small)
        finally:
            cluster.end_workers()

    assert pids(result) == {worker.pid}
    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


@pytest.mark.usefixtures("many_tasks")
def test_worker_killed_and_another_added(cluster: Cluster, small: Path, serial: Serial) -> None:
    """Workers that die with tasks in hand and workers that join in mid-run change nothing but the speed."""
    victim = cluster.start_worker(preload=SLOW)
    survivor = cluster.start_worker(preload=SLOW)
    cluster.wait_for(2)
    address = cluster.address_of(victim)
    added = []

    def kill_and_add() -> None:
        victim.kill()
        cluster.wait_for(1)
        added.append(cluster.start_worker().pid)
        cluster.wait_for(2)

    meanwhile = Meanwhile(kill_and_add, when=lambda: cluster.is_busy(address))
    result = run_on(cluster.client, small, meanwhile)

    assert meanwhile.acted
    assert {survivor.pid, *added} <= pids(result)
    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


@pytest.mark.parametrize("preload", [REFUSES, LACKS], ids=["another version", "no package"])
@pytest.mark.usefixtures("many_tasks")
def test_late_worker_that_does_not_fit(cluster: Cluster, small: Path, serial: Serial, preload: str) -> None:
    """A worker that joins after the check of versions is checked with its first task, and never computes."""
    first = cluster.start_worker(preload=SLOW)
    cluster.wait_for(1)

    def add() -> None:
        cluster.start_worker(preload=preload)
        cluster.wait_for(2)

    result = run_on(cluster.client, small, Meanwhile(add))

    *warnings, left_out = result.warnings
    assert re.search("joined with dask_validator (9.9|missing) .* was left out", left_out)
    assert pids(result) == {first.pid}
    assert verdicts(replace(result, warnings=warnings)) == serial.verdicts
    assert answers(small) == serial.answers


@only_linux
@pytest.mark.parametrize("stale", [False, True], ids=["no file", "another file"])
@pytest.mark.usefixtures("many_tasks")
def test_late_worker_that_does_not_see_the_file(
    cluster: Cluster, small: Path, serial: Serial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stale: bool
) -> None:
    """A worker that joins after everybody saw the file gets its outcomes sent, and never reads another file instead."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if stale:
        change(Path(shutil.copy(small, elsewhere)), "UPDATE orb_outcomes SET pnl_r = -1")
    first = cluster.start_worker(folder=small.parent, preload=SLOW)
    cluster.wait_for(1)
    blind: list[str] = []
    late = []

    def add() -> None:
        late.append(cluster.start_worker(folder=elsewhere).pid)
        cluster.wait_for(2)

    meanwhile = Meanwhile(add)

    def listen(event: Event) -> None:
        if isinstance(event, Ready):
            blind.extend(event.blind)
        meanwhile(event)

    monkeypatch.chdir(small.parent)
    result = run_on(cluster.client, Path("/proc/self/cwd") / small.name, listen)

    *warnings, sent = result.warnings
    assert not blind
    assert "joined late" in sent
    assert pids(result) == {first.pid, *late}
    assert verdicts(replace(result, warnings=warnings)) == serial.verdicts
    assert answers(small) == serial.answers


def test_cluster_without_workers_yet(cluster: Cluster, small: Path) -> None:
    """Batch systems give workers later: the run says that it waits, and then checks and uses them."""
    said: list[str] = []
    worker = cluster.start_worker()
    with open_executor(client=cluster.client, say=said.append) as executor:
        assert executor.workers == 1

    assert said == ["The cluster has no workers yet; waiting for the first"]
    assert cluster.address_of(worker)


@pytest.mark.usefixtures("many_tasks")
def test_scheduler_killed(tmp_path_factory: pytest.TempPathFactory, small: Path) -> None:
    """A run whose scheduler dies ends with one line, and with the database as it was."""
    before = small.read_bytes()
    with running_scheduler(DASK, tmp_path_factory.mktemp("dying_scheduler"), LOST_S) as client:
        cluster = Cluster(client, tmp_path_factory.mktemp("workers"))
        worker = cluster.start_worker(preload=SLOW)
        cluster.wait_for(1)
        pid = client.run_on_scheduler(os.getpid)
        try:
            with pytest.raises(Incomplete, match="scheduler"):
                run_on(client, small, Meanwhile(lambda: os.kill(pid, signal.SIGKILL)))
        finally:
            end(worker)

    assert small.read_bytes() == before


def claiming(**versions: str) -> str:
    """A script for a worker that claims to have other versions."""
    return CLAIMS.replace("CLAIMED", repr(versions))


def test_another_version_at_the_start(cluster: Cluster, small: Path, command: Command) -> None:
    """Workers with another version of the package stop the run at once, with a table and nothing written."""
    before = small.read_bytes()
    cluster.start_worker(preload=claiming(dask_validator="9.9"))
    cluster.wait_for(1)
    ran = command("run", "--db", small, "--scheduler", cluster.address, "--wf-output", "wf.jsonl")
    line, header, here, worker = ran.stderr.splitlines()

    assert ran.code == 2
    assert "differ from this process in dask_validator;" in line
    assert header.split() == ["dask_validator"]
    assert here.split() == ["here", OURS["dask_validator"]]
    assert worker.split() == [*cluster.client.nthreads(), "9.9"]
    assert small.read_bytes() == before
    assert not (small.parent / "wf.jsonl").exists()


@pytest.mark.parametrize(("name", "version"), [("python", "3.5.1"), ("dask", "2020.1.0")])
def test_another_minor_version_at_the_start(cluster: Cluster, small: Path, name: str, version: str) -> None:
    """Python and Dask must agree up to the minor version: what one pickles the other could not read."""
    before = small.read_bytes()
    cluster.start_worker(preload=claiming(**{name: version}))
    cluster.wait_for(1)

    with pytest.raises(InputError, match=f"differ from this process in {name};") as caught:
        validate(small, "MGC", config(small), client=cluster.client, progress=False)
    assert version in str(caught.value.details)
    assert small.read_bytes() == before


def test_another_patch_version_at_the_start(
    cluster: Cluster, small: Path, serial: Serial, capsys: pytest.CaptureFixture[str]
) -> None:
    """A harmless difference is one warning, and the run goes on."""
    other = ".".join([*importlib.metadata.version("numpy").split(".")[:2], "999"])
    cluster.start_worker(preload=claiming(numpy=other))
    cluster.wait_for(1)
    result = validate(small, "MGC", config(small), client=cluster.client)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "workers run" in line]

    assert warnings == [f"warning: 1 of 1 workers run numpy {other} (here {OURS['numpy']})"]
    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers


@pytest.mark.parametrize(
    ("theirs", "fatal", "harmless"),
    [
        ({}, [], []),
        ({"dask_validator": f"{OURS['dask_validator']}.1"}, ["dask_validator"], []),
        ({"python": "3.5.1"}, ["python"], []),
        ({"python": ".".join([*platform.python_version_tuple()[:2], "999"])}, [], ["python"]),
        ({"dask": "2020.1.0", "distributed": "2020.1.0"}, ["dask", "distributed"], []),
        ({"numpy": "1.0.0"}, [], ["numpy"]),
        ({"duckdb": "missing", "numpy": "1.0.0"}, ["duckdb"], ["numpy"]),
        (dict.fromkeys(OURS, "missing"), sorted(OURS), []),
    ],
)
def test_what_differs(theirs: dict[str, str], fatal: list[str], harmless: list[str]) -> None:
    """The package must be the same, Python and Dask nearly, and nothing may be missing; the rest is a warning."""
    assert envelope.differences(OURS, OURS | theirs) == (fatal, harmless)


def test_unknown_versions_are_fatal() -> None:
    """A worker that says nothing about a package does not have it."""
    assert envelope.differences(OURS, {}) == (sorted(OURS), [])


def test_scheduler_and_workers_exclude_each_other(small: Path, command: Command) -> None:
    """Two places to compute are a usage error, not a silent choice."""
    before = small.read_bytes()
    ran = command("run", "--db", small, "--scheduler", "tcp://127.0.0.1:1", "--workers", 2)

    assert ran.code == 2
    assert "--workers and --scheduler exclude each other" in ran.stderr
    assert small.read_bytes() == before


def test_nobody_answers(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong address is one clear line that names it, and nothing is written."""
    monkeypatch.setattr(execution_client, "CONNECT_S", "1 s")
    before = small.read_bytes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError) as caught, open_executor(scheduler=address):
            pass

    assert caught.value.exit_code == 2
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
    assert small.read_bytes() == before


@pytest.mark.usefixtures("many_tasks")
def test_scheduler_knows_few_tasks_at_once(small: Path, serial: Serial) -> None:
    """A million strategies must not lie on somebody else's scheduler: only a window of the tasks is there."""
    known: list[int] = []
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as local, Client(local, set_as_default=False) as client:
        result = run_on(client, small, lambda event: known.append(unfinished_tasks(local.scheduler)))
    window = in_flight.IN_FLIGHT

    assert len(result.timings) > 5 * window
    assert 0 < max(known) <= window, known
    assert verdicts(result) == serial.verdicts
    assert answers(small) == serial.answers
