"""How a run ends, told to whoever watches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dask_validator.errors import Incomplete, NotCommitted
from dask_validator.events import Ended, Ending, Listener

_ENDINGS = {
    NotCommitted: Ending.NOT_COMMITTED,
    Incomplete: Ending.INCOMPLETE,
    KeyboardInterrupt: Ending.INTERRUPTED,
}


@contextmanager
def ending_told(listener: Listener) -> Iterator[None]:
    """Whoever watches learns how it ended, however it ends."""
    try:
        yield
    except BaseException as error:
        listener(Ended(_ENDINGS.get(type(error), Ending.FAILED), str(error)))
        raise
    listener(Ended(Ending.DONE))
