"""Kills runs at any moment, goes on with `--resume`, and compares with a run that nobody disturbed.

`python -m tests.crash` kills at random moments between the first byte of the journal and the end of the run, every
other time only after the first answer, then at the steps of the commit in turn. Exit code 1 when a line was lost or
doubled, a table differs, a commit was seen in halves, or a process was left running.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import psutil

from dask_validator import import_trades
from dask_validator.store import undo, writer
from dask_validator.store.connection import connect
from dask_validator.store.trade_tables import TRADES
from tests.recorded import SMALL, build_database
from tests.support.tiny import Row, tiny_database
from tests.support.trade_logs import log

ROOT = Path(__file__).resolve().parents[1]
RUN = "from dask_validator.__main__ import main; main()"
# Cut finely, or the recorded database would make three tasks and few moments in between.
FINELY = f"from dask_validator.work import plan; plan.OUTCOMES_PER_TASK = (2_000, 5_000); {RUN}"
TIMEOUT_S = 120
LAST_STEP = "appending"  # of a commit; what is printed afterwards is the summary
PATIENCE_S = 10.0  # for processes to end after the one that they belong to
MOMENTS = {"promoted_at", "retired_at", "finished_at", "run_id"}
# Of those that also say what a second run found, the view of the latest says what counts.
OF_EACH_RUN = {f"dask_validator_{name}" for name in ("runs", "results", "before", "before_setups")}
ONLY_READ = {"orb_outcomes", "daily_features", TRADES}
# The last of these that a journal holds says how far the run had come.
STAGES = {"append": "appending", "committing": "committing", "computed": "committing", "answers": "computing"}
KINDS: list[Row] = [
    {},
    {"strategy_id": "MGC_BAD", "sample_size": 3},
    {"strategy_id": "MGC_ALIAS", "is_canonical": False},
    {"strategy_id": "MGC_FAILING", "filter_type": None},
    {"strategy_id": "MGC_OTHER_KEY", "rr_target": 3.0},
    {"strategy_id": "MES_OTHER", "instrument": "MES"},
]


class State(NamedTuple):
    """All that a run writes, without moments and run ids."""

    tables: dict[str, list[str]]
    lines: list[str]


class Trial(NamedTuple):
    """What came of one kill."""

    kind: str
    lost: int  # lines
    doubled: int  # lines, torn ones included
    differing: int  # tables, and the order of the lines
    mixed: bool  # right after the kill the database was neither as before nor as after
    left: int  # processes that did not end with the one that was killed
    said: str = ""  # by a resumed run that failed

    @property
    def counts(self) -> tuple[int, int, int, bool, int]:
        """What there should be none of."""
        return self.lost, self.doubled, self.differing, self.mixed, self.left

    @property
    def harmless(self) -> bool:
        """Whether the kill has left no trace."""
        return not any(self.counts) and not self.said


class Box:
    """A folder with a copy of a database, and runs on it."""

    def __init__(self, source: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._scratch = tempfile.mkdtemp(prefix="crash-")  # in a longer path the socket of a cluster has no room
        self.database = Path(shutil.copy(source, folder / "box.duckdb"))
        self.journal = folder / "box.duckdb.MGC.journal"

    def command(self, workers: int, *more: str) -> list[str]:
        """The arguments of a run."""
        names = {"--db": self.database, "--workers": workers, "--wf-output": self.folder / "wf.jsonl"}
        return ["run", *(str(word) for pair in names.items() for word in pair), "--no-dashboard", *more]

    def start(self, code: str, *args: str) -> subprocess.Popen[str]:
        """Python code in a session of its own, by which all that it starts can be found."""
        return subprocess.Popen(
            [sys.executable, "-c", code, *args],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def resume(self, workers: int) -> str:
        """Run `--resume` to its end; what it says when it fails."""
        done = self._ended(self.command(workers, "--resume"))
        return "" if done.returncode in (0, 3) else f"exit code {done.returncode}: {done.stderr}"

    def undo(self) -> list[str]:
        """The arguments of an undo of the one run that there was."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            [(run_id,)] = connection.execute("SELECT run_id FROM dask_validator_runs").fetchall()
        return ["undo", "--db", str(self.database), "--run", run_id]

    def undo_again(self) -> str:
        """Take it back unless it is; what that says when it fails."""
        done = self._ended(self.undo())
        done_before = done.returncode == 2 and "undone already" in done.stderr
        return "" if done.returncode == 0 or done_before else f"exit code {done.returncode}: {done.stderr}"

    def _ended(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dask_validator", *command],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": self._scratch}

    def remove(self) -> None:
        """Leave nothing."""
        for folder in (self.folder, self._scratch):
            shutil.rmtree(folder, ignore_errors=True)

    def has_begun(self) -> bool:
        """Whether there is something that a kill could harm."""
        return self.journal.exists()

    def has_answers(self) -> bool:
        """Whether there is something to take over."""
        return '{"answers"' in self._kept()

    def _kept(self) -> str:
        try:
            return self.journal.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def stage(self) -> str:
        """How far a run has come, by what it has left."""
        kept = self._kept()
        if not kept:
            return "ended"
        return next((stage for mark, stage in STAGES.items() if f'{{"{mark}"' in kept), "screening")

    def state(self) -> State:
        """What is written now."""
        jsonl = self.folder / "wf.jsonl"
        return State(tables(self.database), [timeless(line) for line in _lines(jsonl)])


