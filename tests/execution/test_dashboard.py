"""Where the dashboard of a run listens, when others want to listen there too."""

from __future__ import annotations

import socket
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dask_validator import InputError
from dask_validator.api import open_executor
from dask_validator.execution.dashboard import PORTS_TRIED, open_door

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return min(number, 65_000)


@pytest.fixture
def warnings_are_errors() -> Iterator[None]:
    """In every thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def port_of(link: str | None) -> int:
    """The port of a link that answers."""
    assert link is not None
    with DIRECT.open(link, timeout=60) as answer:
        assert answer.status == 200
    return int(link.split(":")[2].split("/")[0])


@pytest.mark.usefixtures("warnings_are_errors")
def test_two_runs_that_start_at_once(port: int) -> None:
    """Of two runs that want one port before either's cluster is up, one has the next: no warning, no random port."""
    address = f"127.0.0.1:{port}"
    with open_executor(2, dashboard_address=address) as one, open_executor(2, dashboard_address=address) as other:
        for executor in (other, one):
            executor.wait()
        first, second = port_of(one.dashboard_link), port_of(other.dashboard_link)

    assert port <= first < second < port + PORTS_TRIED


@pytest.mark.usefixtures("warnings_are_errors")
def test_a_run_without_a_dashboard_needs_no_port() -> None:
    """Without a dashboard it does not matter who has Dask's usual port."""
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else has it, which is as good
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        with open_executor(2, dashboard_address=None) as executor:
            executor.wait()
            assert executor.dashboard_link is None


def test_a_door_is_held_until_it_is_closed(port: int) -> None:
    """Nobody can take the port between the choice of it and the start of the cluster; afterwards anybody can."""
    door = open_door(f"127.0.0.1:{port}")
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
