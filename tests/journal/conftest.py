"""A small database whose run has one of every kind of answer, and one whose run has died."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_validator.work import plan
from tests.journal.dying import (
    DEAD_AFTER,
    OUTCOMES,
    STRATEGIES,
    Dead,
    Written,
    die_after,
    undisturbed,
)
from tests.support.tiny import tiny_database


@pytest.fixture(autouse=True, scope="module")
def a_task_for_each_key() -> Iterator[None]:
    """Cuts the tiny input as finely as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))
        yield


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny database; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("template") / "tiny.duckdb", STRATEGIES, outcomes=OUTCOMES)


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """A fresh copy."""
    return Path(shutil.copy(template, tmp_path / "tiny.duckdb"))


@pytest.fixture(scope="module")
def truth(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What a run writes that nobody disturbs."""
    return undisturbed(Path(shutil.copy(template, tmp_path_factory.mktemp("truth") / "tiny.duckdb")))


@pytest.fixture(scope="module")
def dead_source(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Dead:
    """Never written, only copied."""
    database = Path(shutil.copy(template, tmp_path_factory.mktemp("dead") / "tiny.duckdb"))
    return Dead(database, die_after(DEAD_AFTER, database))


@pytest.fixture
def dead(dead_source: Dead, tmp_path: Path) -> Dead:
    """A database and the journal of a run that died over its fifth task."""
    shutil.copytree(dead_source.database.parent, tmp_path, dirs_exist_ok=True)
    assert dead_source.results > DEAD_AFTER  # a task may answer for several strategies
    return dead_source._replace(database=tmp_path / "tiny.duckdb")
