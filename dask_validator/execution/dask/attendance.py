"""Who is there to compute: workers go, are paused, or are ended by thresholds that their cluster sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from distributed import Client
from distributed.scheduler import KilledWorker

from dask_validator.errors import Incomplete
from dask_validator.execution.dask.asking import asked
from dask_validator.execution.dask.machine import HEALTHY, megabytes

ASK_S = 1.0
MOST_NAMED = 3
ENDED_FOR_MEMORY = "worker-restart-memory"  # the topic under which nannies say so


class Ended(NamedTuple):
    """A worker that its cluster's own threshold has ended, though it took no more than any worker does."""

    worker: str
    size: int  # bytes

    @property
    def error(self) -> Incomplete:
        """What that means for a run."""
        return Incomplete(
            f"worker {self.worker} was ended at {megabytes(self.size)} by its cluster's own threshold, not by a "
            f"strategy; a worker needs up to {megabytes(HEALTHY)}: raise its memory limit, or "
            "distributed.worker.memory.terminate there"
        )


def ended_by_thresholds(client: Client) -> list[Ended]:
    """All that the scheduler remembers, in order."""
    events = [event for _, event in asked(lambda: client.get_events(ENDED_FOR_MEMORY)) or ()]
    return [Ended(event["worker"], event["rss"]) for event in events if event["rss"] < HEALTHY]


class Attendance:
    """Watches the workers of a cluster while tasks are in flight; `patience_s` is how long nobody may be able to."""

    def __init__(self, client: Client, patience_s: float, say: Callable[[str], None]) -> None:
        self._client = client
        self._patience_s = patience_s
        self._say = say
        self._named: set[str] = set()
        self._killed: set[str] = set()
        self._ended_before = len(ended_by_thresholds(client))
        self.note_progress()

    def note_progress(self) -> None:
        """Whoever answers is there."""
        self._asked = self._seen = time.monotonic()

    def check(self) -> None:
        """Look once a second; a worker that is paused is named.

        Raises
        ------
        Incomplete
            For too long there was none that could start a task.
        """
        now = time.monotonic()
        if now - self._asked < ASK_S:
            return
        self._asked = now
        workers = asked(lambda: self._client.scheduler_info(n_workers=-1))["workers"]
        paused = sorted(address for address, worker in workers.items() if worker["status"] == "paused")
        self._name(paused)
        if len(paused) < len(workers):
            self._seen = now
        elif now - self._seen > self._patience_s:
            raise self._nobody(paused)

    def check_blame(self, killed: KilledWorker) -> None:
        """Raise Incomplete when the worker was ended by a threshold for no more than any task takes."""
        self._killed.add(killed.last_worker.address)
        for ended in ended_by_thresholds(self._client):
            if ended.worker in self._killed:
                raise ended.error

    def _nobody(self, paused: list[str]) -> Incomplete:
        if paused:
            return Incomplete(f"every worker is paused: {_list(paused)}")
        ended = ended_by_thresholds(self._client)[self._ended_before :]
        return ended[-1].error if ended else Incomplete("every worker has gone")

    def _name(self, paused: list[str]) -> None:
        if new := [address for address in paused if address not in self._named]:
            self._named.update(new)
            self._say(
                f"Paused, and starting no task: worker {_list(new)}. It holds more of its memory limit than "
                "distributed.worker.memory.pause allows there"
            )


def _list(addresses: list[str]) -> str:
    more = len(addresses) - MOST_NAMED
    return ", ".join(addresses[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
