"""Clusters without workers: of those that scale from zero, and of those where none comes for long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from dask_validator import RunConfig, validate
from dask_validator.api.executors import open_executor
from dask_validator.execution.dask import first_worker
from tests.conftest import Command
from tests.support.tiny import rows_by_id, tiny_database

BOUND_S = 90
pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture
def empty() -> Iterator[LocalCluster]:
    """A cluster of threads in this process, reached as any other, with no worker."""
    with LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture
def from_zero(empty: LocalCluster) -> LocalCluster:
    """A cluster that has workers while there are tasks."""
    empty.adapt(minimum=0, maximum=1, interval="50 ms")
    return empty


def test_client_of_a_cluster_that_scales_from_zero(from_zero: LocalCluster, tmp_path: Path) -> None:
    """`validate(client=)` gets its first worker where workers come only for tasks."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    config = RunConfig(wf_output=str(tmp_path / "wf.jsonl"))
    with Client(from_zero, set_as_default=False) as client:
        result = validate(database, config=config, client=client, progress=False)

    assert result.summary["committed"]
    assert rows_by_id(database, "validated_setups").keys() == {"MGC_GOOD"}


def test_address_of_a_cluster_that_scales_from_zero(from_zero: LocalCluster, tmp_path: Path, command: Command) -> None:
    """`--scheduler` gets its first worker where workers come only for tasks, and says that it waits for it."""
    ran = command("run", "--db", tiny_database(tmp_path / "tiny.duckdb"), "--scheduler", from_zero.scheduler_address)

    assert ran.code == 0, ran.stderr
    assert "The cluster has no workers yet; waiting for the first" in ran.stderr


def test_scaled_to_zero_while_the_run_did_other_things(from_zero: LocalCluster) -> None:
    """A cluster whose last worker left while the run screened is asked for one again, not taken for lost."""
    said: list[str] = []
    with Client(from_zero, set_as_default=False) as client, open_executor(client=client, say=said.append) as executor:
        from_zero.adapt(minimum=0, maximum=0)
        while client.nthreads():
            time.sleep(0.01)
        from_zero.adapt(minimum=0, maximum=1, interval="50 ms")
        executor.wait()
        assert client.nthreads()

    assert "The cluster has no workers left; waiting for the first" in said


def test_no_worker_for_long(empty: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that waits for long says once what it waits for, where, and how to end it."""
    monkeypatch.setattr(first_worker, "PATIENCE_S", 0.0)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 2:
            empty.scale(1)

    with Client(empty, set_as_default=False) as client, open_executor(client=client, say=say):
        pass

    assert len(said) == 2
    assert f"The scheduler at {empty.scheduler_address} has a task of ours" in said[1]
    assert "Ctrl-C ends this run" in said[1]
