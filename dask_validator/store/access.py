"""What our connections to a database may take of this machine, and what they may reach beside the file."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import NamedTuple

from dask_validator.system import memory

USUAL_MEMORY = 400 * 2**20  # bytes; DuckDB would take 80 % of the machine in each process, and it spills beyond
IMPORT_MEMORY = 640 * 2**20  # bytes: an import is alone, and sorts what does not lie in order
SPARE = 0.5  # of the memory that is free, for rows that are too long for that


class Access(NamedTuple):
    """What was asked for on the command line."""

    memory_limit: str | None = None  # as DuckDB spells sizes; None: the usual, and more for rows that need it
    external_views: bool = False  # whether views may read files, with the rights of whoever runs this


USUAL = Access()
# By absolute path. Of the process, because DuckDB opens what is open already with equal settings only.
_granted: dict[str, Access] = {}


def grant(path: str | Path, access: Access) -> None:
    """Let this process open that file so from now on."""
    _granted[os.path.abspath(path)] = access


def granted(path: str | Path) -> Access:
    """How this process opens that file."""
    return _granted.get(os.path.abspath(path), USUAL)


def settings(access: Access = USUAL, *, read_only: bool = False, usual: int = USUAL_MEMORY) -> dict[str, str]:
    """Connection settings: nothing from the network or of other files, scratch files in the temporary directory.

    Readers are single-threaded: one is in every worker, and in the main process one beside the screening.
    """
    return {
        "enable_external_access": str(access.external_views).lower(),
        # A SQLite file would otherwise make DuckDB download an extension.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": access.memory_limit or _spelled(usual_memory(usual)),
        "threads": "1" if read_only else str(os.cpu_count() or 1),
        "temp_directory": _scratch(),
    }


def usual_memory(most: int = USUAL_MEMORY) -> int:
    """Bytes: a quarter of what this machine or cgroup has, for as many processes as there are cores."""
    return min(most, memory.limit() // (4 * (os.cpu_count() or 1)))


def spare_memory(access: Access) -> str | None:
    """What one connection may take when the usual is too little; None when the user has set a limit."""
    if access.memory_limit is not None:
        return None
    return _spelled(max(int(SPARE * memory.available()), usual_memory()))


def _spelled(size: int) -> str:
    return f"{size // 2**20}MiB"


@lru_cache(maxsize=1)
def _scratch() -> str:
    """Of this process; a fork keeps it, as DuckDB opens what is open already with equal settings only.

    In a folder of this user's alone: others could read what is spilled, or have put files of theirs in its place.
    """
    try:
        folder = tempfile.mkdtemp(prefix="dask-validator-")
    except OSError:  # no room; then nothing can be spilled either
        return os.path.join(tempfile.gettempdir(), f"dask-validator-{secrets.token_hex(8)}")
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=0)  # at the end of workers, too
    return os.path.join(folder, "duckdb")
