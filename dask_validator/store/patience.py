"""Opening the database to write, while others may have it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dask_validator.errors import DatabaseHeld
from dask_validator.store.connection import connect
from dask_validator.store.lock import refuse_if_open_here

LONGEST_PAUSE_S = 5.0


class Patience(NamedTuple):
    """How long to wait for somebody else's lock."""

    seconds: float = 0.0
    ended: Callable[[], object] = lambda: False  # whether to give up before
    passing: Callable[[int], bool] = lambda pid: False  # whether it is worth waiting longer, as that process will end


IMPATIENT = Patience()


def open_to_write(
    path: str | Path, patience: Patience = IMPATIENT, connect: Callable[..., Any] = connect
) -> duckdb.DuckDBPyConnection:
    """Open it; while somebody else has the file, again and again with growing pauses.

    Raises
    ------
    InputError
        It cannot be opened; DatabaseHeld, when patience was not enough.
    """
    deadline, pause = time.monotonic() + patience.seconds, 0.1
    while True:
        try:
            refuse_if_open_here(path)
            return connect(path, read_only=False)  # type: ignore[no-any-return]
        except DatabaseHeld as error:
            left_s = deadline - time.monotonic()
            late = left_s <= 0
            if patience.ended() or (late and not (error.pid and patience.passing(error.pid))):
                raise
        time.sleep(pause if late else min(pause, left_s))
        pause = min(2 * pause, LONGEST_PAUSE_S)
