"""`run`, `demo`, `commit`: what computes and writes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from dask_validator.api.commit_later import commit_kept
from dask_validator.api.executors import default_workers, open_executor
from dask_validator.api.preparing import prepared
from dask_validator.cli import going_on, options, several
from dask_validator.cli.endings import close, keep_dashboard
from dask_validator.cli.given import code_of, config_of, refuse_both, safeguards_of, selection_of
from dask_validator.cli.group import cli
from dask_validator.config.rules_file import located
from dask_validator.errors import Incomplete, InputError, NotCommitted
from dask_validator.events import Listeners
from dask_validator.execution.dask.dashboard import open_door
from dask_validator.execution.dask.encryption import certified
from dask_validator.execution.executor import Executor
from dask_validator.journal.journal import Journal
from dask_validator.run import outputs
from dask_validator.run.instruments import costs_of
from dask_validator.run.naming import FILES, Names, literal
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation
from dask_validator.store.selection import WAITING, Selection
from dask_validator.views.live.sender import Sender
from dask_validator.views.monitor import calibrated, summary
from dask_validator.views.monitor.terminal import Terminal, echo


@cli.command(cls=options.ListFlags)
@options.db
@options.instruments_of_run
@options.all_instruments
@options.selection
@options.workers
@options.scheduler
@options.rules
@options.safeguards
@options.keep_runs
@options.surroundings
@click.pass_context
def run(
    ctx: click.Context,
    /,
    db: Path,
    instrument: tuple[str, ...],
    workers: int | None,
    scheduler: str | None,
    **flags: Any,
) -> None:
    """Validate strategies of one instrument, or of several: those that are waiting, or others once more."""
    refuse_both(workers, scheduler)
    selection = selection_of(flags)
    with certified(scheduler, *(flags[name] for name in ("tls_ca_file", "tls_cert", "tls_key"))):
        place = partial(_place, workers, scheduler, flags)
        if len(instrument) == 1 and not flags["all_instruments"]:
            ctx.exit(code_of(_run(ctx, db, instrument[0], flags, place, selection=selection)))
        ctx.exit(several.run_each(db, instrument, flags, selection, place, partial(_run, ctx, db)))


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

    place = partial(_place, workers or max(2, default_workers()), None, flags)
    result = _run(ctx, db, "MGC", flags, place, appendix=compare_with_truth, always={"calibrate": True})
    if not flags["quiet"]:
        echo(going_on.after_demo(db, result))
    ctx.exit(code_of(result))


def _build(db: Path, strategies: int, seed: int, *, quiet: bool) -> None:
    from dask_validator.demo import build_demo

    started = time.perf_counter()
    with Terminal(quiet=quiet) as terminal:
        terminal.say(f"Making {db}: {strategies:,} strategies over ten years, with planted edges ...")
        terminal.begin("Inventing", strategies)
        build_demo(db, strategies=strategies, seed=seed, listener=terminal.listen)
        terminal.end_progress()
        terminal.say(f"Made in {time.perf_counter() - started:.1f} s")


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
    flags = Names.of(db, instrument).in_flags(flags)
    named = {name: literal(flags[name]) for name in FILES if flags[name] is not None}
    outputs.check_flags(flags, db, instrument)
    with Terminal(quiet=flags["quiet"]) as terminal:
        try:
            result = commit_kept(db, instrument, flags["wf_output"], safeguards_of(flags), terminal.listen)
        except NotCommitted as error:
            error.details = f"It is still kept; try again with\n  {going_on.command(ctx, 'commit', named)}"
            raise
        if result is not None:
            close(terminal, result, flags)
            ctx.exit(code_of(result))


def _preflight_of_demo(db: Path, flags: dict[str, Any]) -> None:
    """Bad flags are refused before the file is made, not after."""
    config = config_of(flags, "MGC")
    costs_of("MGC", config.instruments, config.costs)
    safeguards_of(flags)
    outputs.check_flags(Names.of(db, "MGC").in_flags(flags), db, "MGC")
    if not flags["no_dashboard"]:
        open_door(flags["dashboard_address"]).close()


@contextmanager
def _place(workers: int | None, scheduler: str | None, flags: dict[str, Any], terminal: Terminal) -> Iterator[Executor]:
    """Where tasks run, with what is to be said of it."""
    dashboard = None if flags["no_dashboard"] else flags["dashboard_address"]
    with open_executor(workers, None, scheduler, dashboard, terminal.say, flags["task_timeout"]) as executor:
        terminal.warn(executor.warnings)
        yield executor


def _run(
    ctx: click.Context,
    db: Path,
    instrument: str,
    flags: dict[str, Any],
    place: several.Place,
    *,
    appendix: Callable[[Outcome], str] | None = None,
    always: Mapping[str, Any] | None = None,
    selection: Selection = WAITING,
) -> Outcome:
    """Validate and report; `always` is asked for whatever the flags say."""
    config, safeguards = replace(config_of(flags, instrument), **always or {}), safeguards_of(flags)
    names = Names.of(db, instrument)
    files = names.in_flags(flags)
    outputs.check_flags(files, db, instrument)
    with (
        Terminal(quiet=flags["quiet"]) as terminal,
        located(flags["rules_file"]),
        prepared(db, instrument, config, safeguards, terminal.listen, selection=selection, names=names) as (
            order,
            journal,
        ),
        place(terminal) as executor,
        _explained(ctx, terminal, order, journal, files),
    ):
        listeners = Listeners(terminal.listen)
        with Sender(executor, listeners) as page:
            result = run_validation(order, executor, listeners, journal)
        close(terminal, result, files, appendix)
        keep_dashboard(terminal, page.link or executor.dashboard_link, flags["keep_dashboard"])
    return result


@contextmanager
def _explained(
    ctx: click.Context, terminal: Terminal, order: Order, journal: Journal, flags: dict[str, Any]
) -> Iterator[None]:
    """What was decided and what to do next, for a run that does not end as it should."""
    now = going_on.meant(order, journal)
    try:
        yield
    except (NotCommitted, Incomplete) as error:
        terminal.end_progress()
        if error.result:
            close(terminal, error.result, flags)
        if not terminal.committed:
            ending = "commit" if isinstance(error, NotCommitted) else "run"
            error.details = going_on.next_step(ctx, journal, now, ending)
        elif journal.keeps:
            error.details = f"Append them with\n  {going_on.command(ctx, 'commit', now)}"
        raise
    except KeyboardInterrupt:
        terminal.end_progress()
        if terminal.committed:
            terminal.warn(["interrupted; the run is committed as a whole"])
        else:
            terminal.warn([f"interrupted; the database is as it was. {going_on.next_step(ctx, journal, now)}"])
        raise
