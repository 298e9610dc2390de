"""`import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dask_validator.cli import options
from dask_validator.cli.given import SOME_FAILED
from dask_validator.cli.group import cli
from dask_validator.store.access import Access
from dask_validator.views.monitor.terminal import Terminal, echo


@cli.command(name="import", cls=options.ListFlags)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@options.db
@options.instrument_of_import
@options.trade_files
@click.option("--replace", is_flag=True, help="Strategies of the instrument that are not in SOURCE are gone.")
@options.wait_for_lock
@options.memory_limit
@options.quiet
@click.pass_context
def import_(ctx: click.Context, /, sources: tuple[str, ...], db: Path, instrument: str, **flags: Any) -> None:
    """Make trades of any backtester strategies of a database, that `run` validates.

    SOURCE is a file (CSV, Parquet, JSON, a DuckDB database), a folder or a glob; several are one log. Every strategy
    that was tried belongs in it, not only the good ones.
    """
    from dask_validator.run.importing import run_import
    from dask_validator.trade_files.reading import ReadOptions
    from dask_validator.views.monitor import imported

    safe = {name: flags.pop(name) for name in ("replace", "wait_for_lock", "memory_limit", "quiet")}
    with Terminal(quiet=safe["quiet"]) as terminal:
        found = run_import(
            list(sources),
            db,
            instrument,
            ReadOptions(**flags),
            replaces=safe["replace"],
            access=Access(safe["memory_limit"]),
            wait_s=safe["wait_for_lock"],
            say=terminal.say,
        )
    if not safe["quiet"]:
        echo(imported.imported(found), err=False)
    if found.refused:
        ctx.exit(SOME_FAILED)
