"""Hostile databases by the thousand: each ends in results, in FAILED or in one clear line, and nothing else changes.

`python -m tests.fuzz --cases 10000 --seed 0` makes every case from a template by random mutations and validates it.
What breaks a promise is printed; `--only N` with the same seed repeats that case alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, suppress
from functools import cache, lru_cache, partial
from io import StringIO
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import duckdb

from dask_validator import InputError, NotCommitted, import_trades, validate
from dask_validator.config import RunConfig
from dask_validator.journal import provenance
from dask_validator.run import commit
from dask_validator.run.instruments import costs_of
from dask_validator.sources.chosen import source_of
from dask_validator.store import access, connection, lock
from dask_validator.store.checkup import examine
from dask_validator.store.contract import OPTIONAL, SPLIT
from dask_validator.store.undo import undo
from dask_validator.views.result import RunResult
from tests.mutations import mutate
from tests.support.tiny import Row, tiny_database
from tests.support.trade_logs import log

STRATEGIES, SETUPS, RUNS, *_ = OURS = (
    *("experimental_strategies", "validated_setups", "dask_validator_runs"),
    *("dask_validator_results", "dask_validator_windows", "dask_validator_latest"),
    *("dask_validator_before", "dask_validator_before_setups"),
)
STATUSES = ("PASSED", "REJECTED", "SKIPPED", "FAILED")
VERDICT = {"validation_status", "validation_notes"}
KEPT_OF_A_SETUP = {"promoted_at", "p_value", "sharpe_ann_adj", "execution_spec", "family_hash", "is_family_head"}
RETIRING = {"status", "retired_at", "retirement_reason"}
TIMEOUT_S, CHUNK, SAID_EVERY = 120, 25, 1000

YEARLY = '{"2021": {"trades": 60, "avg_r": 0.5}, "2022": {"trades": 4, "avg_r": -0.1}}'
ROWS: list[Row] = [
    {"strategy_id": "MGC_A"},
    {"strategy_id": "MGC_B_W"},
    {"strategy_id": "MGC_C_S", "filter_type": "NO_FILTER"},
    {"strategy_id": "MGC_D", "filter_type": "ORB_G4_FAST5", "filter_params": '{"base": {"min_size": 4}}'},
    {"strategy_id": "MGC_E", "orb_label": "1000", "filter_type": "ORB_G4_NOFRI", "is_canonical": None},
    {"strategy_id": "MGC_F", "orb_label": "1000", "filter_type": "MYSTERY", "dst_verdict": "STABLE"},
    {"strategy_id": "MGC_G", "orb_label": "1000", "yearly_results": YEARLY},
    {"strategy_id": "MGC_H", "is_canonical": False},
    {"strategy_id": "MGC_I", "sample_size": 3},
    {"strategy_id": "MGC_J", "expectancy_r": -0.5},
    {"strategy_id": "MGC_K", "filter_type": None},
    {"strategy_id": "MGC_L", "validation_status": "PASSED", "validation_notes": "long ago"},
    {"strategy_id": "MGC_M", "validation_status": "FAILED", "validation_notes": "before"},
    {"strategy_id": "MGC_N", "validation_status": "PENDING"},
    {"strategy_id": "MGC_O", "filter_type": "VOL_RV12_N20", "validation_status": ""},
    {"strategy_id": "MES_A", "instrument": "MES"},
    {"strategy_id": "MES_B", "instrument": "MES", "is_canonical": False},
]
PROMOTED: list[Row] = [
    {"strategy_id": strategy_id, "filter_type": "ORB_G4"}
    for strategy_id in ("MGC_A", "MGC_H", "MGC_J", "MGC_K", "MGC_L", "MES_A", "MES_B")
]
MORE = [
    "INSERT INTO edge_families VALUES ('f1', 'MGC', 1, 'MGC_A'), ('f2', 'MGC', 1, 'MGC_J'), ('f3', 'MES', 1, 'MES_A')",
    "INSERT INTO validated_setups_archive VALUES ('a1', 'MGC_H', 'was good')",
    "CREATE TABLE canary AS SELECT range AS sings, 'alive' AS state FROM range(9)",
    "CREATE VIEW promoted AS SELECT strategy_id FROM validated_setups WHERE status = 'active'",
    "DELETE FROM orb_outcomes WHERE dayofyear(trading_day) % 2 > 0 OR outcome IS NULL",  # small is fast
]
# Other templates than `keyed` have no foreign keys, so that their rows and columns can be anything.
TEMPLATES = {"keyed": 2, "loose": 6, "older": 1, "unique": 1, "logs": 2}  # how often
OLDER = "* EXCLUDE (dst_winter_n, dst_winter_avg_r, dst_summer_n, dst_summer_avg_r, dst_verdict)"


class Attached:
    """What `duckdb.connect` would have returned."""

    def __init__(self, instance: Instance, path: str, cursor: duckdb.DuckDBPyConnection) -> None:
        self._instance = instance
        self._path = path
        self._cursor = cursor
        self._open = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def close(self) -> None:
        """Leave the file; the last one detaches it."""
        if self._open:
            self._open = False
            self._cursor.close()
            self._instance.leave(self._path)


class Instance:
    """One DuckDB for all cases, to which their files are attached: one for each file would take 20 ms every time."""

    def __init__(self) -> None:
        settings = access.settings(access.Access(external_views=True), read_only=True)  # to attach the files
        self._root = duckdb.connect(":memory:", config=dict(settings))
        self._names = (f"case{number}" for number in count())
        self._open: dict[str, tuple[str, list[None]]] = {}
        self._lock = threading.Lock()

    def connect(self, path: str, read_only: bool = False, config: object = None) -> Attached:
        """As `duckdb.connect`; connections of one file must all be read-only, or there may be only one."""
        with self._lock:
            if path not in self._open:
                name = next(self._names)
                self._root.execute(f"ATTACH '{path}' AS {name} ({'READ_ONLY' if read_only else 'READ_WRITE'})")
                self._open[path] = name, []
            name, users = self._open[path]
            users.append(None)
            cursor = self._root.cursor()
            cursor.execute(f"USE {name}")
            return Attached(self, path, cursor)

    def leave(self, path: str) -> None:
        """One connection less."""
        with self._lock:
            name, users = self._open[path]
            users.pop()
            if not users:
                del self._open[path]
                self._root.execute(f"DETACH {name}")

    @contextmanager
    def opened(self, path: Path, *, read_only: bool = False) -> Iterator[Attached]:
        """A connection for the block."""
        attached = self.connect(str(path), read_only=read_only)
        try:
            yield attached
        finally:
            attached.close()

    @contextmanager
    def for_the_package(self) -> Iterator[None]:
        """The package opens its files here; nobody asks for locks, and numpy's warnings are errors."""
        ours = SimpleNamespace(**{**vars(duckdb), "connect": self.connect})
        with (
            patch.object(connection, "duckdb", ours),
            patch.object(connection, "refuse_truncated", lambda *args: None),
            patch("dask_validator.store.checkup.refuse_truncated", lambda *args: None),
            patch.object(lock, "holder", lambda path: None),
            patch("dask_validator.store.checkup.holder", lambda path: None),
            patch.object(commit, "versions", cache(provenance.versions)),
            redirect_stderr(StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error", RuntimeWarning)
            yield


def make_templates(folder: Path, instance: Instance) -> dict[str, Path]:
    """The databases that cases begin with, by name."""
    whole = tiny_database(folder / "whole.duckdb", ROWS, setups=PROMOTED)
    paths = {name: folder / f"{name}.duckdb" for name in TEMPLATES}
    with instance.opened(whole) as db:
        for statement in MORE:
            db.execute(statement)
        [(source,)] = db.execute("SELECT current_database()").fetchall()
        tables = [name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        for name, path in paths.items():
            db.execute(f"ATTACH '{path}' AS made")
            if name == "keyed":
                db.execute(f"COPY FROM DATABASE {source} TO made")
            else:
                for table in tables:
                    columns = OLDER if name == "older" and table in OURS else "*"
                    db.execute(f"CREATE TABLE made.{table} AS SELECT {columns} FROM {source}.{table}")
                for table in (STRATEGIES, SETUPS):
                    key = "ADD UNIQUE (strategy_id)" if name == "unique" else "ADD PRIMARY KEY (strategy_id)"
                    db.execute(f"ALTER TABLE made.{table} {key}")
            db.execute("DETACH made")
    import_trades(log(3, 120, cost=0.1), paths["logs"], "MGC")
    return paths


class Snapshot(NamedTuple):
    """All that is in a database, as text."""

    objects: dict[str, str]  # tables, views, indexes: how they were declared
    columns: dict[str, list[str]]  # of the tables
    others: dict[str, list[int]]  # number of rows and their hash, of tables that no run may write
    strategies: list[dict[str, str | None]]
    setups: list[dict[str, str | None]]
    windows: dict[str, list[tuple[Any, ...]]]  # that a run has left, by strategy that reached walk-forward


def snapshot(db: Any) -> Snapshot:
    """Look at everything in the database."""
    objects = db.execute(
        "SELECT schema_name || '.' || table_name, sql FROM duckdb_tables() WHERE database_name = current_database() "
        "UNION ALL SELECT 'view ' || view_name, sql FROM duckdb_views() "
        "WHERE database_name = current_database() AND NOT internal "
        "UNION ALL SELECT 'index ' || index_name, sql FROM duckdb_indexes() WHERE database_name = current_database()"
    ).fetchall()
    tables = [name.removeprefix("main.") for name, _ in objects if name.startswith("main.")]
    hashes = [
        f"""SELECT {position}, count(*), sum(hash("a row")) FROM main."{name.replace('"', '""')}" "a row\""""
        for position, name in enumerate(tables)
        if name.lower() not in OURS
    ]
    others = {tables[position]: found for position, *found in db.execute(" UNION ALL ".join(hashes)).fetchall()}
    rows = {name.lower(): _rows(db, name) for name in tables if name.lower() in (STRATEGIES, SETUPS)}
    columns = {name: list(found[0]) if found else [] for name, found in rows.items()}
    return Snapshot(dict(objects), columns, others, rows.get(STRATEGIES, []), rows.get(SETUPS, []), _windows(db))


def _rows(db: Any, table: str) -> list[dict[str, str | None]]:
    found = db.execute(f"SELECT COLUMNS(*)::VARCHAR FROM main.{table}")
    names = [description[0].lower() for description in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _windows(db: Any) -> dict[str, list[tuple[Any, ...]]]:
    try:
        found = db.execute(
            "SELECT strategy_id, list((window_start::VARCHAR, test_n, test_exp_r) ORDER BY window_start) "
            "FILTER (window_start IS NOT NULL) FROM dask_validator_results LEFT JOIN dask_validator_windows "
            "USING (run_id, strategy_id) WHERE outcomes IS NOT NULL GROUP BY strategy_id"
        ).fetchall()
    except duckdb.Error:
        return {}
    return {strategy_id: [tuple(window) for window in windows or ()] for strategy_id, windows in found}


class Ended(NamedTuple):
    """How a case came to its end."""

    code: int
    said: str = ""  # the line of an error
    summary: dict[str, Any] | None = None
    walked: list[str] | None = None  # who reached walk-forward, if known
    crashed: str = ""  # what nobody should ever see


class Case(NamedTuple):
    """One hostile database and what became of it."""

    number: int
    template: str
    mutations: list[str]
    ended: Ended
    problems: list[str]
    seconds: float

    def __str__(self) -> str:
        problems = "\n".join(self.problems)
        return "\n".join([f"case {self.number} ({self.template})", *self.mutations, f"  {self.ended.said}", problems])


class Fuzzer:
    """Makes cases and judges them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._instance = Instance()
        self._templates = make_templates(folder, self._instance)
        self._pristine: dict[str, tuple[Snapshot, Snapshot]] = {}  # before and after a run

    def case(self, number: int, *, by_command: bool = False) -> Case:
        """The case of that number: always the same for a seed."""
        started = time.perf_counter()
        random = Random(f"{self._seed}/{number}")
        [template] = random.choices(list(TEMPLATES), list(TEMPLATES.values()))
        path = self._fresh(template)
        with self._instance.opened(path) as db:
            mutations = mutate(db, random, logs=template == "logs")
        before = self._look(path)
        content = path.read_bytes()
        ended = _command(path) if by_command else self._in_process(path, thorough=number % 4 == 0)
        after, problems = self._judge(path, before, ended)
        if ended.code == 2 and path.read_bytes() != content:
            problems.append("a refusal has changed the file")
        problems += unlike(*self._as_it_was(template), before, after, ended)
        return Case(number, template, mutations, ended, problems, time.perf_counter() - started)

    def _as_it_was(self, template: str) -> tuple[Snapshot, Snapshot]:
        if template not in self._pristine:
            path = self._fresh(template)
            before = self._look(path)
            ended = self._in_process(path, thorough=True)
            after, problems = self._judge(path, before, ended)
            assert (ended.code, problems) == (3, []), ended
            self._pristine[template] = before, after
        return self._pristine[template]

    def _fresh(self, template: str) -> Path:
        folder = self._folder / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return Path(shutil.copyfile(self._templates[template], folder / "hostile.duckdb"))

    def _look(self, path: Path) -> Snapshot:
        with self._instance.opened(path, read_only=True) as db:
            return snapshot(db)

    def _judge(self, path: Path, before: Snapshot, ended: Ended) -> tuple[Snapshot, list[str]]:
        after = self._look(path)
        problems = [*misbehaved(ended), *left_behind(path, ended)]
        if ended.summary is None or not ended.summary["rows"]:
            problems += ["it has written, but has no results"] * (before != after)
        else:
            problems += [*changed_others(before, after), *changed_strategies(before, after, ended.summary)]
            problems += [*changed_setups(before, after), *wrong_lines(path, after, ended)]
            problems += [] if problems else self._left_by_undo(path, before, ended.summary["run_id"])
        return after, problems

    def _left_by_undo(self, path: Path, before: Snapshot, run_id: str) -> list[str]:
        """Taken back, everything is as it was; columns that a run has added may stay."""
        with self._instance.for_the_package():
            try:
                undo(path, run_id)
            except Exception:
                return [f"it cannot be undone: {traceback.format_exc()[-3000:]}"]
        left = self._look(path)
        tables = {STRATEGIES: (before.strategies, left.strategies), SETUPS: (before.setups, left.setups)}
        return [
            f"{table} is not as it was before the run"
            for table, (were, are) in tables.items()
            if _counted(were, before.columns[table]) != _counted(are, before.columns[table])
        ] + [*changed_others(before, left)]

    def _in_process(self, path: Path, thorough: bool) -> Ended:
        with self._instance.for_the_package():
            try:
                if thorough:
                    with suppress(InputError):
                        examine(path, "MGC", source_of(path), RunConfig(), costs_of("MGC"))
                result = validate(path, "MGC", workers=1, progress=False, wf_output=path.with_name("wf.jsonl"))
                if thorough:
                    shown(result)
            except (InputError, NotCommitted) as error:
                return Ended(error.exit_code, str(error))
            except Exception:
                return Ended(1, crashed=traceback.format_exc())
        walked = [verdict.strategy_id for verdict in result.verdicts if verdict.walkforward is not None]
        return Ended(3 if result.summary["failed"] else 0, summary=result.summary, walked=walked)


def shown(result: RunResult) -> None:
    """Everything that users look at can be made."""
    json.dumps(result.summary, allow_nan=False)
    assert len(result.strategies) == result.summary["rows"]
    assert len(result.windows) >= 0
    assert "<script>" not in result._repr_html_()


def _command(path: Path) -> Ended:
    words = ["run", "--db", path, "--workers", 1, "--json", "--wf-output", path.with_name("wf.jsonl")]
    done = subprocess.run(
        [sys.executable, "-m", "dask_validator", *map(str, words)],
        cwd=path.parent,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    said = done.stderr.decode()
    if done.returncode not in (0, 2, 3, 4) or "Traceback" in said or "Warning:" in said:
        return Ended(done.returncode, crashed=said)
    if done.returncode in (0, 3):
        return Ended(done.returncode, summary=json.loads(done.stdout.splitlines()[-1]))
    return Ended(done.returncode, next(line for line in said.splitlines() if line.startswith("dask-validator: ")))


def misbehaved(ended: Ended) -> Iterator[str]:
    """It must end in results, or in one clear line."""
    if ended.crashed or ended.code not in (0, 2, 3, 4):
        yield f"exit code {ended.code}: {ended.crashed[-3000:]}"
    if "\n" in ended.said or len(ended.said) > 600 or "Traceback" in ended.said:
        yield "the error is no clear line"


def left_behind(path: Path, ended: Ended) -> Iterator[str]:
    """No files but the database and the JSONL, or what another run can go on with."""
    allowed = {path.name, "wf.jsonl" if ended.summary else f"{path.name}.MGC.journal"}
    if left := {found.name for found in path.parent.iterdir()} - allowed:
        yield f"left behind: {left}"


def is_processed(row: dict[str, str | None]) -> bool:
    """Whether a run of MGC validates the strategy."""
    return row["instrument"] == "MGC" and not row["validation_status"]


def changed_others(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Tables, views and indexes are as they were, but for what is ours."""
    if before.others != after.others:
        yield f"other tables have changed: {before.others} {after.others}"
    ours = {f"{kind}{name}" for name in OURS for kind in ("main.", "view ")}
    for name in before.objects.keys() | after.objects.keys():
        if before.objects.get(name) != after.objects.get(name) and name.lower() not in ours:
            yield f"{name} has changed: {before.objects.get(name)} {after.objects.get(name)}"
    for table, columns in before.columns.items():
        now = after.columns[table]
        if columns and (now[: len(columns)] != columns or not set(now[len(columns) :]) <= OPTIONAL[table].keys()):
            yield f"{table} has other columns"


def _counted(rows: Sequence[dict[str, str | None]], names: Sequence[str]) -> Counter[tuple[str | None, ...]]:
    return Counter(tuple(row[name] for name in names) for row in rows)


def changed_strategies(before: Snapshot, after: Snapshot, summary: dict[str, Any]) -> Iterator[str]:
    """Only waiting strategies have changed, only their verdicts, and each has one that was counted."""
    names = before.columns[STRATEGIES]
    waiting = {row["strategy_id"]: row for row in before.strategies if is_processed(row)}
    if _counted([row for row in before.strategies if not is_processed(row)], names) != _counted(
        [row for row in after.strategies if row["strategy_id"] not in waiting], names
    ):
        yield "a strategy has changed that was not waiting"
    processed = [row for row in after.strategies if row["strategy_id"] in waiting]
    statuses = Counter(str(row["validation_status"]) for row in processed)
    if statuses != Counter({status: summary[status.lower()] for status in STATUSES}) or statuses.keys() - {*STATUSES}:
        yield f"statuses {statuses} are not those of the summary"
    if not summary["rows"] == sum(statuses.values()) == len(waiting):
        yield f"{len(waiting)} were waiting, {summary['rows']} are in the summary"
    for row in processed:
        kept = set(names) - VERDICT
        if row["validation_status"] in ("PASSED", "REJECTED"):
            kept -= SPLIT.keys()
        old, notes = waiting[row["strategy_id"]], row["validation_notes"] or ""
        if changed := [name for name in kept if row[name] != old[name]]:
            yield f"{row['strategy_id']}: {changed} must not change"
        if not notes or "Traceback" in notes or "unexpected " in notes:
            yield f"{row['strategy_id']:.80} has the note {notes:.300}"


def changed_setups(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Setups follow the verdicts on their strategies; those of others are as they were."""
    names = before.columns[SETUPS]
    processed = {row["strategy_id"] for row in before.strategies if is_processed(row)}
    verdicts = {r["strategy_id"]: r["validation_status"] for r in after.strategies if r["strategy_id"] in processed}
    old = {row["strategy_id"]: row for row in before.setups}
    new = {row["strategy_id"]: row for row in after.setups}
    if len(after.setups) - len(new) != len(before.setups) - len(old):  # some can be NULL where the key is only UNIQUE
        yield "there are two setups of a strategy"
    for strategy_id in old.keys() | new.keys():
        was, now = old.get(strategy_id), new.get(strategy_id)
        verdict = verdicts.get(strategy_id)
        if now is None or (was is None and verdict != "PASSED"):
            yield f"the setup of {strategy_id} has come or gone"
        elif verdict == "PASSED":
            kept = KEPT_OF_A_SETUP if was else set()
            if now["status"] != "active" or any(was and was[name] != now[name] for name in kept & set(names)):
                yield f"the setup of {strategy_id} is not promoted as it should be"
        elif was is not None:
            retires = verdict in ("REJECTED", "SKIPPED") and was["status"] != "retired"
            changed = {name for name in names if was[name] != now[name]}
            if (changed - RETIRING if retires else changed) or (retires and now["status"] != "retired"):
                yield f"the setup of {strategy_id}, which {verdict}, has changed in {changed}"
    if missing := {strategy_id for strategy_id, verdict in verdicts.items() if verdict == "PASSED"} - new.keys():
        yield f"{missing} have no setups"


def wrong_lines(path: Path, after: Snapshot, ended: Ended) -> Iterator[str]:
    """The JSONL is valid JSON, in order, complete, and the same in the database."""
    file = path.with_name("wf.jsonl")
    text = file.read_bytes() if file.exists() else b""
    try:
        lines = [json.loads(line, parse_constant=_refuse) for line in text.split(b"\n")[:-1]]
    except ValueError as error:
        yield f"the JSONL is no JSON: {error}"
        return
    ids = [line["strategy_id"] for line in lines]
    names = ("window_start", "test_n", "test_exp_r")
    if after.windows != {
        line["strategy_id"]: [tuple(window[name] for name in names) for window in line["windows"]] for line in lines
    }:
        yield "the JSONL is not that of the database"
    if ids != sorted(ids) or len(ids) != (ended.summary or {})["walkforward"]["strategies"]:
        yield f"the JSONL has {ids}"
    if ended.walked is not None and ids != ended.walked:
        yield f"the JSONL has {ids}, not {ended.walked}"


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def unlike(pristine: Snapshot, validated: Snapshot, before: Snapshot, after: Snapshot, ended: Ended) -> Iterator[str]:
    """Where only rows of strategies and setups are hostile, the others get what they get without them."""
    if (before.objects, before.others) != (pristine.objects, pristine.others):
        return
    if ended.code not in (0, 3):
        nameless = any(row["strategy_id"] is None for row in before.strategies)
        if not nameless and any(row["instrument"] == "MGC" for row in before.strategies):
            yield "hostile strategies have ended the run"
        return
    names = ("validation_status", "validation_notes", *(SPLIT if set(SPLIT) <= set(after.columns[STRATEGIES]) else ()))
    expected = {row["strategy_id"]: row for row in validated.strategies}
    found = {row["strategy_id"]: row for row in after.strategies}
    for row in before.strategies:
        if row not in pristine.strategies:
            continue
        strategy_id = row["strategy_id"]
        got, needed = ([rows[strategy_id].get(name) for name in names] for rows in (found, expected))
        if got != needed:
            yield f"{strategy_id} got {got}, needed {needed}"


@lru_cache(maxsize=1)
def _fuzzer(folder: str, seed: int) -> Fuzzer:
    """One for each process."""
    own = Path(folder) / str(os.getpid())
    own.mkdir()
    return Fuzzer(own, seed)


def _chunk(folder: str, seed: int, command_every: int, numbers: Sequence[int]) -> list[Case]:
    fuzzer = _fuzzer(folder, seed)
    return [fuzzer.case(n, by_command=command_every > 0 and n % command_every == command_every - 1) for n in numbers]


def main() -> int:
    """The command; exit code 1 when a case breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command-every", type=int, default=200, metavar="N", help="every Nth case by the command")
    parser.add_argument("--only", type=int, metavar="N", help="this case alone, in words")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    given = parser.parse_args()
    numbers = range(given.cases) if given.only is None else range(given.only, given.only + 1)
    chunks = [numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK)]
    ends, broken, started = Counter[int](), 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(given.jobs) as pool:
        for cases in pool.map(partial(_chunk, folder, given.seed, given.command_every), chunks):
            for case in cases:
                ends[case.ended.code] += 1
                broken += bool(case.problems)
                if case.problems or given.only is not None:
                    print(f"--seed {given.seed} --only {case.number}: {case}\n", flush=True)
            if ends.total() % SAID_EVERY == 0:
                print(f"{ends.total():,} cases in {time.perf_counter() - started:.0f} s, {broken} broken", flush=True)
    by_code = ", ".join(f"{number:,} with exit code {code}" for code, number in sorted(ends.items()))
    print(f"{ends.total():,} cases in {time.perf_counter() - started:.0f} s, {broken} broken: {by_code}")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
