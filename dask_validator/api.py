"""`validate()`: the composition root of the Python interface; the command line builds on the same parts."""

from __future__ import annotations

import dataclasses
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.config import Promotion, RunConfig, Safeguards, combinations
from dask_validator.config.rules_file import load_rules, located
from dask_validator.errors import DatabaseHeld, Incomplete, InputError, NotCommitted
from dask_validator.events import Listener, Listeners, Said, ignore
from dask_validator.execution.dask.dask_config import links_that_can_be_formed, readable
from dask_validator.execution.dask.machine import check_children, threads_may_be_refused
from dask_validator.execution.executor import TASK_TIMEOUT_S, Executor
from dask_validator.execution.serial import NoExecutor, SerialExecutor
from dask_validator.journal.blocks import Blocks, calibration_path, discard_blocks
from dask_validator.journal.journal import Journal, default_path, discard
from dask_validator.journal.others import is_another_run
from dask_validator.run import outputs
from dask_validator.run.commit import finish_append, refuse_other_output
from dask_validator.run.instruments import checked_costs, costs_of
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation
from dask_validator.sources.chosen import source_of
from dask_validator.store.access import Access, grant
from dask_validator.store.connection import check_is_file, release
from dask_validator.store.database import Database
from dask_validator.store.lock import doubts
from dask_validator.store.reader import all_imported
from dask_validator.store.ruled import NOTHING_ASKED
from dask_validator.system.cores import usable_cores
from dask_validator.system.interrupts import held_back
from dask_validator.system.surroundings import settle
from dask_validator.views.live.sender import Sender
from dask_validator.views.monitor.notebook import Notebook, in_notebook
from dask_validator.views.result import RunResult

if TYPE_CHECKING:
    from distributed import Client

    from dask_validator.rules.costs import Costs
    from dask_validator.run.all_strategies import CalibrationOrder
    from dask_validator.run.importing import Imported
    from dask_validator.sources.source import Source
    from dask_validator.views.calibration_result import CalibrationResult
    from dask_validator.views.monitor.terminal import Terminal

NO_SAFEGUARDS = Safeguards()
PATIENCE_S = 10.0  # for a lock at the commit, at least: much has been computed by then


def validate(
    db: str | Path,
    instrument: str = "MGC",
    config: RunConfig | None = None,
    *,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
    rules: str | Path | None = None,
    **flags: Any,
) -> RunResult:
    """Validate the waiting strategies of one instrument and write the verdicts.

    Parameters
    ----------
    db
        The DuckDB file.
    config
        Rule flags; single ones may also be given as keywords: `validate("gold.db", dry_run=True)`.
    workers
        Processes of a LocalCluster made for this run; 1 is serial, in this process. Default: as the command.
    client
        A `dask.distributed.Client` to run on instead; it stays open. Where the cluster speaks TLS, it is the one that
        shows a certificate: `Client(address, security=Security(...))`.
    progress
        Whether to show progress beside warnings: on stderr, in a notebook below the cell.
    rules
        A TOML file of rules, or the name of a profile, in place of `config`; flags win over it.
    flags
        Fields of RunConfig, and `resume`, `discard`, `journal`, `task_timeout`, `wait_for_lock` (seconds),
        `memory_limit` and `allow_external_views` as the command has them.

    Raises
    ------
    InputError
        Bad usage or input; nothing was written.
    NotCommitted, Incomplete
        Carry `.result`; `validate(..., resume=True)` goes on.
    """
    settle()
    config, safeguards = _with_flags(_rules(config, rules, instrument), flags)
    with (
        _display(f"{instrument} in {Path(db).name}", progress, client) as display,
        located(rules),
        prepared(db, instrument, config, safeguards, display.listen) as (order, journal),
        open_executor(workers, client, say=display.say, task_timeout_s=safeguards.task_timeout) as executor,
    ):
        if isinstance(display, Notebook):
            display.journal = journal
        display.warn(executor.warnings)
        listeners = Listeners(display.listen)
        try:
            with Sender(executor, listeners):
                outcome = run_validation(order, executor, listeners, journal)
        except (NotCommitted, Incomplete) as error:
            error.result = RunResult.of(error.result) if error.result else None
            raise
        display.warn(outcome.warnings)
    return RunResult.of(outcome)


