"""Files in the place of ours: pipes, links, logs, journals of others, another database."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import dask_validator.run.run as running
from dask_validator import InputError, NotCommitted, validate
from dask_validator.cli.commands import main
from dask_validator.run import results_file
from dask_validator.store import database as store
from dask_validator.store import writer
from dask_validator.system.same_file import identity
from tests.conftest import everything_in
from tests.support.tiny import change, line_ids, rows_by_id, tiny_database

BOUND_S = 60
pytestmark = pytest.mark.usefixtures("bounded")
LOOP = "loop"
PLACES: Mapping[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "dangling": lambda path: path.symlink_to("nowhere"),
    LOOP: lambda path: path.symlink_to(LOOP),
    "folder": Path.mkdir,
    "tiny.duckdb.wal": lambda path: None,
    "tiny.duckdb.checkpoint.wal": lambda path: None,
    "tiny.duckdb.MES.journal": lambda path: None,
    "tiny.duckdb": lambda path: None,
    "costs.toml": lambda path: None,
    "hard link": lambda path: path.hardlink_to(path.parent / "tiny.duckdb"),
    "below/tiny.duckdb": lambda path: None,
    os.fsdecode(b"\xff"): lambda path: None,
}
COSTS = (
    "[ABC]\npoint_value = 10.0\ncommission_rt = 1\nspread_doubled = 2.0\nslippage = 2.0\n"
    "tick_size = 0.1\nmin_ticks_floor = 10\n"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one good strategy; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("source") / "tiny.duckdb")


@pytest.fixture
def database(source: Path, tmp_path: Path) -> Path:
    """A fresh copy."""
    return Path(shutil.copy(source, tmp_path))


Refusal = Callable[..., str]


@pytest.fixture
def refused(
    handlers: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Refusal:
    """Runs a command in this process that must end at once, with exit code 2 and the line that is returned."""
    monkeypatch.setattr("dask_validator.run.run.run_validation", _works)
    monkeypatch.setattr("dask_validator.cli.validating.run_validation", _works)
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit, match="2"):
            main(list(map(str, args)))
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert sorted(tmp_path.rglob("*")) == before
        return said

    return run


def _works(*_: object, **__: object) -> None:
    raise AssertionError("work has begun")


COMMANDS: Mapping[str, list[object]] = {
    "--wf-output": ["run", "--workers", 1, "--wf-output"],
    "--report": ["run", "--workers", 1, "--report"],
    "--journal": ["run", "--workers", 1, "--journal"],
    "commit --wf-output": ["commit", "--wf-output"],
    "commit --report": ["commit", "--report"],
    "commit --journal": ["commit", "--journal"],
    "report --output": ["report", "--output"],
    "check --journal": ["check", "--journal"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_something_else_is_in_the_place(database: Path, tmp_path: Path, refused: Refusal, words: list[object]) -> None:
    """An output that is a pipe, a dangling link, a loop, a folder, a log, another journal, an input, or no UTF-8"""
    (tmp_path / "costs.toml").write_text(COSTS)
    with_costs = ["--instruments", tmp_path / "costs.toml"] if words[0] in {"run", "check"} else []
    for name, make in PLACES.items():
        if (name == "costs.toml" and not with_costs) or (name.startswith("below") and words[0] == "check"):
            continue  # no input of the command; `check` makes no journal
        place = tmp_path / name
        make(place)
        if place.parent != tmp_path and words[-1] == "--wf-output":  # a file stands where a folder should be
            place.parent.touch()
        said = refused(*words, place, "--db", database, *with_costs)
        assert str(words[-1]) in said or "journal" in said, said
        for path in tmp_path.iterdir():
            if path.name not in {"tiny.duckdb", "costs.toml"}:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_demonstration_is_not_made_first(tmp_path: Path, refused: Refusal) -> None:
    """An output of `demo` that is a pipe"""
    os.mkfifo(tmp_path / "pipe")
    refused("demo", "--db", tmp_path / "demo.duckdb", "--wf-output", tmp_path / "pipe")


@pytest.mark.parametrize("kind", ["link", "itself"])
def test_a_file_of_another_kind(database: Path, tmp_path: Path, refused: Refusal, kind: str) -> None:
    """A JSONL that is, or is a link to, a shell's profile"""
    profile = tmp_path / ".profile"
    profile.write_text("# mine\n")
    (tmp_path / "wf.jsonl").symlink_to(profile)
    path = tmp_path / "wf.jsonl" if kind == "link" else profile

    assert "is no JSONL" in refused("run", "--workers", 1, "--db", database, "--wf-output", path)
    assert profile.read_text() == "# mine\n"


