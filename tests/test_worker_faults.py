"""Strategies that raise, crash, exit, fill memory or hang, clusters that die, and Ctrl-C: nothing else is lost.

Faults come from outside the package: one script wraps a function that the computation of every strategy calls. Worker
processes run it as a preload script, the command as its main program.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import dask
import distributed.system
import psutil
import pytest
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, get_worker

from dask_validator import validate
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared
from dask_validator.errors import Incomplete
from dask_validator.execution.dask import client as execution_client
from dask_validator.execution.dask import dask_config
from dask_validator.execution.dask.client import ClientExecutor
from dask_validator.rules import seasons
from dask_validator.run.run import run_validation
from dask_validator.views.result import RunResult
from dask_validator.work import piece, plan
from tests.conftest import Command
from tests.support.clusters import DASK, LOST_S, Cluster, Meanwhile, end, running_scheduler, wait_until
from tests.support.jobs import job
from tests.support.runs import config, run_on, verdicts
from tests.support.tiny import line_ids, rows_by_id

Faulty = Callable[..., Path]
Send = Callable[[int, int], None]
Start = Callable[..., subprocess.Popen[bytes]]

PATIENCE_S = 90
BOUND_S = PATIENCE_S
pytestmark = pytest.mark.usefixtures("bounded")
MEMORY_LIMIT = 600_000_000
FINE, MEDIUM = (1, 1), (2_000, 5_000)  # outcomes per task: 34 and 11 tasks instead of 3
MEDIUM_TASKS = 11

FAULTS = ("raise", "segfault", "exit", "memory", "sleep", "regex")
FAULTY = """
import ctypes, os, re, time
from pathlib import Path
from dask_validator.work import plan
from dask_validator.work import piece
from dask_validator.rules.seasons import season_of

def fill_memory():
    hoard = bytearray(b"x") * 700_000_000
    time.sleep(1)

FAULTS = {
    "raise": lambda: int("nothing"),
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(7),
    "memory": fill_memory,
    "sleep": lambda: time.sleep(1e6),
    "regex": lambda: re.match("(a+)+$", "a" * 60 + "b"),  # in C, which lets no other thread run
}
BAD, SLOW_S, COMPUTING = GIVEN

def faulty(strategy_id, label):
    (COMPUTING / str(os.getpid())).touch()
    time.sleep(SLOW_S)
    FAULTS.get(BAD.get(strategy_id), bool)()
    return season_of(strategy_id, label)

piece.season_of = faulty
plan.OUTCOMES_PER_TASK = 2_000, 5_000

if __name__ == "__main__":
    from dask_validator.__main__ import main
    main()
