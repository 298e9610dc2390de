"""Workers of a cluster of others that are there and cannot compute: paused, or ended by thresholds of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster, Status

from dask_validator import Incomplete, validate
from dask_validator.execution.dask.client import ClientExecutor
from dask_validator.execution.dask.forkserver import prepare
from tests.support.jobs import job
from tests.support.tiny import tiny_database

BOUND_S = 90
pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture
def two() -> Iterator[LocalCluster]:
    """Two workers of one thread in this process."""
    options = {"processes": False, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, **options) as cluster:
        yield cluster


def pause(cluster: LocalCluster, *numbers: int) -> list[str]:
    """Makes workers behave as above Dask's threshold; their addresses."""

    async def paused() -> None:
        for number in numbers:
            cluster.workers[number].status = Status.paused
        while len(cluster.scheduler.running) != len(cluster.workers) - len(numbers):
            await asyncio.sleep(0.01)

    cluster.sync(paused)
    return [cluster.workers[number].address for number in numbers]


def test_every_worker_is_paused(two: LocalCluster) -> None:
    """Workers that pause for their memory are named at once, and not waited for without end."""
    said: list[str] = []
    addresses = pause(two, 0, 1)
    with Client(two, set_as_default=False) as client:
        executor = ClientExecutor(client, patience_s=0.0, say=said.append)
        with pytest.raises(Incomplete, match="every worker is paused") as caught:
            list(executor.map(job(abs, range(3))))

    [line] = said
    assert "distributed.worker.memory.pause" in line
    assert all(address in line and address in str(caught.value) for address in addresses)


def test_one_worker_is_paused(two: LocalCluster) -> None:
    """Where one worker of two is paused, the other does all the work."""
    pause(two, 0)
    with Client(two, set_as_default=False) as client:
        executor = ClientExecutor(client, patience_s=0.0)
        assert sorted(executor.map(job(abs, range(30)))) == list(range(30))


@contextmanager
def ending_at(size: int) -> Iterator[Client]:
    """A client of a cluster whose only worker is ended and replaced when it takes so many bytes."""
    prepare()  # Dask would have the process from which all workers of this suite are forked import other things
    thresholds = {**dict.fromkeys(("pause", "spill", "target"), False), "terminate": 1.0}
    configured = {
        **{f"distributed.worker.memory.{name}": value for name, value in thresholds.items()},
        "distributed.worker.multiprocessing-method": "forkserver",  # which starts faster
        "distributed.scheduler.allowed-failures": 0,
    }
    options = {"n_workers": 1, "threads_per_worker": 1, "silence_logs": 50, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(configured),
        LocalCluster(memory_limit=size, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


NO_STRATEGY = r"was ended at \d+ MB by its cluster's own threshold, not by a strategy"


def test_a_threshold_that_ends_workers_that_do_nothing(tmp_path: Path) -> None:
    """Workers that the cluster's threshold ends before they do anything are said to be; nothing is FAILED or waits."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    before = database.read_bytes()
    with ending_at(10**6) as client, pytest.raises(Incomplete, match=NO_STRATEGY):
        validate(database, client=client, progress=False)

    assert database.read_bytes() == before


def test_a_threshold_that_ends_workers_that_compute() -> None:
    """A worker that is ended at a size that any has while it computes is not held against the task it had."""
    takes_220_mb = "(bytearray(b'x') * 220_000_000, __import__('time').sleep(600))"
    with ending_at(250 * 10**6) as client, pytest.raises(Incomplete, match=NO_STRATEGY):
        list(ClientExecutor(client).map(job(eval, [takes_220_mb])))
