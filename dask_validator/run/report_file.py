"""The file of a report: never somebody else's, and whole or not there at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dask_validator.errors import InputError
from dask_validator.system.files import replacing

FIRST_WORDS = b"<!doctype html><!-- report of dask_validator -->"


def check_report(flag: str, path: Path) -> None:
    """Raise InputError when a file must not or cannot become the report; leaves no trace."""
    try:
        if path.exists():
            _check_is_ours(flag, path)
    except OSError as error:
        raise InputError(f"{flag} got {path}, which cannot be written ({error.strerror})") from None
    check_place_of(flag, path)


def check_place_of(flag: str, path: Path) -> None:
    """Raise InputError when a file cannot be written there; leaves no trace."""
    try:
        if path.exists():
            with path.open("ab"):
                pass
        tempfile.TemporaryFile(dir=path.resolve().parent).close()
    except OSError as error:
        raise InputError(f"{flag} got {path}, which cannot be written ({error.strerror})") from None


def _check_is_ours(flag: str, path: Path) -> None:
    with path.open("rb") as file:
        begins = file.read(len(FIRST_WORDS))
    if begins and begins != FIRST_WORDS:
        raise InputError(f"{flag} got {path}, which is there and is no report; give another file, or remove that one")


def write_whole(path: Path, text: str) -> None:
    """Write the file beside its place and move it there. Raises OSError; then nothing has changed."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="replace")