"""
RAISED = "unexpected ValueError: invalid literal for int() with base 10: 'nothing'"
KILLED = "killed {} workers that computed nothing else (crash, exit, or too much memory)"
KILLED_ALONE = "killed the process that computed it alone, which {}"
LATE = "no result within {} s (--task-timeout)"


class Truth(NamedTuple):
    """What a serial run without faults says and writes."""

    database: Path
    verdicts: tuple[object, ...]


@pytest.fixture(scope="module")
def truth(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """The answers of `--workers 1` to the recorded input."""
    database = Path(shutil.copy(small_source, tmp_path_factory.mktemp("serial") / "small.duckdb"))
    return Truth(database, verdicts(validate(database, "MGC", config(database), workers=1, progress=False)))


@pytest.fixture
def computing(tmp_path: Path) -> Path:
    """Where every process that computes leaves its PID."""
    folder = tmp_path / "computing"
    folder.mkdir()
    return folder


@pytest.fixture
def faulty(tmp_path: Path, computing: Path) -> Faulty:
    """Makes the script with faults, given by strategy, and with a pause for every strategy."""

    def write(bad: Mapping[str, str] | None = None, slow_s: float = 0.0) -> Path:
        script = tmp_path / "faulty.py"
        script.write_text(FAULTY.replace("GIVEN", f"{dict(bad or {})}, {slow_s}, Path({str(computing)!r})"))
        return script

    return write


@contextmanager
def preloaded(script: Path) -> Iterator[None]:
    """Worker processes that start inside run the script first.

    Dask usually drops a worker whose process has gone for 15 s; here at once, as after many deaths.
    """
    faults = {"distributed.worker.preload": [str(script)], "distributed.deploy.lost-worker-timeout": "100 ms"}
    with dask.config.set(faults), patch.dict(dask_config.OURS, faults):  # our own clusters take nothing from users
        yield


def walked(truth: Truth, *positions: int) -> list[str]:
    """Strategies that reach walk-forward, by their position in the JSONL."""
    ids = line_ids(truth.database.parent / "wf.jsonl")
    return [ids[position] for position in positions]


def written(database: Path, but: Collection[str] = ()) -> dict[str, list[str]]:
    """What a run wrote about every strategy, but for some, in every column and line; without moments."""
    strategies = rows_by_id(database, "experimental_strategies")
    setups = rows_by_id(database, "validated_setups", "* EXCLUDE (promoted_at, retired_at)")
    found = {
        name: [f"{strategy_id}: {rows[strategy_id]}" for strategy_id in sorted(rows.keys() - but)]
        for name, rows in (("strategies", strategies), ("setups", setups))
    }
    lines = [json.loads(line) for line in (database.parent / "wf.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["strategy_id"] not in but]
    return {**found, "lines": [str({**line, "timestamp": None, "run_id": None}) for line in kept]}


def check_failed_alone(database: Path, source: Path, truth: Truth, reasons: Mapping[str, str]) -> None:
    """These are FAILED with these reasons and otherwise untouched; everything else is as without faults."""
    assert written(database, but=reasons.keys()) == written(truth.database, but=reasons.keys())
    assert not set(line_ids(database.parent / "wf.jsonl")) & reasons.keys()
    after, before = (rows_by_id(path, "experimental_strategies") for path in (database, source))
    for strategy_id, reason in reasons.items():
        decided = {"validation_status": "FAILED", "validation_notes": reason}
        assert str(after[strategy_id]) == str(before[strategy_id] | decided)


def pids_in(computing: Path) -> list[int]:
    """The processes that have computed."""
    return [int(path.name) for path in computing.iterdir()]


def journal_of(database: Path) -> bytes:
    """What the journal has."""
    journal = Path(f"{database}.MGC.journal")
    return journal.read_bytes() if journal.exists() else b""


def finished_tasks(database: Path) -> int:
    """How many the journal has."""
    return journal_of(database).count(b'"answers"')


def test_our_own_cluster(
    small: Path, small_source: Path, truth: Truth, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strategies that raise, crash, exit, fill memory or hang, in one task: each is FAILED alone, with its reason."""
    monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", MEMORY_LIMIT * CPU_COUNT)
    bad = dict(zip(walked(truth, 3, 10, 25, 40, 60, 70), FAULTS, strict=True))
    with preloaded(faulty(bad)):
        result = validate(small, "MGC", config(small), workers=2, task_timeout=2, progress=False)

    killed, late = KILLED.format(2), LATE.format(2)
    assert result.summary["failed"] == len(bad)
    check_failed_alone(
        small, small_source, truth, dict(zip(bad, [RAISED, killed, killed, killed, late, late], strict=True))
    )


