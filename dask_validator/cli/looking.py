"""`check`, `rules`, `report`, `explain`: what is there, and why; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dask_validator.api.preparing import costs_in, grant_access
from dask_validator.cli import options
from dask_validator.cli.given import config_of, safeguards_of, selection_of
from dask_validator.cli.group import cli
from dask_validator.config.rules_file import as_toml, located
from dask_validator.journal.blocks import calibration_path, left_behind
from dask_validator.journal.journal import default_path, left_in
from dask_validator.run import outputs
from dask_validator.run.naming import Names
from dask_validator.sources.chosen import source_of
from dask_validator.store.database import Database
from dask_validator.views.monitor import summary
from dask_validator.views.monitor.terminal import Terminal, echo


@cli.command(cls=options.ListFlags)
@click.argument("sources", metavar="[SOURCE...]", nargs=-1)
@options.db
@options.instrument
@options.selection
@options.rules_file
@options.instruments
@options.strict_filters
@options.journal
@options.access
@options.trade_files
def check(
    sources: tuple[str, ...], db: Path, instrument: str, journal: Path | None, strict_filters: bool, **flags: Any
) -> None:
    """Say what a run would meet, or an import of SOURCE, without computing or changing anything."""
    from dask_validator.store.checkup import examine

    selection, ids = selection_of(flags), flags["ids"]
    flags = {name: value for name, value in flags.items() if name not in ("which", "ids")}
    access = {name: flags.pop(name) for name in ("memory_limit", "allow_external_views")}
    rules = {name: flags.pop(name) for name in ("rules_file", "instruments")} | {"strict_filters": strict_filters}
    if sources:
        return _check_trades(sources, flags, access)
    if given := [name for name, value in flags.items() if value]:
        raise click.UsageError(f"--{given[0].replace('_', '-')} is about a trade log: name its file after check")
    config = config_of(rules, instrument)
    costs = costs_in(db, instrument, config)
    journal = journal and Names.of(db, instrument).filled("--journal", journal)
    outputs.check(outputs.Files(db, instrument, journal, read=outputs.read_by({**vars(config), **rules, "ids": ids})))
    grant_access(db, safeguards_of(access))
    with located(rules["rules_file"]):
        echo(summary.checkup(examine(db, instrument, source_of(db), config, costs, selection)), err=False)
    path = journal or default_path(db, instrument)
    if line := summary.left_over(path, left_in(path)):
        echo(line, err=False)
    for kept in {calibration_path(db, instrument), path}:
        for file, count in left_behind(kept).items():
            echo(summary.left_by_worlds(file, count), err=False)


def _check_trades(sources: tuple[str, ...], flags: dict[str, Any], access: dict[str, Any]) -> None:
    from dask_validator.trade_files.examination import examine
    from dask_validator.trade_files.reading import ReadOptions
    from dask_validator.views.monitor import trade_files

    for source in sources:
        grant_access(Path(source), safeguards_of(access))
    echo(trade_files.examined(examine(sources, ReadOptions(**flags), access["memory_limit"])), err=False)


@cli.command(cls=options.ListFlags)
@options.instrument
@options.rules
def rules(instrument: str, **flags: Any) -> None:
    """Print the rules of a call that are not as they are without any, as TOML that `--rules` takes."""
    echo(as_toml(config_of(flags, instrument)) or "# every rule is as it is without a file: docs/rules.md", err=False)


@cli.command()
@options.db
@options.instrument
@click.option("--run", "run_id", metavar="ID", help="Which run.  [default: the latest of the instrument]")
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="HTML", help="The file to write.")
@options.wait_for_lock
@options.access
@options.quiet
def report(
    db: Path, instrument: str, run_id: str | None, output: Path, wait_for_lock: float, quiet: bool, **access: Any
) -> None:
    """Write a report of a committed run: one HTML file that needs no network."""
    grant_access(db, safeguards_of(access))
    with Terminal(quiet=quiet) as terminal:
        database = Database.at(db, source_of(db), to_write=False, wait_s=wait_for_lock, say=terminal.say)
        outputs.check(outputs.Files(db, instrument, report=output, report_flag="--output"))
        from dask_validator.views.report.of_run import report_past_run

        terminal.say(f"Report of run {report_past_run(database, instrument, run_id, output)}: {output}")


@cli.command()
@click.argument("strategy_id")
@options.db
@click.option("--run", "run_id", metavar="ID", help="Explain by this run.  [default: the one that judged it]")
@options.instruments
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
@options.access
def explain(
    strategy_id: str, db: Path, run_id: str | None, instruments: Path | None, as_json: bool, **access: Any
) -> None:
    """Say why a strategy passed or fell, gate by gate, and what would have to change."""
    from dask_validator.explanation.find import explain as explained

    grant_access(db, safeguards_of(access))
    explanation = explained(db, strategy_id, run_id=run_id, instruments=instruments)
    echo(json.dumps(explanation.to_dict()) if as_json else str(explanation), err=False)
