"""`compare`, `audit`: what has changed between two runs, or would, and since promotion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_validator.cli import options
from dask_validator.cli.endings import writing
from dask_validator.cli.given import config_of, fields_of, safeguards_of, said
from dask_validator.cli.group import cli
from dask_validator.config import RunConfig, Safeguards
from dask_validator.config.rules_file import located
from dask_validator.run import outputs
from dask_validator.views.monitor.terminal import Terminal, echo

if TYPE_CHECKING:
    from dask_validator.explanation.comparison import Comparison

DIFFERS = 3


@cli.command(cls=options.ListFlags)
@click.argument("run_a")
@click.argument("run_b", required=False)
@options.db
@options.workers
@options.rules
@click.option("--csv", type=click.Path(path_type=Path), metavar="CSV", help="Write the table to a file.")
@options.wait_for_lock
@options.access
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
@options.quiet
def compare(
    run_a: str, run_b: str | None, db: Path, as_json: bool, csv: Path | None, quiet: bool, **flags: Any
) -> None:
    """Say which verdicts of RUN_A are others in RUN_B, which gate decided, and what has changed.

    With --dry-run in place of RUN_B: the strategies of RUN_A are judged anew, by the flags of `run` that are given, on
    the data as they are now. Changes nothing in the database.
    """
    from dask_validator.views.monitor.compared import render

    safeguards = safeguards_of(flags)
    outputs.check(outputs.Files(db, "", table=csv, read=outputs.read_by(flags)))
    if csv is not None:
        from dask_validator.explanation.comparison import COLUMNS
        from dask_validator.views.csv_file import check_csv, write_csv

        check_csv("--csv", csv, COLUMNS)
    if run_b is None:
        found = _anew(db, run_a, flags, safeguards, quiet=quiet)
    else:
        found = _recorded(db, run_a, run_b, flags, safeguards, quiet=quiet)
    if not quiet:
        echo(render(found, to_file=csv is not None), err=as_json)
    if csv is not None:
        from dask_validator.views.comparison_table import rows_of

        with Terminal(quiet=quiet) as terminal, writing(terminal, "Table", csv):
            write_csv(csv, COLUMNS, rows_of(found))
    if as_json:
        echo(json.dumps(found.to_dict(), default=str), err=False)


def _recorded(
    db: Path, run_a: str, run_b: str, flags: dict[str, Any], safeguards: Safeguards, *, quiet: bool
) -> Comparison:
    from dask_validator.api.comparing import compare_runs

    given = said(fields_of(RunConfig, flags) | {name: flags[name] for name in ("rules_file", "workers")})
    if given:
        raise click.UsageError(
            f"got RUN_B and flags of run ({', '.join(given)}): these are for --dry-run in place of RUN_B"
        )
    with Terminal(quiet=quiet) as terminal:
        return compare_runs(db, run_a, run_b, safeguards, terminal.listen)


def _anew(db: Path, run_a: str, flags: dict[str, Any], safeguards: Safeguards, *, quiet: bool) -> Comparison:
    from dask_validator.api.comparing import compare_anew, opened
    from dask_validator.api.executors import open_executor

    if not flags["dry_run"]:
        raise click.UsageError("got one run; needed RUN_B, or --dry-run to judge the strategies of RUN_A anew")
    with Terminal(quiet=quiet) as terminal:
        before = opened(db, run_a, safeguards, terminal.listen)
    config = config_of(flags, before.instrument)
    with (
        Terminal(quiet=quiet) as terminal,
        located(flags["rules_file"]),
        open_executor(flags["workers"], None, None, None, terminal.say, safeguards.task_timeout) as executor,
    ):
        terminal.warn(executor.warnings)
        found = compare_anew(db, before, config, executor, safeguards, terminal.listen)
        terminal.end_progress()
        return found


@cli.command()
@options.db
@click.option("--instrument", metavar="SYM", help="Whose setups.  [default: those of all]")
@options.access
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
@options.quiet
@click.pass_context
def audit(ctx: click.Context, /, db: Path, instrument: str | None, as_json: bool, quiet: bool, **access: Any) -> None:
    """Compute the active setups again, each by the flags of the run that promoted it, and list what differs.

    Changes nothing in the database; exit code 3 says that something differs.
    """
    from dask_validator.api.comparing import audit_database
    from dask_validator.views.monitor.audited import render

    found = audit_database(db, instrument, safeguards_of(access))
    if not quiet:
        echo(render(found), err=as_json)
    if as_json:
        echo(json.dumps(found.to_dict()), err=False)
    ctx.exit(DIFFERS if found.differs else 0)