def import_trades(
    source: Any, db: str | Path, instrument: str, *, replace: bool = False, wait_for_lock: float = 0.0, **options: Any
) -> Imported:
    """Make trades of any backtester strategies of a database, new or existing, that `validate` then takes.

    Parameters
    ----------
    source
        A path (file, folder, glob, DuckDB file), a pandas or Arrow table, or a list of these.
    instrument
        What to validate the strategies as.
    replace
        Whether strategies of the instrument that are not in the source are gone: their setups are retired.
    options
        As the command has them: `format`, `unit` ("r", "return" or "money"), `timezone`, `columns` (theirs to ours),
        `table`, `date_order`, `fees`, `cost_per_trade`; and `memory_limit`.

    Raises
    ------
    InputError
        Nothing can be read, something must be said, or the database cannot take it; nothing was written.
    """
    from dask_validator.run.importing import run_import
    from dask_validator.trade_files.reading import ReadOptions

    access = Access(options.pop("memory_limit", None))
    if unknown := sorted(set(options) - set(ReadOptions._fields)):
        raise InputError(f"got {', '.join(unknown)}; needed {', '.join(ReadOptions._fields)}")
    return run_import(
        source, db, instrument, ReadOptions(**options), replaces=replace, access=access, wait_s=wait_for_lock
    )


def validate_trades(
    source: Any,
    config: RunConfig | None = None,
    *,
    instrument: str = "TRADES",
    workers: int | None = 1,
    client: Client | None = None,
    progress: bool = True,
    **flags: Any,
) -> RunResult:
    """Validate trades of any backtester without a database of one's own: what the result is asked later lies in it.

    Parameters
    ----------
    source
        As of `import_trades`, whose options may be given too.
    config, workers, client, progress, flags
        As of `validate`; nothing outlives the result.

    Raises
    ------
    InputError
        Nothing can be read, something must be said, or bad usage.
    """
    from dask_validator.trade_files.reading import ReadOptions

    options = {name: flags.pop(name) for name in ReadOptions._fields if name in flags}
    folder = tempfile.TemporaryDirectory(prefix="dask-validator-trades-")
    db = Path(folder.name, "trades.duckdb")
    import_trades(source, db, instrument, **options)
    flags = {"wf_output": Path(folder.name, "walkforward.jsonl")} | flags
    result = validate(db, instrument, config, workers=workers, client=client, progress=progress, **flags)
    vars(result)["_folder"] = folder  # removed with the result
    return result


def calibrate(
    db: str | Path,
    instrument: str = "MGC",
    config: RunConfig | None = None,
    *,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
    rules: str | Path | None = None,
    companions: bool = False,
    **flags: Any,
) -> CalibrationResult:
    """Count how many strategies these settings would promote if none had an edge, and how many they do promote.

    Parameters
    ----------
    db, config, workers, client, progress, rules
        As of `validate`; nothing is written to the database.
    companions
        Whether to compute what goes with a report too: effective number of strategies, probability of backtest
        overfitting, probabilistic Sharpe ratios, counts of discoveries.
    flags
        Fields of RunConfig: `worlds`, `block_days` and `null_seed` say how worlds are drawn (docs/statistics.md); of
        the others a list gives several settings, which share the worlds: `min_sample=[20, 30, 60]`. Also `journal`,
        `task_timeout`, `wait_for_lock`, `memory_limit` and `allow_external_views` as the command has them.

    Raises
    ------
    InputError
        Bad usage or input, or gates of the worlds that disagree with the run's about too many strategies.
    Incomplete
        The workers were lost; the next call goes on.
    """
    from dask_validator.run.calibrate import run_calibration  # which plain runs need not load
    from dask_validator.views.calibration_result import CalibrationResult

    settle()
    several = {name: flags.pop(name) for name in list(flags) if _is_several(name, flags[name])}
    config, safeguards = _with_flags(_rules(config, rules, instrument), flags)
    with (
        _display(f"{instrument} in {Path(db).name}", progress, client) as display,
        prepared_calibration(
            db, instrument, combinations(config, several), safeguards, display.listen, companions=companions
        ) as prepared,
        open_executor(workers, client, say=display.say, task_timeout_s=safeguards.task_timeout) as executor,
    ):
        display.warn(executor.warnings)
        listeners = Listeners(display.listen)
        with Sender(executor, listeners):
            order, blocks = prepared
            return CalibrationResult.of(run_calibration(order, executor, listeners, blocks))


