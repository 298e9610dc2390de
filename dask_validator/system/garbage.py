"""Python's garbage collector, spared the million values of a run: they stay, and refer to nothing of their own."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """It does not run inside, nor does it walk what was made inside until `thawed` ends."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextmanager
def thawed() -> Iterator[None]:
    """At the end it walks everything again, as before."""
    try:
        yield
    finally:
        gc.unfreeze()
