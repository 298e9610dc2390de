"""Who else has the database: asked before the computing, waited for at the commit, and never locked out by us."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import psutil
import pytest

from dask_validator import DatabaseHeld, InputError, NotCommitted, RunConfig, validate
from dask_validator.api import preparing
from dask_validator.api.executors import open_executor
from dask_validator.filters.shipped import vocabulary
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.rules.fdr import Correction
from dask_validator.rules.screening import Market
from dask_validator.rules.verdicts import decide
from dask_validator.store import database, lock, patience, writer
from dask_validator.store.connection import connect
from dask_validator.store.fingerprints import Seen
from dask_validator.views.result import RunResult
from tests.conftest import Command, Ran, everything_in
from tests.support.commits import commit_replaced
from tests.support.runs import answers
from tests.support.tiny import Row, rows_by_id, tiny_database
from tests.test_bad_input import opens_for_writing

BOUND_S = 90
pytestmark = pytest.mark.usefixtures("bounded")
UNANSWERED = "import errno; raise OSError(errno.ENOLCK, 'No locks available')"
NOBODY = 999_999_999  # a PID that no process has
STRATEGIES: list[Row] = [
    {},
    {"strategy_id": "MGC_BAD", "sample_size": 3},
    {"strategy_id": "MGC_2", "rr_target": 2.0},
    {"strategy_id": "MES_GOOD", "instrument": "MES"},
]
HOLDING = """
import duckdb, sys
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print(flush=True)
input()
"""
PAUSED_RUN = """
import sys
from functools import partial
from dask_validator import validate
from dask_validator.store import writer
from dask_validator.store.connection import connect
from dask_validator.store.database import Database

def pause():
    print(flush=True)
    input()

class Paused:
    def __init__(self, connection):
        self.connection = connection

    def execute(self, sql, *given):
        if sql == "COMMIT":
            pause()
        return self.connection.execute(sql, *given)

    def __getattr__(self, name):
        return getattr(self.connection, name)

def paused_facts(*given):
    pause()
    return facts(*given)

facts = Database.read_facts
if sys.argv[2] == "reading":
    Database.read_facts = paused_facts
else:
    writer.commit = partial(writer.commit, connect=lambda path, **how: Paused(connect(path, **how)))
validate(sys.argv[1], "MES", workers=1, progress=False, wf_output=sys.argv[3])
"""
AUDITED = """
import json, os, sys
from dask_validator import NotCommitted
from dask_validator.cli.commands import main
from dask_validator.store import writer

def watch(event, given):
    if event == "open" and not isinstance(given[0], int):
        opened.append(os.fsdecode(given[0]))

def locked(*given, **named):
    raise NotCommitted("locked")

opened, codes, commit = [], [], writer.commit
sys.addaudithook(watch)
for command in ["check", "run --workers 1 --dry-run", "run --workers 1", "commit"]:
    writer.commit = locked if command == "run --workers 1" else commit
    try:
        main([*command.split(), "--db", sys.argv[1]])
    except SystemExit as ended:
        codes.append(ended.code or 0)
print(json.dumps({"codes": codes, "opened": [os.path.realpath(path) for path in opened]}))
"""


class Other:
    """Another process: it does something to a database, says a line, and ends when it is told to go on."""

    def __init__(self, script: str, *args: object) -> None:
        command = [sys.executable, "-c", script, *map(str, args)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "\n"

    def go_on(self) -> None:
        """Let it end, and wait for that."""
        if self._process.poll() is None:
            self._process.communicate("\n", timeout=BOUND_S)

    @property
    def code(self) -> int | None:
        """The exit code of a process that has ended."""
        return self._process.poll()


class Door:
    """Stands in for how a commit opens the database: counts the attempts, and acts before some of them."""

    def __init__(self, before: Mapping[int, Callable[[], object]]) -> None:
        self.attempts = 0
        self._before = before

    def __call__(self, path: Path, **options: Any) -> duckdb.DuckDBPyConnection:
        """Open."""
        self.attempts += 1
        self._before.get(self.attempts, bool)()
        return connect(path, **options)


Start = Callable[..., Other]
Install = Callable[[Mapping[int, Callable[[], object]]], Door]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts other processes, and ends those that a test left."""
    started: list[Other] = []

    def begin(script: str, *args: object) -> Other:
        started.append(Other(script, *args))
        return started[-1]

    yield begin
    for other in started:
        other.go_on()


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lets commits open the database through a Door."""

    def install(before: Mapping[int, Callable[[], object]]) -> Door:
        made = Door(before)
        monkeypatch.setattr(writer, "commit", partial(writer.commit, connect=made))
        return made

    return install


@pytest.fixture(scope="session")
def few_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three strategies of MGC and one of MES; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("few") / "few.duckdb", STRATEGIES)


@pytest.fixture
def few(few_source: Path, tmp_path: Path) -> Path:
    """A fresh copy of the few strategies, alone in a folder."""
    folder = tmp_path / "few"
    folder.mkdir()
    return Path(shutil.copy(few_source, folder / "few.duckdb"))


def run(database: Path, instrument: str = "MGC", **flags: Any) -> RunResult:
    """Validate serially; the JSONL lies beside the database."""
    return validate(database, instrument, workers=1, wf_output=database.parent / "wf.jsonl", **flags)


def expected(source: Path, folder: Path, *instruments: str) -> dict[str, list[Any]]:
    """What runs write that nobody disturbs, one after the other, into a copy of the database."""
    folder.mkdir()
    copy = Path(shutil.copy(source, folder / "undisturbed.duckdb"))
    for instrument in instruments:
        run(copy, instrument, progress=False)
    return in_any_order(answers(copy))


def in_any_order(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The same answers for comparison: runs of two instruments append to one JSONL in the order of their ends."""
    return {**found, "lines": sorted(found["lines"], key=lambda line: line["strategy_id"])}


