"""Two runs at a time: one for an instrument, and others beside it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Command, everything_in
from tests.journal.dying import (
    Dead,
    Written,
    die_after,
    run,
    written,
)
from tests.support.tiny import line_ids, rows_by_id, tiny_database


def test_a_glance_at_a_journal_is_no_use_of_it(dead: Dead, truth: Written) -> None:
    """Another run that looks who keeps a journal does not keep a run from starting."""
    with dead.journal.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        run(dead.database)

    assert written(dead.database) == truth


ONE_TASK_THEN_WAIT = """
import sys
from dask_validator.__main__ import main
from dask_validator.journal.journal import Journal

really_keep = Journal.answered

def waiting(self, answers):
    really_keep(self, answers)
    print("computing", flush=True)
    sys.stdin.readline()

Journal.answered = waiting
main()
"""


WAIT_BEFORE_COMMIT = """
import sys
from functools import partial
from dask_validator.__main__ import main
from dask_validator.store import connection, writer

class Waiting:
    def __init__(self, path, **options):
        self.connection = connection.connect(path, **options)

    def execute(self, sql, *parameters):
        if sql == "COMMIT":
            print("committing", flush=True)
            sys.stdin.readline()
        return self.connection.execute(sql, *parameters)

    def __getattr__(self, name):
        return getattr(self.connection, name)

writer.commit = partial(writer.commit, connect=Waiting)
main()
"""


class Waiting:
    """A run that has come to a certain point, said so, and waits there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.said = process.stdout.readline()
        assert self.said

    def let_go(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it has complained of."""
        complaints = self.process.communicate(timeout=60)[1]
        return self.process.returncode, complaints


@contextmanager
def waiting(fault: str, *args: object) -> Iterator[Waiting]:
    """Start such a run and return when it waits."""
    pipe, command = subprocess.PIPE, [sys.executable, "-c", fault, *map(str, args)]
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield Waiting(process)
        finally:
            process.kill()


def on(database: Path, instrument: str, *flags: object, workers: int = 1) -> list[object]:
    """The arguments of a run of an instrument."""
    where = ["--db", database, "--wf-output", database.parent / "wf.jsonl"]
    return ["run", *where, "--instrument", instrument, "--workers", workers, "--no-dashboard", *flags]


@pytest.fixture
def two_instruments(tmp_path: Path) -> Path:
    """A database with a strategy of MGC and one of MES."""
    return tiny_database(tmp_path / "two.duckdb", [{}, {"strategy_id": "MES_GOOD", "instrument": "MES"}])


def statuses(database: Path) -> dict[str, Any]:
    """What became of each strategy."""
    rows = rows_by_id(database, "experimental_strategies", "validation_status")
    return {strategy_id: row["validation_status"] for strategy_id, row in rows.items()}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same journal", "another journal"])
def test_a_second_run(two_instruments: Path, tmp_path: Path, command: Command, elsewhere: bool) -> None:
    """While a run is on its way, a second one of the same instrument is refused with its PID, and harms nothing."""
    flags = ["--journal", tmp_path / "my.journal"] if elsewhere else []
    with waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MGC")) as first:
        before = everything_in(tmp_path)
        second = command(*on(two_instruments, "MGC", *flags), timeout=20)
        after = everything_in(tmp_path)
        first.let_go()
        code, said = first.end()

    assert second.code == 2
    assert f"PID {first.process.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert after == before
    assert code == 0, said
    assert statuses(two_instruments) == {"MGC_GOOD": "PASSED", "MES_GOOD": None}
    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD"]


def test_a_second_run_after_a_kill(two_instruments: Path, tmp_path: Path, command: Command) -> None:
    """The journal of a run that was killed is nobody's."""
    with waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MGC")) as first:
        first.process.kill()
        first.process.wait()
        second = command(*on(two_instruments, "MGC", "--json"))

    assert second.code == 0, second.stderr
    assert second.summary["walkforward"]["reused"] == 1
    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD"]


@pytest.mark.parametrize("workers", [1, 2])
def test_two_instruments(two_instruments: Path, tmp_path: Path, workers: int) -> None:
    """Runs of different instruments may compute at the same time; both commit, and their lines share a file."""
    with (
        waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MGC")) as first,
        waiting(ONE_TASK_THEN_WAIT, *on(two_instruments, "MES", workers=workers)) as second,
    ):
        assert {path.name for path in tmp_path.glob("*.journal")} == {
            "two.duckdb.MGC.journal",
            "two.duckdb.MES.journal",
        }
        for each in (first, second):
            each.let_go()
        ends = [each.end() for each in (first, second)]

    assert [code for code, _ in ends] == [0, 0], ends
    assert statuses(two_instruments) == {"MGC_GOOD": "PASSED", "MES_GOOD": "PASSED"}
    assert sorted(line_ids(tmp_path / "wf.jsonl")) == ["MES_GOOD", "MGC_GOOD"]
    assert {path.name for path in tmp_path.iterdir()} == {"two.duckdb", "wf.jsonl"}


def test_another_instrument_commits(two_instruments: Path, tmp_path: Path) -> None:
    """A run that starts while one of another instrument commits says who it waits for, and then does its work."""
    start = [sys.executable, "-m", "dask_validator", *map(str, on(two_instruments, "MES"))]
    with (
        waiting(WAIT_BEFORE_COMMIT, *on(two_instruments, "MGC")) as first,
        subprocess.Popen(start, stderr=subprocess.PIPE, text=True) as second,
    ):
        assert second.stderr is not None
        said = second.stderr.readline()
        first.let_go()
        code, complaint = first.end()
        said += second.communicate(timeout=60)[1]

    assert code == 0, complaint
    assert second.returncode == 0, said
    assert f"PID {first.process.pid}" in said.splitlines()[0]
    assert statuses(two_instruments) == {"MGC_GOOD": "PASSED", "MES_GOOD": "PASSED"}


HANG_IN_A_CHILD = """
import os, signal
from dask_validator.work import walkforward
from dask_validator.__main__ import main

ours, really_compute = os.getpid(), walkforward.walkforward_task

def hanging(task):
    if os.getpid() != ours:
        print(os.getpid(), flush=True)
        while True:
            signal.pause()
    return really_compute(task)

walkforward.walkforward_task = hanging
main()
"""


def test_killed_while_a_child_computes(database: Path, truth: Written, command: Command) -> None:
    """A suspect that hangs in a child process ends with the run that started it, and does not keep its journal."""
    die_after(0, database)
    with waiting(HANG_IN_A_CHILD, *on(database, "MGC")) as first:
        child = psutil.Process(int(first.said))
        first.process.kill()
        first.process.wait()
        _, alive = psutil.wait_procs([child], timeout=10)
        for process in alive:
            process.kill()

    assert not alive
    assert command(*on(database, "MGC")).code == 3  # one of the strategies cannot be used
    assert written(database) == truth
