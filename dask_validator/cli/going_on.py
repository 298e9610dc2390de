"""The command that goes on from where another one has ended, ready to be pasted."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np
from click.core import ParameterSource

from dask_validator.errors import Incomplete
from dask_validator.journal.blocks import Blocks
from dask_validator.journal.journal import Journal
from dask_validator.rules.gates import HELD, OF_WINDOWS
from dask_validator.run.naming import literal

if TYPE_CHECKING:
    from dask_validator.run.order import Order
    from dask_validator.run.outcome import Outcome
    from dask_validator.views.monitor.terminal import Terminal

NAME = "dask-validator"
ONCE = ("all_instruments",)  # it goes on with one of them


def next_step(ctx: click.Context, journal: Journal, now: Mapping[str, Any], name: str = "run") -> str:
    """What is kept, and what to do with it.

    Parameters
    ----------
    now
        What some flags mean for this run, by parameter.
    name
        Of the command that ends a run which has computed all.
    """
    if not journal.keeps:
        return f"Nothing is kept ({journal.reason or 'nothing was computed yet, or it was a dry run'}); run again"
    what = f"Part of what is computed ({journal.reason})" if journal.reason else "What is computed"
    words = command(ctx, name if journal.computed_all else "run", now)
    return f"{what} is kept in {journal.path}; go on with\n  {words}"


@contextmanager
def calibration_explained(ctx: click.Context, terminal: Terminal, blocks: Blocks) -> Iterator[None]:
    """What is kept of a calibration that does not come to its end."""
    try:
        yield
    except (Incomplete, KeyboardInterrupt) as error:
        terminal.end_progress()
        kept = "what went through all worlds, or had begun to, is kept in"
        now = {"journal": literal(blocks.path)} if blocks.path else {}
        kept = f"{kept} {blocks.path}-*; go on with\n  {command(ctx, 'calibrate', now)}"
        line = kept if blocks.keeps else f"nothing is kept ({blocks.reason or 'nothing went through all worlds yet'})"
        if isinstance(error, Incomplete):
            error.details = line.capitalize() if not blocks.keeps else line[0].upper() + line[1:]
        else:
            terminal.warn([f"interrupted; {line}"])
        raise


def meant(order: Order, journal: Journal) -> dict[str, Any]:
    """What the flags for instruments and files mean for this run: one instrument, and no marks."""
    said = {"instrument": order.instrument, "wf_output": literal(Path(order.config.wf_output).absolute())}
    return said | ({"journal": literal(journal.path)} if journal.path else {})


def command(ctx: click.Context, name: str, now: Mapping[str, Any]) -> str:
    """The command of that name, with the flags of this one that it knows, as they are meant now."""
    siblings = cast("click.Group", cast("click.Context", ctx.parent).command)
    known = {param.name for param in siblings.commands[name].params} - {"resume", "discard", *ONCE}
    words = [_program(), name]
    for param in ctx.command.params:
        parameter = str(param.name)
        given = ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE
        given |= parameter == "wf_output"  # its default depends on the folder
        given |= parameter == "instrument" and bool(ctx.params.get("all_instruments"))
        value = now.get(parameter, ctx.params[parameter])
        if param.name in known and (given or param.name == "db"):  # whose default is another one here and there
            words += _spelled_out(param, value)
    return shlex.join([*words, "--resume"] if name == "run" else words)


def after_demo(db: Path, result: Outcome) -> str:
    """Two commands that show what can be asked now: of one strategy, which just fell if one did, and of all."""
    verdicts = result.verdicts
    windows = np.isin(verdicts.gate, OF_WINDOWS)
    asked = int((windows if windows.any() else verdicts.gate != HELD).argmax())
    explain = [_program(), "explain", verdicts.ids[asked], "--db", str(db)]
    whole = ["run"] if result.summary["dry_run"] else ["report", "--output", str(db.with_suffix(".html"))]
    return f"Next:\n  {shlex.join(explain)}\n  {shlex.join([_program(), *whole, '--db', str(db)])}"


def _program() -> str:
    """As it was called, where its folder is not on the PATH."""
    called, found = Path(sys.argv[0]), shutil.which(NAME)
    if called.name != NAME or not called.exists() or (found and called.samefile(found)):
        return NAME
    return str(called)


def _spelled_out(param: click.Parameter, value: Any) -> list[str]:
    if isinstance(param, click.Option) and param.is_flag:
        return [param.opts[0]]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [word for single in values for word in (param.opts[0], str(single))]
