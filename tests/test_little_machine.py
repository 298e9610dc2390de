"""Machines and configurations on which a cluster of our own can hardly start: fewer workers, or one line."""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from dask_validator import InputError, RunConfig, validate
from dask_validator.api.executors import open_executor
from dask_validator.execution.dask import dask_config
from tests.conftest import Command, Ran
from tests.support.tiny import tiny_database

MB = 10**6
HOSTILE = """
scheduler-address: tcp://127.0.0.1:1
distributed:
  dashboard: {link: "https://hub/{NO_SUCH_VARIABLE}/{port}/status"}
  comm:
    default-scheme: tls
    require-encryption: true
    timeouts: {connect: 1ms, tcp: 1ms}
    tls: {ca-file: /nowhere, scheduler: {cert: /nowhere}}
  scheduler:
    preload: [no_such_module]
    http: {routes: [no.such.module]}
    dashboard: {tls: {cert: /nowhere, key: /nowhere}}
  worker:
    preload: [no_such_module]
    memory: {terminate: 0.00001, pause: 0.00001, target: 0.00001, spill: 0.00001}
    lifetime: {duration: 1s}
  nanny: {preload: [no_such_module], environ: 3}
  client: {preload: [no_such_module], security-loader: no.such}
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One strategy, which passes."""
    return tiny_database(tmp_path / "tiny.duckdb")


def limited(limits: Mapping[int, int], database: Path, *args: object) -> Ran:
    """Runs the command where less may be had."""

    def limit() -> None:
        for what, most in limits.items():
            resource.setrlimit(what, (most, most))

    command = [sys.executable, "-m", "dask_validator", "run", "--db", database, "--wf-output", "wf.jsonl", *args]
    done = subprocess.run(
        list(map(str, command)),
        cwd=database.parent,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(("memory", "asked", "used"), [(1_000 * MB, 8, 3), (250 * MB, 2, 1)])
def test_little_memory(database: Path, memory: int, asked: int, used: int) -> None:
    """More workers than there is memory for are fewer, down to none beside this process, and the log says so."""
    ran = limited({resource.RLIMIT_RSS: memory}, database, "--workers", asked, "--json")

    assert ran.code == 0, ran.stderr
    assert f"{memory // MB:,} MB may be taken here (machine, cgroup, ulimit -m): {used} used" in ran.stderr
    assert ran.summary["walkforward"]["workers"] == used
    assert ran.summary["passed"] == 1


def test_few_open_files(database: Path) -> None:
    """More workers than there may be files open for are refused in one line that says how many there may be."""
    before = database.read_bytes()
    ran = limited({resource.RLIMIT_NOFILE: 64}, database, "--workers", 8)

    assert ran.code == 2
    [line] = ran.stderr.splitlines()
    assert "got --workers 8 where 64 files may be open (ulimit -n)" in line
    assert database.read_bytes() == before
    fewer = line.rpartition(" ")[2]
    assert limited({resource.RLIMIT_NOFILE: 64}, database, "--workers", fewer, "--no-dashboard").code == 0


def test_deep_temporary_directory(database: Path, tmp_path: Path, command: Command) -> None:
    """A temporary directory whose path is too long for a socket does as well as any, and is empty afterwards."""
    deep = tmp_path / ("deep" * 25)
    deep.mkdir()
    ran = command("run", "--db", database, "--workers", 2, "--wf-output", "wf.jsonl", env={"TMPDIR": str(deep)})

    assert ran.code == 0, ran.stderr
    assert list(deep.iterdir()) == []


def validate_in_a_pool(database: Path, workers: int | None) -> str:
    """Runs in a daemonic process; what it comes to."""
    try:
        config = RunConfig(wf_output=str(database.parent / "wf.jsonl"))
        return str(validate(database, config=config, workers=workers, progress=False).summary["passed"])
    except InputError as error:
        return str(error)


def test_daemonic_process(database: Path) -> None:
    """A process of a Pool, which may have no children, is told to use one worker, and uses one if not told how many."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        refused, passed = pool.map(partial(validate_in_a_pool, database), [2, None])

    assert "daemonic process" in refused
    assert "needed workers=1 there" in refused
    assert passed == "1"


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A folder with the user's configuration of Dask."""
    folder = tmp_path / "dask"
    folder.mkdir()
    return folder


def test_configuration_for_other_clusters(database: Path, configured: Path, command: Command) -> None:
    """Whatever the user has configured for clusters of others, also what is broken, does not touch a run's own one."""
    (configured / "dask.yaml").write_text(HOSTILE)
    env = {"DASK_CONFIG": str(configured)}
    ran = command("run", "--db", database, "--workers", 2, "--wf-output", "wf.jsonl", env=env)

    assert ran.code == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Dask dashboard: http://127.0.0.1:" in ran.stderr


@pytest.mark.parametrize("args", [("--workers", 2), ("--scheduler", "tcp://127.0.0.1:1")], ids=str)
def test_configuration_that_cannot_be_read(
    database: Path, configured: Path, command: Command, args: tuple[object, ...]
) -> None:
    """Malformed YAML is one line that names the file, and nothing is written."""
    before = database.read_bytes()
    (configured / "broken.yaml").write_text("distributed: [1")
    ran = command("run", "--db", database, *args, env={"DASK_CONFIG": str(configured)})

    assert ran.code == 2
    [line] = ran.stderr.splitlines()
    assert str(configured / "broken.yaml") in line
    assert database.read_bytes() == before
    serial = command("run", "--db", database, "--workers", 1, "-v", env={"DASK_CONFIG": str(configured)})
    assert serial.code == 0, serial.stderr


def test_cluster_that_cannot_start(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps a cluster of our own from starting is one line that says why and what to do instead."""
    before = database.read_bytes()
    monkeypatch.setitem(dask_config.OURS, "distributed.scheduler.preload", ["no_such_module"])
    with pytest.raises(InputError, match=r"No module named 'no_such_module'.*--workers 1") as caught:
        validate(database, workers=2, progress=False)

    assert "\n" not in str(caught.value)
    assert database.read_bytes() == before


@pytest.mark.parametrize("template", ["{NO_SUCH_VARIABLE}", "{", "{0}", None])
def test_link_that_cannot_be_formed(template: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template for links that cannot be filled in is replaced by the plain one."""
    with dask.config.set({dask_config.LINK: template}):
        assert dask_config.link() == "{scheme}://{host}:{port}/status"
    monkeypatch.setenv("HUB", "hub")
    with dask.config.set({dask_config.LINK: "https://{HUB}/{port}"}):
        assert dask_config.link() == "https://{HUB}/{port}"


def test_link_of_a_cluster_of_others() -> None:
    """A template that cannot be filled in here does not keep a run off a cluster that is there."""
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(**options, protocol="tcp") as cluster,
        Client(cluster, set_as_default=False) as client,
        dask.config.set({dask_config.LINK: "{NO_SUCH_VARIABLE}"}),
        open_executor(client=client) as executor,
    ):
        assert str(executor.dashboard_link).startswith("http://127.0.0.1:")


def test_client_that_cannot_be_made() -> None:
    """What the user's configuration makes of a client for a cluster of others is one line when it fails."""
    options = {"processes": False, "n_workers": 0, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(**options, protocol="tcp") as cluster,
        dask.config.set({"distributed.client.preload": ["no_such_module"]}),
        pytest.raises(InputError, match=r"Dask can make no client here .*'no_such_module'") as caught,
        open_executor(scheduler=cluster.scheduler_address),
    ):
        pass
    assert "\n" not in str(caught.value)
