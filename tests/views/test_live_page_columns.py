"""What the page of a run shows, without a browser and without Dask: events in, columns and escaped words out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dask_validator.config import RunConfig
from dask_validator.events import (
    Committed,
    Committing,
    Computed,
    Decided,
    Ended,
    Ending,
    Event,
    Ready,
    Screened,
    SoFar,
    Started,
    TakenOver,
    TaskDone,
)
from dask_validator.model import WINDOW_TABLE, Answer, TaskTiming, Walked
from dask_validator.rules.gates import PHASES as PHASE_NAMES
from dask_validator.rules.gates import Terms
from dask_validator.rules.verdicts import provisional
from dask_validator.views.live import columns, markup
from dask_validator.views.live.columns import View
from dask_validator.views.live.progress import Message, Progress
from dask_validator.wording.durations import duration

HOSTILE = "<img src=x onerror=\"window.hacked='yes'\">&amp;'\"\n</div><script>window.hacked='yes'</script>"
THREE_WINDOWS = np.array([(0, 180, 20, 0.3, 0.5, 0.2, np.nan)] * 3, dtype=WINDOW_TABLE)
TERMS = Terms(RunConfig(), waives=False)
PHASES = {str(phase): 0 for phase in PHASE_NAMES}


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


class Told:
    """A run that is told event by event."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.progress = Progress(self.clock)

    def __call__(self, *events: Event, after_s: float = 0.0) -> Told:
        """Tell events, a while after the last ones."""
        self.clock.now += after_s
        for event in events:
            self.progress.see(event)
        return self

    @property
    def message(self) -> Message:
        """What would be sent now, after the way through the wire."""
        sent: Message = json.loads(json.dumps(self.progress.message()))
        return sent


def screened(waiting: int = 10, to_compute: int = 4, failed: tuple[str, ...] = ()) -> Screened:
    """Two strategies are skipped, the other ones that need no outcomes rejected in phase 2, or failed."""
    rejected = waiting - to_compute - 2 - len(failed)
    counts = {"passed": 0, "rejected": rejected, "skipped": 2, "failed": len(failed)}
    failures = [(strategy_id, "no session") for strategy_id in failed]
    return Screened(
        waiting, to_compute, lambda: SoFar({**counts, "rejected_by_phase": PHASES | {"2": rejected}}, failures)
    )


def answer(strategy_id: str = "S", passed: bool = True, error: str | None = None, seconds: float = 0.1) -> Answer:
    """What a worker says of one strategy."""
    walked = Walked(70, THREE_WINDOWS if passed else THREE_WINDOWS[:0])
    return Answer(strategy_id, None if error else walked, None, error, None, seconds)


def task(*answers: Answer, worker: str = "host:1", wall_s: float = 1.0, cpu_s: float = 0.5) -> TaskDone:
    """A task that has answered."""
    timing = TaskTiming(0.0, wall_s, cpu_s, worker, len(answers))
    return TaskDone(len(answers), answers, timing, provisional(answers, TERMS))


def taken_over(*answers: Answer) -> TakenOver:
    """What an earlier run has left."""
    return TakenOver(answers, provisional(answers, TERMS))


def started(strategies: int = 4, workers: int = 2, tasks: int = 2) -> Told:
    """A run whose workers have just begun."""
    told = Told()(Started("run-1", "MGC", "gold.db", False), screened(strategies + 6, strategies))
    return told(Ready(workers, tasks), after_s=1.0)


def summary(**counts: int) -> dict[str, Any]:
    """As far as the page reads it."""
    return {"passed": 0, "rejected": 0, "skipped": 0, "failed": 0, "rejected_by_phase": PHASES} | counts


def view(
    message: Message, silent_s: float = 0.0, running: int = 0, threads: tuple[tuple[float, int], ...] = ()
) -> View:
    """As the scheduler would see it."""
    return View(message, silent_s, running, threads)


def text_of(message: Message, key: str) -> str:
    """One of the big numbers."""
    return next(
        figure.text for figure in (*columns.verdicts(message), *columns.speeds(view(message))) if figure.key == key
    )


