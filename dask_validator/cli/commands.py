"""The commands: flags become a RunConfig, errors become one line and an exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from dask_validator import __version__
from dask_validator.api import (
    commit_kept,
    costs_in,
    default_workers,
    grant_access,
    open_executor,
    prepared,
    prepared_calibration,
)
from dask_validator.cli import going_on, options
from dask_validator.cli.endings import close, keep_dashboard, write_calibration
from dask_validator.config import RunConfig, Safeguards, combinations
from dask_validator.config.rules_file import as_toml, load_rules, located
from dask_validator.errors import Incomplete, InputError, NotCommitted, ValidatorError
from dask_validator.events import Listeners
from dask_validator.execution.dask.dashboard import open_door
from dask_validator.execution.dask.encryption import certified
from dask_validator.journal.blocks import calibration_path, left_behind
from dask_validator.journal.journal import Journal, default_path, left_in
from dask_validator.run import outputs
from dask_validator.run.instruments import costs_of
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation
from dask_validator.sources.chosen import source_of
from dask_validator.store.access import Access
from dask_validator.store.database import Database
from dask_validator.system.interrupts import ENDING, INTERRUPTED, Insistent
from dask_validator.system.surroundings import settle
from dask_validator.views.live.sender import Sender
from dask_validator.views.monitor import calibrated, summary
from dask_validator.views.monitor.streams import forgive, forgiving
from dask_validator.views.monitor.terminal import Terminal, echo

SOME_FAILED = 3


class _Shown(click.ClickException):
    """One of our errors on its way through click."""

    def __init__(self, error: ValidatorError) -> None:
        super().__init__("\n".join(filter(None, [str(error), error.details])))
        vars(self)["exit_code"] = error.exit_code


class _Commands(click.Group):
    """Turns what a command raises into one line and the exit code of the interface."""

    def invoke(self, ctx: click.Context) -> Any:
        forgive()
        _listen_to_signals()
        try:
            settle()
            return super().invoke(ctx)
        except ValidatorError as error:
            raise _Shown(error) from error
        except KeyboardInterrupt:
            echo("\nInterrupted")
            ctx.exit(INTERRUPTED)


def _listen_to_signals() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    handler = Insistent()
    for number in ENDING:
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:  # as started with nohup or &
            signal.signal(number, handler)


@click.group("validator", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def cli() -> None:
    """Sort backtested strategies by a walk-forward over the years they were backtested on."""


@cli.command(cls=options.ListFlags)
@options.db
@options.instrument
@options.workers
@options.scheduler
@options.rules
@options.safeguards
@options.surroundings
@click.pass_context
def run(
    ctx: click.Context, /, db: Path, instrument: str, workers: int | None, scheduler: str | None, **flags: Any
) -> None:
    """Validate one instrument's waiting strategies."""
    _refuse_both(workers, scheduler)
    with certified(scheduler, *(flags.pop(name) for name in ("tls_ca_file", "tls_cert", "tls_key"))):
        ctx.exit(_code(_run(ctx, db, instrument, workers, flags, scheduler=scheduler)))


@cli.command(cls=options.ListFlags)
@click.option("--db", type=click.Path(path_type=Path), default="demo.duckdb", help="The file to make, or to make anew.")
@click.option("--strategies", type=click.IntRange(min=1), default=12_996, help="How many to invent.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed makes the same file.")
@click.option("--build-only", is_flag=True, help="Make the database, validate nothing.")
@options.demo_workers
@options.rules
@options.safeguards
@options.surroundings
@click.pass_context
def demo(
    ctx: click.Context, /, db: Path, strategies: int, seed: int, build_only: bool, workers: int | None, **flags: Any
) -> None:
    """Make a demonstration database with planted edges and validate it on Dask."""
    from dask_validator.demo import is_demo, truth_report

    _preflight_of_demo(db, flags)
    if os.path.exists(db) and not is_demo(db):
        raise InputError(f"{db} is there and was not made by this command; give another file with --db PATH")
    _build(db, strategies, seed, quiet=flags["quiet"])
    if build_only:
        return

    def compare_with_truth(result: Outcome) -> str:
        said = [summary.truth(truth_report(db, result.verdicts.by_id()))]
        if result.calibration is not None:
            said += calibrated.kept_promises(result.calibration, flags["gate_share"], partial(truth_report, db))
        return "\n".join(said)

    workers = workers or max(2, default_workers())
    result = _run(ctx, db, "MGC", workers, flags, appendix=compare_with_truth, always={"calibrate": True})
    if not flags["quiet"]:
        echo(going_on.after_demo(db, result))
    ctx.exit(_code(result))


