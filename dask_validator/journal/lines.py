"""A file of checked JSON lines that one process at a time may append to."""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from dask_validator.errors import InputError
from dask_validator.system.files import check_name, locked

GLANCE_S = 0.2  # others may be looking who has it
LONGEST = 1 << 28  # bytes of a line: a file that never ends one must not fill the memory
MAGIC = b"dask_validator journal 1\n"


class InUse(InputError):
    """Another process has the file."""


class Foreign(InputError):
    """A link, or somebody else's file: whoever may have made it, it is not this user's journal."""


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
        self._file = _open(path, mode)
        try:
            self._end = self._sound_end()
        except OSError as error:
            self.close()
            raise _unreadable(path, error) from None
        except BaseException:
            self.close()
            raise

    def _sound_end(self) -> int:
        """Where the next line goes."""
        _refuse_no_journal(self.path, self._file)
        position = end = 0
        with open(self._file, "rb", closefd=False) as file:
            while line := file.readline(LONGEST):
                position += len(line)
                end = position if line.endswith(b"\n") else end
        return end

    def __iter__(self) -> Iterator[Any]:
        """What the sound lines hold, first to last. Raises InputError."""
        try:
            with open(self._file, "rb", closefd=False) as file:
                yield from _sound(file)
        except OSError as error:
            raise _unreadable(self.path, error) from None

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
        """Forget every line. Raises OSError."""
        os.ftruncate(self._file, 0)
        self._end = 0

    def set_aside(self) -> Path:
        """Keep what is there under another name, which is returned, and begin anew."""
        aside = set_aside(self.path)
        self.close()
        self._file, self._end = _open(self.path, self._mode), 0
        return aside

    def remove(self) -> None:
        """Take the file away, and close."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Leave it to others."""
        if self._file >= 0:
            with suppress(OSError):  # what counts was flushed before
                os.close(self._file)
            self._file = -1


def peek(path: Path) -> Iterator[Any]:
    """What the sound lines of a file hold that somebody else may have locked. Raises InputError."""
    try:
        with open(_opened(path, os.O_RDONLY), "rb") as file:
            yield from _sound(file)
    except OSError as error:
        raise _unreadable(path, error) from None


def is_kept(path: Path) -> bool:
    """Whether a process has this journal now."""
    try:
        file = _opened(path, os.O_RDONLY)
    except (InputError, OSError):  # gone, or none of this user's
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(file)
    return False


def discard(path: Path) -> Path | None:
    """Make room for a new journal without reading the old one.

    This user's own journal is emptied. What is refused as a journal (a link, somebody else's file), or cannot be
    emptied, is not opened either, but renamed: the new name is returned.

    Raises
    ------
    InUse
        A run has it.
    InputError
        It is a file of another kind, or cannot be renamed.
    """
    try:
        file = locked(path, lambda: _opened(path, os.O_RDWR), GLANCE_S)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        raise InUse(f"{path} is in use") from None
    except (Foreign, OSError):
        return set_aside(path)
    try:
        _refuse_no_journal(path, file)
        os.ftruncate(file, 0)
        return None
    except OSError:
        return set_aside(path)
    finally:
        os.close(file)


def set_aside(path: Path) -> Path:
    """Give the file another name, which is returned. Raises InputError."""
    aside = next(free for n in count(1) if not os.path.lexists(free := Path(f"{path}.old-{n}")))
    try:
        path.rename(aside)
    except OSError as error:
        raise InputError(
            f"{path} is of another run and cannot be renamed to {aside.name} ({error.strerror}); "
            "rename or remove it, or give another place with --journal PATH"
        ) from None
    return aside


def _sound(file: BinaryIO) -> Iterator[Any]:
    """What this package has written, wherever it stands: a line that only looks like it holds nothing."""
    file.seek(len(MAGIC))
    while line := file.readline(LONGEST):
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if line.endswith(b"\n") and checksum == _checksum(text):
            with suppress(ValueError, RecursionError):  # numbers and nestings without end, broken UTF-8
                yield json.loads(text)


def _checksum(text: bytes) -> bytes:
    return b"%08x" % binascii.crc32(text)


def _open(path: Path, mode: int) -> int:
    """Opened and locked; made when it is not there. Raises InUse, InputError."""
    try:
        file = locked(path, lambda: _opened(path, os.O_RDWR | os.O_CREAT, mode), GLANCE_S)
    except BlockingIOError:
        raise InUse(f"{path} is in use") from None
    except OSError as error:
        raise InputError(
            f"the journal {path} cannot be made or locked ({error.strerror}); give it another place with --journal PATH"
        ) from None
    if os.fstat(file).st_size == 0:
        with suppress(OSError):  # file systems without modes
            os.fchmod(file, mode)  # whatever the umask says
        _sync(path.parent)
    return file


def _opened(path: Path, flags: int, mode: int = 0o600) -> int:
    """A descriptor of this user's own file. Raises Foreign, InputError, OSError."""
    check_name("--journal", path)
    if path.is_symlink():
        raise Foreign(f"the journal {path} is a link; {_WAYS_OUT}")
    if path.is_dir():
        raise InputError(f"{path} is not a file; give the journal a file with --journal PATH")
    file = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    try:
        found = os.fstat(file)
        if found.st_uid != os.geteuid():
            raise Foreign(f"the journal {path} belongs to another user (uid {found.st_uid}); {_WAYS_OUT}")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is not a file; give the journal a file with --journal PATH")
        return file
    except BaseException:
        os.close(file)
        raise


_WAYS_OUT = "set it aside with --discard, or give another place with --journal PATH"


def _refuse_no_journal(path: Path, file: int) -> None:
    """Raise InputError for a file that something else has written, OSError when it cannot be read."""
    if not MAGIC.startswith(os.pread(file, len(MAGIC), 0)):
        raise InputError(f"{path} is not a journal; remove it, or give another place with --journal PATH")


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"the journal {path} cannot be read ({error.strerror or error}); give it up with --discard")


def _sync(folder: Path) -> None:
    """Even if the power is cut, a new file is in the folder afterwards, as far as the file system can be asked."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