def _is_several(name: str, value: Any) -> bool:
    """Whether it is a list of settings; years are a list in themselves. Raises InputError for an empty one."""
    from dask_validator.universe.calibration import flags_of

    if name not in flags_of(RunConfig()) or not isinstance(value, list | tuple):
        return False
    if not value and name != "exclude_years":
        raise InputError(f"{name} got {value!r}; needed one value or more")
    return name != "exclude_years" or any(isinstance(years, list | tuple) for years in value)


@contextmanager
def prepared_calibration(
    db: str | Path,
    instrument: str,
    settings: Sequence[RunConfig],
    safeguards: Safeguards = NO_SAFEGUARDS,
    listener: Listener = ignore,
    *,
    companions: bool = False,
    counts_only: bool = False,
) -> Iterator[tuple[CalibrationOrder, Blocks]]:
    """What to calibrate, and its journal, locked for the block. Raises InputError, as `prepared` does."""
    from dask_validator.run.all_strategies import CANONICAL, CalibrationOrder

    for setting in settings:
        setting.check_worlds()
    costs = costs_in(db, instrument, settings[0])
    check_is_file(db)
    grant_access(db, safeguards)
    path = Path(safeguards.journal) if safeguards.journal else _blocks_path(db, instrument)
    if safeguards.discard:
        discard_blocks(path)
    with Blocks(path, Path(db).absolute()) as blocks:
        database = _database(db, instrument, safeguards, listener, to_write=False)
        database = replace(database, waiting=CANONICAL, promotion=settings[0].promotion)
        yield CalibrationOrder(database, instrument, settings, costs, companions, counts_only), blocks
        blocks.forget()


def _display(title: str, progress: bool, client: Client | None) -> Terminal | Notebook:
    from dask_validator.views.monitor.terminal import Terminal

    if in_notebook():
        return Notebook(title, quiet=not progress, dashboard_stays=client is not None)
    return Terminal(quiet=not progress)


def _rules(config: RunConfig | None, rules: str | Path | None, instrument: str) -> RunConfig:
    if config is not None and rules is not None:
        raise InputError("got config and rules; needed one of them: rules is a file in place of config")
    return config or load_rules(rules, instrument)


def _with_flags(config: RunConfig, flags: dict[str, Any]) -> tuple[RunConfig, Safeguards]:
    rules, safe = ([field.name for field in dataclasses.fields(kind)] for kind in (RunConfig, Safeguards))
    if unknown := sorted(set(flags) - {*rules, *safe}):
        raise InputError(f"got {', '.join(unknown)}; needed {', '.join([*rules, *safe])}")
    config = dataclasses.replace(config, **{name: value for name, value in flags.items() if name in rules})
    return config, Safeguards(**{name: value for name, value in flags.items() if name in safe})


@contextmanager
def prepared(
    db: str | Path,
    instrument: str,
    config: RunConfig,
    safeguards: Safeguards = NO_SAFEGUARDS,
    listener: Listener = ignore,
    *,
    source: Source | None = None,
) -> Iterator[tuple[Order, Journal]]:
    """What to validate, and the journal, locked for the block: everything that can be refused before any work is.

    Parameters
    ----------
    source
        Where the outcomes are. Default: the table of the database.

    Raises
    ------
    InputError
        Unknown or absent instrument, unusable database, somebody holds it, another run is on it, an output cannot be
        written, or an earlier run's lines belong into another JSONL.
    NotCommitted
        An earlier run is committed, but its lines still cannot be appended to the JSONL.
    """
    costs = costs_in(db, instrument, config)
    writes = not config.dry_run
    check_is_file(db)
    grant_access(db, safeguards)
    outputs.check(_files(db, instrument, safeguards, config), appends=writes and not config.no_walkforward)
    if safeguards.discard and writes:
        _discard(db, instrument, safeguards, listener)
    with _journal(db, instrument, safeguards, keeps=writes) as journal:
        asked = config.promotion
        database = _database(db, instrument, safeguards, listener, to_write=writes, source=source, promotion=asked)
        if said := finish_append(database, journal, instrument, config.wf_output):
            listener(Said(said))
        commit_wait_s = max(safeguards.wait_for_lock, PATIENCE_S)
        blocks = _blocks_path(db, instrument) if writes else None
        yield Order(database, instrument, config, costs, safeguards.resume, commit_wait_s, blocks), journal