def test_states_in_their_order() -> None:
    """A run screens, waits for its workers, computes, decides, commits and is done; each is shown."""
    told = Told()
    seen = [told.message["state"]]
    events: list[Event] = [
        Started("run-1", "MGC", "gold.db", False),
        screened(),
        Ready(2, 1),
        task(answer(), answer(), answer(), answer()),
        Computed(1.0),
        Decided(summary(passed=4), []),
        Committing(10),
        Committed(10),
        Ended(Ending.DONE),
    ]
    for event in events:
        state = told(event).message["state"]
        seen += [state] if state != seen[-1] else []

    assert seen == ["screening", "waiting for workers", "computing", "deciding", "committing", "done"]


@pytest.mark.parametrize("ending", [Ending.NOT_COMMITTED, Ending.INCOMPLETE, Ending.INTERRUPTED, Ending.FAILED])
def test_a_bad_end_is_shown_with_its_reason(ending: Ending) -> None:
    """What went wrong is on the page, and whether the database was written nevertheless."""
    bad = started()(Ended(ending, "the disk is full")).message
    written = started()(Committed(10), Ended(ending, "the disk is full")).message

    assert columns.state(bad) == (ending, "bad")
    assert "the disk is full" in markup.title(bad)
    assert columns.state(written)[0] == f"{ending} · committed"


def test_counts_while_computing() -> None:
    """Answers are added to what screening has decided, so that nothing is counted twice or forgotten."""
    told = started()(task(answer("A"), answer("B", passed=False)), task(answer("C", error="no rows")))
    counts = told.message["counts"]

    assert counts == {
        "passed": 1,
        "rejected": 5,
        "skipped": 2,
        "failed": 1,
        "rejected_by_phase": PHASES | {"2": 4, "6": 1},
    }
    assert text_of(told.message, "open") == "1"
    assert told.message["failures"] == [["C", "no rows"]]


def test_the_summary_has_the_last_word() -> None:
    """Once all is decided the page shows the counts of the summary, whatever the answers seemed to say."""
    told = started()(task(answer("A"), answer("B")), Computed(1.0))
    failed = [("A", "columns are NULL")]
    told(Decided(summary(passed=1, rejected=6, skipped=2, failed=1), failed), Ended(Ending.DONE))

    assert text_of(told.message, "passed") == "1"
    assert text_of(told.message, "failed") == "1"
    assert told.message["failures"] == [["A", "columns are NULL"]]


def test_a_phase_that_was_not_judged_is_said() -> None:
    """Once all is decided, the page says of how many logs the costs were not stressed."""
    told = started()(task(answer()), Computed(1.0))
    assert "not judged" not in markup.title(told.message)
    told(Decided(summary(passed=1) | {"cost_stress_not_judged": 7}, []), Ended(Ending.DONE))

    assert "cost stress: not judged, no costs given (7 strategies)" in markup.title(told.message)


def test_a_second_look_starts_to_count_again() -> None:
    """When others have changed the database and all is looked at again, no strategy is counted twice."""
    told = started()(task(*[answer(f"S{i}") for i in range(4)], wall_s=2.0), Computed(2.0), after_s=2.0)
    told(Started("run-1", "MGC", "gold.db", False), screened(9, 3), taken_over(*[answer(f"S{i}") for i in range(3)]))

    assert text_of(told.message, "passed") == "3"
    assert columns.done(told.message) == told.message["to_compute"] == 3
    assert columns.speedup(told.message) == (1.0, 0.25)
    assert columns.rate(told.message) == pytest.approx(2.0)


def test_time_left() -> None:
    """At the average rate so far; it shrinks while nothing is heard, and is not there before the first answer."""
    told = started(strategies=8, tasks=4)
    first = told.message
    told(task(*[answer(f"S{i}") for i in range(2)]), after_s=3.0)

    assert columns.eta_s(view(first)) is None
    assert columns.eta_s(view(told.message)) == pytest.approx(9.0)
    assert columns.eta_s(view(told.message, silent_s=4.0)) == pytest.approx(5.0)
    assert columns.eta_s(view(told(Ended(Ending.INTERRUPTED)).message)) is None


def test_elapsed_time_stands_still_after_the_end() -> None:
    """A page that is opened an hour later does not say that the run took an hour."""
    told = started()

    assert columns.elapsed_s(view(told.message, silent_s=5.0)) == pytest.approx(6.0)
    assert columns.elapsed_s(view(told(Ended(Ending.DONE)).message, silent_s=3600.0)) == pytest.approx(1.0)


