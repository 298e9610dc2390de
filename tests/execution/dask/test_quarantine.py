"""Which of many suspects kill or hang their workers, found with few deaths; nobody else is blamed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.execution.dask.in_flight import Dead
from dask_validator.execution.dask.quarantine import quarantined

Task = tuple[int, ...]

TIMEOUT_S = 600.0
RESTART_S = 1.0


class Numbers:
    """Tasks that are tuples of numbers, and when they are lost are their own result, with the reason."""

    def carried(self, task: Task) -> Task:
        """The task, which needs no file."""
        return task

    def parts(self, task: Task, most: int) -> list[Task]:
        """The task cut into at most so many."""
        size = -(-len(task) // most)
        return [task[start : start + size] for start in range(0, len(task), size)]

    def lost(self, task: Task, reason: str) -> tuple[Task, str]:
        """What stands for the result."""
        return task, reason


class Flight:
    """A cluster whose workers die of some numbers, hang at others, and are killed once at yet others by somebody else.

    It tries each task as often as Dask is told to, and keeps its own time.
    """

    def __init__(
        self,
        killing: Collection[int] = (),
        hanging: Collection[int] = (),
        unlucky: Collection[int] = (),
        allowed_failures: int = 0,
    ) -> None:
        self.interrupts: list[int] = []
        self.now = 0.0
        self.deaths = 0
        self.landed: list[Task] = []
        self._killing, self._hanging, self._unlucky = set(killing), set(hanging), set(unlucky)
        self._attempts = allowed_failures + 1
        self._dead: list[Dead] = []

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def results(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The result of the one task that may be in flight, unless its workers die."""
        [task] = tasks
        for _ in range(self._attempts):
            if not self._kills(task):
                self.landed.append(task)
                yield task
                return
            self.deaths += 1
            self.now += RESTART_S
        self._dead.append(Dead(task, self._attempts))

    def dead(self) -> list[Dead]:
        """Tasks whose workers died since this was last asked."""
        found, self._dead = self._dead, []
        return found

    def _kills(self, task: Task) -> bool:
        for number in task:  # the first decides, as in a worker
            if number in self._unlucky or number in self._killing:
                self._unlucky.discard(number)
                return True
            if number in self._hanging:
                self.now += TIMEOUT_S
                return True
        return False


def lost(flight: Flight, suspects: Sequence[Task]) -> dict[int, str]:
    """What is lost, with the reasons, after a check that whatever is not has a result of its own, once."""
    reasons: dict[int, str] = {}
    for result in quarantined(cast(Any, flight), suspects, Numbers(), TIMEOUT_S, flight.monotonic):
        match result:
            case (tuple() as task, str() as reason):
                reasons |= dict.fromkeys(task, reason)
    assert sorted([*chain(*flight.landed), *reasons]) == sorted(chain(*suspects))
    return reasons


THOUSAND = tuple(range(1_000))
KILLED = "killed {} workers that computed nothing else (crash, exit, or too much memory)"
LATE = "no result within 600 s (--task-timeout)"


@pytest.mark.parametrize(("allowed_failures", "workers"), [(0, 2), (3, 4)])
def test_killers_among_a_thousand(allowed_failures: int, workers: int) -> None:
    """A killer costs a handful of workers, however many strategies its task has: two cuts leave it alone."""
    killing = {3, 500, 999}
    flight = Flight(killing=killing, allowed_failures=allowed_failures)

    assert lost(flight, [THOUSAND]) == dict.fromkeys(killing, KILLED.format(workers))
    assert flight.deaths <= len(killing) * max(4, 3 * (allowed_failures + 1))


def test_hangs_among_a_thousand() -> None:
    """A strategy that hangs costs two time-outs, in its part and alone, as each takes ten minutes."""
    hanging = {7, 640}
    flight = Flight(hanging=hanging)

    assert lost(flight, [THOUSAND]) == dict.fromkeys(hanging, LATE)
    assert flight.deaths == 2 * len(hanging)


@pytest.mark.parametrize("suspects", [[(5,)], [(4, 5, 6)], [THOUSAND]], ids=["alone", "with others", "with many"])
def test_an_innocent(suspects: list[Task]) -> None:
    """A worker that somebody else has killed is not held against the strategy it computed."""
    flight = Flight(unlucky={5})

    assert lost(flight, suspects) == {}
    assert flight.deaths == 1


NUMBERS = st.sets(st.integers(0, 99), max_size=8)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(1, 100), st.sampled_from([0, 1, 3]))
def test_whoever_they_are(
    killing: set[int], hanging: set[int], unlucky: set[int], size: int, allowed_failures: int
) -> None:
    """Culprits are lost, each with its own reason; everybody else has a result, whatever they shared a task with."""
    hanging -= killing
    flight = Flight(killing, hanging, unlucky - hanging - killing, allowed_failures)
    suspects = [THOUSAND[start : min(start + size, 100)] for start in range(0, 100, size)]
    killed = KILLED.format(max(2, allowed_failures + 1))

    assert lost(flight, suspects) == dict.fromkeys(killing, killed) | dict.fromkeys(hanging, LATE)


def test_ctrl_c() -> None:
    """An interrupt ends the search; what is not decided then is left for another run."""
    flight = Flight(killing={999})
    for _ in quarantined(cast(Any, flight), [THOUSAND], Numbers(), TIMEOUT_S):
        flight.interrupts.append(2)

    assert len(flight.landed) == 1