@pytest.mark.parametrize("text", ["", '{"editor": "vi"}'], ids=["empty", "other JSON"])
def test_a_link_to_a_file_of_another_kind(database: Path, tmp_path: Path, refused: Refusal, text: str) -> None:
    """A JSONL that is a link to what a shell or an editor reads, which is empty or JSON of another kind"""
    victim = tmp_path / "read by others"
    victim.write_text(text)
    (tmp_path / "wf.jsonl").symlink_to(victim)

    assert "is no JSONL" in refused("run", "--workers", 1, "--db", database, "--wf-output", tmp_path / "wf.jsonl")
    assert victim.read_text() == text


@pytest.mark.parametrize("torn", ["{", '{"strategy_id"', '{"strategy_id": "MGC_O'])
def test_a_line_that_a_crash_has_torn(database: Path, tmp_path: Path, torn: str) -> None:
    """A JSONL in which there is but the beginning of a line: it is appended to, on a line of its own"""
    (tmp_path / "wf.jsonl").write_text(torn)
    validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    first, second = (tmp_path / "wf.jsonl").read_text().splitlines()
    assert first == torn
    assert json.loads(second)["strategy_id"] == "MGC_GOOD"


def test_links_that_hold(database: Path, tmp_path: Path) -> None:
    """A JSONL, and its folder, that are links of the user's own to a JSONL: they are followed and stay links"""
    (tmp_path / "really").mkdir()
    (tmp_path / "really" / "lines").write_text('{"strategy_id": "OLD"}\n')
    (tmp_path / "folder").symlink_to("really")
    (tmp_path / "really" / "wf.jsonl").symlink_to("lines")
    validate(database, workers=1, progress=False, wf_output=tmp_path / "folder" / "wf.jsonl")

    assert line_ids(tmp_path / "really" / "lines") == ["OLD", "MGC_GOOD"]
    assert (tmp_path / "really" / "wf.jsonl").is_symlink()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the file system refuse locks on files whose name ends so."""
    really_lock = fcntl.flock

    def refuse(ending: str) -> None:
        def flock(file: int, operation: int) -> None:
            if os.readlink(f"/proc/self/fd/{file}").removesuffix(" (deleted)").endswith(ending):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            really_lock(file, operation)

        monkeypatch.setattr(fcntl, "flock", flock)

    return refuse


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, which tells what a descriptor is")
@pytest.mark.parametrize("ending", [".journal", ".jsonl"])
def test_no_locks(database: Path, tmp_path: Path, no_locks: Callable[[str], None], ending: str) -> None:
    """A file system without locks, for the journal and for the JSONL"""
    (tmp_path / "wf.jsonl").touch()
    no_locks(ending)
    with pytest.raises(InputError, match="No locks available") as caught:
        validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    assert "in use" not in str(caught.value)
    assert rows_by_id(database, "experimental_strategies")["MGC_GOOD"]["validation_status"] is None


def test_the_jsonl_is_locked_for_ever(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour who may read the JSONL and keeps it locked"""
    jsonl = tmp_path / "wf.jsonl"
    jsonl.touch()
    monkeypatch.setattr(results_file, "LOCK_WAIT_S", 0.1)
    with jsonl.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(NotCommitted, match=r"is committed, but .*another process has kept it locked"):
            validate(database, workers=1, progress=False, wf_output=jsonl)
    assert validate(database, workers=1, progress=False, wf_output=jsonl).summary["rows"] == 0

    assert line_ids(jsonl) == ["MGC_GOOD"]


TRACED = ["strace", "-f", "-o", "/dev/null", "-e", "trace=ftruncate,pread64,read"]


