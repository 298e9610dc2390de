"""One run: what it keeps, and what it gives up."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dask_validator import Incomplete, InputError, validate
from dask_validator.api import validation
from dask_validator.api.commit_later import commit_kept
from dask_validator.api.preparing import prepared
from dask_validator.config import Safeguards
from dask_validator.events import Committed, Committing, Event, Said, TaskDone, ignore
from dask_validator.execution.executor import Job
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run import run as running
from dask_validator.run.run import run_validation
from dask_validator.work import plan
from tests.support.runs import config
from tests.support.tiny import change, tiny_database


def test_what_verdicts_were_made_of_is_gone_at_the_commit(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit takes much memory of its own: of a million strategies only the verdicts are left by then."""
    screen = running._screen
    screened: list[weakref.ref[Any]] = []
    left: list[object] = []

    def watched(*given: Any) -> Any:
        candidates = screen(*given)
        screened.append(weakref.ref(candidates))
        return candidates

    def listen(event: Event) -> None:
        if isinstance(event, Committed):
            left.extend(reference() for reference in screened)

    monkeypatch.setattr(running, "_screen", watched)
    with prepared(small, "MGC", config(small)) as (order, journal):
        run_validation(order, SerialExecutor(), listen, journal)

    assert left == [None]


def test_workers_that_are_lost_before_anything_is_decided(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is what it was, and carries nothing."""

    class Gone(SerialExecutor):
        """A scheduler that has left before the run could use it."""

        def start(self) -> None:
            raise Incomplete("the scheduler has gone")

    @contextmanager
    def opened(*given: Any, **named: Any) -> Iterator[SerialExecutor]:
        yield Gone()

    monkeypatch.setattr(validation, "open_executor", opened)
    with pytest.raises(Incomplete, match="the scheduler has gone") as caught:
        validate(small, progress=False)

    assert caught.value.result is None


class Ending(SerialExecutor):
    """Workers that are lost after the first task."""

    def map(self, job: Job[Any, Any]) -> Iterator[Any]:
        """One result."""
        yield next(super().map(job))
        raise Incomplete("all workers are gone")


def test_what_has_no_answer_cannot_be_committed(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that are lost before the end: it is said how many strategies wait on, and no `commit` writes the rest."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (2_000, 5_000))
    with prepared(small, "MGC", config(small)) as (order, journal), pytest.raises(Incomplete) as caught:
        run_validation(order, Ending(), ignore, journal)

    assert any("have no result yet and are left waiting" in text for text in caught.value.result.warnings)
    with pytest.raises(InputError, match="has nothing to commit"):
        commit_kept(small, "MGC", config(small).wf_output)


def test_a_second_look_does_not_try_again_what_has_failed(tmp_path: Path) -> None:
    """Others change the database before the commit: what failed in this run has failed, and nothing is said twice."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_BAD", "rr_target": 3.0}])
    change(database, "UPDATE orb_outcomes SET pnl_r = 'inf'::DOUBLE WHERE rr_target = 3")
    heard: list[Event] = []

    def meanwhile(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Committing) and sum(isinstance(e, Committing) for e in heard) == 1:
            change(database, "UPDATE experimental_strategies SET avg_risk_points = 7 WHERE strategy_id = 'MGC_GOOD'")

    safeguards = Safeguards(resume=True)
    with prepared(database, "MGC", config(database), safeguards) as (order, journal):
        outcome = run_validation(order, SerialExecutor(), meanwhile, journal)

    assert outcome.summary["failed"] == 1
    asked = [event.strategies for event in heard if isinstance(event, TaskDone)]
    assert asked == [2, 1]
    assert sum("found nothing to take over" in event.text for event in heard if isinstance(event, Said)) == 1
