"""`runs`, `export`: what earlier runs have left; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dask_validator.api.preparing import grant_access
from dask_validator.cli import options
from dask_validator.cli.given import SOME_FAILED, safeguards_of
from dask_validator.cli.group import cli
from dask_validator.store.past_runs import list_runs
from dask_validator.views.monitor.terminal import Terminal, echo


@cli.command()
@options.db
@options.any_instrument
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
@options.access
def runs(db: Path, instrument: str | None, as_json: bool, **access: Any) -> None:
    """List the committed runs of a database, the latest first."""
    from dask_validator.views.monitor import past

    grant_access(db, safeguards_of(access))
    found = list_runs(db, instrument)
    if as_json:
        echo(json.dumps({"db": str(db.absolute()), "runs": [past.plain_values(run) for run in found]}), err=False)
    elif found:
        echo(past.listing(found), err=False)
    else:
        echo(f"{db} has no committed run{f' of {instrument}' if instrument else ''}", err=False)


@cli.command()
@options.db
@options.instrument
@click.option("--run", "run_id", metavar="ID", help="Which run.  [default: the latest of the instrument]")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The file to write: .csv, .parquet or .json.",
)
@click.option(
    "--what",
    type=click.Choice(["promoted", "verdicts", "windows", "trades"]),
    default="promoted",
    help="A row for each promoted strategy, verdict, test window, or trade of what was promoted.",
)
@options.wait_for_lock
@options.access
@options.quiet
@click.pass_context
def export(
    ctx: click.Context, /, db: Path, instrument: str, run_id: str | None, output: Path, what: str, **flags: Any
) -> None:
    """Write a table of a committed run to a file that other programs read."""
    from dask_validator.api.export import write_export

    grant_access(db, safeguards_of(flags))
    with Terminal(quiet=flags["quiet"]) as terminal:
        found = write_export(db, output, run_id, instrument, what, wait_s=flags["wait_for_lock"], say=terminal.say)
        terminal.warn(found.warnings)
        terminal.say(f"{len(found.frame):,} rows of {what}: {output}")
    if found.lacking:
        ctx.exit(SOME_FAILED)
