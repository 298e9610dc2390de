"""A process without a home folder, or in a working directory that is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiny import rows_by_id, tiny_database

NOBODY_WE_KNOW = ["unshare", "--user", "--map-user=54321"]


def test_nobody_needs_a_home(tmp_path: Path) -> None:
    """A container's user without HOME and without an entry among the users runs with workers and a dashboard."""
    homeless = {name: value for name, value in os.environ.items() if name != "HOME"}
    may = shutil.which("unshare") and subprocess.run([*NOBODY_WE_KNOW, "true"], capture_output=True, check=False)
    if not may or may.returncode:
        pytest.skip("this machine lets nobody have another user ID in a namespace of their own")
    database = tiny_database(tmp_path / "tiny.duckdb")
    words = [*NOBODY_WE_KNOW, sys.executable, "-m", "dask_validator", "run", "--db", str(database), "--workers", "2"]
    ran = subprocess.run(words, cwd=tmp_path, env=homeless, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert "Dask dashboard: http" in ran.stderr
    assert rows_by_id(database, "experimental_strategies")["MGC_GOOD"]["validation_status"] == "PASSED"


@pytest.mark.parametrize("args", [["run", "--workers", "2"], ["run", "--report", "run.html"], ["check"]], ids=" ".join)
def test_a_working_directory_that_is_gone(args: list[str], tmp_path: Path) -> None:
    """One line says so, before anything is done, instead of a traceback in the middle."""
    database, here = tiny_database(tmp_path / "tiny.duckdb"), tmp_path / "here"
    here.mkdir()
    command = f'rmdir ../here && exec "{sys.executable}" -m dask_validator "$@" --db "{database}"'
    ran = subprocess.run(["sh", "-c", command, "sh", *args], cwd=here, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, "")
    deleted = "the working directory has been deleted; change to one that is there, and run again"
    assert ran.stderr == f"dask-validator: {deleted}\n"
