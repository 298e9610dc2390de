"""Everything that can go wrong, as one tree.

    ValidatorError            exit code 1   a defect of ours, or the base class
    ├── InputError            exit code 2   bad usage or input; nothing was written
    │   ├── DatabaseHeld      exit code 2   another connection holds the database
    │   ├── BadRule                         of a file of rules, which says in which line
    │   ├── NothingToCalibrate              no strategy can be put into null worlds: a run goes on without them
    │   └── MainGuardMissing                a script that would start itself again: ends it with this one line
    ├── NotCommitted          exit code 4   computed, but not (or not fully) written
    │   └── ChangedMeanwhile                others wrote to the database: the run looks again before it gives up
    └── Incomplete            exit code 5   the cluster was lost before the end
    UnusableStrategy          never leaves a run: becomes that one strategy's FAILED

Messages say what we got, what we needed and what to do next, in one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ValidatorError(Exception):
    """Base class; `exit_code` is what the command returns, `result` the outcome so far, if there is one."""

    exit_code = 1

    def __init__(self, message: str, result: Any = None, details: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.result = result
        self.details = details  # a table that belongs under the line


class InputError(ValidatorError):
    """Bad usage or input: nothing was computed, nothing was written."""

    exit_code = 2


class DatabaseHeld(InputError):
    """Another process, or another connection of this one, holds the database: `pid`."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class BadRule(InputError):
    """The tables of the database cannot follow a rule: `keys` lead to it in a file of rules."""

    def __init__(self, message: str, keys: Sequence[str]) -> None:
        super().__init__(message)
        self.keys = keys


class NothingToCalibrate(InputError):
    """No strategy can be put into null worlds."""


class MainGuardMissing(InputError, SystemExit):
    """A script would start itself again in every worker process.

    Being a SystemExit too, it ends a script that does not catch it with its one line instead of a traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = str(self)


class NotCommitted(ValidatorError):
    """Everything was computed but not, or not fully, written. Carries `.result`."""

    exit_code = 4


class ChangedMeanwhile(NotCommitted):
    """Others have written to the database since it was read, and what was computed may no longer hold."""


class Incomplete(ValidatorError):
    """The run ended before every task had answered. Carries `.result`: what is decided so far."""

    exit_code = 5


class UnusableStrategy(Exception):
    """This one strategy cannot be validated; the text says why, for its note."""
