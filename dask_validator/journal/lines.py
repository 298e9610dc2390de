"""A file of checked JSON lines that one process at a time may append to."""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from dask_validator.errors import InputError

GLANCE_S = 0.2
MAGIC = b"dask_validator journal 1\n"


class InUse(InputError):
    """Another process has the file."""


class Lines:
    """The file, locked until it is closed; made when it is not there.

    A line that was cut short by a crash, or damaged, is passed over; the next one takes the place of a torn last one.
    """

    def __init__(self, path: Path, mode: int) -> None:
        """Open and lock.

        Raises
        ------
        InUse
            Another process has it.
        InputError
            It cannot be made, or is a file of another kind, which is left alone.
        """
        self.path = path
        self._mode = mode
        self._file = _locked(path, mode)
        try:
            self._end = self._sound_end()
        except BaseException:
            os.close(self._file)
            raise

    def _sound_end(self) -> int:
        """Where the next line goes."""
        head = os.pread(self._file, len(MAGIC), 0)
        if not MAGIC.startswith(head):
            raise InputError(f"{self.path} is not a journal; give the journal a file of its own with --journal PATH")
        end = 0
        with open(self._file, "rb", closefd=False) as file:
            for line in file:
                end += len(line) if line.endswith(b"\n") else 0
        return end

    def __iter__(self) -> Iterator[Any]:
        """What the sound lines hold, first to last."""
        with open(self._file, "rb", closefd=False) as file:
            yield from _sound(file)

    def append(self, record: Any, *, durable: bool = True) -> None:
        """Add one line; durable, it is on the disk afterwards. Raises OSError, and then nothing was added."""
        text = json.dumps(record, separators=(",", ":")).encode()
        line = b"%b%b %b\n" % (b"" if self._end else MAGIC, _checksum(text), text)
        try:
            os.ftruncate(self._file, self._end)
            written = 0
            while written < len(line):
                written += os.pwrite(self._file, memoryview(line)[written:], self._end + written)
            if durable:
                os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end += len(line)

    def clear(self) -> None:
        """Forget every line."""
        os.ftruncate(self._file, 0)
        self._end = 0

    def set_aside(self) -> Path:
        """Keep what is there under another name, which is returned, and begin anew."""
        aside = next(path for n in count(1) if not (path := Path(f"{self.path}.old-{n}")).exists())
        try:
            self.path.rename(aside)
        except OSError as error:
            raise InputError(
                f"{self.path} is of another run and cannot be renamed to {aside.name} ({error.strerror}); "
                "rename or remove it, or give another place with --journal PATH"
            ) from None
        os.close(self._file)
        self._file, self._end = _locked(self.path, self._mode), 0
        return aside

    def remove(self) -> None:
        """Take the file away, and close."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Leave it to others."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def peek(path: Path) -> Iterator[Any]:
    """What the sound lines of a file hold that somebody else may have locked. Raises InputError."""
    try:
        with path.open("rb") as file:
            yield from _sound(file)
    except OSError as error:
        raise InputError(f"the journal {path} cannot be read ({error.strerror})") from None


def _sound(file: BinaryIO) -> Iterator[Any]:
    file.seek(len(MAGIC))
    for line in file:
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if line.endswith(b"\n") and checksum == _checksum(text):
            yield json.loads(text)


def _checksum(text: bytes) -> bytes:
    return b"%08x" % binascii.crc32(text)


def _locked(path: Path, mode: int) -> int:
    while True:
        try:
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{path} is not a file; give the journal a file with --journal PATH")
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        except OSError as error:
            raise InputError(
                f"the journal {path} cannot be made ({error.strerror}); give it another place with --journal PATH"
            ) from None
        try:
            _lock(file)
        except OSError:
            os.close(file)
            raise InUse(f"{path} is in use") from None
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), path.stat()):
                if os.fstat(file).st_size == 0:
                    os.fchmod(file, mode)  # whatever the umask says
                    _sync(path.parent)
                return file
        os.close(file)  # its owner has just taken it away


def _lock(file: int) -> None:
    """At once, or a little later: others may be looking who has it. Raises OSError."""
    deadline = time.monotonic() + GLANCE_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(GLANCE_S / 20)


def _sync(folder: Path) -> None:
    """Even if the power is cut, a new file is in the folder afterwards, as far as the file system can be asked."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
