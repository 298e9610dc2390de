"""The port of the dashboard: whoever says it has it."""

from __future__ import annotations

import socket
import urllib.request
import warnings
from contextlib import ExitStack, suppress

import pytest

from dask_validator import InputError
from dask_validator.api.executors import open_executor
from dask_validator.execution.dask.dashboard import open_door


def a_free_port() -> int:
    """As of now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_runs_that_start_at_once_have_a_port_each() -> None:
    """Between the look at a port and the start of the cluster nobody can take it; the other run takes the next."""
    wanted = f"127.0.0.1:{a_free_port()}"
    with ExitStack() as opened, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as Dask says that a port is taken
        runs = [opened.enter_context(open_executor(2, dashboard_address=wanted)) for _ in range(2)]
        for run in reversed(runs):  # the one that looked last comes first
            run.start()
            run.wait()
        links = [str(run.dashboard_link) for run in runs]
        pages = [urllib.request.urlopen(link, timeout=20).status for link in links]

    assert links[0] == f"http://{wanted}/status"
    assert links[1] != links[0]
    assert pages == [200, 200]
    assert not any(run.warnings for run in runs)


def test_a_port_is_free_again_after_a_run() -> None:
    """Also when the run had nothing to compute: the next run has the same address."""
    wanted = f"127.0.0.1:{a_free_port()}"
    for starts in (False, True, False):
        with open_executor(2, dashboard_address=wanted) as run:
            if starts:
                run.start()
                run.wait()
                assert run.dashboard_link == f"http://{wanted}/status"


def test_a_run_without_a_dashboard_needs_no_port() -> None:
    """Without a dashboard it does not matter who has Dask's usual port."""
    with socket.socket() as taken, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with suppress(OSError):  # somebody else has it, which is as good
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        with open_executor(2, dashboard_address=None) as executor:
            executor.wait()
            assert executor.dashboard_link is None


def test_a_door_is_held_until_it_is_closed() -> None:
    """Nobody can take the port between the choice of it and the start of the cluster; afterwards anybody can."""
    door = open_door(f"127.0.0.1:{a_free_port()}")
    target = ("127.0.0.1", door.port)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(target)
        door.close()
        other.bind(target)


@pytest.mark.parametrize("address", ["127.0.0.1:x", "127.0.0.1:65536", "no.such.host.invalid:8787"])
def test_no_door_there(address: str) -> None:
    """What is no address of this machine is one line that repeats it."""
    with pytest.raises(InputError, match=address):
        open_door(address)