def test_the_users_own_cluster(
    small: Path, small_source: Path, truth: Truth, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster that tries again by itself, as Dask's do by default, and in many small tasks, it is the same."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", FINE)
    monkeypatch.setattr(plan, "SCANNED_PER_OUTCOME", math.inf)
    bad = dict(zip(walked(truth, 10, 40, 70), ["raise", "memory", "regex"], strict=True))
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": MEMORY_LIMIT, "silence_logs": 50}
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),  # workers start faster
        preloaded(faulty(bad)),
        LocalCluster(**options, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        result = validate(small, "MGC", config(small), client=client, task_timeout=2, progress=False)

    assert result.summary["failed"] == len(bad)
    reasons = dict(zip(bad, [RAISED, KILLED.format(4), LATE.format(2)], strict=True))
    check_failed_alone(small, small_source, truth, reasons)


@pytest.mark.parametrize("victims", [1, 2])
def test_killed_by_somebody_else(
    small: Path, truth: Truth, faulty: Faulty, computing: Path, monkeypatch: pytest.MonkeyPatch, victims: int
) -> None:
    """Whoever kills one worker process, or all of them at once, blames no strategy: others take their place."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", MEDIUM)
    killed: list[int] = []

    def kill() -> None:
        killed.extend(pids_in(computing)[:victims])
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    with (
        preloaded(faulty(slow_s=0.02)),
        prepared(small, "MGC", config(small)) as (order, journal),
        open_executor(2, dashboard_address=None) as executor,
    ):
        result = run_validation(order, executor, Meanwhile(kill), journal)

    assert len(killed) == victims
    assert result.summary["walkforward"]["tasks"] > MEDIUM_TASKS  # what was cut short is computed again, in parts
    assert verdicts(result) == truth.verdicts
    assert written(small) == written(truth.database)


class Elsewhere(NamedTuple):
    """A cluster of somebody else who does not start again what dies."""

    client: Client
    script: Path
    workers: list[subprocess.Popen[bytes]]

    def kill(self, who: str) -> None:
        """All workers at once, or the scheduler."""
        pids = [worker.pid for worker in self.workers]
        for pid in pids if who == "workers" else [self.client.run_on_scheduler(os.getpid)]:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, faulty: Faulty) -> Iterator[Elsewhere]:
    """A scheduler and two slow workers."""
    script = faulty(slow_s=0.02)
    with running_scheduler(DASK, tmp_path_factory.mktemp("scheduler"), LOST_S) as client:
        cluster = Cluster(client, tmp_path_factory.mktemp("workers"))
        workers = [cluster.start_worker(preload=script.read_text()) for _ in range(2)]
        cluster.wait_for(2)
        yield Elsewhere(client, script, workers)
        for worker in workers:
            end(worker)


@pytest.mark.parametrize(("lost", "reason"), [("workers", "every worker has gone"), ("scheduler", "scheduler")])
def test_lost_cluster(
    small: Path, truth: Truth, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch, lost: str, reason: str
) -> None:
    """When all workers have gone, or the scheduler, nothing is written; what is done is told, kept and taken over."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", MEDIUM)
    monkeypatch.setattr(execution_client, "PATIENCE_S", 2.0)
    before = small.read_bytes()
    with pytest.raises(Incomplete, match=reason) as caught:
        run_on(elsewhere.client, small, Meanwhile(partial(elsewhere.kill, lost)))
    result = caught.value.result

    assert caught.value.exit_code == 5
    assert small.read_bytes() == before
    assert not (small.parent / "wf.jsonl").exists()
    assert finished_tasks(small) >= 3
    assert result is not None
    assert result.summary["walkforward"]["strategies"] > 0

    resumed = resume(small, wait_for_lock=30)  # a worker that has lost its scheduler may still read
    assert resumed.summary["walkforward"]["reused"] > 0
    assert verdicts(resumed) == truth.verdicts
    assert written(small) == written(truth.database)
    assert set(map(repr, result.verdicts)) < set(map(repr, resumed.verdicts))


def resume(database: Path, **flags: Any) -> RunResult:
    """Go on, serially and without faults."""
    return validate(database, "MGC", config(database), workers=1, resume=True, progress=False, **flags)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `dask-validator run ARGS`, with its faults, as the leader of a session; its words go to a file."""
    started: list[subprocess.Popen[bytes]] = []

    def starter(script: Path, database: Path, *args: object) -> subprocess.Popen[bytes]:
        folder = database.parent
        (folder / "tmp").mkdir(exist_ok=True)
        program = [sys.executable, script, "run", "--db", database, "--wf-output", "wf.jsonl", "--no-dashboard", *args]
        with (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                list(map(str, program)),
                cwd=folder,
                env={**os.environ, "TMPDIR": str(folder / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what nohup or & starts ignores it
            )
        started.append(process)
        return process

    yield starter
    for process in started:
        process.kill()
        process.wait(10)
        for left in left_of(process):
            left.kill()


def left_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What still runs of what a process has started, in its session."""
    found = []
    for other in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getsid(other.pid) == process.pid != other.pid:
                found.append(other)
    return found


def check_gone(process: subprocess.Popen[bytes]) -> None:
    """A few seconds after the end of a process, nothing that it has started is left running."""
    assert process.poll() is not None
    _, left = psutil.wait_procs(left_of(process), timeout=5)
    assert not left