def tables(database: Path) -> dict[str, list[str]]:
    """Every row of the users' tables as text, where NaN equals NaN; of those that are only read, a hash."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        columns: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ).fetchall():
            if column not in MOMENTS and table not in OF_EACH_RUN:
                columns.setdefault(table, []).append(f'"{column}"')
        for table, names in columns.items():
            wanted = ", ".join(names)
            if table in ONLY_READ:
                wanted = f"count(*), sum(hash({wanted}))"
            rows = connection.execute(f'SELECT {wanted} FROM "{table}" ORDER BY ALL').fetchall()
            found[table] = [*names, *map(repr, rows)]
    return found


def timeless(line: str) -> str:
    """A line of the JSONL without its moment; a torn one as it is."""
    try:
        return repr({**json.loads(line), "timestamp": None, "run_id": None})
    except ValueError:
        return line


def _lines(jsonl: Path) -> list[str]:
    return jsonl.read_text().splitlines() if jsonl.exists() else []


def compared(kind: str, box: Box, truth: State, *, mixed: bool, left: int, said: str) -> Trial:
    """What a kill and the run after it have made of a box."""
    found = box.state()
    lost, doubled = Counter(truth.lines) - Counter(found.lines), Counter(found.lines) - Counter(truth.lines)
    names = found.tables.keys() | truth.tables.keys()
    differing = sum(found.tables.get(name) != truth.tables.get(name) for name in names)
    differing += not lost and not doubled and found.lines != truth.lines
    return Trial(kind, lost.total(), doubled.total(), differing, mixed, left, said)


def kills(source: Path, folder: Path, times: int, seed: int = 0, workers: int = 2) -> Iterator[Trial]:
    """Kill runs of one process and of several in turn, at random moments."""
    chance = random.Random(seed)
    before, counts = tables(source), (1, workers)
    undisturbed = {count: _undisturbed(Box(source, folder / f"undisturbed-{count}"), count) for count in counts}
    truth = undisturbed[1].state
    assert all(run.state == truth for run in undisturbed.values()), "runs differ that nobody has disturbed"
    for number in range(times):
        count, next_count = counts[number % 2], counts[number % 5 == 4]
        box = Box(source, folder / f"kill-{number}")
        process = box.start(FINELY, *box.command(count))
        later = number // 2 % 2
        with _killed_at_the_end(process):
            _wait(process, (box.has_begun, box.has_answers)[later])
            with suppress(subprocess.TimeoutExpired):
                process.wait(undisturbed[count].seconds[later] * chance.uniform(0, 1.05))
        kind = f"{box.stage()}, {count} worker{'s' * (count > 1)}"
        mixed = tables(box.database) not in (before, truth.tables)
        said = box.resume(next_count)
        left = _left_running(process.pid)
        yield _tidied(compared(kind, box, truth, mixed=mixed, left=left, said=said), box)


class Undisturbed(NamedTuple):
    """A run that nobody kills."""

    state: State  # that it leaves
    seconds: tuple[float, float]  # from its beginning and from its first answer to its end


def _undisturbed(box: Box, workers: int) -> Undisturbed:
    process = box.start(FINELY, *box.command(workers))
    moments = []
    for reached in (box.has_begun, box.has_answers, lambda: not box.has_begun()):
        _wait(process, reached)
        moments.append(time.perf_counter())
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, 3), "a run has failed that nobody has disturbed"
    state = box.state()
    box.remove()
    begun, answered, ended = moments
    return Undisturbed(state, (ended - begun, ended - answered))


def _wait(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    while not reached() and process.poll() is None:
        time.sleep(0.001)


@contextmanager
def _killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """SIGKILL at the end of the block, or when that does not come."""
    late = threading.Timer(TIMEOUT_S, process.kill)
    late.start()
    with process:
        try:
            yield
        finally:
            process.kill()
            late.cancel()


def _left_running(session: int) -> int:
    """How many processes of a session are still there when they have had time to end."""
    deadline = time.monotonic() + PATIENCE_S
    while left := sum(_session(process) == session for process in psutil.process_iter()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _session(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.Error, ProcessLookupError):
        return None


class Deed(NamedTuple):
    """A command that writes in one transaction."""

    code: str  # that runs it, pausing at a step
    command: Callable[[Box], list[str]]
    again: Callable[[Box], str]  # goes on after a kill; what it says when it fails


COMMIT = Deed("commit", lambda box: box.command(1), lambda box: box.resume(1))
UNDO = Deed("undo", Box.undo, Box.undo_again)


def commits(source: Path, folder: Path, times: int | None = None) -> Iterator[Trial]:
    """Kill runs at the steps of their commit in turn, those of a new kind first; as often as there are kinds."""
    yield from _at_every_step(COMMIT, source, folder, times)


def undoings(source: Path, folder: Path, times: int | None = None) -> Iterator[Trial]:
    """Validate, then kill undos at their steps, the last ones first; in the end the users' tables are as before."""
    box = Box(source, folder / "validated")
    assert not box.resume(1), "a run has failed that nobody has disturbed"
    yield from _at_every_step(UNDO, box.database, folder, times)
    undone = Box(box.database, folder / "undone")
    assert not undone.undo_again()
    left, before = tables(undone.database), tables(source)
    assert {table: left[table] for table in before} == before, "an undo that nobody has disturbed has left something"
    for each in (box, undone):
        each.remove()