def commit_kept(
    db: str | Path,
    instrument: str,
    wf_output: str | Path,
    safeguards: Safeguards = NO_SAFEGUARDS,
    listener: Listener = ignore,
) -> Outcome | None:
    """Write what a run computed but could not commit; None when only lines of the JSONL were left to append.

    Raises
    ------
    InputError
        There is nothing to commit, the data have changed so that it no longer holds, or `wf_output` is not the JSONL of
        that run; nothing was written.
    NotCommitted
        It still cannot be written; it is still kept.
    """
    check_is_file(db)
    grant_access(db, safeguards)
    kept = ["--journal", str(safeguards.journal)] if safeguards.journal else []
    kept += ["--wf-output", str(Path(wf_output).absolute())]
    run = shlex.join(["dask-validator", "run", "--db", str(db), "--instrument", instrument, *kept])
    outputs.check(_files(db, instrument, safeguards, RunConfig(wf_output=wf_output)), appends=True)
    with _journal(db, instrument, safeguards) as journal:
        left = journal.recovered
        if not left.settings or not (left.computed or left.committing):
            unfinished = f"it has {len(left.answers):,} results of a run that did not end, go on with {run} --resume"
            raise InputError(
                f"{journal.path} has nothing to commit; {unfinished if left.inputs else f'start with {run}'}"
            )
        safeguards = replace(safeguards, resume=left.settings["resume"])
        database = _database(db, instrument, safeguards, listener, to_write=True)
        if said := finish_append(database, journal, instrument, wf_output):
            listener(Said(said))
            return None
        commit_wait_s = max(safeguards.wait_for_lock, PATIENCE_S)
        try:
            config, costs = RunConfig(**left.settings["config"]), checked_costs(left.settings["costs"])
        except (TypeError, ValueError, InputError):
            raise InputError(f"{journal.path} is of another version of dask_validator; run again: {run}") from None
        if not config.no_walkforward:
            refuse_other_output(journal, wf_output)
        config = replace(config, wf_output=wf_output)
        database = replace(database, promotion=config.promotion)
        blocks = _blocks_path(db, instrument)
        order = Order(database, instrument, config, costs, safeguards.resume, commit_wait_s, blocks)
        worlds_on = SerialExecutor(safeguards.task_timeout)
        return run_validation(order, NoExecutor(), listener, journal, only_commits=True, worlds_on=worlds_on)


def costs_in(db: str | Path, instrument: str, config: RunConfig) -> Costs:
    """What a round trip costs; imported trades need nobody to say so. Raises InputError."""
    return costs_of(instrument, config.instruments, config.costs, partial(all_imported, db, instrument))


def grant_access(db: str | Path, safeguards: Safeguards) -> None:
    """Open this file so from now on."""
    grant(db, Access(safeguards.memory_limit, safeguards.allow_external_views))


def _files(db: str | Path, instrument: str, safeguards: Safeguards, config: RunConfig) -> outputs.Files:
    given = (Path(path) if path else None for path in (safeguards.journal, config.wf_output, config.instruments))
    journal, wf_output, instruments = given
    return outputs.Files(Path(db), instrument, journal, wf_output, instruments=instruments)


def _journal(db: str | Path, instrument: str, safeguards: Safeguards, *, keeps: bool = True) -> Journal:
    path = _journal_path(db, instrument, safeguards) if keeps else None
    return Journal(path, Path(db).absolute(), instrument)


def _journal_path(db: str | Path, instrument: str, safeguards: Safeguards) -> Path:
    return Path(safeguards.journal or default_path(Path(db).absolute(), instrument))


def _blocks_path(db: str | Path, instrument: str) -> Path:
    return calibration_path(Path(db).absolute(), instrument)


