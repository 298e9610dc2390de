"""One run: what it keeps, and what it gives up."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dask_validator import Incomplete, api, validate
from dask_validator.api import prepared
from dask_validator.events import Committed, Event
from dask_validator.execution.serial import SerialExecutor
from dask_validator.run import run as running
from dask_validator.run.run import run_validation
from tests.support.runs import config


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

    monkeypatch.setattr(api, "open_executor", opened)
    with pytest.raises(Incomplete, match="the scheduler has gone") as caught:
        validate(small, progress=False)

    assert caught.value.result is None
