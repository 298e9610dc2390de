"""By which two looks at a file know that it is the same one, and unchanged, without opening it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from dask_validator.store.connection import log_of


class Stamp(NamedTuple):
    """What changes when a file is written to or replaced; times in ns. Only the last cannot be set at will."""

    device: int
    inode: int
    size: int  # bytes
    modified: int
    changed: int


FileState = tuple[Stamp | None, ...]


def file_state(*paths: str | Path) -> FileState:
    """The files and their logs; equal states mean that nobody has written to them, nor put others in their place.

    Never opens them: that could drop a lock of another connection of this process.
    """
    return tuple(stamp(place) for path in paths for place in (path, log_of(path)))


def stamp(path: str | Path) -> Stamp | None:
    """None when there is nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
