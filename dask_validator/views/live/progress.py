"""From a run's events to what its page shows: one small message that holds the whole state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from heapq import nlargest
from typing import Any

from dask_validator.events import (
    Asking,
    Committed,
    Committing,
    Computed,
    Decided,
    Ended,
    Ending,
    Event,
    Failures,
    Ready,
    Screened,
    Started,
    TakenOver,
    TaskDone,
)
from dask_validator.model import Answer, TaskTiming
from dask_validator.wording import sentences

Message = dict[str, Any]
PATH, TOPIC = "validation", "dask_validator"  # of the page, and of the messages

# What bounds a message to 50 kB.
MOST_POINTS = 240
MOST_WORKERS = 24
MOST_SLOWEST = MOST_FAILURES = 8
LONGEST_ID, LONGEST_REASON = 80, 300

COUNTED = "passed", "rejected", "skipped", "failed"


class State(StrEnum):
    """What a run is doing; how it has ended is an `Ending`."""

    SCREENING = "screening"
    WAITING = "waiting for workers"
    COMPUTING = "computing"
    DECIDING = "deciding"
    COMMITTING = "committing"


class Progress:
    """The state of one run, told by its events; cheap to tell, a message is made when asked for."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = clock()
        self._began_computing: float | None = None
        self._earlier_rounds_s = 0.0
        self._wall_s: float | None = None  # exactly, once it is known
        self._number = 0
        self._about: Message = {
            "state": State.SCREENING,
            "reason": "",
            "committed": False,
            "started": time.time(),
            "asking": "",
        }
        self._summary: Mapping[str, Any] = {}
        self._counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self._phases: dict[str, int] = {}
        self._computed = self._taken_over = self._to_compute = self._waiting = 0
        self._workers = self._tasks = self._tasks_done = 0
        self._sum_s = self._cpu_s = 0.0
        self._points: list[tuple[float, int, float, float]] = []
        self._points_computed = 0
        self._by_worker: dict[str, list[Any]] = {}
        self._slowest: list[tuple[float, str]] = []
        self._failures: list[tuple[str, str]] = []

    def see(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Started():
                self._about |= {**event._asdict(), "state": State.SCREENING}
            case Screened(waiting, to_compute, so_far):
                self._screened(waiting, to_compute, *so_far())
            case TakenOver(answers, judged):
                self._taken_over += len(answers)
                self._answered(answers, judged)
            case Ready(workers, tasks):
                self._about["state"] = State.COMPUTING
                self._workers, self._tasks = workers, self._tasks + tasks
                self._began_computing, self._wall_s = self._clock(), None
            case TaskDone(strategies, answers, timing, judged):
                self._answered(answers, judged)
                self._task_done(strategies, answers, timing)
            case Asking(what, strategies):
                self._ask(what, strategies)
            case Computed(wall_s):
                self._stop_computing(self._earlier_rounds_s + wall_s)
                self._about["state"] = State.DECIDING
            case Decided(summary, failed):
                self._summary = summary
                self._about["state"] = State.DECIDING
                if self._began_computing is not None:  # the cluster was lost
                    self._stop_computing(self._computing_s())
                self._fail(failed)
            case Committing():
                self._about["state"] = State.COMMITTING
            case Committed():
                self._about["committed"] = True
            case Ended(ending, reason):
                self._stop_computing(self._computing_s())
                self._about |= {"state": ending, "reason": reason[:LONGEST_REASON]}

    def message(self) -> Message:
        """The whole state as plain values of a bounded size."""
        self._number += 1
        busiest = nlargest(MOST_WORKERS, self._by_worker.items(), key=lambda of_worker: of_worker[1][0])
        return {
            **{name: str(value) if isinstance(value, StrEnum) else value for name, value in self._about.items()},
            "ended": isinstance(self._about["state"], Ending),
            "number": self._number,
            "elapsed_s": self._clock() - self._began,
            "waiting": self._waiting,
            "to_compute": self._to_compute,
            "taken_over": self._taken_over,
            "computed": self._computed,
            "workers": self._workers,
            "tasks": self._tasks,
            "tasks_done": self._tasks_done,
            "counts": self._current_counts(),
            "unjudged": sentences.not_judged(self._summary),
            "doubt": sentences.unknown_filters(self._summary),
            "discoveries": list(sentences.discoveries(self._summary["fdr"])) if "fdr" in self._summary else [],
            "computing_s": self._computing_s(),
            "round_s": self._computing_s() - self._earlier_rounds_s,
            "sum_s": self._sum_s,
            "cpu_s": self._cpu_s,
            "points": self._points if self._wall_s is None else [*self._points, self._point()],
            "by_worker": [[name[:LONGEST_ID], *of_worker] for name, of_worker in sorted(busiest)],
            "other_workers": max(0, len(self._by_worker) - MOST_WORKERS),
            "slowest": [[strategy_id, seconds] for seconds, strategy_id in self._slowest],
            "failures": [list(failure) for failure in self._failures[::-1]],
        }

    def _ask(self, what: str, strategies: int) -> None:
        """What is answered so far is about something else."""
        self._about["asking"] = what
        self._to_compute, self._taken_over = strategies, 0
        self._earlier_rounds_s, self._began_computing = self._computing_s(), None
        self._points_computed, self._computed = self._computed + self._points_computed, 0

    def _screened(self, waiting: int, to_compute: int, counts: Mapping[str, Any], failed: Failures) -> None:
        """Also after others have changed the database: then all is looked at again."""
        self._about["state"] = State.WAITING if to_compute else State.DECIDING
        self._waiting, self._to_compute = waiting, to_compute
        self._earlier_rounds_s, self._began_computing = self._computing_s(), None
        self._summary = {}
        self._counts = {name: counts.get(name, 0) for name in COUNTED}
        self._phases = dict(counts.get("rejected_by_phase", {}))
        self._taken_over, self._points_computed = 0, self._computed + self._points_computed
        self._computed = 0
        self._failures = []
        self._fail(failed)

    def _task_done(self, strategies: int, answers: Sequence[Answer], timing: TaskTiming | None) -> None:
        self._tasks_done += 1
        self._computed += strategies
        floor = self._slowest[-1][0] if len(self._slowest) == MOST_SLOWEST else 0.0
        slow = [(answer.seconds, answer.strategy_id[:LONGEST_ID]) for answer in answers if answer.seconds > floor]
        if slow:
            self._slowest = nlargest(MOST_SLOWEST, [*self._slowest, *slow])
        if timing is not None:
            self._sum_s += timing.wall_s
            self._cpu_s += timing.cpu_s
            of_worker = self._by_worker.setdefault(timing.worker, [0, 0, 0.0])
            of_worker[0] += 1
            of_worker[1] += timing.strategies
            of_worker[2] += timing.wall_s
        self._points.append(self._point())
        if len(self._points) > MOST_POINTS:
            del self._points[:-1:2]  # they are cumulative: only resolution is lost

    def _answered(self, answers: Iterable[Answer], judged: Mapping[str, int]) -> None:
        """Provisional until all is decided: an answer does not say whether its strategy was rejected before."""
        for answer in answers:
            if error := answer.lost or answer.error or (answer.walkforward and answer.split_error):
                self._counts["failed"] += 1
                self._note_failure(answer.strategy_id, str(error))
        rejected = judged.get("rejected", 0)
        self._counts["passed"] += judged.get("passed", 0)
        self._counts["rejected"] += rejected
        self._phases["6"] = self._phases.get("6", 0) + rejected

    def _fail(self, failed: Failures) -> None:
        known = dict(self._failures)
        for strategy_id, reason in failed[-MOST_FAILURES:]:
            if strategy_id[:LONGEST_ID] not in known:
                self._note_failure(strategy_id, reason)

    def _note_failure(self, strategy_id: str, reason: str) -> None:
        self._failures.append((strategy_id[:LONGEST_ID], reason[:LONGEST_REASON]))
        del self._failures[:-MOST_FAILURES]

    def _current_counts(self) -> dict[str, Any]:
        decided = self._summary or {**self._counts, "rejected_by_phase": self._phases}
        return {name: decided[name] for name in (*COUNTED, "rejected_by_phase")}

    def _stop_computing(self, wall_s: float) -> None:
        self._wall_s, self._began_computing = wall_s, None

    def _computing_s(self) -> float:
        """Of all rounds, from the first task that was handed out to now, or to the last answer."""
        if self._wall_s is not None:
            return self._wall_s
        if self._began_computing is None:
            return self._earlier_rounds_s
        return self._earlier_rounds_s + self._clock() - self._began_computing

    def _point(self) -> tuple[float, int, float, float]:
        """Seconds of computing; strategies, seconds of tasks and CPU seconds until then."""
        before = self._points[-1][0] if self._points else 0.0  # the run's own clock began a little later than ours
        return max(before, self._computing_s()), self._points_computed + self._computed, self._sum_s, self._cpu_s
