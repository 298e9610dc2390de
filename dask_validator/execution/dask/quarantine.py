"""Tasks whose worker died, apart from all others, until it is known which strategies kill: they alone are lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from dask_validator.execution.dask.in_flight import Dead, Flight
from dask_validator.execution.executor import ONE_BY_ONE, Handling

PARTS = 16  # into which a suspect is cut
CHANCES = 2  # deaths: one that somebody else has caused is not repeated

Task = TypeVar("Task")
Result = TypeVar("Result")


def quarantined(
    flight: Flight,
    suspects: Iterable[Task],
    handling: Handling[Task, Result],
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Result]:
    """Yield a result for every suspect, or for each of its parts; nothing else of ours is in flight meanwhile.

    One after the other, so that whoever is in flight when a worker dies is to blame, unless somebody else has killed
    it. What answers in parts is innocent.
    """
    left = [Dead(part, 0) for task in suspects for part in handling.parts(task, PARTS)][::-1]
    while left and not flight.interrupts:
        task, deaths = left.pop()
        started = clock()
        yield from flight.results([task])
        for dead in flight.dead():
            deaths += dead.deaths
            late = clock() - started >= timeout_s * dead.deaths
            parts = handling.parts(task, ONE_BY_ONE if late else PARTS)  # every further part would take as long
            if len(parts) > 1:
                left += [Dead(part, 0) for part in reversed(parts)]
            elif deaths < CHANCES and not late:
                left.append(Dead(task, deaths))
            else:
                reason = f"no result within {timeout_s:g} s (--task-timeout)" if late else _killed(deaths)
                yield handling.lost(task, reason)


def _killed(workers: int) -> str:
    return f"killed {workers} workers that computed nothing else (crash, exit, or too much memory)"
