"""The command itself: an error becomes one line and an exit code, a signal an end."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from typing import Any, NoReturn

import click

from dask_validator import __version__
from dask_validator.errors import ValidatorError
from dask_validator.system.interrupts import ENDING, INTERRUPTED, Insistent
from dask_validator.system.surroundings import settle
from dask_validator.views.monitor.streams import forgive, forgiving
from dask_validator.views.monitor.terminal import echo


class _Shown(click.ClickException):
    """One of our errors on its way through click."""

    def __init__(self, error: ValidatorError) -> None:
        super().__init__("\n".join(filter(None, [str(error), error.details])))
        vars(self)["exit_code"] = error.exit_code


class _Commands(click.Group):
    """Turns what a command raises into one line and the exit code of the interface."""

    def invoke(self, ctx: click.Context) -> Any:
        forgive()
        _listen_to_signals()
        try:
            settle()
            return super().invoke(ctx)
        except ValidatorError as error:
            raise _Shown(error) from error
        except KeyboardInterrupt:
            echo("\nInterrupted")
            ctx.exit(INTERRUPTED)


def _listen_to_signals() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    handler = Insistent()
    for number in ENDING:
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:  # as started with nohup or &
            signal.signal(number, handler)


@click.group("validator", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def cli() -> None:
    """Sort backtested strategies by a walk-forward over the years they were backtested on."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run a command; a failure is one line on stderr."""
    forgive()
    try:
        code = cli.main(args, prog_name="dask-validator", standalone_mode=False)
    except click.ClickException as error:
        text = error.format_message()
        echo(text if text.startswith("Usage:") else f"dask-validator: {text}")
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    sys.stdout.flush()
    _name_what_is_lost(forgiving(sys.stdout).lost)
    sys.exit(code)


def _name_what_is_lost(reason: Exception | None) -> None:
    """A full disk is not a reader who has gone: somebody counts on what was sent there."""
    if isinstance(reason, OSError) and reason.errno == errno.ENOSPC:
        echo(f"warning: stdout could not be written ({reason.strerror}): what belongs there is lost", fg="yellow")
