"""Calls to a cluster that end: a scheduler that is frozen, and a worker that hangs, never answer, and never refuse."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

from dask_validator.system.interrupts import came

ANSWER_S = 30.0  # a scheduler that others keep busy may need some
PATIENCE_S = 2.0  # where it does not matter much
LOOK_S = 0.2

Answer = TypeVar("Answer")


def asked(call: Callable[[], Answer]) -> Answer:
    """What the call returns or raises.

    Raises
    ------
    TimeoutError
        It takes longer than `ANSWER_S`.
    KeyboardInterrupt
        An interrupt came meanwhile, even where it is held back: nobody would hear of it for as long.
    """
    answer, until = _begun(call), time.monotonic() + ANSWER_S
    while not wait([answer], LOOK_S).done:
        if came():
            raise KeyboardInterrupt
        if time.monotonic() > until:
            raise TimeoutError(f"no answer within {ANSWER_S:g} s")
    return answer.result()


def tried(call: Callable[[], object]) -> None:
    """Have it called, and give it a moment: what is done at the end, on a cluster that may be lost."""
    wait([_begun(call)], PATIENCE_S)


def _begun(call: Callable[[], Answer]) -> Future[Answer]:
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()  # one that never ends holds nobody up
    return answer