def _build(db: Path, strategies: int, seed: int, *, quiet: bool) -> None:
    from dask_validator.demo import build_demo

    started = time.perf_counter()
    with Terminal(quiet=quiet) as terminal:
        terminal.say(f"Making {db}: {strategies:,} strategies over ten years, with planted edges ...")
        terminal.begin("Inventing", strategies)
        build_demo(db, strategies=strategies, seed=seed, listener=terminal.listen)
        terminal.end_progress()
        terminal.say(f"Made in {time.perf_counter() - started:.1f} s")


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

    settings = _settings(flags, instrument)
    outputs.check(outputs.Files(db, instrument, flags["journal"], report=flags["report"]))
    safeguards, dashboard = _safeguards(flags), None if flags["no_dashboard"] else flags["dashboard_address"]
    _refuse_both(workers, scheduler)
    with (
        certified(scheduler, *(flags.pop(name) for name in ("tls_ca_file", "tls_cert", "tls_key"))),
        Terminal(quiet=flags["quiet"]) as terminal,
        prepared_calibration(
            db,
            instrument,
            settings,
            safeguards,
            terminal.listen,
            companions=bool(flags["report"]),
            counts_only=not flags["report"],
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
            write_calibration(terminal, found, db, flags["report"])
        if flags["as_json"]:
            echo(json.dumps(found.to_dict()), err=False)
        keep_dashboard(terminal, page.link or executor.dashboard_link, flags["keep_dashboard"])


def _settings(flags: dict[str, Any], instrument: str) -> list[RunConfig]:
    """Every combination of the values given."""
    several = {
        name: values
        for name, values in flags.items()
        if isinstance(values, tuple) and values and name != "exclude_years"
    }
    fixed = {
        name: value
        for name, value in _said(_fields_of(RunConfig, flags)).items()
        if not isinstance(value, tuple) or name == "exclude_years"
    }
    return combinations(load_rules(flags["rules_file"], instrument, **fixed), several)


@cli.command(cls=options.ListFlags)
@options.instrument
@options.rules
def rules(instrument: str, **flags: Any) -> None:
    """Print the rules of a call that are not as they are without any, as TOML that `--rules` takes."""
    echo(as_toml(_config(flags, instrument)) or "# every rule is as it is without a file: docs/rules.md", err=False)


@cli.command()
@options.db
@options.instrument
@options.wf_output
@options.journal
@options.wait_for_lock
@options.access
@options.outputs
@click.pass_context
def commit(ctx: click.Context, /, db: Path, instrument: str, **flags: Any) -> None:
    """Write what a run computed but could not commit; computes nothing but null worlds that gates need."""
    outputs.check_flags(flags, db, instrument)
    with Terminal(quiet=flags["quiet"]) as terminal:
        try:
            result = commit_kept(db, instrument, flags["wf_output"], _safeguards(flags), terminal.listen)
        except NotCommitted as error:
            error.details = f"It is still kept; try again with\n  {going_on.command(ctx, 'commit')}"
            raise
        if result is not None:
            close(terminal, result, flags)
            ctx.exit(_code(result))


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
    grant_access(db, _safeguards(access))
    with Terminal(quiet=quiet) as terminal:
        database = Database.at(db, source_of(db), to_write=False, wait_s=wait_for_lock, say=terminal.say)
        outputs.check(outputs.Files(db, instrument, report=output, report_flag="--output"))
        from dask_validator.views.report.of_run import report_past_run

        terminal.say(f"Report of run {report_past_run(database, instrument, run_id, output)}: {output}")


@cli.command(cls=options.ListFlags)
@click.argument("sources", metavar="[SOURCE...]", nargs=-1)
@options.db
@options.instrument
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

    access = {name: flags.pop(name) for name in ("memory_limit", "allow_external_views")}
    rules = {name: flags.pop(name) for name in ("rules_file", "instruments")} | {"strict_filters": strict_filters}
    if sources:
        return _check_trades(sources, flags, access)
    if given := [name for name, value in flags.items() if value]:
        raise click.UsageError(f"--{given[0].replace('_', '-')} is about a trade log: name its file after check")
    config = _config(rules, instrument)
    costs = costs_in(db, instrument, config)
    outputs.check(outputs.Files(db, instrument, journal, instruments=rules["instruments"]))
    grant_access(db, _safeguards(access))
    with located(rules["rules_file"]):
        echo(summary.checkup(examine(db, instrument, source_of(db), config, costs)), err=False)
    path = journal or default_path(db, instrument)
    if line := summary.left_over(path, left_in(path)):
        echo(line, err=False)
    for kept in {calibration_path(db, instrument), path}:
        for file, count in left_behind(kept).items():
            echo(summary.left_by_worlds(file, count), err=False)


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


def _check_trades(sources: tuple[str, ...], flags: dict[str, Any], access: dict[str, Any]) -> None:
    from dask_validator.trade_files.examination import examine
    from dask_validator.trade_files.reading import ReadOptions
    from dask_validator.views.monitor import trade_files

    for source in sources:
        grant_access(Path(source), _safeguards(access))
    echo(trade_files.examined(examine(sources, ReadOptions(**flags), access["memory_limit"])), err=False)


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

    grant_access(db, _safeguards(access))
    explanation = explained(db, strategy_id, run_id=run_id, instruments=instruments)
    echo(json.dumps(explanation.to_dict()) if as_json else str(explanation), err=False)


def main(args: list[str] | None = None) -> NoReturn:
    """Run a command; a failure is one line on stderr."""
    forgive()
    try:
        code = cli.main(args, prog_name="dask-validator", standalone_mode=False)
    except click.ClickException as error:
        text = error.format_message()
        echo(text if text.startswith("Usage:") else f"dask-validator: {text}")
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    sys.stdout.flush()
    _name_what_is_lost(forgiving(sys.stdout).lost)
    sys.exit(code)


def _name_what_is_lost(reason: Exception | None) -> None:
    """A full disk is not a reader who has gone: somebody counts on what was sent there."""
    if isinstance(reason, OSError) and reason.errno == errno.ENOSPC:
        echo(f"warning: stdout could not be written ({reason.strerror}): what belongs there is lost", fg="yellow")


def _preflight_of_demo(db: Path, flags: dict[str, Any]) -> None:
    """Bad flags are refused before the file is made, not after."""
    config = _config(flags, "MGC")
    costs_of("MGC", config.instruments, config.costs)
    _safeguards(flags)
    outputs.check_flags(flags, db, "MGC")
    if not flags["no_dashboard"]:
        open_door(flags["dashboard_address"]).close()


def _refuse_both(workers: int | None, scheduler: str | None) -> None:
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other: give one of them")


def _config(flags: dict[str, Any], instrument: str) -> RunConfig:
    """The rules of the file, if there is one, and what the user has said on the command line."""
    return load_rules(flags["rules_file"], instrument, **_said(_fields_of(RunConfig, flags)))


def _said(flags: dict[str, Any]) -> dict[str, Any]:
    """Without those that are only defaults."""
    source = click.get_current_context().get_parameter_source
    return {name: value for name, value in flags.items() if source(name) is not ParameterSource.DEFAULT}


def _safeguards(flags: dict[str, Any]) -> Safeguards:
    return Safeguards(**_fields_of(Safeguards, flags))


def _fields_of(kind: type[RunConfig] | type[Safeguards], flags: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in flags.items() if name in names}


def _run(
    ctx: click.Context,
    db: Path,
    instrument: str,
    workers: int | None,
    flags: dict[str, Any],
    *,
    appendix: Callable[[Outcome], str] | None = None,
    scheduler: str | None = None,
    always: Mapping[str, Any] | None = None,
) -> Outcome:
    """Validate and report; `always` is asked for whatever the flags say."""
    config, safeguards = replace(_config(flags, instrument), **always or {}), _safeguards(flags)
    outputs.check_flags(flags, db, instrument)
    dashboard = None if flags["no_dashboard"] else flags["dashboard_address"]
    with (
        Terminal(quiet=flags["quiet"]) as terminal,
        located(flags["rules_file"]),
        prepared(db, instrument, config, safeguards, terminal.listen) as (order, journal),
        open_executor(workers, None, scheduler, dashboard, terminal.say, safeguards.task_timeout) as executor,
        _explained(ctx, terminal, journal, flags),
    ):
        terminal.warn(executor.warnings)
        listeners = Listeners(terminal.listen)
        with Sender(executor, listeners) as page:
            result = run_validation(order, executor, listeners, journal)
        close(terminal, result, flags, appendix)
        keep_dashboard(terminal, page.link or executor.dashboard_link, flags["keep_dashboard"])
    return result


def _code(result: Outcome) -> int:
    return SOME_FAILED if result.summary["failed"] else 0


@contextmanager
def _explained(ctx: click.Context, terminal: Terminal, journal: Journal, flags: dict[str, Any]) -> Iterator[None]:
    """What was decided and what to do next, for a run that does not end as it should."""
    try:
        yield
    except (NotCommitted, Incomplete) as error:
        terminal.end_progress()
        if error.result:
            close(terminal, error.result, flags)
        if not terminal.committed:
            error.details = going_on.next_step(ctx, journal, "commit" if isinstance(error, NotCommitted) else "run")
        elif journal.keeps:
            error.details = f"Append them with\n  {going_on.command(ctx, 'commit')}"
        raise
    except KeyboardInterrupt:
        terminal.end_progress()
        if terminal.committed:
            terminal.warn(["interrupted; the run is committed as a whole"])
        else:
            terminal.warn([f"interrupted; the database is as it was. {going_on.next_step(ctx, journal)}"])
        raise
