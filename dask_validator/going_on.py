"""The command that goes on from where another one has ended, ready to be pasted."""

from __future__ import annotations

import shlex
from typing import Any, cast

import click
from click.core import ParameterSource

from dask_validator.journal.journal import Journal


def next_step(ctx: click.Context, journal: Journal, name: str = "run") -> str:
    """What is kept, and what to do with it; `name` is of the command that ends a run which has computed all."""
    if not journal.keeps:
        return f"Nothing is kept ({journal.reason or 'nothing was computed yet, or it was a dry run'}); run again"
    what = f"Part of what is computed ({journal.reason})" if journal.reason else "What is computed"
    words = command(ctx, name if journal.computed_all else "run")
    return f"{what} is kept in {journal.path}; go on with\n  {words}"


def command(ctx: click.Context, name: str) -> str:
    """The command of that name, with the flags of this one that it knows."""
    siblings = cast("click.Group", cast("click.Context", ctx.parent).command)
    known = {param.name for param in siblings.commands[name].params} - {"resume", "discard"}
    words = ["dask-validator", name]
    for param in ctx.command.params:
        given = ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
        if param.name in known and (given or param.name == "db"):  # whose default is another one here and there
            words += _spelled_out(param, ctx.params[str(param.name)])
    return shlex.join([*words, "--resume"] if name == "run" else words)


def _spelled_out(param: click.Parameter, value: Any) -> list[str]:
    if isinstance(param, click.Option) and param.is_flag:
        return [param.opts[0]]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [word for single in values for word in (param.opts[0], str(single))]
