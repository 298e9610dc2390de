"""The JSONL as a file: lines are appended all or none, and an append that was cut short is finished."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from itertools import chain
from pathlib import Path

from dask_validator.errors import InputError
from dask_validator.rules.jsonl import decompressed
from dask_validator.system.files import lock, locked, opened

LOOK = 1 << 10  # bytes
FIRST, LINE = (
    b'{"strategy_id": "',
    re.compile(rb'\s*{\s*"strategy_id"\s*:'),
)  # how lines begin, as we write them or others
LOCK_WAIT_S = 30.0  # others append for a second or two; whoever may read the file may lock it


def check_writable(path: Path) -> None:
    """Raise InputError when lines could not be appended to the path; leaves no trace."""
    made: list[Path] = []
    try:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir()
            made.append(folder)
        if path.exists():
            with FileIO(_opened(path), "r+b") as file:
                _check_lines(path, file)
                _check_lockable(file)
        else:  # not the file itself: taking it away again could take another run's lines with it
            with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
                _check_lockable(file)
    except OSError as error:
        raise InputError(f"--wf-output got {path}, which cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):  # another run has used the folder meanwhile
            for folder in reversed(made):
                folder.rmdir()


def _check_lines(path: Path, file: FileIO) -> None:
    """Raise InputError for a file of another kind: what a link leads to may be anything, such as a shell's profile.

    That may be empty, too, and reads each line: an empty file behind a link is refused.
    """
    if not _is_regular(file):
        return
    begins = os.pread(file.fileno(), LOOK, 0)
    torn = begins and FIRST.startswith(begins)  # by a crash: whoever comes next completes it
    if not torn and not LINE.match(begins) and (begins or path.is_symlink()):
        raise InputError(f"--wf-output got {path}, which is there and is no JSONL; give the lines a file of their own")


def _check_lockable(file: FileIO) -> None:
    """Raise OSError where files cannot be locked, not where somebody has just locked this one."""
    with suppress(BlockingIOError):
        lock(file.fileno(), 0.0)


def append(
    path: Path, lines: bytes, announce: Callable[[int, bool], None] = lambda offset, after_line_end: None
) -> None:
    """Append all lines of the zlib stream, or none: a failed write is taken back. Raises OSError.

    `announce` is told before the first byte where the lines begin and whether a line end goes before them: all that
    `finish` needs if this process dies on the way.
    """
    with _locked(path) as file:
        end = file.seek(0, os.SEEK_END)
        line_end = _line_end_before(file, end)
        announce(end, bool(line_end))
        _write_at(file, end, chain([line_end], decompressed(lines)))


def finish(path: Path, lines: bytes, offset: int, after_line_end: bool) -> bool:
    """Complete an append that was announced; False when nothing of it is there. Raises OSError.

    What others have appended since stays.
    """
    with _locked(path) as file:
        file.seek(max(offset - 1, 0))
        at_line_start = offset == 0 or file.read(1) == b"\n"
        expected, found = b"\n" * after_line_end + b"".join(decompressed(lines)), file.read()
        if at_line_start == after_line_end or not found:  # another file by now, or as it was
            return False
        if found.startswith(expected):
            return True
        others = _of_others(found, expected)
        if len(others) >= len(found) - after_line_end:
            return False
        if not others:
            _write_at(file, offset, [expected])
            return True
        file.seek(0)
        target = path.resolve()  # a link stays one
        whole = target.with_name(f"{target.name}.finishing")
        whole.unlink(missing_ok=True)
        try:
            with whole.open("xb") as copy:  # never through a link
                for chunk in (file.read(offset), expected, others):
                    copy.write(chunk)
                copy.flush()
                os.fchmod(copy.fileno(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
                os.fsync(copy.fileno())
            os.replace(whole, target)
        finally:
            whole.unlink(missing_ok=True)
        return True


def _of_others(found: bytes, expected: bytes) -> bytes:
    """What follows the part of our lines that is there."""
    same = bisect_left(range(len(expected) + 1), True, key=lambda size: not found.startswith(expected[:size])) - 1
    whole = expected.rfind(b"\n", 0, same) + 1
    torn, _, others = found[whole:].partition(b"\n")  # whoever appends after a torn line ends it first
    return others if expected[whole:].startswith(torn) else found[whole:]


@contextmanager
def _locked(path: Path) -> Iterator[FileIO]:
    """The file, locked: runs of other instruments append to the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = locked(path, lambda: _opened(path), LOCK_WAIT_S)
    except BlockingIOError:
        raise OSError(errno.EBUSY, f"another process has kept it locked for {LOCK_WAIT_S:g} s") from None
    with FileIO(descriptor, "r+b") as file:  # a buffer would be written after all when the file is closed
        yield file


def _opened(path: Path) -> int:
    return opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)


def _write_at(file: FileIO, offset: int, chunks: Iterable[bytes]) -> None:
    """Let the file end with these from `offset` on, or not at all."""
    try:
        if _is_regular(file):
            file.truncate(offset)
        for chunk in chunks:
            _write_all(file, chunk)
        if _is_regular(file):
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # what cannot be taken back must not hide why
            file.truncate(offset)
        raise


def _is_regular(file: FileIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def _line_end_before(file: FileIO, end: int) -> bytes:
    """Somebody's torn last line must not swallow our first."""
    if end == 0:
        return b""
    file.seek(end - 1)
    return b"" if file.read(1) == b"\n" else b"\n"


def _write_all(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
