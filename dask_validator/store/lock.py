"""Who holds the database, asked without opening it in this process.

POSIX drops all of a process's locks on a file when any descriptor of that process on it is closed: opening the
database here, even to look, could drop the lock of a connection the user holds. So a short-lived child asks.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
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
if answer[kind] == fcntl.F_UNLCK:
    print("free")
else:
    print(answer[pid], "writing" if answer[kind] == fcntl.F_WRLCK else "reading")
"""
POLL_S = 0.5
LONGEST_COMMAND = 120  # characters
WORKER = re.compile(r"\bdask[-_ ](cuda[-_ ])?worker\b|\bdistributed\.cli\.dask_spec\b")
NETWORK = ("nfs", "cifs", "smb", "afs", "9p", "ceph", "lustre", "fuse.sshfs", "fuse.glusterfs")


class Holder(NamedTuple):
    """A process with a lock on the database."""

    pid: int
    doing: str  # 'writing' or 'reading'

    def __str__(self) -> str:
        if self.pid == os.getpid():
            return f"another connection of this process (PID {self.pid})"
        worker = ", a Dask worker that still reads for an earlier run or for another" if self._is_worker else ""
        return f"PID {self.pid}{_command(self.pid)}{worker}"

    @property
    def ends(self) -> str:
        """What makes it let go."""
        return "let it end its task" if self._is_worker else "close it there"

    @property
    def _is_worker(self) -> bool:
        return self.doing == "reading" and _is_dask_worker(self.pid)


class Unknown(Exception):
    """The file system does not say who holds a file."""


def holder(path: str | Path) -> Holder | None:
    """The process that keeps us from writing, or None when nobody does. Raises Unknown."""
    command = [sys.executable, "-I", "-S", "-c", _ASK, os.fspath(path)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    match asked.stdout.split():
        case ["free"]:
            return None
        case [pid, doing]:
            return Holder(int(pid), doing)
        case _:
            raise Unknown


Passing = Callable[[int], bool]  # whether the reader with that PID will be gone by the time of the commit


def refuse_if_held(path: str | Path, *, to_write: bool = True, passing: Passing = lambda pid: False) -> None:
    """Raise DatabaseHeld now rather than after the computing.

    Who only wants to read can do so beside other processes that read, but not beside this one: closing our connection
    would drop the lock of the other.
    """
    refuse_if_open_here(path)
    try:
        found = holder(path)
        if found is not None and not passing(found.pid):
            found = holder(path)  # it may have ended as we asked
    except Unknown:  # then the commit will tell
        return
    if found is None or (found.doing == "reading" and passing(found.pid)):
        return
    if to_write or found.doing == "writing" or found.pid == os.getpid():
        raise DatabaseHeld(
            f"{path} is held for {found.doing} by {found}; {found.ends}, then run again, "
            "or wait for it with --wait-for-lock SECONDS",
            found.pid,
        )


def refuse_if_open_here(path: str | Path) -> None:
    """Raise DatabaseHeld when this process has the file open, by whatever name: a second opening drops its lock."""
    pid = os.getpid()
    if _is_open_here(path):
        raise DatabaseHeld(f"{path} is held by {Holder(pid, '')}; close it there, then run again", pid)


def _is_open_here(path: str | Path) -> bool:
    with suppress(OSError):  # gone, or a system without this list
        file = os.stat(path)
        for descriptor in map(int, os.listdir("/dev/fd")):
            with suppress(OSError):  # the one that listed them
                if os.path.samestat(os.fstat(descriptor), file):
                    return True
    return False


def wait_until_free(
    path: str | Path, wait_s: float, say: Callable[[str], None], passing: Passing, *, to_write: bool
) -> None:
    """Return when `refuse_if_held` no longer refuses; raise what it raises when that takes longer."""
    deadline, said = time.monotonic() + wait_s, ""
    while True:
        try:
            return refuse_if_held(path, to_write=to_write, passing=passing)
        except DatabaseHeld as error:
            ends = error.pid is not None and passing(error.pid)
            if time.monotonic() + POLL_S > deadline and not ends:
                raise
            until = "until another run is committed" if ends else f"up to {wait_s:g} s"
            if said != (said := f"Waiting {until}: {str(error).split(';')[0]}"):
                say(said)
        time.sleep(POLL_S)


def doubts(path: str | Path) -> list[str]:
    """What cannot be known about the locks of a file, as warnings."""
    warnings = []
    try:
        holder(path)
    except Unknown:
        warnings.append(f"the file system of {path} does not say who holds it: somebody may, until the commit")
    kind = _file_system(Path(path).resolve())
    if kind.startswith(NETWORK):
        warnings.append(f"{path} is on a network file system ({kind}), where locks may not hold: let nobody else write")
    return warnings


def _file_system(path: Path) -> str:
    """Its type, as in the list of mounted file systems; empty when unknown."""
    import psutil  # takes longer to import than to ask

    mounted = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounted[str(place)] for place in (path, *path.parents) if str(place) in mounted), "")


def _is_dask_worker(pid: int) -> bool:
    """Whether it is one by its command, or was started by one: workers run in child processes."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return any(WORKER.search(" ".join(each.cmdline())) for each in (process, *process.parents()))
    return False


def _command(pid: int) -> str:
    import psutil  # takes longer to import than to ask

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:  # it has just ended, or is on another machine
        return ""
    return f" ({shorten(shlex.join(words), LONGEST_COMMAND, placeholder=' ...')})" if words else ""
