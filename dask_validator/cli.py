"""The commands: flags become a RunConfig, errors become one line and an exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import click

from dask_validator import __version__, options
from dask_validator.api import default_workers, open_executor, preflight
from dask_validator.config import RunConfig
from dask_validator.errors import InputError, NotCommitted, ValidatorError
from dask_validator.execution.dashboard import free_address
from dask_validator.execution.executor import Executor
from dask_validator.instruments import costs_of
from dask_validator.monitor import summary
from dask_validator.monitor.terminal import Terminal
from dask_validator.result import RunResult
from dask_validator.run import run_validation

SOME_FAILED, INTERRUPTED = 3, 130


class _Shown(click.ClickException):
    """One of our errors on its way through click."""

    def __init__(self, error: ValidatorError) -> None:
        super().__init__("\n".join(filter(None, [str(error), error.details])))
        vars(self)["exit_code"] = error.exit_code


class _Commands(click.Group):
    """Turns what a command raises into one line and the exit code of the interface."""

    def invoke(self, ctx: click.Context) -> Any:
        _treat_sigterm_as_ctrl_c()
        try:
            return super().invoke(ctx)
        except ValidatorError as error:
            raise _Shown(error) from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted", err=True)
            ctx.exit(INTERRUPTED)


def _treat_sigterm_as_ctrl_c() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@click.group("validator", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def cli() -> None:
    """Sort backtested strategies into those that hold out of sample and those that do not."""


@cli.command(cls=options.ListFlags)
@options.db
@options.instrument
@options.workers
@options.scheduler
@options.rules
@options.surroundings
@click.pass_context
def run(
    ctx: click.Context, /, db: Path, instrument: str, workers: int | None, scheduler: str | None, **flags: Any
) -> None:
    """Validate one instrument's waiting strategies."""
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other: give one of them")
    ctx.exit(_run(db, instrument, workers, flags, scheduler=scheduler))


@cli.command(cls=options.ListFlags)
@click.option("--db", type=click.Path(path_type=Path), default="demo.duckdb", help="The file to make, or to make anew.")
@click.option("--strategies", type=click.IntRange(min=1), default=12_996, help="How many to invent.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed makes the same file.")
@click.option("--build-only", is_flag=True, help="Make the database, validate nothing.")
@options.demo_workers
@options.rules
@options.surroundings
@click.pass_context
def demo(
    ctx: click.Context, /, db: Path, strategies: int, seed: int, build_only: bool, workers: int | None, **flags: Any
) -> None:
    """Make a demonstration database with planted edges and validate it on Dask."""
    from dask_validator.demo import build_demo, is_demo, truth_report

    _preflight_of_demo(flags)
    if os.path.exists(db) and not is_demo(db):
        raise InputError(f"{db} is there and was not made by this command; give another file with --db PATH")
    started = time.perf_counter()
    click.echo(f"Making {db}: {strategies:,} strategies over ten years, with planted edges ...", err=True)
    build_demo(db, strategies=strategies, seed=seed)
    click.echo(f"Made in {time.perf_counter() - started:.1f} s", err=True)
    if build_only:
        return

    def compare_with_truth(result: RunResult) -> str:
        return summary.truth(truth_report(db, {verdict.strategy_id: verdict.status for verdict in result.verdicts}))

    ctx.exit(_run(db, "MGC", workers or max(2, default_workers()), flags, compare_with_truth))


@cli.command()
@options.db
@options.instrument
@options.instruments
@options.strict_filters
def check(db: Path, instrument: str, instruments: Path | None, strict_filters: bool) -> None:
    """Say what a run would meet, without computing or changing anything."""
    from dask_validator.store.checkup import examine

    costs_of(instrument, instruments)
    click.echo(summary.checkup(examine(db, instrument, strict_filters)))


def main(args: list[str] | None = None) -> NoReturn:
    """Run a command; a failure is one line on stderr."""
    try:
        code = cli.main(args, prog_name="dask-validator", standalone_mode=False)
    except click.ClickException as error:
        text = error.format_message()
        click.echo(text if text.startswith("Usage:") else f"dask-validator: {text}", err=True)
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    sys.exit(code)


def _preflight_of_demo(flags: dict[str, Any]) -> None:
    """Bad flags are refused before the file is made, not after."""
    costs_of("MGC", _config(flags).instruments)
    if not flags["no_dashboard"]:
        free_address(flags["dashboard_address"])


def _config(flags: dict[str, Any]) -> RunConfig:
    names = {field.name for field in fields(RunConfig)}
    return RunConfig(**{name: value for name, value in flags.items() if name in names})


def _run(
    db: Path,
    instrument: str,
    workers: int | None,
    flags: dict[str, Any],
    appendix: Callable[[RunResult], str] | None = None,
    scheduler: str | None = None,
) -> int:
    """Validate and report; the exit code."""
    config = _config(flags)
    database, costs = preflight(db, instrument, config)
    dashboard = None if flags["no_dashboard"] else flags["dashboard_address"]
    with (
        Terminal(quiet=flags["quiet"]) as terminal,
        open_executor(workers, None, scheduler, dashboard, terminal.say) as executor,
    ):
        terminal.warn(executor.warnings)
        try:
            result = run_validation(database, instrument, config, costs, executor, terminal.listen)
        except NotCommitted as error:
            if error.result:
                _report(terminal, error.result, flags)
            raise
        except KeyboardInterrupt:
            committed = "the run is committed as a whole" if terminal.committed else "the database is as it was"
            terminal.warn([f"interrupted; {committed}"])
            raise
        _report(terminal, result, flags, appendix)
        _keep_dashboard(terminal, executor, flags["keep_dashboard"])
    return SOME_FAILED if result.summary["failed"] else 0


def _report(
    terminal: Terminal,
    result: RunResult,
    flags: dict[str, Any],
    appendix: Callable[[RunResult], str] | None = None,
) -> None:
    terminal.warn(result.warnings)
    terminal.warn(summary.failures(result.verdicts, most=None if flags["verbose"] else 10))
    terminal.say(summary.render(result.summary))
    terminal.say(summary.tuning(result))
    if appendix:
        terminal.say(appendix(result))
    if flags["as_json"]:
        click.echo(json.dumps(result.summary))


def _keep_dashboard(terminal: Terminal, executor: Executor, seconds: float | None) -> None:
    if seconds is None:
        return
    if executor.dashboard_link is None:
        terminal.warn(["--keep-dashboard has nothing to keep: no cluster was needed, or it has no dashboard"])
        return
    until = "Ctrl-C" if seconds == options.UNTIL_INTERRUPT else f"Ctrl-C or {seconds:g} s have passed"
    click.echo(f"The dashboard stays at {executor.dashboard_link} until {until}", err=True)
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
    except KeyboardInterrupt:
        pass  # the way out that the line above offers
