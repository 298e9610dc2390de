"""Calibrations whose workers die, whose process dies or is interrupted, and on workers that do not see the file."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from dask_validator.errors import Incomplete
from dask_validator.events import Asking, Event, Ready, Said, TaskDone
from dask_validator.execution.dask import client as execution_client
from dask_validator.execution.executor import Job
from dask_validator.execution.serial import SerialExecutor
from dask_validator.work import observing, plan, worlds
from tests.conftest import Command, everything_in
from tests.support.calibrations import calibrate_on, five_keys, told
from tests.support.clusters import DASK, LOST_S, Cluster, running_scheduler
from tests.support.tiny import change

BOUND_S = 120
pytestmark = pytest.mark.usefixtures("bounded")

FLAGS: dict[str, Any] = {"worlds": 40, "null_seed": 3, "min_sample": 50, "no_walkforward": True}
WORDS = ["--worlds", "40", "--null-seed", "3", "--min-sample", "50", "--no-walkforward"]
STRATEGIES, KEYS = 11, 4  # that are calibrated; a task for each key
FINISHED = 2  # tasks, before the fault
KEPT = "what went through all worlds, or had begun to, is kept in"

# Scripts for `dask worker --preload`, and for a process of its own.
SLOW = """
import time
from dask_validator.work import worlds
def dask_setup(worker):
    compute = worlds.worlds_task
    def slow(task):
        time.sleep(0.3)
        return compute(task)
    worlds.worlds_task = slow
"""
IN_A_TASK = """
import os, signal
from dask_validator.__main__ import main
from dask_validator.work import plan, worlds

plan.OUTCOMES_PER_TASK = (1, 1)
left, compute = 2, worlds.worlds_task

def dying(task):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(task)

worlds.worlds_task = dying
main()
"""
OF_ONE_STRATEGY = """
import os, signal
from dask_validator.__main__ import main
from dask_validator.work import worlds

compute = worlds.worlds_task

def dying(task):
    if any(entrant.strategy_id == "MGC_STRICT" for entrant in task.piece.asked):
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(task)

worlds.worlds_task = dying
main()
"""
AFTER_A_BLOCK = """
import os, signal
from dask_validator.__main__ import main
from dask_validator.journal.blocks import Blocks
from dask_validator.work import plan

plan.OUTCOMES_PER_TASK = (1, 1)
left, keep = 2, Blocks.done

def dying(self, block):
    global left
    keep(self, block)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

Blocks.done = dying
main()
"""


@pytest.fixture(autouse=True)
def _a_task_for_each_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, never written."""
    return five_keys(tmp_path_factory.mktemp("source") / "keys.duckdb")


@pytest.fixture(scope="module")
def truth(source: Path) -> dict[str, Any]:
    """All that a serial calibration says that nobody disturbs."""
    return told(calibrate_on(None, source, **FLAGS))


