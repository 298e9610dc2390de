"""Who is let in to the pages of our own scheduler."""

from __future__ import annotations

import socket

import dask
import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from dask_validator.execution.dask.visitors import welcome

HUB = {"distributed.dashboard.link": "https://hub.example/user/me/proxy/{port}/status"}
LISTED = {"distributed.scheduler.dashboard.bokeh-application.allow_websocket_origin": ["hub.example:443"]}


def is_let_in(address: str | None, host: str, origin: str | None = None) -> bool:
    """Whether pages at the address answer a request with these headers."""
    headers = HTTPHeaders({"Host": host} | ({"Origin": origin} if origin else {}))
    start = RequestStartLine("GET", "/status", "HTTP/1.1")
    return welcome(address).match(HTTPServerRequest(headers=headers, start_line=start)) is not None


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost:9999", "[::1]:8787", "LOCALHOST", "127.1.2.3"])
@pytest.mark.parametrize("address", ["127.0.0.1:8787", "localhost:8787", "[::1]:8787", None])
def test_own_browser(address: str | None, host: str) -> None:
    """By whatever name and, through a tunnel, port the user's browser knows this machine."""
    assert is_let_in(address, host)
    assert is_let_in(address, host, f"http://{host}")
    assert not is_let_in(address, host, "http://evil.example")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.5", "[", ""],
)
def test_other_names(host: str) -> None:
    """A name that others can give to this machine proves nothing about the page that uses it."""
    assert not is_let_in("127.0.0.1:8787", host)
    assert not is_let_in("127.0.0.1:8787", host, "http://127.0.0.1:8787")


@pytest.mark.parametrize("configuration", [HUB, LISTED])
def test_a_proxy_that_dask_is_told_of(configuration: dict[str, object]) -> None:
    """A proxy such as JupyterHub's passes on what a browser says: its name counts once Dask's configuration has it."""
    assert not is_let_in("127.0.0.1:8787", "hub.example", "https://hub.example")
    with dask.config.set(configuration):
        assert is_let_in("127.0.0.1:8787", "hub.example", "https://hub.example")
        assert not is_let_in("127.0.0.1:8787", "hub.example", "https://evil.example")


def test_open_beyond_this_machine() -> None:
    """A dashboard that the user has opened answers to this machine's addresses and names, not to other sites' pages."""
    for host in ("10.0.0.5:8787", socket.gethostname(), "localhost:8787"):
        assert is_let_in("0.0.0.0:8787", host, f"http://{host}")
        assert not is_let_in("0.0.0.0:8787", host, "http://6.6.6.6")
    assert is_let_in("box.lan:8787", "box.lan:8787", "http://box.lan:8787")
    assert not is_let_in("0.0.0.0:8787", "evil.example:8787", "http://evil.example:8787")
