"""The standard streams when they are closed, full or gone: nobody reads, and what goes on goes on all the same."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

USUAL_COLUMNS = 80


class Forgiving:
    """A text stream before one that may be None, lack methods, or fail: others' code, so every failure counts.

    Attributes
    ----------
    lost
        Why text could not be written, the first time; None when all could.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.lost: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, if that can be; letters that the stream does not have are spelled out."""
        if not isinstance(text, str):  # click asks so whether a stream takes bytes
            raise TypeError(f"got {type(text).__name__}; needed str")
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except Exception as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be."""
        flush = getattr(self._stream, "flush", None)
        try:
            if flush is not None:
                flush()
        except Exception as error:
            self._lose(error)

    def isatty(self) -> bool:
        """Whether somebody may sit before it."""
        try:
            return bool(self._stream.isatty())
        except Exception:
            return False

    @property
    def is_terminal(self) -> bool:
        """Whether lines on it can be drawn anew."""
        return self.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def columns(self) -> int | None:
        """How many letters a line holds; None where there is no end of it."""
        if not self.isatty():
            return None
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or USUAL_COLUMNS
        except (OSError, AttributeError, ValueError):
            return USUAL_COLUMNS

    def _lose(self, error: Exception) -> None:
        self.lost = self.lost or error
        _drop_unwritten(self._stream)


def _drop_unwritten(stream: Any) -> None:
    """What waits in its buffer would fail again with each flush, and the one at exit changes the exit code."""
    with suppress(Exception), open(os.devnull, "wb") as nowhere:
        number = stream.fileno()
        inheritable, kept = os.get_inheritable(number), os.dup(number)
        try:
            os.dup2(nowhere.fileno(), number, inheritable)
            stream.flush()
        finally:
            os.dup2(kept, number, inheritable)
            os.close(kept)


def forgiving(stream: Any) -> Forgiving:
    """The stream, made forgiving if it is not."""
    return stream if isinstance(stream, Forgiving) else Forgiving(stream)


def forgive() -> None:
    """Make the standard streams of this process forgiving, for everybody who writes to them."""
    occupy_descriptors()
    sys.stdout, sys.stderr = forgiving(sys.stdout), forgiving(sys.stderr)


def occupy_descriptors() -> None:
    """Where standard streams are closed, the next file to be opened would get their numbers, and what C code says."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
