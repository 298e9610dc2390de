"""What an installation relies on: bounds, the oldest releases, no address of anybody's registry."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"duckdb": "python-duckdb", "tzdata": "python-tzdata"}


def _bounds(requirement: str) -> tuple[str, str]:
    match = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?(.*)", requirement)
    assert match
    return match[1], match[2]


REQUIRED = dict(_bounds(requirement) for requirement in PROJECT["dependencies"])


def test_conda_environment_is_in_step() -> None:
    """`environment.yml` admits exactly the releases that `pyproject.toml` admits."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = dict(_bounds(entry) for entry in environment if isinstance(entry, str) and entry != "pip")
    expected = {CONDA_NAMES.get(name, name): bounds for name, bounds in REQUIRED.items()}
    expected |= {"python": PROJECT["requires-python"], "distributed": REQUIRED["dask"]}

    assert conda == expected


def test_the_oldest_releases_are_the_lower_bounds() -> None:
    """`make test-oldest` tests the lower end of every range we state."""
    pinned = dict(line.split("==") for line in (ROOT / "tests" / "oldest.txt").read_text().splitlines() if "==" in line)
    lower = {name: bounds.split(",")[0].removeprefix(">=") for name, bounds in REQUIRED.items()}

    assert pinned == lower | {"distributed": lower["dask"]}


def _pythons() -> list[str]:
    """The releases of Python that the package says it supports."""
    prefix = "Programming Language :: Python :: "
    return [name.removeprefix(prefix) for name in PROJECT["classifiers"] if name.startswith(prefix)]


def test_the_same_pythons_are_named_everywhere() -> None:
    """README, Makefile and `requires-python` mean the releases that the classifiers name."""
    first, last = _pythons()[0], _pythons()[-1]
    named = re.search(r"^PYTHONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert named
    assert named[1].split() == _pythons()
    assert PROJECT["requires-python"] == f">={first}"
    assert f"Python {first} to {last}" in (ROOT / "README.md").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_every_python_that_is_there_is_tested(tmp_path: Path) -> None:
    """`make test` runs on each further Python that works, and passes over those that are missing or broken."""
    for name, says in {"python3": "echo 3.11", "python3.12": "exit 0", "python3.13": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["make", "--dry-run", "PYTHON=python3", "test-pythons"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ".venv-python3.12/bin/python -m pytest" in done.stdout
    assert "python3.13/" not in done.stdout
    assert "Python 3.13 is not installed here" in done.stdout


def test_no_file_names_a_registry() -> None:
    """Packages come from wherever the user's own tools look for them."""
    listing = shutil.which("git") and subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if not listing or not (tracked := listing.stdout.split()):
        pytest.skip("no git, or not a git checkout")
    registry = re.compile("|".join(("pypi", "pythonhosted", "anaconda")) + r"\.(?:org|com)", re.IGNORECASE)
    texts = {name: (ROOT / name).read_bytes().decode(errors="ignore") for name in tracked if (ROOT / name).is_file()}

    assert [name for name, text in texts.items() if registry.search(text) and name != "tests/test_packaging.py"] == []


@pytest.mark.parametrize("entry", [["-m", "dask_validator"], ["-m", "dask", "validator"]], ids=" ".join)
def test_every_way_in_is_the_same_command(entry: list[str]) -> None:
    """`python -m dask_validator` and `dask validator` are the same commands."""
    done = subprocess.run([sys.executable, *entry, "--help"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("run", "demo", "check"))


def test_what_is_no_module_is_installed_too() -> None:
    """A copy that is not editable finds its templates, style sheets and scripts."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    listed = {ROOT.joinpath(*package.split("."), name) for package, names in named.items() for name in names}
    there = {path for path in (ROOT / "dask_validator").rglob("*") if path.is_file()}

    assert listed == {path for path in there if path.suffix not in (".py", ".pyc")}