@pytest.fixture(scope="module")
def can_trace() -> None:
    """Skips where no error can be injected into a system call."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run([*TRACED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let strace trace")


def traced(inject: str, path: Path, *args: object) -> subprocess.CompletedProcess[str]:
    """The command, with errors in its system calls on that file."""
    command = [*TRACED, "-P", str(path), "-e", f"inject={inject}", sys.executable, "-m", "dask_validator"]
    return subprocess.run([*command, *map(str, args)], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("can_trace")
def test_a_disk_that_fails_when_all_is_written(database: Path, tmp_path: Path) -> None:
    """A disk that fails while the journal is emptied, after everything is written"""
    journal = tmp_path / "tiny.duckdb.MGC.journal"
    where = ["run", "--db", database, "--wf-output", tmp_path / "wf.jsonl", "--workers", 1, "-q"]
    appended = 7  # pid, inputs, opened, answers, computed, committing, append: each truncates before it writes
    ran = traced(f"ftruncate:error=EIO:when={appended + 1}", journal, *where)

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "could not be emptied (Input/output error)" in ran.stderr
    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD"]
    assert everything_in(tmp_path).keys() == {"tiny.duckdb", "wf.jsonl"}


@pytest.mark.usefixtures("can_trace")
@pytest.mark.parametrize("call", ["pread64", "read"])
def test_a_journal_on_a_failing_disk(database: Path, tmp_path: Path, call: str) -> None:
    """A disk that fails while the journal is read"""
    journal = tmp_path / "tiny.duckdb.MGC.journal"
    journal.write_bytes(b"dask_validator journal 1\n")
    where = ["run", "--db", database, "--wf-output", tmp_path / "wf.jsonl", "--workers", 1, "-q"]
    ran = traced(f"{call}:error=EIO", journal, *where)

    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "cannot be read (Input/output error)" in ran.stderr
    assert journal.exists()
    discarded = traced("pread64:error=EIO:when=1", journal, *where, "--discard")
    assert discarded.returncode == 0, discarded.stderr


WORSE = "UPDATE orb_outcomes SET outcome = 'loss', pnl_r = -1.0 WHERE outcome = 'win'"


def _alike(replacement: Path, database: Path) -> None:
    """Give it the time of the database, whose place it takes."""
    found = database.stat()
    assert replacement.stat().st_size == found.st_size
    os.utime(replacement, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.replace(replacement, database)


@pytest.mark.parametrize("moment", ["beginning", "opening", "deciding", "committing"])
def test_another_database_of_the_same_size_and_time(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another database of the same size and time, put in the place of the one that was read"""
    database, other = (Path(shutil.copy(source, tmp_path / name)) for name in ("tiny.duckdb", "other"))
    change(other, WORSE)
    size = max(path.stat().st_size for path in (database, other))
    for path in (database, other):
        os.truncate(path, size)
    moments = {
        "beginning": (running, "Started"),
        "opening": (store, "file_state"),
        "deciding": (running, "decide"),
        "committing": (writer, "commit"),
    }
    module, name = moments[moment]
    pending, really = [other], getattr(module, name)

    def after_a_change(*given: Any, **named: Any) -> Any:
        while pending:
            _alike(pending.pop(), database)
        return really(*given, **named)

    monkeypatch.setattr(module, name, after_a_change)
    validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    row = rows_by_id(database, "experimental_strategies")["MGC_GOOD"]
    assert row["validation_status"] == "REJECTED"


def test_a_copy_is_the_file_on_another_machine_only(database: Path, tmp_path: Path) -> None:
    """Another file of the same size and time at the path of the database: a copy only on another machine"""
    began, other = identity(str(database)), Path(shutil.copy2(database, tmp_path / "other"))
    assert began is not None
    _alike(other, database)
    here = identity(str(database))

    assert here is not None
    assert not began.is_same(here)
    assert not began.is_same(None)
    assert began.is_same(here._replace(machine="another"))
    assert not began.is_same(here._replace(machine="another", size=1))


