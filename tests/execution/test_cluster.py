"""Tasks on Dask."""

from __future__ import annotations

import signal
import time

import pytest
from distributed import Client

from dask_validator.execution.client import ClientExecutor


def slowly(number: int) -> int:
    """A task that leaves time for Ctrl-C."""
    time.sleep(0.05)
    return number


def press_ctrl_c_after_three(executor: ClientExecutor, results: list[int]) -> None:
    """A run of five seconds, interrupted near its start."""
    for result in executor.map(slowly, range(100), "ctrl-c", lambda task: task):
        results.append(result)
        if len(results) == 3:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_the_computing_early() -> None:
    """Ctrl-C while workers compute is acted on at once, not when the last task is done."""
    results: list[int] = []

    with (
        Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client,
        pytest.raises(KeyboardInterrupt),
    ):
        press_ctrl_c_after_three(ClientExecutor(client), results)

    assert 3 <= len(results) < 50