def warnings(stderr: str) -> list[str]:
    """The lines that warn."""
    return [line for line in stderr.splitlines() if line.startswith("warning:")]


def until_it_speaks(act: Callable[[], object], folder: Path, *args: object) -> tuple[str, Ran]:
    """Run the command and act as soon as it has said something, which is returned too."""
    with subprocess.Popen(
        [sys.executable, "-m", "dask_validator", *map(str, args)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        act()
        out, rest = process.communicate(timeout=BOUND_S)
    return first, Ran(process.returncode, out, first + rest)


def leave_a_log(database: Path) -> None:
    """Change the database as a process does that is killed before it has cleared up: the change is in the log only."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("UPDATE experimental_strategies SET validation_notes = 'mine'")
    assert Path(f"{database}.wal").stat().st_size > 0


# Held before we start


@pytest.mark.parametrize("doing", ["writing", "reading"])
def test_the_holder_is_described(command: Command, few: Path, start: Start, doing: str) -> None:
    """Whom to ask to let go is said at once: what the process does, its PID and its command; and nothing is changed."""
    holder = start(HOLDING, few, doing)
    before = everything_in(few.parent)
    ran = command("run", "--workers", 1, "--db", few)

    assert ran.code == 2
    words = f"{psutil.Process(holder.pid).cmdline()[0]} -c "
    assert f"{few} is held for {doing} by PID {holder.pid} ({words}" in ran.stderr
    assert "--wait-for-lock" in ran.stderr
    assert everything_in(few.parent) == before


@pytest.mark.parametrize(("doing", "flags"), [("reading", []), ("writing", ["--dry-run"])])
def test_waiting_for_the_holder(few: Path, start: Start, tmp_path: Path, doing: str, flags: list[str]) -> None:
    """With --wait-for-lock a run says for whom it waits, and goes on when that process ends."""
    holder = start(HOLDING, few, doing)
    words = ["run", "--db", few, "--workers", 1, "--wait-for-lock", 30, "--json", *flags]
    first, ran = until_it_speaks(holder.go_on, tmp_path, *words)

    assert f"Waiting up to 30 s: {few} is held for {doing} by PID {holder.pid} (" in first
    assert ran.code == 0, ran.stderr
    assert (ran.summary["rows"], ran.summary["passed"], ran.summary["committed"]) == (3, 2, not flags)


def test_waiting_in_vain(command: Command, few: Path, start: Start) -> None:
    """When the time is up, the run is refused as it would have been at once, and has said only once that it waits."""
    holder = start(HOLDING, few, "reading")
    before = everything_in(few.parent)
    ran = command("run", "--workers", 1, "--db", few, "--wait-for-lock", 2)

    assert ran.code == 2
    waiting, refused = ran.stderr.splitlines()
    assert waiting.startswith("Waiting up to 2 s")
    assert refused.startswith(f"dask-validator: {few} is held for reading by PID {holder.pid}")
    assert everything_in(few.parent) == before


@pytest.mark.parametrize("args", [["run", "--workers", 1], ["run", "--workers", 1, "--dry-run"], ["check"]], ids=str)
def test_asking_changes_nothing(command: Command, few: Path, start: Start, args: list[object]) -> None:
    """Asking who holds the database never opens it for writing, which would rewrite the file of one with a log."""
    leave_a_log(few)
    start(HOLDING, few, "reading")
    before = everything_in(few.parent)

    assert command(*args, "--db", few).code == (2 if args == ["run", "--workers", 1] else 0)
    assert everything_in(few.parent) == before


# File systems that do not know


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that does not say who holds a file."""
    monkeypatch.setattr(lock, "_ASK", UNANSWERED)


@pytest.mark.usefixtures("unanswered")
def test_no_answer(few: Path, few_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can say who holds the file, the run says so once, goes on, and is right."""
    run(few)

    [warning] = warnings(capsys.readouterr().err)
    assert f"the file system of {few} does not say who holds it" in warning
    assert in_any_order(answers(few)) == expected(few_source, tmp_path / "undisturbed", "MGC")


@pytest.mark.usefixtures("unanswered")
def test_no_answer_about_a_writer(few: Path, start: Start) -> None:
    """Who cannot be asked for beforehand is found by the first reading: refused all the same, by PID."""
    holder = start(HOLDING, few, "writing")
    with pytest.raises(DatabaseHeld, match=f"PID {holder.pid}"):
        run(few, progress=False)


def test_check_without_an_answer(few: Path) -> None:
    """`check` says that nobody knows who holds the file, and all the rest."""
    script = (
        "from dask_validator.cli import commands; from dask_validator.store import lock; "
        f"lock._ASK = {UNANSWERED!r}; commands.main()"
    )
    command = [sys.executable, "-c", script, "check", "--db", str(few)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S, check=False)

    assert done.returncode == 0, done.stderr
    assert "does not say who holds it" in done.stdout
    assert "A run would validate 3 strategies" in done.stdout


class Mount(NamedTuple):
    """A mounted file system, as psutil tells of it."""

    mountpoint: str
    fstype: str


@pytest.mark.parametrize(
    ("kinds", "warned"),
    [
        ({"few": "nfs4"}, 1),
        ({"few": "fuse.sshfs"}, 1),
        ({"": "nfs4", "few": "ext4"}, 0),
        ({"": "ext4"}, 0),
        ({"few": "ext4", "linked": "cifs"}, 1),
    ],
    ids=str,
)
def test_network_file_system(
    few: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kinds: dict[str, str],
    warned: int,
) -> None:
    """A database that lies on another machine, also by a link, is warned of once; a local one is not."""
    mounts = [Mount(str(tmp_path / folder), kind) for folder, kind in kinds.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [Mount("/", "overlay"), *mounts])
    if "linked" in kinds:
        (tmp_path / "linked").mkdir()
        few.rename(tmp_path / "linked" / "few.duckdb")
        few.symlink_to(tmp_path / "linked" / "few.duckdb")

    assert run(few).summary["committed"]
    found = warnings(capsys.readouterr().err)
    assert len(found) == warned
    assert all("network file system" in warning for warning in found)


def test_held_on_another_machine(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder whose PID means nothing here, on another machine or in another container, is a holder all the same."""
    monkeypatch.setattr(lock, "_ASK", f"print({NOBODY}, 'reading')")
    with pytest.raises(DatabaseHeld, match=f"PID {NOBODY}"):
        run(few, progress=False)


# The caller's own connections


def attached(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection to another database, which has this one attached."""
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{path}' AS mine")
    return connection


def by_another_name(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection through a hard link."""
    other = path.with_name("hard")
    other.hardlink_to(path)
    return duckdb.connect(str(other))


OWN: dict[str, Callable[[Path], duckdb.DuckDBPyConnection]] = {
    "for writing": lambda path: duckdb.connect(str(path)),
    "for reading": lambda path: duckdb.connect(str(path), read_only=True),
    "attached": attached,
    "by another name": by_another_name,
}


@pytest.mark.parametrize("dry_run", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("open_it", OWN.values(), ids=OWN)
def test_our_callers_connection(few: Path, open_it: Callable[[Path], duckdb.DuckDBPyConnection], dry_run: bool) -> None:
    """Beside any connection of the caller's own, validate() refuses, and the lock of that connection holds on."""
    with open_it(few):
        with pytest.raises(DatabaseHeld, match=rf"another connection of this process \(PID {os.getpid()}\)"):
            run(few, progress=False, dry_run=dry_run)
        assert not opens_for_writing(few)
    assert opens_for_writing(few)


@pytest.mark.parametrize("name", ["few.duckdb", "hard"])
def test_our_callers_reader_among_others(few: Path, start: Start, name: str) -> None:
    """That others read too does not hide the caller's own connection, whose lock a dry run would drop."""
    few.with_name("hard").hardlink_to(few)
    start(HOLDING, few, "reading")
    with duckdb.connect(str(few), read_only=True), pytest.raises(DatabaseHeld, match=str(os.getpid())):
        run(few.with_name(name), progress=False, dry_run=True)


@pytest.mark.parametrize("open_it", OWN.values(), ids=OWN)
def test_our_callers_connection_at_the_commit(
    few: Path, monkeypatch: pytest.MonkeyPatch, open_it: Callable[[Path], duckdb.DuckDBPyConnection]
) -> None:
    """A connection that the caller opens while we compute is respected by the commit: its lock holds on."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def commit_beside_it(*given: Any, **named: Any) -> datetime:
        opened.append(open_it(few))
        return commit(*given, **named)

    commit = writer.commit
    monkeypatch.setattr(preparing, "PATIENCE_S", 0.2)
    with commit_replaced(commit_beside_it), pytest.raises(NotCommitted, match="held"):
        run(few, progress=False)

    assert not opens_for_writing(few)
    opened[0].close()
    assert run(few, progress=False).summary["committed"]


def test_only_duckdb_opens_the_database(few: Path, tmp_path: Path) -> None:
    """Python never opens the database, not even to look: closing such a file would drop the locks of DuckDB."""
    command = [sys.executable, "-c", AUDITED, str(few)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True, timeout=BOUND_S)
    found = json.loads(done.stdout.splitlines()[-1])

    assert found["codes"] == [0, 0, 4, 0]
    assert f"{few}.MGC.journal" in found["opened"]
    assert str(tmp_path / "data" / "walkforward_results.jsonl") in found["opened"]
    assert str(few) not in found["opened"]


# Held at the commit


def test_a_lock_that_passes(few: Path, few_source: Path, tmp_path: Path, start: Start, door: Install) -> None:
    """Somebody who looks into the database when we want to commit costs a second try or two, and nothing else."""
    holders: list[Other] = []
    found = door({1: lambda: holders.append(start(HOLDING, few, "reading")), 3: lambda: holders[0].go_on()})
    run(few, progress=False)

    assert found.attempts == 3
    assert in_any_order(answers(few)) == expected(few_source, tmp_path / "undisturbed", "MGC")
    assert everything_in(few.parent).keys() == {"few.duckdb", "wf.jsonl"}


def test_patience_is_at_least_the_waiting_time(
    few: Path, start: Start, door: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gives --wait-for-lock is as patient at the commit as before the computing."""
    monkeypatch.setattr(preparing, "PATIENCE_S", 0.0)
    holders: list[Other] = []
    door({1: lambda: holders.append(start(HOLDING, few, "reading")), 3: lambda: holders[0].go_on()})

    assert run(few, progress=False, wait_for_lock=30).summary["committed"]


class Watch:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self.now += seconds


@pytest.mark.parametrize("seconds", [0.0, 0.3, 10.0, 12.0, 20.0])
def test_a_lock_is_waited_for_as_long_as_is_said(few: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Growing pauses do not make the waiting end early, nor late."""
    watch = Watch()
    monkeypatch.setattr(patience, "time", watch)

    def held(*_: object, **__: object) -> None:
        raise DatabaseHeld("held by PID 1", 1)

    market = Market(KNOWN_COSTS["MGC"], {})
    config = RunConfig()
    nothing = decide(Candidates(market.terms(config), market, vocabulary(config, ())), {}, Correction.over(np.empty(0)))
    with pytest.raises(NotCommitted, match="held by PID 1"):
        writer.commit(few, None, nothing, Seen((), {}, None, {}), patience.Patience(seconds), held)  # type: ignore[arg-type]
    assert watch.now == pytest.approx(seconds)


def test_a_database_that_may_not_be_written(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing write permission is said before the computing; a dry run does not need it."""
    monkeypatch.setattr(database.os, "access", lambda path, mode: mode != os.W_OK)  # the super-user has all of them
    with pytest.raises(InputError, match="may not be written by this user; needed write permission, or --dry-run"):
        run(few)

    assert run(few, dry_run=True).summary["passed"] == 2


def test_other_errors_are_not_tried_again(few: Path, door: Install) -> None:
    """Only locks pass by themselves: a database that is gone is said at once, and committed to when it is back."""
    moved = few.with_name("moved.duckdb")
    found = door({1: lambda: few.rename(moved)})
    with pytest.raises(NotCommitted, match="No such file") as caught:
        run(few, progress=False)

    assert found.attempts == 1
    assert caught.value.result is not None
    assert caught.value.result.summary["passed"] == 2
    moved.rename(few)
    again = run(few, progress=False)
    assert (again.summary["walkforward"]["reused"], again.summary["walkforward"]["tasks"]) == (3, 0)
    assert again.summary["committed"]


def test_ctrl_c_ends_the_waiting(few: Path, start: Start, door: Install) -> None:
    """Whoever is tired of waiting for a lock at the commit may leave: nothing is written, and nothing is lost."""
    holders: list[Other] = []
    found = door(
        {1: lambda: holders.append(start(HOLDING, few, "reading")), 2: lambda: signal.raise_signal(signal.SIGINT)}
    )
    with pytest.raises(KeyboardInterrupt):
        run(few, progress=False)

    assert found.attempts == 2
    holders[0].go_on()
    assert {row["validation_status"] for row in rows_by_id(few, "experimental_strategies").values()} == {None}
    assert run(few, progress=False).summary["walkforward"]["tasks"] == 0


def test_a_holder_that_cannot_be_seen_is_not_waited_for_for_ever(
    few: Path, door: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock of another machine or container, whose PID means nothing here, is waited for as long as any other."""

    def held() -> None:
        assert found.attempts < 20, "waits for ever"
        raise DatabaseHeld(f"{few} is held by PID {NOBODY} (python)", NOBODY)

    monkeypatch.setattr(preparing, "PATIENCE_S", 0.3)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.1)
    found = door(dict.fromkeys(range(100), held))
    with pytest.raises(NotCommitted, match=f"PID {NOBODY}"):
        run(few, progress=False)


# Two instruments at the same time


def test_beside_the_run_of_another_instrument(
    few: Path, few_source: Path, tmp_path: Path, start: Start, door: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instruments may be validated at the same time: whoever ends first waits until the other has read its rows."""
    monkeypatch.setattr(preparing, "PATIENCE_S", 0.0)
    other = start(PAUSED_RUN, few, "reading", few.parent / "wf.jsonl")
    found = door({4: other.go_on})
    run(few, progress=False)

    assert found.attempts >= 4
    assert other.code == 0
    assert in_any_order(answers(few)) == expected(few_source, tmp_path / "undisturbed", "MES", "MGC")
    assert everything_in(few.parent).keys() == {"few.duckdb", "wf.jsonl"}


def test_while_another_instrument_is_committed(few: Path, few_source: Path, tmp_path: Path, start: Start) -> None:
    """A run that starts in the second in which another instrument is committed waits for that, rather than refuse."""
    other = start(PAUSED_RUN, few, "committing", few.parent / "wf.jsonl")
    words = ["run", "--db", few, "--workers", 1, "--wf-output", few.parent / "wf.jsonl"]
    _, ran = until_it_speaks(other.go_on, tmp_path, *words)

    assert ran.code == 0, ran.stderr
    assert other.code == 0
    assert in_any_order(answers(few)) == expected(few_source, tmp_path / "undisturbed", "MES", "MGC")


def test_a_second_run_of_the_same_instrument(command: Command, few: Path, start: Start) -> None:
    """Two runs of one instrument would do the same work twice: the second one is refused and names the first."""
    other = start(PAUSED_RUN, few, "reading", few.parent / "wf.jsonl")
    ran = command("run", "--workers", 1, "--db", few, "--instrument", "MES")

    assert ran.code == 2
    assert f"PID {other.pid}" in ran.stderr
    other.go_on()
    assert other.code == 0
    assert rows_by_id(few, "experimental_strategies")["MES_GOOD"]["validation_status"] == "PASSED"


# Who may look on


def test_a_dashboard_for_everybody(command: Command, few: Path) -> None:
    """Dask asks nobody for a password: a dashboard that other machines can reach is warned of, once."""
    ran = command("run", "--db", few, "--dry-run", "--workers", 2, "--dashboard-address", "0.0.0.0:0")

    assert ran.code == 0, ran.stderr
    [warning] = [warning for warning in warnings(ran.stderr) if "password" in warning]
    assert "beyond this machine" in warning


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", ":0", None])
def test_a_dashboard_for_us(address: str | None) -> None:
    """One that only users of this machine can reach is not warned of, nor is none."""
    with open_executor(2, dashboard_address=address) as executor:
        assert not [warning for warning in executor.warnings if "password" in warning]
