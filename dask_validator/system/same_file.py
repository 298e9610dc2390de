"""By which two processes, on one machine or two, know that they see the same file."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What changes when a file is written to or replaced; times in ns. Only the last cannot be set at will."""

    device: int
    inode: int
    size: int  # bytes
    modified: int
    changed: int


def stamp(path: str | Path) -> Stamp | None:
    """None when there is nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Identity(NamedTuple):
    """What a process sees of a file at a path."""

    machine: str
    inode: int
    size: int  # bytes
    modified: int  # ns

    def is_same(self, other: Identity | None) -> bool:
        """Whether it may be the same file; another machine may have a copy with its times kept."""
        return (
            other is not None
            and (self.size, self.modified) == (other.size, other.modified)
            and (self.inode == other.inode or self.machine != other.machine)
        )


def identity(path: str) -> Identity | None:
    """By which two processes know that they see the same file; None when this one may not read it.

    Never opens it: that could drop a lock of another connection of this process.
    """
    found = stamp(path)
    return Identity(_machine(), found.inode, found.size, found.modified) if found and os.access(path, os.R_OK) else None


@lru_cache(maxsize=1)
def _machine() -> str:
    """Different on any two machines that run at a time, whatever they are called."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return socket.gethostname()
