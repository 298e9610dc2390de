"""What is changed for this whole process while a run goes on: runs that overlap end in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

Make = Callable[[], AbstractContextManager[object]]

_changes: list[_Change] = []  # those in force, in the order in which they were made
_turn = RLock()


class _Change:
    """One that can be made, and made again."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def do(self) -> None:
        self._made = self._make()
        self._made.__enter__()

    def undo(self) -> None:
        self._made.__exit__(None, None, None)


@contextmanager
def in_any_order(make: Make) -> Iterator[None]:
    """As `with make():`, but left before a change that was made later, it takes only its own back.

    What such a block finds at its beginning is what an earlier one has changed, and must not outlive that.
    """
    change = _Change(make)
    with _turn:
        change.do()
        _changes.append(change)
    try:
        yield
    finally:
        with _turn:
            later = _changes[_changes.index(change) + 1 :]
            for each in reversed([change, *later]):
                each.undo()
            _changes.remove(change)
            for each in later:
                each.do()


def configured(settings: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Dask's configuration with these settings, for the block; another thread sees them too."""
    import dask

    return in_any_order(lambda: dask.config.set(settings))
