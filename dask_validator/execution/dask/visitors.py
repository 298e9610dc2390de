"""Whose requests our own scheduler's pages answer.

A browser sends requests of any page that the user has open, also to this machine, and lets that page read the answers
of a WebSocket, or of a host whose name it has been told to find here. What it does say is where the page is from.
"""

from __future__ import annotations

import socket
from collections.abc import Set
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import LocalCluster, Scheduler
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine
from tornado.routing import AnyMatches, Matcher, Rule, RuleRouter
from tornado.web import Application

from dask_validator.execution.dask.dashboard import LOOPBACK, Door, is_loopback
from dask_validator.execution.dask.dask_config import LINK, ORIGINS

ANY_PORT = f"{LOOPBACK}:0"  # Dask must have one of its own, also without a dashboard
NOT_FRAMED = {"X-Frame-Options": "SAMEORIGIN", "Cross-Origin-Resource-Policy": "same-origin"}


def pages(address: str | None) -> dict[str, Any]:
    """Dask's configuration of what is served with a dashboard at the address, or without: Dask would serve a part."""
    unseen: dict[str, Any] = {"distributed.worker.http.routes": []}
    return unseen if address else unseen | {"distributed.scheduler.http.routes": []}


class GuardedCluster(LocalCluster):
    """A LocalCluster whose pages are for the user's own browser."""

    def __init__(self, door: Door | None, **options: Any) -> None:
        self._door = door
        super().__init__(dashboard_address=door and door.address, **options)

    async def _start(self) -> None:
        self.scheduler_spec["cls"] = partial(_GuardedScheduler, self._door)
        await super()._start()


class _GuardedScheduler(Scheduler):
    def __init__(self, door: Door | None, **options: Any) -> None:
        self._door = door
        super().__init__(**options)

    def start_http_server(self, routes: Any, dashboard_address: Any, *args: Any, **kwargs: Any) -> None:
        """Listen, but let nobody in unseen, from the first request on."""
        super().start_http_server(routes, ANY_PORT, *args, **kwargs)
        self.http_server.request_callback = _Guard(self.http_application, welcome(dashboard_address))
        if self._door is not None:
            self.http_server.add_sockets(self._door.sockets)
            self.http_server.port = self._door.port  # type: ignore[attr-defined]  # from which links are made


def welcome(address: str | None) -> Welcome:
    """To the pages at HOST:PORT, if there are any, and through the proxies that Dask's configuration names."""
    proxies = [*(f"//{origin}" for origin in dask.config.get(ORIGINS) if origin != "*"), dask.config.get(LINK)]
    names = {name for proxy in proxies if (name := _name(proxy))}
    host = _name(f"//{address}") if address else None
    if host is None or is_loopback(host):
        return Welcome(names)
    return Welcome(names | {host, socket.gethostname().lower()}, numbers=True)


class Welcome(Matcher):
    """Matches requests to a name of this machine, from no other page than one of this machine.

    Parameters
    ----------
    names
        Of hosts, beside those that always are this machine.
    numbers
        Whether any numeric address is a name of this machine: nobody else can give it one.
    """

    def __init__(self, names: Set[str], *, numbers: bool = False) -> None:
        self._names = names
        self._numbers = numbers

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """No parameters for the page, or None when the request is refused."""
        host, origin = _name(f"//{request.host}"), request.headers.get("Origin")
        if not (self._is_ours(host) or (self._numbers and _is_number(host))):
            return None
        if origin is None or _name(origin) == host or self._is_ours(_name(origin)):
            return {}
        return None

    def _is_ours(self, name: str | None) -> bool:
        return name is not None and (name in self._names or is_loopback(name))


class _Guard(RuleRouter):
    def __init__(self, application: Application, welcome: Welcome) -> None:
        super().__init__([Rule(welcome, application), Rule(AnyMatches(), _refuse)])

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """As always; no page is shown inside another."""
        request.connection = _NotFramed(request.connection)  # type: ignore[assignment]
        return super().find_handler(request, **kwargs)


class _NotFramed:
    """A connection that says so with every answer."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> Any:
        headers.update(NOT_FRAMED)
        return self._connection.write_headers(start_line, headers, chunk)


def _refuse(request: HTTPServerRequest) -> None:
    assert request.connection is not None
    text = (
        b"The pages of a run answer to names of this machine only; name a proxy in Dask's distributed.dashboard.link\n"
    )
    headers = HTTPHeaders({"Content-Type": "text/plain", "Content-Length": str(len(text))})
    request.connection.write_headers(ResponseStartLine("HTTP/1.1", 403, "Forbidden"), headers, text)
    request.connection.finish()


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_number(name: str | None) -> bool:
    try:
        return name is not None and bool(ip_address(name))
    except ValueError:
        return False
