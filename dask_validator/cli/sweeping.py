"""`sweep`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_sweep
from dask_validator.cli import options
from dask_validator.cli.endings import writing
from dask_validator.cli.given import refuse_both, safeguards_of, selection_of, several_of
from dask_validator.cli.group import cli
from dask_validator.execution.dask.encryption import certified
from dask_validator.run import outputs
from dask_validator.views.monitor.terminal import Terminal, echo

if TYPE_CHECKING:
    from dask_validator.run.swept import Sweep


@cli.command(cls=options.ListFlags)
@options.db
@options.instrument
@options.any_selection
@options.workers
@options.scheduler
@options.swept
@click.option("--one-at-a-time", is_flag=True, help="Try each flag alone, the others as they are.")
@click.option("--csv", type=click.Path(path_type=Path), metavar="CSV", help="Write the table to a file.")
@click.option("--html", type=click.Path(path_type=Path), metavar="HTML", help="Write a page with table and curves.")
@options.sweep_safeguards
@options.as_json
@options.quiet
def sweep(db: Path, instrument: str, workers: int | None, scheduler: str | None, **flags: Any) -> None:
    """Count the promotions under every combination of flags with several values.

    All years of --exclude-years or --era-starts are one value, and so is each other flag that takes a list. Changes
    nothing in the database.
    """
    from dask_validator.run.sweep import run_sweep

    now, values = several_of(flags, instrument)
    _check_outputs(db, instrument, flags, outputs.read_by(flags | vars(now)))
    safeguards, selection = safeguards_of(flags), selection_of(flags)
    refuse_both(workers, scheduler)
    with (
        certified(scheduler, *(flags[name] for name in ("tls_ca_file", "tls_cert", "tls_key"))),
        Terminal(quiet=flags["quiet"]) as terminal,
    ):
        asked = prepared_sweep(
            db,
            instrument,
            now,
            values,
            safeguards,
            terminal.listen,
            alone=flags["one_at_a_time"],
            selection=selection,
        )
        with open_executor(workers, None, scheduler, None, terminal.say, safeguards.task_timeout) as executor:
            terminal.warn(executor.warnings)
            found = run_sweep(asked, executor, terminal.listen)
        _told(terminal, found, flags)


def _check_outputs(db: Path, instrument: str, flags: dict[str, Any], read: dict[str, Path]) -> None:
    html, csv = flags["html"], flags["csv"]
    outputs.check(outputs.Files(db, instrument, report=html, report_flag="--html", table=csv, read=read))
    if csv is not None:
        from dask_validator.run.swept import COLUMNS
        from dask_validator.views.csv_file import check_csv

        check_csv("--csv", csv, COLUMNS)


def _told(terminal: Terminal, found: Sweep, flags: dict[str, Any]) -> None:
    """The table on stdout, or the object with `--json`, and the files that were asked for."""
    from dask_validator.views.monitor import swept

    if not flags["quiet"]:
        echo(swept.render(found), err=flags["as_json"])
    if flags["csv"]:
        from dask_validator.run.swept import COLUMNS
        from dask_validator.views.csv_file import write_csv

        columns = [*found.flags, *COLUMNS]
        with writing(terminal, "Table", flags["csv"]):
            write_csv(flags["csv"], columns, ([row[name] for name in columns] for row in found.rows))
    if flags["html"]:
        from dask_validator.views.report.of_sweep import report_sweep

        with writing(terminal, "Page", flags["html"]):
            report_sweep(found, flags["html"])
    if flags["as_json"]:
        echo(json.dumps(found.to_dict()), err=False)
