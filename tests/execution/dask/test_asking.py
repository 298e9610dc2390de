"""Calls to a cluster that end, whoever does not answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dask_validator.errors import Incomplete
from dask_validator.execution.dask import asking, in_flight, worker_checks
from dask_validator.execution.dask.asking import asked
from dask_validator.execution.dask.client import ClientExecutor, existing_cluster
from dask_validator.execution.dask.interrupt_shield import shielded

pytestmark = pytest.mark.usefixtures("bounded")
BOUND_S = 20


class Frozen:
    """A client whose scheduler answers nothing."""

    dashboard_link = "http://127.0.0.1:8787/status"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: Event().wait()


def start_with_a_page(client: Any) -> None:
    """As a run that puts its page there."""
    executor = ClientExecutor(client)
    executor.with_dashboard(lambda client: client.register_plugin())
    executor.start()


CALLS: dict[str, Callable[[Any], object]] = {
    "connected": lambda client: existing_cluster(client, print, 1.0),
    "versions": worker_checks.check_versions,
    "nannies": worker_checks.without_nanny,
    "late workers": worker_checks.unfit_workers,
    "threads": in_flight.threads,
    "page": start_with_a_page,
    "wait": lambda client: ClientExecutor(client).wait(),
    "workers": lambda client: ClientExecutor(client).workers,
    "blind": lambda client: ClientExecutor(client).blind(Path("gold.db")),
    "shield": lambda client: shielded(client, print).__enter__(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_ends(call: Callable[[Any], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that answers nothing is given up, whatever it was asked."""
    monkeypatch.setattr(asking, "ANSWER_S", 0.1)
    with pytest.raises((Incomplete, TimeoutError), match="no answer within"):
        call(Frozen())


def test_last_calls_end_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers are to do at the end of a run cannot hold up or fail a run that has all its results."""
    monkeypatch.setattr(asking, "ANSWER_S", 0.1)
    ClientExecutor(Frozen()).everywhere(print)  # type: ignore[arg-type]


def test_what_is_raised_there_is_raised_here() -> None:
    """An answer that is an error stays that error."""
    with pytest.raises(ZeroDivisionError):
        asked(lambda: 1 // 0)