@pytest.fixture
def database(source: Path, tmp_path: Path) -> Path:
    """A fresh copy, alone in its folder."""
    (tmp_path / "data").mkdir()
    return Path(shutil.copy(source, tmp_path / "data" / "keys.duckdb"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a scheduler whose workers come and go with the tests."""
    with running_scheduler(DASK, tmp_path_factory.mktemp("scheduler"), LOST_S) as found:
        yield found


@pytest.fixture
def cluster(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The scheduler, as yet without workers."""
    found = Cluster(client, tmp_path_factory.mktemp("workers"))
    yield found
    found.end_workers()


class InTheWorlds:
    """A listener that hears everything, and acts once: after so many tasks that went through all worlds."""

    def __init__(self, act: Callable[[], None] = lambda: None, after: int = 1) -> None:
        self.events: list[Event] = []
        self._act, self._left, self._there = act, after, False

    def __call__(self, event: Event) -> None:
        """Look whether the time has come."""
        self.events.append(event)
        self._there |= isinstance(event, Asking) and "worlds" in event.what
        if self._there and isinstance(event, TaskDone):
            self._left -= 1
            if not self._left:
                self._act()

    def taken_over(self) -> list[str]:
        """What was said of an earlier calibration."""
        return [event.text for event in self.events if isinstance(event, Said) and "Took over" in event.text]


def journals_of(database: Path) -> list[Path]:
    """What a calibration has left beside the database."""
    return sorted(database.parent.glob(f"{database.name}.MGC.luck-*.journal"))


def said_of(strategies: int) -> str:
    """What is said of strategies that are taken over."""
    return f"Took over {strategies} strategies in all worlds from an earlier calibration"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/cwd, a path that workers see differently")
def test_a_cluster_that_does_not_see_the_file(
    cluster: Cluster, database: Path, truth: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes travel with the tasks of every kind, and every byte of the answer is the same."""
    cluster.start_worker()
    cluster.wait_for(1)
    monkeypatch.chdir(database.parent)
    heard = InTheWorlds()
    found = calibrate_on(cluster.client, Path("/proc/self/cwd") / database.name, heard, **FLAGS)

    blind = [len(event.blind) for event in heard.events if isinstance(event, Ready)]
    assert blind
    assert set(blind) == {1}
    assert told(found) == truth


def test_a_killed_worker(cluster: Cluster, database: Path, truth: dict[str, Any]) -> None:
    """What a worker has in hand when it dies another one computes: nothing is lost, nothing counts twice."""
    victim = cluster.start_worker(preload=SLOW)
    survivor = cluster.start_worker(preload=SLOW)
    cluster.wait_for(2)
    address, busy = cluster.address_of(victim), []

    def kill() -> None:
        busy.append(cluster.is_busy(address))
        victim.kill()

    found = calibrate_on(cluster.client, database, InTheWorlds(kill), **FLAGS)
    cluster.wait_for(1)

    assert busy == [True]
    assert victim.wait() == -signal.SIGKILL
    assert survivor.poll() is None
    assert told(found) == truth
    assert set(everything_in(database.parent)) == {database.name}


def test_all_workers_lost(
    cluster: Cluster, database: Path, truth: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went through all worlds is kept and taken over by the next call, the same to the last byte."""
    monkeypatch.setattr(execution_client, "PATIENCE_S", 1.0)
    worker = cluster.start_worker(preload=SLOW)
    cluster.wait_for(1)
    with pytest.raises(Incomplete, match="every worker has gone") as caught:
        calibrate_on(cluster.client, database, InTheWorlds(worker.kill, after=2), **FLAGS)
    heard = InTheWorlds()
    found = calibrate_on(None, database, heard, **FLAGS)

    assert caught.value.exit_code == 5
    assert len(heard.taken_over()) == 1
    assert told(found) == truth
    assert not journals_of(database)


@pytest.mark.parametrize(("fault", "workers"), [(IN_A_TASK, 1), (AFTER_A_BLOCK, 2)], ids=["1", "2"])
def test_killed(database: Path, truth: dict[str, Any], fault: str, workers: int) -> None:
    """After SIGKILL the next call computes only what had not gone through all worlds, and says so."""
    command = [sys.executable, "-c", fault, "calibrate", "--db", str(database), "--no-dashboard", *WORDS]
    command += ["--report", str(database.with_suffix(".html"))]  # which wants to know of strategies, as Python does
    died = subprocess.run([*command, "--workers", str(workers)], capture_output=True, text=True, check=False)
    heard = InTheWorlds()
    found = calibrate_on(None, database, heard, **FLAGS)

    assert died.returncode == -signal.SIGKILL, died.stderr
    [said] = heard.taken_over()
    asked = [event.strategies for event in heard.events if isinstance(event, Asking) and "worlds" in event.what]
    tasks = [event.tasks for event in heard.events if isinstance(event, Ready)][-1]
    assert tasks == KEYS - FINISHED
    assert said == said_of(STRATEGIES - asked[0])
    assert told(found) == truth
    assert set(everything_in(database.parent)) == {database.name}


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Somebody presses Ctrl-C in the task after so many."""
    compute, left = worlds.worlds_task, [FINISHED]

    def task(asked: worlds.WorldsTask) -> worlds.Block:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
        left[0] -= 1
        return compute(asked)

    monkeypatch.setattr(worlds, "worlds_task", task)
    return left


def test_interrupted(database: Path, truth: dict[str, Any], interrupted: list[int], called: Command) -> None:
    """Ctrl-C says what is kept and the command that goes on; that command takes it over."""
    before = database.read_bytes()
    words = ["--db", str(database), "--workers", "1", *WORDS, "--json"]
    ran = called("calibrate", *words)
    said, command = ran.stderr[ran.stderr.index("warning: interrupted") :].splitlines()[:2]
    interrupted[0] = KEYS

    assert ran.code == 130
    assert ran.stdout == ""
    kept = f"{KEPT} {database}.MGC.luck-*; go on with"
    assert said == f"warning: interrupted; {kept}"
    assert database.read_bytes() == before
    _, name, *flags = shlex.split(command)
    assert name == "calibrate"
    assert sorted(flags) == sorted(words)
    again = called(name, *flags)
    assert again.code == 0, again.stderr
    assert f"{said_of(8)}\n" in again.stderr
    assert again.summary == json.loads(json.dumps(truth["json"]))
    assert set(everything_in(database.parent)) == {database.name}


def test_interrupted_too_early(database: Path, called: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the worlds nothing is said to be kept, and nothing is."""
    monkeypatch.setattr(observing, "observing_task", lambda task: os.kill(os.getpid(), signal.SIGINT))
    ran = called("calibrate", "--db", database, "--workers", 1, *WORDS)

    assert ran.code == 130
    assert "warning: interrupted; nothing is kept (nothing went through all worlds yet)\n" in ran.stderr
    assert set(everything_in(database.parent)) == {database.name}


def test_interrupted_in_the_first_task(
    database: Path, truth: dict[str, Any], interrupted: list[int], called: Command
) -> None:
    """A task that hangs is known to have begun: the next call computes it apart, and ends as if nothing had been."""
    interrupted[0] = 0
    ran = called("calibrate", "--db", database, "--workers", 1, *WORDS)
    left = journals_of(database)
    interrupted[0] = KEYS
    again = called("calibrate", "--db", database, "--workers", 1, *WORDS, "--json")

    assert (ran.code, len(left)) == (130, 1)
    assert f"warning: interrupted; {KEPT} {database}" in ran.stderr
    assert interrupted[0] == 1  # the others, in this process
    assert again.summary == json.loads(json.dumps(truth["json"]))
    assert set(everything_in(database.parent)) == {database.name}


def test_a_strategy_that_kills_this_process(database: Path) -> None:
    """It alone is not calibrated, and named: the second call computes apart whatever the first one has died of."""
    words = ["calibrate", "--db", str(database), "--workers", "1", "--json", *WORDS]
    died, ended = (
        subprocess.run([sys.executable, "-c", OF_ONE_STRATEGY, *words], capture_output=True, text=True, check=False)
        for _ in range(2)
    )

    assert died.returncode == -signal.SIGKILL
    assert ended.returncode == 0, ended.stderr
    assert "because killed the process that computed it alone, which was killed by SIGKILL: MGC_STRICT" in ended.stderr
    [numbers] = json.loads(ended.stdout)["calibration"]
    assert numbers["strategies"] == STRATEGIES - 1
    assert set(everything_in(database.parent)) == {database.name}


def test_what_is_left_is_shown_and_given_up(database: Path, interrupted: list[int], called: Command) -> None:
    """`check` names what a calibration has kept, with how much; `--discard` takes it away, and no other file."""
    notes = database.with_name(f"{database.name}.MGC.luck-0123456789ab.journal")
    notes.write_text("my notes")
    words = ["calibrate", "--db", database, "--workers", "1", *WORDS]
    called(*words)
    [journal] = set(journals_of(database)) - {notes}
    checked = called("check", "--db", database)
    interrupted[0] = 10 * KEYS
    again = called(*words, "--discard")

    assert checked.code == again.code == 0, again.stderr
    assert f"{journal} has 8 strategies in all worlds of a calibration that did not end" in checked.stdout
    assert "my notes" not in checked.stdout
    assert str(notes) not in checked.stdout
    assert "Took over" not in again.stderr
    assert journals_of(database) == [notes]


def test_a_run_gives_it_up_too(database: Path, interrupted: list[int], called: Command) -> None:
    """`run --discard` forgets what gates of an interrupted run had in worlds."""
    called("calibrate", "--db", database, "--workers", "1", *WORDS)
    left = journals_of(database)
    ran = called("run", "--db", database, "--workers", "1", "--no-walkforward", "--discard")

    assert ran.code in (0, 3), ran.stderr
    assert len(left) == 1
    assert journals_of(database) == []


def test_a_block_that_is_there_twice(database: Path, truth: dict[str, Any], interrupted: list[int]) -> None:
    """No strategy is counted twice, whatever the journal holds."""
    with pytest.raises(KeyboardInterrupt):
        calibrate_on(None, database, **FLAGS)
    interrupted[0] = KEYS
    [journal] = journals_of(database)
    *_, last = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(journal.read_bytes() + last)

    assert told(calibrate_on(None, database, **FLAGS)) == truth


class Losing(SerialExecutor):
    """Nobody can compute the worlds of one key, none of whose strategies is a candidate of a step-down."""

    def map(self, job: Job[Any, Any]) -> Iterator[Any]:
        """As a cluster whose workers die of it."""
        for task in job.tasks:
            lost = job.kind == "worlds" and task.piece.keys[0].rr_target == 4
            yield job.handling.lost(task, "killed 4 workers") if lost else job.function(task)


def test_what_was_lost_is_tried_again(
    database: Path, truth: dict[str, Any], interrupted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody could compute is nothing to keep: the next calibration finds it still to do."""
    with monkeypatch.context() as patch:
        patch.setattr("dask_validator.api.executors.SerialExecutor", Losing)
        with pytest.raises(KeyboardInterrupt):
            calibrate_on(None, database, **FLAGS)
    interrupted[0] = KEYS
    heard = InTheWorlds()
    found = calibrate_on(None, database, heard, **FLAGS)

    assert heard.taken_over()
    assert told(found) == truth


@pytest.mark.parametrize(
    ("flags", "statement", "taken_over"),
    [
        pytest.param({"null_seed": 4}, None, False, id="other draws"),
        pytest.param({"stress_multiplier": 2.0}, None, False, id="other flags"),
        pytest.param({}, "UPDATE orb_outcomes SET pnl_r = pnl_r + 0.0002", False, id="other outcomes"),
        pytest.param({}, "UPDATE daily_features SET atr_20 = 12", False, id="other quiet years"),
        pytest.param({}, "CHECKPOINT", True, id="the same"),
    ],
)
def test_what_is_kept_holds_for_the_same_question(
    database: Path, interrupted: list[int], flags: dict[str, Any], statement: str | None, taken_over: bool
) -> None:
    """Blocks of other draws, flags or data are not taken over: every number is as without them."""
    with pytest.raises(KeyboardInterrupt):
        calibrate_on(None, database, **FLAGS)
    interrupted[0] = 10 * KEYS
    if statement:
        change(database, statement)
    [journal], heard = journals_of(database), InTheWorlds()
    kept = journal.read_bytes()
    found = calibrate_on(None, database, heard, **FLAGS | flags)

    assert len(kept) > 1_000
    assert bool(heard.taken_over()) == taken_over
    assert told(found) == told(calibrate_on(None, database, **FLAGS | flags))


def test_interrupted_in_the_second_kind(database: Path, interrupted: list[int]) -> None:
    """Settings of several kinds go through the worlds one kind after the other: what is kept of each is taken over."""
    flags = FLAGS | {"no_walkforward": False, "wf_test_months": [6, 12]}
    interrupted[0] = KEYS + FINISHED
    with pytest.raises(KeyboardInterrupt):
        calibrate_on(None, database, **flags)
    interrupted[0] = 99
    heard = InTheWorlds()
    found = calibrate_on(None, database, heard, **flags)

    assert heard.taken_over() == [said_of(STRATEGIES), said_of(8)]
    assert interrupted[0] == 99 - (KEYS - FINISHED - 1)  # the one that was begun is computed apart
    assert told(found) == told(calibrate_on(None, database, **flags))
