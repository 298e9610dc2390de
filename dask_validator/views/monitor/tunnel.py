"""How another machine reaches what listens on this one only."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def tunnel(link: str) -> str | None:
    """The command by which another machine reaches what listens on this one only; None for all other links."""
    url = urlsplit(link)
    if url.hostname not in LOOPBACK or not url.port:
        return None
    return f"ssh -L {url.port}:127.0.0.1:{url.port} USER@THIS_HOST"