@pytest.mark.parametrize("name", ["gold:v2.duckdb", ":memory:x", "http:x", "md:x", "gold?x=1.duckdb", "s3:x"])
def test_names_that_mean_something_else(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A database whose name is a scheme, a query or a memory database to DuckDB"""
    shutil.copy(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    result = validate(name, workers=1, progress=False, wf_output="wf.jsonl")

    assert result.summary["committed"]
    assert everything_in(tmp_path).keys() == {name, "wf.jsonl"}
    assert rows_by_id(tmp_path / name, "experimental_strategies")["MGC_GOOD"]["validation_status"] == "PASSED"


def test_a_folder_with_a_question_mark(source: Path, tmp_path: Path, refused: Refusal) -> None:
    """A database in a folder whose name has `?`, where DuckDB looks elsewhere for the log"""
    (tmp_path / "a?b").mkdir()
    path = shutil.copy(source, tmp_path / "a?b")
    for words in (["run", "--workers", 1], ["commit"], ["check"], ["explain", "MGC_GOOD"]):
        assert "rename the folder" in refused(*words, "--db", path)
    assert "rename the folder" in refused("demo", "--db", tmp_path / "a?b" / "demo.duckdb")


def _killed_after(change_: str, path: Path) -> None:
    """Somebody changes the database and is killed: the change is in its log only."""
    crashed = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(\"SET wal_autocheckpoint = '1 GB'\"); "
        "c.execute(sys.argv[2]); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", crashed, path, change_], check=True)


@pytest.mark.parametrize("moment", ["before", "deciding"])
def test_a_log_that_a_question_mark_hides(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A database with `?` in its name whose log holds the last change, made before the run or meanwhile"""
    path, decide = Path(shutil.copy(source, tmp_path / "gold?x=1")), running.decide
    pending = [WORSE]

    def deciding(*given: Any) -> Any:
        while pending:
            _killed_after(pending.pop(), path)
            assert (tmp_path / "gold.wal?x=1").exists()
        return decide(*given)

    if moment == "before":
        _killed_after(pending.pop(), path)
    monkeypatch.setattr(running, "decide", deciding)
    validate(path, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    assert rows_by_id(path, "experimental_strategies")["MGC_GOOD"]["validation_status"] == "REJECTED"


@pytest.mark.parametrize("folder", ["", "f\udcff"], ids=["name", "folder"])
def test_names_that_are_not_utf8(tmp_path: Path, refused: Refusal, folder: str) -> None:
    """A database whose name, or whose folder's, is not UTF-8"""
    for words in (["run", "--workers", 1], ["commit"], ["check"], ["explain", "MGC_GOOD"], ["demo"]):
        assert "not UTF-8" in refused(*words, "--db", tmp_path / folder / ("x" if folder else "x\udcff"))


def test_a_byte_order_mark(database: Path, tmp_path: Path) -> None:
    """Costs in a TOML file with a byte-order mark"""
    (tmp_path / "costs.toml").write_text(COSTS.replace("ABC", "MGC"), encoding="utf-8-sig")
    costs = {"instruments": tmp_path / "costs.toml", "wf_output": tmp_path / "wf.jsonl"}

    assert validate(database, workers=1, progress=False, **costs).summary["committed"]


SPILL = """
import os, subprocess, sys, tempfile
from pathlib import Path
from dask_validator.store import access, connection

access.grant(sys.argv[1], access.Access("24MiB"))
with connection.reading(sys.argv[1]) as opened:
    opened.execute("CREATE TEMP TABLE copied AS SELECT random() AS x FROM range(5000000)")
    place = Path(access._scratch())
    print("spilled" if any(path.stat().st_size for path in place.iterdir()) else "")
    look = ["ls", str(place)]
    seen = subprocess.run(look, user=65534, group=65534, extra_groups=[], capture_output=True).returncode == 0
    print("seen" if seen or str(os.getpid()) in str(place) else "unseen")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_neighbour_looks_at_what_is_spilled(database: Path) -> None:
    """Another user who would read what DuckDB spills to the temporary directory, or write it there first"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        spilled = subprocess.run(
            [sys.executable, "-c", SPILL, database],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert spilled.split() == ["spilled", "unseen"]
        assert list(Path(folder).iterdir()) == []
