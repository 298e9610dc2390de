"""Where the Dask dashboard listens."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from dask_validator.errors import InputError

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 100


def free_address(address: str) -> str:
    """HOST:PORT, or the same host with the next port that is free; without a host, loopback.

    Dask itself would take any port at all, which nobody can have forwarded.

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
        if _is_free(host, candidate, address):
            return f"{host}:{candidate}" if ":" not in host else f"[{host}]:{candidate}"
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


def _is_free(host: str, port: int, address: str) -> bool:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"--dashboard-address got {address!r}, whose host is unknown ({error.strerror})") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(target)
        except OSError:
            return False
        return True
