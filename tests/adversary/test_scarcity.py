"""Neighbours that leave a run no thread, no process and no room for its scratch files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tiny import tiny_database

NOBODY = 65534
AS_NOBODY = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
READS_ANYTHING = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]  # the interpreter, too
NO_ROOM = 'mount -t tmpfs -o size=1m,nr_inodes="$0" tmpfs "$TMPDIR" && exec "$@"'


def works(*command: object) -> bool:
    """Whether this machine lets us try."""
    words = list(map(str, command))
    return bool(shutil.which(words[0])) and subprocess.run(words, capture_output=True, check=False).returncode == 0


needs_setpriv = pytest.mark.skipif(
    not works("setpriv", *AS_NOBODY, *READS_ANYTHING, "prlimit", "--nproc=1", "true"),
    reason="needs setpriv, prlimit and root: a limit of processes does not hold for root",
)
needs_mount = pytest.mark.skipif(
    not works("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"), reason="needs unshare and mount"
)


def refused(prefix: list[str], database: Path, workers: int, **env: str) -> str:
    """The last line of a run that must not get anywhere."""
    before = database.read_bytes()
    command = [sys.executable, "-m", "dask_validator", "run", "--db", str(database), "--workers", str(workers)]
    done = subprocess.run(
        [*prefix, *command, "--wf-output", "wf.jsonl"],
        cwd=database.parent,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(database.parent), **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert database.read_bytes() == before
    assert not (database.parent / "wf.jsonl").exists()
    return done.stderr.splitlines()[-1]


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """A folder that every user can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@needs_setpriv
@pytest.mark.parametrize(("workers", "processes"), [(1, 4), (2, 8), (2, 18)])
def test_no_thread(of_nobody: Path, workers: int, processes: int) -> None:
    """A user who may start no further thread or process: one line, exit code 2, nothing written."""
    database = tiny_database(of_nobody / "tiny.duckdb")
    database.chmod(0o666)
    prefix = ["setpriv", *AS_NOBODY, *READS_ANYTHING, "prlimit", f"--nproc={processes}"]

    line = refused(prefix, database, workers)
    assert "may start no further thread here (ulimit -u" in line or "2 workers cannot be started here (" in line


@needs_mount
@pytest.mark.parametrize("files", [2, 3, 9])
def test_no_room_for_scratch_files(tmp_path: Path, files: int) -> None:
    """A temporary directory that is full before, while or after the cluster starts: one line, nothing written."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    prefix = ["unshare", "--mount", "sh", "-c", NO_ROOM, str(files)]

    line = refused(prefix, database, 2, TMPDIR=str(scratch))
    assert "No space left on device" in line
    assert "--workers 1" in line