def test_strategies_a_second() -> None:
    """The bars add up to all strategies, without a gap; workers that answer together make one bar, not a spike."""
    told = started(strategies=32, workers=2, tasks=16)
    for _ in range(8):
        told(task(answer(), answer()), after_s=1.0)
        told(task(answer(), answer()), after_s=0.001)
    bars = columns.throughput(told(Computed(8.008)).message)

    assert bars["left"] == [0.0, *bars["right"][:-1]]
    assert bars["right"][-1] == pytest.approx(8.008)
    strategies = [(right - left) * rate for left, right, rate in zip(*bars.values(), strict=True)]
    assert sum(strategies) == pytest.approx(32)
    assert max(bars["rate"]) == pytest.approx(4.0, rel=0.1)


def test_the_last_answers_do_not_dwarf_the_others() -> None:
    """Many small tasks answer in a rush at the end: no bar is narrower than half of the usual, none towers."""
    told = started(strategies=64, workers=1, tasks=16)
    for _ in range(12):
        told(task(*[answer()] * 4), after_s=1.0)
    for _ in range(4):
        told(task(*[answer()] * 4), after_s=0.001)
    bars = columns.throughput(told(Computed(12.004)).message)
    widths = [right - left for left, right in zip(bars["left"], bars["right"], strict=True)]

    assert min(widths) >= 12.004 / 16 / 2
    assert sum(width * rate for width, rate in zip(widths, bars["rate"], strict=True)) == pytest.approx(64)
    assert max(bars["rate"]) <= 6 * 4.0


def test_verdicts_and_speed_are_apart() -> None:
    """What has become of the strategies is one group of numbers, how fast they are computed another."""
    message = started()(task(answer())).message

    assert [figure.key for figure in columns.verdicts(message)] == [
        *("waiting", "passed", "rejected", "skipped", "failed", "open"),
    ]
    assert [figure.key for figure in columns.speeds(view(message))] == ["running", "rate", "speedup", "cpu_speedup"]
    assert markup.figures(view(message)).count("<section>") == 2


def test_what_is_waited_for_is_said() -> None:
    """Before the first task has answered, cards say so instead of being empty; later an empty card means none."""
    told = started(tasks=2)
    before = markup.slowest(told.message) + markup.failures(told.message)
    after = markup.failures(told(task(answer())).message)

    assert before.count("waiting for the first task") == 2
    assert "none" in after
    assert "waiting" not in after
    assert "waiting" not in markup.failures(told(Ended(Ending.INTERRUPTED)).message)


@pytest.mark.parametrize("committed", [True, False])
def test_the_end_says_what_was_found_and_what_to_do(committed: bool) -> None:
    """How long it took, the false discovery rate, and of a committed run the command that makes its report."""
    found = summary(passed=4) | {"fdr": {"tested": 9, "earning": 7, "losing": 1, "passed_earning": 4}}
    told = started()(task(answer()), Computed(1.0), Decided(found, []), after_s=21.0)
    running = told.message
    told(*([Committed(10)] if committed else []), Ended(Ending.DONE))

    assert "since the start" in markup.bar(view(running))
    assert markup.ending(running) == ""
    assert "took 22 s" in markup.bar(view(told.message, silent_s=99.0))
    assert "7 of 9 earn significantly" in markup.ending(told.message)
    command = "dask-validator report --db gold.db --run run-1 --output run.html"
    assert (command in markup.ending(told.message)) is committed


def test_speedup_over_time_ends_with_that_of_the_summary() -> None:
    """Seconds of tasks over seconds of computing, by wall clock and by CPU."""
    told = started(tasks=2)(task(answer(), wall_s=2.0, cpu_s=1.0), after_s=2.0)
    told(task(answer(), wall_s=4.0, cpu_s=1.0), Computed(4.0), after_s=2.0)
    over_time = columns.speedups(told.message)

    assert over_time["seconds"] == pytest.approx([2.0, 4.0, 4.0])
    assert over_time["speedup"] == pytest.approx([1.0, 1.5, 1.5])
    assert over_time["cpu_speedup"] == pytest.approx([0.5, 0.5, 0.5])
    assert (text_of(told.message, "speedup"), text_of(told.message, "cpu_speedup")) == ("1.50", "0.50")


