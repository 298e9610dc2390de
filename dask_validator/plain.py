"""Text from a database, made harmless for a terminal: control characters could forge lines, or drive the screen."""

from __future__ import annotations


def plain(text: str, keep: str = "") -> str:
    """Everything that does not print spelled out as Python would, but for the characters to keep."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