def _discard(db: str | Path, instrument: str, safeguards: Safeguards, listener: Listener) -> None:
    """Give up the journal, whatever the database holds; kept while somebody has that, which ends by itself."""
    path = _journal_path(db, instrument, safeguards)
    try:
        _database(db, instrument, safeguards, listener, to_write=True)
    except DatabaseHeld:
        raise
    except InputError as error:
        there = os.path.lexists(path)
        discard(path, instrument)
        discard_blocks(_blocks_path(db, instrument))
        raise InputError(f"{error} ({path} is given up all the same)" if there else str(error)) from error
    if said := discard(path, instrument):
        listener(Said(said, warning=True))
    discard_blocks(_blocks_path(db, instrument))


def _database(
    db: str | Path,
    instrument: str,
    safeguards: Safeguards,
    listener: Listener,
    *,
    to_write: bool,
    source: Source | None = None,
    promotion: Promotion = NOTHING_ASKED,
) -> Database:
    database = Database.at(
        db,
        source or source_of(db),
        to_write=to_write,
        instrument=instrument,
        retry_failed=safeguards.resume,
        promotion=promotion,
        wait_s=safeguards.wait_for_lock,
        say=lambda text: listener(Said(text)),
        passing=partial(is_another_run, database=Path(db).absolute(), instrument=instrument),
    )
    for doubt in doubts(database.path) if to_write else ():
        listener(Said(doubt, warning=True))
    return database


@contextmanager
def open_executor(
    workers: int | None = None,
    client: Client | None = None,
    scheduler: str | None = None,
    dashboard_address: str | None = "127.0.0.1:8787",
    say: Callable[[str], None] = lambda text: None,
    task_timeout_s: float = TASK_TIMEOUT_S,
) -> Iterator[Executor]:
    """Where the tasks run: this process, a LocalCluster of our own, the user's client, or a scheduler's address.

    Raises
    ------
    InputError
        `workers` below 1 or together with a cluster, a cluster that cannot be used, or a script without the
        `__main__` guard.
    """
    with threads_may_be_refused():
        if client is not None or scheduler is not None:
            if workers is not None:
                raise InputError("got both workers and a cluster (--scheduler, client=); needed one of them")
            cluster, dashboard = client or str(scheduler), dashboard_address is not None
            with _others_cluster(cluster, say, task_timeout_s, dashboard=dashboard) as existing:
                yield existing
            return
        with held_back():
            count = default_workers() if workers is None else workers
        if not isinstance(count, int) or count < 1:
            raise InputError(f"workers got {count!r}; needed a whole number, at least 1")
        if count == 1:
            yield SerialExecutor(task_timeout_s)
            return
        with _own_cluster(count, dashboard_address, task_timeout_s) as executor:
            yield executor


@contextmanager
def _others_cluster(
    cluster: Client | str, say: Callable[[str], None], task_timeout_s: float, *, dashboard: bool
) -> Iterator[Executor]:
    with held_back(), readable():  # half an import would break every later run of a notebook's kernel
        from dask_validator.execution.dask.client import connect, existing_cluster, quiet
        from dask_validator.execution.dask.interrupt_shield import shielded

    with ExitStack() as opened:
        opened.enter_context(links_that_can_be_formed())
        if isinstance(cluster, str):
            opened.enter_context(quiet())
            client = opened.enter_context(closing(connect(cluster)))
        else:
            client = cluster
        existing = existing_cluster(client, say, task_timeout_s, dashboard=dashboard)
        opened.enter_context(shielded(client, release))  # a reader would lock others out
        yield existing


@contextmanager
def _own_cluster(workers: int, dashboard_address: str | None, task_timeout_s: float) -> Iterator[Executor]:
    from dask_validator.execution.dask.forkserver import prepare
    from dask_validator.execution.dask.machine import fitting
    from dask_validator.execution.dask.main_guard import require_main_guard

    require_main_guard()
    check_children(workers)
    with held_back(), readable():
        import dask  # noqa: F401  # the process that is started next would say at length what it cannot read
    prepare()  # before the rest of Dask is imported, which takes as long here as there
    with held_back(), readable():
        from dask_validator.execution.dask.cluster import local_cluster
    fits, warnings = fitting(workers)
    if fits == 1:
        yield SerialExecutor(task_timeout_s, warnings)
        return
    with local_cluster(fits, dashboard_address, task_timeout_s, warnings) as executor:
        yield executor


def default_workers() -> int:
    """One core is left to the user; a daemonic process may have no children."""
    return 1 if current_process().daemon else max(1, min(8, usable_cores() - 1))