def _at_every_step(deed: Deed, source: Path, folder: Path, times: int | None) -> Iterator[Trial]:
    before, undisturbed = tables(source), Box(source, folder / "undisturbed")
    process = undisturbed.start(*_pausing(deed, undisturbed, -1))
    printed = process.communicate(timeout=TIMEOUT_S)[0].splitlines()
    steps = printed[: printed.index(LAST_STEP) + 1]
    truth = undisturbed.state()
    undisturbed.remove()
    writing = [position for position, step in enumerate(steps) if not step.startswith("SELECT")]
    positions = sorted(writing, key=lambda position: steps[position] in steps[:position])
    if deed is UNDO:
        positions.reverse()
    trial = partial(_killed_at_a_step, deed, source, folder, steps=steps, before=before, truth=truth)
    with ThreadPoolExecutor(2) as both:
        yield from both.map(trial, range(times or len({steps[position] for position in writing})), cycle(positions))


def _killed_at_a_step(
    deed: Deed,
    source: Path,
    folder: Path,
    number: int,
    position: int,
    *,
    steps: Sequence[str],
    before: dict[str, list[str]],
    truth: State,
) -> Trial:
    box = Box(source, folder / f"{deed.code}-{number}")
    process = box.start(*_pausing(deed, box, position))
    with _killed_at_the_end(process):
        passed = list(islice(process.stdout or (), position + 1))
    assert len(passed) == position + 1, "it has ended before its time"
    expected = truth.tables if position > steps.index("COMMIT") else before
    mixed = tables(box.database) != expected
    kind = f"before {steps[position]}" if deed is COMMIT else f"{deed.code}, before {steps[position]}"
    said = deed.again(box)
    return _tidied(compared(kind, box, truth, mixed=mixed, left=0, said=said), box)


