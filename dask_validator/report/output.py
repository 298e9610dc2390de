"""The file of a report: never somebody else's, and whole or not there at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dask_validator.errors import InputError

FIRST_WORDS = b"<!doctype html><!-- report of dask_validator -->"


def check_output(flag: str, path: Path, others: Mapping[str, str | Path | None]) -> None:
    """Raise InputError when a report must not or cannot be written there; leaves no trace.

    Parameters
    ----------
    others
        What else the command reads or writes, by what it is: never to be taken for the report.
    """
    for kind, other in others.items():
        if other is not None and path.resolve() == Path(other).resolve():
            raise InputError(f"{flag} got {path}, which is {kind}; give the report a file of its own")
    try:
        if path.exists():
            _check_is_ours(flag, path)
            with path.open("ab"):
                pass
        tempfile.TemporaryFile(dir=path.resolve().parent).close()
    except OSError as error:
        raise InputError(f"{flag} got {path}, which cannot be written ({error.strerror})") from None


def _check_is_ours(flag: str, path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{flag} got {path}, which is not a file; give the report a file of its own")
    with path.open("rb") as file:
        begins = file.read(len(FIRST_WORDS))
    if begins and begins != FIRST_WORDS:
        raise InputError(f"{flag} got {path}, which is there and is no report; give another file, or remove that one")


def write_whole(path: Path, text: str) -> None:
    """Write the file beside its place and move it there. Raises OSError; then nothing has changed."""
    target = path.resolve()  # a link stays one
    beside = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
