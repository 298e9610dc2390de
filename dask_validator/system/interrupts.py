"""Ctrl-C, SIGTERM and a terminal that closes, held back where half a step would be worse than a short wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

INTERRUPTED = 130  # the exit code
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what asks a command to end


class Insistent:
    """A handler for a command: the first of these signals is a KeyboardInterrupt, the next ends all at once.

    A terminal that closes says so more than once, itself and through its shell: that is no insisting.
    """

    def __init__(self) -> None:
        self.received = 0
        self._here = psutil.Process()

    def __call__(self, number: int, frame: object) -> None:
        """Receive one."""
        if number == signal.SIGHUP and self.received:
            return
        self.received += 1
        if self.received > 1:
            for process in self._here.children(recursive=True):  # one that hangs would not see that we are gone
                with suppress(psutil.Error):
                    process.kill()
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt


_held: list[list[int]] = []  # what each block that holds back has received, the outermost first


def came() -> bool:
    """Whether one has come that is held back still."""
    return any(_held)


@contextmanager
def held_back() -> Iterator[list[int]]:
    """Let the block finish; a signal to end that came meanwhile is raised at its end, a second one at once.

    The block is given the list of what has come, to end early. Only the main thread receives signals; elsewhere the
    block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}

    def receive(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and received:
            return
        received.append(number)
        handler = before[signal.Signals(number)]
        if len(received) > 1:
            raise KeyboardInterrupt
        if isinstance(handler, Insistent):
            handler.received += 1
            for other in before:  # the next one is not ours to hold back
                signal.signal(other, handler)

    for number in before:
        signal.signal(number, receive)
    _held.append(received)
    try:
        yield received
    finally:
        _held.pop()
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            raise KeyboardInterrupt
