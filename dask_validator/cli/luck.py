"""`calibrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_calibration
from dask_validator.cli import going_on, options
from dask_validator.cli.endings import keep_dashboard, write_calibration
from dask_validator.cli.given import refuse_both, safeguards_of, several_of
from dask_validator.cli.group import cli
from dask_validator.config import combinations
from dask_validator.events import Listeners
from dask_validator.execution.dask.encryption import certified
from dask_validator.run import outputs
from dask_validator.run.naming import Names
from dask_validator.views.live.sender import Sender
from dask_validator.views.monitor import calibrated
from dask_validator.views.monitor.terminal import Terminal, echo


@cli.command(cls=options.ListFlags)
@options.db
@options.instrument
@options.worlds
@options.workers
@options.scheduler
@options.settings
@options.calibration_safeguards
@options.surroundings
@click.pass_context
def calibrate(
    ctx: click.Context, /, db: Path, instrument: str, workers: int | None, scheduler: str | None, **flags: Any
) -> None:
    """Count the promotions that luck would make; a flag with several numbers is as many settings.

    Changes nothing in the database.
    """
    from dask_validator.run.calibrate import run_calibration

    settings = combinations(*several_of(flags, instrument))
    names = Names.of(db, instrument)
    files = names.in_flags(flags)
    read = outputs.read_by(flags | vars(settings[0]))
    outputs.check(outputs.Files(db, instrument, files["journal"], report=files["report"], read=read))
    safeguards, dashboard = safeguards_of(flags), None if flags["no_dashboard"] else flags["dashboard_address"]
    refuse_both(workers, scheduler)
    with (
        certified(scheduler, *(flags[name] for name in ("tls_ca_file", "tls_cert", "tls_key"))),
        Terminal(quiet=flags["quiet"]) as terminal,
        prepared_calibration(
            db,
            instrument,
            settings,
            safeguards,
            terminal.listen,
            companions=bool(flags["report"]),
            counts_only=not flags["report"],
            names=names,
        ) as (order, blocks),
        open_executor(workers, None, scheduler, dashboard, terminal.say, safeguards.task_timeout) as executor,
        going_on.calibration_explained(ctx, terminal, blocks),
    ):
        terminal.warn(executor.warnings)
        listeners = Listeners(terminal.listen)
        with Sender(executor, listeners) as page:
            found = run_calibration(order, executor, listeners, blocks)
        terminal.warn(calibrated.doubts(found))
        if not flags["quiet"]:
            echo(calibrated.render(instrument, found.to_dict()["calibration"]), err=flags["as_json"])
        if flags["report"]:
            write_calibration(terminal, found, db, files["report"])
        if flags["as_json"]:
            echo(json.dumps(found.to_dict()), err=False)
        keep_dashboard(terminal, page.link or executor.dashboard_link, flags["keep_dashboard"])