def test_the_ideal_line_follows_workers_that_come_and_go() -> None:
    """The dashed line is the number of workers at each time."""
    told = started(workers=2)(after_s=10.0)

    assert columns.ideal(view(told.message)) == {"seconds": [0.0, 10.0], "workers": [2, 2.0]}
    assert columns.ideal(view(told.message, threads=((3.0, 4), (6.0, 1))))["workers"] == [2, 4, 1, 1]


def test_tasks_per_worker() -> None:
    """Workers of one host go by their process, those of many hosts by both."""
    told = started()(task(answer(), worker="a:1"), task(answer(), worker="a:1"), task(answer(), worker="a:2"))
    one_host = columns.by_worker(told.message)
    two_hosts = columns.by_worker(told(task(answer(), worker="b:1")).message)

    assert (one_host["worker"], one_host["tasks"]) == (["pid 1", "pid 2"], [2, 1])
    assert two_hosts["worker"] == ["a:1", "a:2", "b:1"]


def test_a_message_is_small_however_long_the_run() -> None:
    """Ten thousand tasks on a thousand workers, all failing at great length, make a message of less than 50 kB."""
    told = started(strategies=10_000, workers=1000, tasks=10_000)
    for i in range(10_000):
        told(task(answer(f"{i}" * 100, error="why " * 1000, seconds=i), worker=f"host-{i % 1000}:1"), after_s=0.1)
    message = told.message

    assert len(json.dumps(message)) < 50_000
    assert message["points"][-1][1] == 10_000
    assert [strategy_id[:4] for strategy_id, _ in message["slowest"][:2]] == ["9999", "9998"]
    assert message["failures"][0][0].startswith("9999")
    assert message["other_workers"] == 1000 - len(message["by_worker"])


def test_a_cluster_lost_without_walkforward() -> None:
    """A run that computes nothing but season splits has no walk-forward in its summary: its page stops the clock."""
    told = started()(TaskDone(1, (answer(),), None), after_s=1.0)(Decided({**summary(), "walkforward": None}, []))

    assert told(Ended(Ending.INCOMPLETE, "lost"), after_s=5.0).message["computing_s"] == 1.0


def test_lost_tasks_count() -> None:
    """A strategy that killed its worker has an answer, if not a timing."""
    lost = Answer("KILLER", None, None, None, None, 0.0, 0, "killed 2 workers")
    told = started()(TaskDone(1, (lost,), None))

    assert told.message["counts"]["failed"] == 1
    assert told.message["failures"] == [["KILLER", "killed 2 workers"]]
    assert columns.done(told.message) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.7, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (7260, "2 h 01 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A time is given as people say it."""
    assert duration(seconds) == text


def test_everything_from_the_database_is_escaped() -> None:
    """Names, reasons and file names are shown as they are, and are never part of the page's own HTML."""
    told = Told()(Started(HOSTILE, HOSTILE, HOSTILE, False), screened(failed=(HOSTILE,)), Ready(1, 1))
    told(task(answer(HOSTILE, error=HOSTILE), answer(HOSTILE), worker=HOSTILE), Ended(Ending.FAILED, HOSTILE))
    shown = view(told.message)
    pieces = [
        markup.title(told.message),
        markup.figures(shown),
        markup.bar(shown),
        markup.rejections(told.message),
        markup.slowest(told.message),
        markup.failures(told.message),
    ]

    assert sum("&lt;img src=x" in piece for piece in pieces) == 3
    assert not [piece for piece in pieces if "<img" in piece or "<script" in piece]


def test_a_run_that_has_just_begun() -> None:
    """While it screens, nothing is known of it but its name; all the same there is a page."""
    message = Told()(Started("run-1", "MGC", "gold.db", False)).message

    assert columns.share_done(message) == 0.0
    assert text_of(message, "passed") == text_of(message, "speedup").removesuffix(".00") == "0"
    assert "screening" in markup.title(message)
    assert "<table>" in markup.rejections(message)


def test_nothing_is_waiting() -> None:
    """A run with nothing to compute is complete, and divides by nothing."""
    message = Told()(Started("run-1", "MGC", "gold.db", True), screened(2, 0), Ended(Ending.DONE)).message

    assert columns.share_done(message) == 1.0
    assert columns.state(message) == ("done · dry run", "good")
    assert columns.throughput(message) == {"left": [], "right": [], "rate": []}
    assert columns.ideal(view(message)) == {"seconds": [], "workers": []}
    assert "aria-valuenow='100'" in markup.bar(view(message))
