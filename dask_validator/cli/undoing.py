"""`undo`: a run taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dask_validator.cli import options
from dask_validator.cli.given import safeguards_of
from dask_validator.cli.group import cli
from dask_validator.views.monitor.terminal import Terminal, echo


@cli.command()
@options.db
@click.option("--run", "run_id", metavar="ID", help="Which run: the latest of its instrument.  [required]")
@options.wait_for_lock
@options.access
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
def undo(db: Path, run_id: str | None, as_json: bool, **flags: Any) -> None:
    """Put verdicts, season columns and setups back to what they were before a run."""
    from dask_validator.api.undo import undo_run
    from dask_validator.views.monitor.undone import render

    if run_id is None:
        raise click.UsageError(f"got no --run; needed the run to take back: dask-validator runs --db {db} lists them")
    with Terminal() as terminal:
        found = undo_run(db, run_id, safeguards_of(flags), terminal.listen)
    echo(json.dumps(found._asdict()) if as_json else render(found), err=False)