def said(database: Path) -> str:
    """What the command has said on stderr."""
    return (database.parent / "stderr").read_text()


def await_it(database: Path, reached: Callable[[], bool]) -> None:
    """Waits for something that the command does."""
    wait_until(reached, database.parent / "stderr")


def way_to_go_on(database: Path) -> list[str]:
    """The command line that the last words offer."""
    [offer] = [line for line in said(database).splitlines()[-3:] if line.startswith("  dask-validator run")]
    return shlex.split(offer)


def test_lost_cluster_through_the_command(small: Path, elsewhere: Elsewhere, start: Start) -> None:
    """The command whose scheduler dies ends with exit code 5 and the line that goes on, without a traceback."""
    before = small.read_bytes()
    address = elsewhere.client.scheduler.address
    process = start(elsewhere.script, small, "--scheduler", address)
    await_it(small, lambda: finished_tasks(small) > 0)
    elsewhere.kill("scheduler")

    assert process.wait(30) == 5
    assert small.read_bytes() == before
    assert "Traceback" not in said(small)
    assert {str(small), address, "--resume"} < set(way_to_go_on(small))


CRASHES = {
    "segfault": (-signal.SIGSEGV, "was killed by SIGSEGV"),
    "exit": (7, "ended with exit code 7"),
}


@pytest.mark.parametrize(("fault", "code", "end"), [(fault, *how) for fault, how in CRASHES.items()], ids=CRASHES)
def test_serial_crash(
    small: Path, small_source: Path, truth: Truth, faulty: Faulty, start: Start, fault: str, code: int, end: str
) -> None:
    """What kills a serial run is computed in a child when it goes on, and is FAILED alone, with how the child ended."""
    [bad] = walked(truth, 40)
    script = faulty({bad: fault})
    before = small.read_bytes()

    assert start(script, small, "--workers", 1).wait(60) == code
    assert small.read_bytes() == before
    assert finished_tasks(small) > 0
    assert start(script, small, "--workers", 1, "--resume").wait(60) == 3
    assert "Took over" in said(small)
    assert "Traceback" not in said(small)
    check_failed_alone(small, small_source, truth, {bad: KILLED_ALONE.format(end)})


@pytest.mark.parametrize(("positions", "crashes"), [((40, 41), 1), ((10, 60), 2)], ids=["in one task", "in two tasks"])
def test_serial_crashes(
    small: Path,
    small_source: Path,
    truth: Truth,
    faulty: Faulty,
    start: Start,
    positions: tuple[int, int],
    crashes: int,
) -> None:
    """Every start of a run with several strategies that kill it gets further; a task kills it once at most."""
    bad = walked(truth, *positions)
    script = faulty(dict.fromkeys(bad, "segfault"))
    finished = [0]
    while (code := start(script, small, "--workers", 1, "--resume").wait(60)) == -signal.SIGSEGV:
        finished.append(finished_tasks(small))

    assert code == 3
    assert len(finished) == 1 + crashes
    assert finished == sorted(set(finished))
    reason = KILLED_ALONE.format("was killed by SIGSEGV")
    check_failed_alone(small, small_source, truth, dict.fromkeys(bad, reason))


ENDS = {
    "Ctrl-C on a terminal": (os.killpg, signal.SIGINT, 130),
    "SIGKILL": (os.kill, signal.SIGKILL, -signal.SIGKILL),
}


@pytest.mark.parametrize(("send", "number", "code"), ENDS.values(), ids=ENDS)
def test_serial_hang(
    small: Path,
    small_source: Path,
    truth: Truth,
    faulty: Faulty,
    start: Start,
    computing: Path,
    send: Send,
    number: int,
    code: int,
) -> None:
    """A run that hangs and is killed goes on in a child, which ends with the run or at --task-timeout."""
    [bad] = walked(truth, 40)
    script = faulty({bad: "sleep"})
    hung = start(script, small, "--workers", 1)
    await_it(small, lambda: bad.encode() in journal_of(small))
    hung.kill()
    hung.wait(10)

    again = start(script, small, "--workers", 1, "--resume")
    await_it(small, lambda: any(child.pid in pids_in(computing) for child in left_of(again)))
    send(again.pid, number)
    assert again.wait(20) == code
    check_gone(again)
    assert "Traceback" not in said(small)

    last = start(script, small, "--workers", 1, "--resume", "--task-timeout", 1)
    assert last.wait(30) == 3, said(small)
    check_failed_alone(small, small_source, truth, {bad: LATE.format(1)})


