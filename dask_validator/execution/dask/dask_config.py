"""Dask's configuration: the user's own for clusters of others, and one that nobody has changed for our own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dask_validator.errors import InputError
from dask_validator.execution.dask.process_wide import configured

LINK = "distributed.dashboard.link"
ORIGINS = "distributed.scheduler.dashboard.bokeh-application.allow_websocket_origin"
PLAIN_LINK = "{scheme}://{host}:{port}/status"
OURS: dict[str, Any] = {
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.scheduler.allowed-failures": 0,  # we try again ourselves, one strategy at a time
    # A worker holds nothing that could be spilled, and one that pauses never goes on.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}
# Many workers on few cores take their time; once they run, one that does not answer is dead.
STARTING: dict[str, Any] = {"distributed.comm.timeouts.connect": "5 minutes"}


@contextmanager
def readable() -> Iterator[None]:
    """For importing Dask, which reads the user's files and variables then. Raises InputError when it cannot."""
    try:
        yield
    except (ImportError, MemoryError, InputError):
        raise
    except Exception as error:
        raise InputError(
            f"Dask cannot read its configuration ({error}); mend or remove that file or DASK_ variable, then run again"
        ) from error


def neutral(scratch: str) -> dict[str, Any]:
    """For a cluster of our own, which whatever the user has configured for others could keep from starting.

    Only what says through which proxy the dashboard is seen stays.
    """
    import dask

    defaults = dask.config.merge(*dask.config.defaults)
    kept = {LINK: link(), ORIGINS: dask.config.get(ORIGINS, ["*"])}
    return {"distributed": defaults["distributed"], "temporary-directory": scratch, **kept, **OURS}


def links_that_can_be_formed() -> AbstractContextManager[None]:
    """For clusters of others, whose configuration is the user's otherwise."""
    return configured({LINK: link()})


def link() -> str:
    """The user's template for links to dashboards, or the plain one when it cannot be filled in."""
    import dask

    template = dask.config.get(LINK, PLAIN_LINK)
    try:
        template.format(**{**os.environ, "scheme": "http", "host": "127.0.0.1", "port": 8787})
    except Exception:  # an unset variable, or anything at all
        return PLAIN_LINK
    return str(template)
