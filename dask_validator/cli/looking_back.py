"""`runs`, `export`: what earlier runs have left; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dask_validator.api.preparing import grant_access
from dask_validator.cli import options
from dask_validator.cli.given import safeguards_of
from dask_validator.cli.group import cli
from dask_validator.store.past_runs import list_runs
from dask_validator.views.monitor.terminal import echo


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
