"""Files that are written to: never waited for, never what merely stands in their place."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dask_validator.errors import InputError

TRIES = 100  # to lock a file that others take away meanwhile
_AT_ONCE = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a pipe without a reader would be waited for


def check_name(flag: str, path: str | Path) -> None:
    """Raise InputError for a name that cannot be written down: DuckDB and JSON know UTF-8 only."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{flag} got {path}, which is not UTF-8; give the file another name") from None
    if "\0" in os.fspath(path):
        raise InputError(f"{flag} got {path}, in which there is a NUL; give the file another name")


def check_kind(flag: str, path: Path, *, devices: bool = False) -> None:
    """Raise InputError unless there is a file at the path, or nothing yet: a link has to lead to one.

    With `devices`, /dev/null and its like will do too. Nothing is opened.
    """
    check_name(flag, path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(f"{flag} got {path}, which is a link to a file that is not there; remove it") from None
        return
    except OSError as error:
        raise InputError(f"{flag} got {path}, which cannot be written ({error.strerror})") from None
    if not (stat.S_ISREG(mode) or (devices and stat.S_ISCHR(mode))):
        raise InputError(f"{flag} got {path}, which is not a file; give it a file of its own")


def opened(path: str | Path, flags: int, mode: int = 0o666) -> int:
    """A descriptor of a file, or of a device that can seek. Raises OSError, also for whatever else is there."""
    file = os.open(path, flags | _AT_ONCE, mode)
    try:
        kind = os.fstat(file).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISCHR(kind):
            raise OSError(errno.EINVAL, "it is not a file")
        os.lseek(file, 0, os.SEEK_CUR)
        return file
    except BaseException:
        os.close(file)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file to write beside its place, moved there when the block has ended well.

    Raises OSError; then nothing has changed.
    """
    target = path.resolve()  # a link stays one
    beside = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
    beside.unlink(missing_ok=True)
    try:
        beside.open("x").close()  # never through a link
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def locked(path: str | Path, open_it: Callable[[], int], wait_s: float) -> int:
    """A descriptor of what is at the path, locked for this process until it is closed.

    Raises
    ------
    BlockingIOError
        Another process keeps it locked for longer than `wait_s`.
    OSError
        It cannot be opened or locked.
    """
    for _ in range(TRIES):
        file = open_it()
        try:
            lock(file, wait_s)
            if is_at(path, file):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # its owner has just taken it away
    raise OSError(errno.ESTALE, "it is replaced again and again")


def lock(file: int, wait_s: float) -> None:
    """Lock at once, or while waiting. Raises BlockingIOError when others have it, OSError when it cannot be locked."""
    deadline, pause = time.monotonic() + wait_s, 0.01
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


def is_at(path: str | Path, file: int) -> bool:
    """Whether the descriptor's file has that name, and not another file or none. Raises OSError."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
