"""Who holds the database, asked without opening it in this process.

POSIX drops all of a process's locks on a file when any descriptor of that process on it is closed: opening the
database here, even to look, could drop the lock of a connection the user holds. So a short-lived child asks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from dask_validator.errors import DatabaseHeld

# struct flock of Linux: l_type, l_whence, padding, l_start, l_len, l_pid; of macOS: l_start, l_len, l_pid, l_type, ...
_ASK = """
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
if sys.platform == "darwin":
    form, pid, kind = "qqihh", 2, 3
    query = struct.pack(form, 0, 0, 0, fcntl.F_WRLCK, 0)
else:
    form, pid, kind = "hh4xqqi4x", 4, 0
    query = struct.pack(form, fcntl.F_WRLCK, 0, 0, 0, 0)
answer = struct.unpack(form, fcntl.fcntl(fd, fcntl.F_GETLK, query))
if answer[kind] != fcntl.F_UNLCK:
    print(answer[pid], "writing" if answer[kind] == fcntl.F_WRLCK else "reading")
"""


class Holder(NamedTuple):
    """A process with a lock on the database."""

    pid: int
    doing: str  # 'writing' or 'reading'

    def __str__(self) -> str:
        if self.pid == os.getpid():
            return f"another connection of this process (PID {self.pid})"
        return f"PID {self.pid}{_command(self.pid)}"


def holder(path: str | Path) -> Holder | None:
    """The process that keeps us from writing, or None when nobody does or the file system does not say."""
    command = [sys.executable, "-I", "-S", "-c", _ASK, os.fspath(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return Holder(int(answer[0]), answer[1]) if len(answer) == 2 else None


def refuse_if_held(path: str | Path, *, to_write: bool = True) -> None:
    """Raise DatabaseHeld now rather than after the computing.

    Who only wants to read can do so beside other processes that read, but not beside this one: closing our connection
    would drop the lock of the other.
    """
    found = holder(path)
    if found and (to_write or found.doing == "writing" or found.pid == os.getpid()):
        raise DatabaseHeld(f"{path} is held for {found.doing} by {found}; close it there, then run again")


def _command(pid: int) -> str:
    try:
        asked = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:  # slim systems have no ps
        return ""
    return f" ({asked.stdout.strip()})" if asked.stdout.strip() else ""
