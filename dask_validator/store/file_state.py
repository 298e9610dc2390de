"""By which two looks at a file know that it is the same one, and unchanged, without opening it."""

from __future__ import annotations

from pathlib import Path

from dask_validator.store.connection import log_of
from dask_validator.system.same_file import Stamp, stamp

FileState = tuple[Stamp | None, ...]


def file_state(*paths: str | Path) -> FileState:
    """The files and their logs; equal states mean that nobody has written to them, nor put others in their place.

    Never opens them: that could drop a lock of another connection of this process.
    """
    return tuple(stamp(place) for path in paths for place in (path, log_of(path)))
