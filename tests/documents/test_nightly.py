"""The commands of docs/nightly.md do what it says, as cron, systemd and SLURM start them, with nothing around."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from dask_validator.cli.several import WORST_FIRST
from tests.documents.pages import fenced, page, section
from tests.support.tiny import line_ids, tiny_database

NIGHTLY = page("docs/nightly.md")
SCRIPT = fenced(section(NIGHTLY, "## SLURM"), "bash")[0]
UNITS = fenced(section(NIGHTLY, "## systemd"), "ini")


@pytest.fixture
def trading(tmp_path: Path) -> Path:
    """What stands for /srv/trading: a database of two instruments, an environment, a folder of reports."""
    tiny_database(tmp_path / "gold.db", [{}, {"strategy_id": "MES_GOOD", "instrument": "MES"}])
    (tmp_path / "venv").symlink_to(sys.prefix)
    (tmp_path / "reports").mkdir()
    return tmp_path


def here(text: str, trading: Path) -> str:
    """The text for that folder."""
    assert "/srv/trading" in text
    return text.replace("/srv/trading", str(trading))


def started(words: list[str], cwd: str | Path = "/", **env: str) -> str:
    """Run with no environment but that; what it said."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def validated(trading: Path) -> None:
    """Both instruments are, and their files are where the page says."""
    assert line_ids(trading / "gold.db.walkforward.jsonl") == ["MES_GOOD", "MGC_GOOD"]
    names = sorted(path.name for path in (trading / "reports").iterdir())
    assert [re.sub(r"^\d{4}-\d\d-\d\d", "DAY", name) for name in names] == ["DAY-MES.html", "DAY-MGC.html"]


def test_cron(trading: Path) -> None:
    """The line's command, by sh with an empty environment in another folder, validates all and prints nothing;
    nor does it on the next night, when nothing waits.
    """
    line = fenced(section(NIGHTLY, "## cron"), "crontab")[0].splitlines()[-1]
    command = here(line.split(maxsplit=5)[5], trading)

    assert "%" not in command
    for _ in range(2):
        assert started(["/bin/sh", "-c", command]) == ""
        validated(trading)


def test_systemd(trading: Path) -> None:
    """The service starts a command that can be started so; systemd, where it is, finds no fault with the units."""
    service = RawConfigParser(strict=False)
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read_string(here(UNITS[0], trading))
    words, folder = shlex.split(service["Service"]["ExecStart"]), service["Service"]["WorkingDirectory"]

    assert started(words, cwd=folder) == ""
    validated(trading)
    for name, unit in zip(("service", "timer"), UNITS, strict=True):
        (trading / f"dask-validator.{name}").write_text(unit.replace("/srv/trading", str(trading)))
    if analyzer := shutil.which("systemd-analyze"):
        units = [str(trading / f"dask-validator.{name}") for name in ("service", "timer")]
        subprocess.run([analyzer, "verify", "--man=no", "--recursive-errors=no", *units], check=True, timeout=60)


def test_slurm(trading: Path) -> None:
    """The script is one that bash can read, and its body validates all with the CPUs that SLURM names."""
    script = trading / "night.sh"
    script.write_text(here(SCRIPT, trading))

    subprocess.run(["bash", "-n", script], check=True)
    assert started(["bash", str(script)], SLURM_CPUS_PER_TASK="1") == ""
    validated(trading)


def test_the_worst_code() -> None:
    """The page names the order in which exit codes of several runs count."""
    assert f"the worst counts: {', '.join(map(str, WORST_FIRST))}." in NIGHTLY
