"""Interrupts and the workers of a cluster that is not ours; the rest is seen in a real kernel."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from dask_validator.execution.dask import asking, interrupt_shield
from dask_validator.execution.dask.interrupt_shield import Caller, shielded

OTHERS = Caller.here()._replace(pid=os.getpid() + 1)  # a process of our group that is not this one


class Workers:
    """A client whose only worker is this process, or whose workers hang once the run has begun."""

    def __init__(self, *, hang: bool = False) -> None:
        self.called: list[Callable[..., None]] = []
        self._hang = hang

    def run(self, function: Callable[..., None], *args: Any, on_error: str) -> None:
        """Call it there."""
        assert on_error == "ignore"
        self.called.append(function)
        if self._hang and len(self.called) > 1:
            Event().wait()
        function(*args)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """This process handles SIGINT afterwards as before."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def release() -> None:
    """Stands for what workers do when we are interrupted."""


@pytest.mark.usefixtures("interrupts")
def test_two_runs_on_one_cluster() -> None:
    """A worker ignores interrupts until the last of the runs it works for has ended, in whichever order they end."""
    before = signal.getsignal(signal.SIGINT)

    interrupt_shield._shield(OTHERS)
    interrupt_shield._shield(OTHERS)
    interrupt_shield._unshield(OTHERS)
    while_one_is_left = signal.getsignal(signal.SIGINT)
    interrupt_shield._unshield(OTHERS)

    assert while_one_is_left == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(
    "caller",
    [Caller.here(), OTHERS._replace(group=1), OTHERS._replace(host="elsewhere")],
    ids=["self", "group", "host"],
)
@pytest.mark.usefixtures("interrupts")
def test_who_is_not_hit_is_left_as_it_is(caller: Caller) -> None:
    """A worker of another group or machine gets no interrupt of ours; one in our own process is ourselves."""
    before = signal.getsignal(signal.SIGINT)

    interrupt_shield._shield(caller)

    assert signal.getsignal(signal.SIGINT) == before


def test_workers_are_told_of_an_interrupt() -> None:
    """Only of an interrupt: after a run that ends well there is nothing to do."""
    well, interrupted = Workers(), Workers()

    with shielded(well, release):  # type: ignore[arg-type]
        pass
    with pytest.raises(KeyboardInterrupt), shielded(interrupted, release):  # type: ignore[arg-type]
        raise KeyboardInterrupt

    assert release not in well.called
    assert release in interrupted.called


def test_workers_that_hang_do_not_hold_up_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever presses the stop button is not made to wait for them."""
    monkeypatch.setattr(asking, "PATIENCE_S", 0.01)

    with pytest.raises(KeyboardInterrupt), shielded(Workers(hang=True), release):  # type: ignore[arg-type]
        raise KeyboardInterrupt
