"""What the tests of uncommitted runs share."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_validator.cli.commands import main
from dask_validator.system.interrupts import ENDING
from tests.conftest import Command, Ran
from tests.support.commits import run
from tests.support.tiny import change, tiny_database
from tests.support.uncommitted import (
    SETUPS,
    STRATEGIES,
    Answers,
    Copy,
    Statement,
    written,
)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    """Runs the command in this very process, where tests can put something in its way."""
    handlers = {number: signal.getsignal(number) for number in ENDING}

    def run_command(*args: object, cwd: Path = tmp_path) -> Ran:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, args)))
        said = capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)

    yield run_command
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def several_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strategy of every kind that can be validated; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("several") / "several.duckdb", STRATEGIES, setups=SETUPS)


@pytest.fixture
def copied(several_source: Path, tmp_path: Path) -> Copy:
    """Makes a copy of the database, changed by statements, in a folder of its own."""

    def copy(name: str, *statements: Statement) -> Path:
        (tmp_path / name).mkdir()
        path = Path(shutil.copy(several_source, tmp_path / name / "several.duckdb"))
        for statement in statements:
            change(path, statement)
        return path

    return copy


@pytest.fixture
def several(copied: Copy) -> Path:
    """The database that a test is about; its folder needs quoting in a shell."""
    return copied("my data")


@pytest.fixture(scope="session")
def undisturbed(several_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What a run writes that nothing happens to."""
    path = Path(shutil.copy(several_source, tmp_path_factory.mktemp("undisturbed") / "several.duckdb"))
    run(path)
    return written(path)
