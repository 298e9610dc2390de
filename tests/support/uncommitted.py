"""Runs whose commit fails: what they are of, how they are left, and the commands that they offer."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dask_validator.store import writer
from tests.conftest import Command, Ran
from tests.support.commits import Opener, commit_replaced
from tests.support.runs import answers
from tests.support.tiny import Row, rows_by_id

FAILED_BEFORE: Row = {"validation_status": "FAILED", "validation_notes": "filter_type is NULL"}
STRATEGIES: list[Row] = [
    {},
    {"strategy_id": "MGC_2", "rr_target": 2.0},
    {"strategy_id": "MGC_3", "rr_target": 3.0, "filter_type": "DIR_SHORT"},
    {"strategy_id": "MGC_NEVER", "filter_type": "VOL_RV12_N20"},
    {"strategy_id": "MGC_BAD", "sample_size": 3},
    {"strategy_id": "MGC_ALIAS", "is_canonical": False},
    {"strategy_id": "MGC_MENDED", **FAILED_BEFORE},
    {"strategy_id": "MGC_MENDED_ALIAS", "is_canonical": False, **FAILED_BEFORE},
    {"strategy_id": "MES_GOOD", "instrument": "MES"},
]
SETUPS: list[Row] = [{"strategy_id": "MGC_BAD"}, {"strategy_id": "MGC_ALIAS"}]
WORSE_OUTCOMES = "UPDATE orb_outcomes SET outcome = 'loss', pnl_r = -1.0 WHERE symbol = 'MGC' AND rr_target = 2"
Answers = dict[str, list[Any]]
Statement = str
Copy = Callable[..., Path]
Step = Callable[[], object]


def written(database: Path) -> Answers:
    """What is in the tables and in the JSONL, of which there may be none."""
    (database.parent / "wf.jsonl").touch()
    return answers(database)


def flags_of(database: Path) -> list[object]:
    """The flags that every run here has."""
    return ["--db", database, "--workers", 1, "--wf-output", database.parent / "wf.jsonl"]


def kept_by(database: Path) -> list[object]:
    """The flags with which what such a run has left is committed."""
    return ["--db", database, "--wf-output", database.parent / "wf.jsonl"]


def leave_uncommitted(inside: Command, database: Path, *flags: object, **surroundings: Any) -> Ran:
    """A run that computes everything and whose commit finds the disk full."""
    with commit_replaced(partial(writer.commit, connect=Opener(range(5, 6)))):
        ran = inside("run", *flags_of(database), *flags, **surroundings)
    assert ran.code == 4, ran.stderr
    return ran


def offered(said: str, name: str) -> list[str]:
    """The words after `dask-validator` of the command that a message offers to go on with."""
    line = next(line for line in said.splitlines() if f"dask-validator {name} " in line)
    return shlex.split(line[line.index(f"dask-validator {name} ") :])[1:]


def undecided(database: Path) -> bool:
    """Whether all strategies that waited are still waiting."""
    rows = rows_by_id(database, "experimental_strategies", "validation_status")
    return {row["validation_status"] for strategy_id, row in rows.items() if "MENDED" not in strategy_id} == {None}


def strategy(assignment: str, strategy_id: str = "MGC_2") -> Statement:
    """Changes one strategy's row."""
    return f"UPDATE experimental_strategies SET {assignment} WHERE strategy_id = '{strategy_id}'"


def journal_of(database: Path) -> Path:
    """Where a run of MGC keeps its results."""
    return Path(f"{database}.MGC.journal")