def test_a_plain_exception(small: Path, small_source: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw, while one strategy is computed, costs that one its verdict, and is named."""
    [bad] = walked(truth, 40)

    def season_of(strategy_id: str, label: str | None) -> str | None:
        return str(int("nothing")) if strategy_id == bad else seasons.season_of(strategy_id, label)

    monkeypatch.setattr(piece, "season_of", season_of)
    validate(small, "MGC", config(small), workers=1, progress=False)

    check_failed_alone(small, small_source, truth, {bad: RAISED})


def hang_up(group: int, number: int) -> None:
    """The terminal and its shell both tell every process of it."""
    os.killpg(group, number)
    os.killpg(group, number)


INTERRUPTIONS = {
    "Ctrl-C, 1 worker": (1, os.kill, signal.SIGINT),
    "SIGTERM, 1 worker": (1, os.kill, signal.SIGTERM),
    "Ctrl-C on a terminal, 2 workers": (2, os.killpg, signal.SIGINT),
    "SIGTERM to all, 2 workers": (2, os.killpg, signal.SIGTERM),
    "the terminal closes, 1 worker": (1, hang_up, signal.SIGHUP),
    "the terminal closes, 2 workers": (2, hang_up, signal.SIGHUP),
}


@pytest.mark.parametrize(("workers", "send", "number"), INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_interrupted(
    small: Path, truth: Truth, faulty: Faulty, start: Start, command: Command, workers: int, send: Send, number: int
) -> None:
    """Ctrl-C, SIGTERM, SIGHUP clean up, keep what is finished and say how to go on; that gives the same answers."""
    before = small.read_bytes()
    process = start(faulty(slow_s=0.03), small, "--workers", workers)
    await_it(small, lambda: finished_tasks(small) > 0)
    send(process.pid, number)

    assert process.wait(30) == 130
    check_gone(process)
    assert "Traceback" not in said(small)
    assert small.read_bytes() == before
    assert list((small.parent / "tmp").iterdir()) == []
    ran = command(*way_to_go_on(small)[1:], "--workers", 1, "--json")
    assert ran.code == 0, ran.stderr
    assert ran.summary["walkforward"]["reused"] > 0
    assert written(small) == written(truth.database)


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_while_all_workers_hang(
    small: Path, truth: Truth, faulty: Faulty, start: Start, computing: Path, times: int
) -> None:
    """Ctrl-C ends workers that never return, too; SIGTERM right after it, as a second Ctrl-C, waits for nothing."""
    process = start(faulty(dict.fromkeys(walked(truth, *range(70)), "regex")), small, "--workers", 2)
    await_it(small, lambda: len(pids_in(computing)) == 2)
    for number in (signal.SIGINT, signal.SIGTERM)[:times]:
        process.send_signal(number)

    assert process.wait(60 if times == 1 else 10) == 130
    check_gone(process)
    assert "Traceback" not in said(small)
    assert times == 2 or list((small.parent / "tmp").iterdir()) == []


def mute(asked: str) -> str:
    """A task whose worker never hands over the result, as if the next task let no other thread run."""

    async def never(*_: object, **__: object) -> None:
        Path(asked).touch()
        await asyncio.Event().wait()

    get_worker().handlers["get_data"] = never
    return asked


def test_interrupted_while_a_worker_is_mute(tmp_path: Path) -> None:
    """Ctrl-C does not wait for a result that is finished but cannot be fetched from a worker that hangs in C code."""
    asked = tmp_path / "asked"

    def press_ctrl_c() -> None:
        while not asked.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press_ctrl_c, daemon=True)
    presser.start()
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        with pytest.raises(KeyboardInterrupt):
            list(ClientExecutor(client).map(job(mute, [str(asked)])))
        presser.join()
