"""Runs that die, and what they leave: what the tests of the journal share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from dask_validator import validate
from dask_validator.views.result import RunResult
from dask_validator.work import walkforward
from dask_validator.work.walkforward import TaskResult, WalkforwardTask, walkforward_task
from tests.support.tiny import Row

Written = dict[str, list[str]]


# One of every kind of answer; seven groups, hence seven tasks.
STRATEGIES: list[Row] = [
    {"strategy_id": "MGC_PASSES"},
    {"strategy_id": "MGC_LOSES", "rr_target": 2.0},
    {"strategy_id": "MGC_TWIN", "rr_target": 3.0, "filter_type": "NO_FILTER"},
    {"strategy_id": "MGC_TWIN_2", "rr_target": 3.0, "filter_type": "UNKNOWN_TO_US"},
    {"strategy_id": "MGC_UNUSABLE", "rr_target": 4.0},
    {"strategy_id": "MGC_WITHOUT_OUTCOMES", "rr_target": 5.0},
    {"strategy_id": "MGC_SCREENED_OUT", "rr_target": 6.0, "sample_size": 3},
    {"strategy_id": "MGC_LATER", "rr_target": 7.0, "orb_label": "1000"},
]


OUTCOMES: dict[str, Row] = {
    "rr_target = 2 AND outcome = 'win'": {"outcome": "loss", "pnl_r": -1.0},
    "rr_target = 4 AND outcome = 'loss' AND month(trading_day) = 5": {"pnl_r": None},
    "rr_target = 5 AND outcome IS NOT NULL": {"outcome": None},
}


TASKS = 7


DEAD_AFTER = 4  # tasks


OLD = b'{"strategy_id": "old"}\n'


def run(database: Path, **flags: Any) -> RunResult:
    """Validate MGC serially; the JSONL lies beside the database."""
    return validate(database, "MGC", **{"workers": 1, "wf_output": database.parent / "wf.jsonl", **flags})


def written(database: Path) -> Written:
    """All that runs write, without moments and run ids; the JSONL lies beside the database."""
    tables = {
        "experimental_strategies": "* EXCLUDE (created_at)",
        "validated_setups": "* EXCLUDE (promoted_at, retired_at)",
        "orb_outcomes": "count(*)",
    }
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {
            table: list(map(repr, connection.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()))
            for table, columns in tables.items()
        }
    lines = [json.loads(line) for line in (database.parent / "wf.jsonl").read_text().splitlines()]
    return {**found, "lines": [repr({**line, "timestamp": None, "run_id": None}) for line in lines]}


class Died(BaseException):
    """The end of a process, as its journal sees it."""


def die_after(tasks: int, database: Path, **flags: Any) -> int:
    """Let a run end in the task after so many; how many results it has finished."""
    done: list[TaskResult] = []

    def dying(task: WalkforwardTask) -> TaskResult:
        if len(done) == tasks:
            raise Died
        done.append(walkforward_task(task))
        return done[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walkforward, "walkforward_task", dying)
        with pytest.raises(Died):
            run(database, **flags)
    return sum(len(result.answers) for result in done)


def reused(result: RunResult) -> int:
    """How many results the run has taken over."""
    found: int = result.summary["walkforward"]["reused"]
    return found


def journal_of(database: Path, instrument: str = "MGC") -> Path:
    """Where the interface has it."""
    return Path(f"{database}.{instrument}.journal")


def kept_in(journal: bytes) -> list[dict[str, Any]]:
    """The records of the whole lines: after the first, each is a checksum and JSON."""
    return [json.loads(line.partition(b" ")[2]) for line in journal.split(b"\n")[1:-1]]


def ids_in(records: Sequence[Mapping[str, Any]]) -> set[str]:
    """The strategies that are answered."""
    return {answer[0] for record in records for answer in record.get("answers", [])}


def undisturbed(database: Path, **flags: Any) -> Written:
    """What such a run writes."""
    assert run(database, **flags).summary["walkforward"]["tasks"] == TASKS
    return written(database)


class Dead(NamedTuple):
    """A run that has ended in mid-computing."""

    database: Path
    results: int  # that it has finished

    @property
    def journal(self) -> Path:
        """What it has left."""
        return journal_of(self.database)


def killed(fault: str, *args: object) -> None:
    """Run the command in a process that kills itself."""
    done = subprocess.run([sys.executable, "-c", fault, *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
