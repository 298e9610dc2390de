"""Where the Dask dashboard listens."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import NamedTuple

from dask_validator.errors import InputError

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 100


class Door(NamedTuple):
    """Where browsers come in: sockets that listen from the start, so that nobody else can take the port meanwhile."""

    address: str  # HOST:PORT
    sockets: list[socket.socket]

    @property
    def port(self) -> int:
        """Of all of them."""
        return int(self.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Others may have the port."""
        for listening in self.sockets:
            listening.close()


def open_door(address: str) -> Door:
    """A door at HOST:PORT, or at the next port of that host that is free; without a host, on loopback.

    Dask itself would look first and take the port later, or any port at all, which nobody can have forwarded.

    Raises
    ------
    InputError
        Not HOST:PORT, or no port of that host is free.
    """
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InputError(f"--dashboard-address got {address!r}; needed HOST:PORT, such as {LOOPBACK}:8787")
    host, first = host.strip("[]") or LOOPBACK, int(port)
    for candidate in range(first, min(first + PORTS_TRIED, 65536)):
        if sockets := _listening(host, candidate, address):
            door = Door(address, sockets)
            return door._replace(address=f"[{host}]:{door.port}" if ":" in host else f"{host}:{door.port}")
    raise InputError(f"--dashboard-address got {address!r}; no port from {first} on is free")


def exposed(address: str) -> list[str]:
    """A warning when others than users of this machine can reach it."""
    host = address.rpartition(":")[0].strip("[]")
    if is_loopback(_numeric(host)):
        return []
    return [f"--dashboard-address {address} is open beyond this machine, and Dask's dashboard has no password"]


def is_loopback(host: str) -> bool:
    """Whether it is this machine for everybody who says so; nobody is asked what a name means to him."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _numeric(host: str) -> str:
    return str(socket.getaddrinfo(host, None)[0][4][0]).partition("%")[0]


def _listening(host: str, port: int, address: str) -> list[socket.socket]:
    """One for every address of the host, or none when the port cannot be had."""
    from tornado.netutil import bind_sockets  # only for runs with a dashboard

    try:
        return bind_sockets(port, host)
    except socket.gaierror as error:
        raise InputError(f"--dashboard-address got {address!r}, whose host is unknown ({error.strerror})") from None
    except OSError:
        return []
