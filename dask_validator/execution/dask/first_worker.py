"""The first worker of a cluster that has none: of one that scales from zero, or that stands in a queue."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

from distributed import Client

from dask_validator.execution.dask.asking import asked
from dask_validator.execution.dask.attendance import ended_by_thresholds
from dask_validator.system.interrupts import held_back

POLL_S = 0.2
PATIENCE_S = 60.0  # of a user who reads nothing new


def wait_for_a_worker(client: Client, say: Callable[[str], None], since: str = "yet") -> None:
    """Return once there is a worker, however long that takes; it is asked for with a task.

    What scales by itself follows the tasks that wait; nobody else knows that we do.

    Raises
    ------
    OSError
        The scheduler has gone, or does not answer.
    Incomplete
        Thresholds of the cluster end its workers before they do anything.
    """
    if asked(client.nthreads):
        return
    say(f"The cluster has no workers {since}; waiting for the first")
    key = f"dask-validator-waits-for-a-worker-{secrets.token_hex(4)}"
    waiting = client.submit(os.getpid, key=key, pure=False)  # of the standard library, which every worker has
    ended_before = len(ended_by_thresholds(client))
    patient_until = time.monotonic() + PATIENCE_S
    with held_back() as interrupts:
        while not asked(client.nthreads) and not interrupts:
            time.sleep(POLL_S)
            if ended := ended_by_thresholds(client)[ended_before:]:
                raise ended[-1].error
            if time.monotonic() > patient_until:
                patient_until = float("inf")
                say(_still(client))
    del waiting


def _still(client: Client) -> str:
    address = asked(lambda: client.scheduler_info(n_workers=0))["address"]
    return (
        f"Still no worker after {PATIENCE_S:g} s. The scheduler at {address} has a task of ours and "
        "nobody to give it to: start a worker, or see what its queue or autoscaler says (Ctrl-C ends this run)"
    )