def _tidied(trial: Trial, box: Box) -> Trial:
    """The trial; its box is kept only when something is wrong."""
    if trial.harmless:
        box.remove()
    return trial


def _pausing(deed: Deed, box: Box, position: int) -> tuple[str, ...]:
    return f"from tests.crash import pausing; pausing({position})", *deed.command(box)


def pausing(position: int) -> None:
    """Run the command of this process's arguments; name each step of its transaction, and wait at one to be killed."""
    from dask_validator.__main__ import main

    paced: Any = partial(Paced, Pacer(position))
    writer.commit = partial(writer.commit, connect=paced)
    undo.undo = partial(undo.undo, connect=paced)
    main()


class Pacer:
    """Names steps on stdout, and at one of them waits for ever."""

    def __init__(self, position: int) -> None:
        self._left = position

    def __call__(self, step: str) -> None:
        """Name a step that is about to be taken."""
        print(step, flush=True)
        while self._left == 0:
            signal.pause()
        self._left -= 1


class Paced:
    """A connection that takes its steps one by one."""

    def __init__(self, pacer: Pacer, path: Path, **options: Any) -> None:
        self._pacer = pacer
        self._connection = connect(path, **options)

    def execute(self, sql: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
        """Run one statement."""
        self._pacer(" ".join(sql.split("(")[0].split()[:3]))
        return self._connection.execute(sql, *parameters)

    def close(self) -> None:
        """Close; afterwards the lines are appended."""
        self._pacer("closing")
        self._connection.close()
        self._pacer(LAST_STEP)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def older_database(path: Path) -> Path:
    """A small database with a strategy of every kind, imported ones too, whose commit adds columns."""
    setups = [{"strategy_id": row["strategy_id"], "filter_type": "ORB_G4"} for row in KINDS[1:4]]
    tiny_database(path, KINDS, setups=setups, lacking=("fdr_significant", "fdr_adjusted_p"))
    import_trades(log(), path, "MGC")
    return path


def report(trials: Sequence[Trial]) -> str:
    """A table with a line for each kind of kill and one for all."""
    by_kind: dict[str, list[Trial]] = {}
    for trial in sorted(trials):
        by_kind.setdefault(trial.kind, []).append(trial)
    header = f"{'killed':<46}{'times':>7}{'lost':>7}{'doubled':>9}{'differing':>11}{'mixed':>7}{'left':>6}"
    rows = [header, *(_row(kind, of_kind) for kind, of_kind in {**by_kind, "together": trials}.items() if of_kind)]
    return "\n".join([*rows, *(f"{trial.kind}: {trial.said}" for trial in trials if trial.said)])


def _row(kind: str, trials: Sequence[Trial]) -> str:
    lost, doubled, differing, mixed, left = (sum(counts) for counts in zip(*(t.counts for t in trials), strict=True))
    return f"{kind:<46}{len(trials):>7}{lost:>7}{doubled:>9}{differing:>11}{mixed:>7}{left:>6}"


def main() -> int:
    """Kill, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="at random moments")
    parser.add_argument("--commits", type=int, default=50, help="inside the commit, a third of them inside an undo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="every other run has so many")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    build_database(SMALL / "input", folder / "recorded.duckdb")
    older = older_database(folder / "older.duckdb")
    third = given.commits // 3
    trials: list[Trial] = []
    for kind in (
        kills(folder / "recorded.duckdb", folder, given.kills, given.seed, given.workers),
        commits(folder / "recorded.duckdb", folder / "recorded", given.commits - 2 * third),
        commits(older, folder / "older", third),
        undoings(folder / "recorded.duckdb", folder / "undo", third),
    ):
        for trial in kind:
            trials.append(trial)
            if sys.stderr.isatty():
                print(f"{len(trials)} killed", end="\r", file=sys.stderr, flush=True)
    print(report(trials))
    if all(trial.harmless for trial in trials):
        shutil.rmtree(folder)
        return 0
    print(f"what was left is in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
