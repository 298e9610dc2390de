"""What a call needs before any work is: everything that can be refused is refused here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.config import Promotion, RunConfig, Safeguards, check_swept, combinations, one_at_a_time
from dask_validator.errors import DatabaseHeld, InputError
from dask_validator.events import Listener, Said, ignore
from dask_validator.journal.blocks import Blocks, calibration_path, discard_blocks
from dask_validator.journal.journal import Journal, default_path, discard
from dask_validator.journal.others import is_another_run
from dask_validator.run import outputs
from dask_validator.run.commit import finish_append, selection_left
from dask_validator.run.instruments import costs_of
from dask_validator.run.naming import Names, literal
from dask_validator.run.order import Order
from dask_validator.sources.chosen import source_of
from dask_validator.store.access import Access, grant
from dask_validator.store.connection import check_is_file
from dask_validator.store.database import Database
from dask_validator.store.lock import doubts
from dask_validator.store.reader import all_imported
from dask_validator.store.ruled import NOTHING_ASKED
from dask_validator.store.selection import CANONICAL, EVERY, WAITING, Selection

if TYPE_CHECKING:
    from dask_validator.rules.costs import Costs
    from dask_validator.run.all_strategies import CalibrationOrder
    from dask_validator.run.sweep import SweepOrder
    from dask_validator.sources.source import Source

NO_SAFEGUARDS = Safeguards()
PATIENCE_S = 10.0  # for a lock at the commit, at least: much has been computed by then


@contextmanager
def prepared(
    db: str | Path,
    instrument: str,
    config: RunConfig,
    safeguards: Safeguards = NO_SAFEGUARDS,
    listener: Listener = ignore,
    *,
    source: Source | None = None,
    selection: Selection = WAITING,
    names: Names | None = None,
) -> Iterator[tuple[Order, Journal]]:
    """What to validate, and the journal, locked for the block: everything that can be refused before any work is.

    Parameters
    ----------
    source
        Where the outcomes are. Default: the table of the database.
    selection
        Which strategies of the instrument.
    names
        Of the run and its files. Default: those of a run that begins now.

    Raises
    ------
    InputError
        Unknown or absent instrument, ids that it does not have, unusable database, somebody holds it, another run is on
        it, an output cannot be written, an earlier run's lines belong into another JSONL, or such a run has computed
        all of other strategies and is not committed yet.
    NotCommitted
        An earlier run is committed, but its lines still cannot be appended to the JSONL.
    """
    costs = costs_in(db, instrument, config)
    writes = not config.dry_run
    names, template = names or Names.of(db, instrument), config.wf_output
    config = replace(config, wf_output=names.filled("--wf-output", template))
    if safeguards.journal is not None:
        safeguards = replace(safeguards, journal=names.filled("--journal", safeguards.journal))
    check_is_file(db)
    grant_access(db, safeguards)
    outputs.check(files_of(db, instrument, safeguards, config), appends=writes and not config.no_walkforward)
    if safeguards.discard and writes:
        _discard(db, instrument, safeguards, listener)
    with journal_of(db, instrument, safeguards, keeps=writes) as journal:
        database = database_at(
            db,
            instrument,
            safeguards,
            listener,
            to_write=writes,
            source=source,
            promotion=config.promotion,
            selection=selection.retrying if safeguards.resume else selection,
        )
        left = journal.recovered.last_output
        output = left if left is not None and names.could_be(left, template) else config.wf_output
        if said := finish_append(database, journal, instrument, output):
            listener(Said(said))
        _refuse_giving_up(journal, database, instrument, safeguards)
        order = Order(database, instrument, config, costs, safeguards.resume, patience_s(safeguards))
        blocks = blocks_path(db, instrument) if writes else None
        yield order._replace(blocks=blocks, run_id=names.run_id, keep_runs=safeguards.keep_runs), journal


def _refuse_giving_up(journal: Journal, database: Database, instrument: str, safeguards: Safeguards) -> None:
    """Raise InputError where `commit` could write what the run before has computed, and this one would not."""
    left = journal.recovered
    if not left.is_computed:
        return
    before, now = selection_left(left.settings), database.selection
    if before.is_known and not now.covers(before):
        line = command_line("commit", database.path, instrument, safeguards, str(left.output))
        raise InputError(
            f"{journal.path} has a run of other strategies ({before.said}) that is computed and not committed, which "
            f"this run ({now.said}) would lose; give it up with --discard, or write it: {line}"
        )


def command_line(name: str, db: str | Path, instrument: str, safeguards: Safeguards, wf_output: str | Path) -> str:
    """The command of that name on what the journal has."""
    kept = ["--journal", literal(safeguards.journal)] if safeguards.journal else []
    kept += ["--wf-output", literal(Path(wf_output).absolute())]
    return shlex.join(["dask-validator", name, "--db", str(db), "--instrument", instrument, *kept])


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
    names: Names | None = None,
) -> Iterator[tuple[CalibrationOrder, Blocks]]:
    """What to calibrate, and its journal, locked for the block. Raises InputError, as `prepared` does."""
    from dask_validator.run.all_strategies import CalibrationOrder

    for setting in settings:
        setting.check_worlds()
    costs = costs_in(db, instrument, settings[0])
    check_is_file(db)
    grant_access(db, safeguards)
    names = names or Names.of(db, instrument)
    path = names.filled("--journal", safeguards.journal) if safeguards.journal else blocks_path(db, instrument)
    if safeguards.discard:
        discard_blocks(path)
    with Blocks(path, Path(db).absolute()) as blocks:
        database = database_at(db, instrument, safeguards, listener, to_write=False)
        database = replace(database, selection=CANONICAL, promotion=settings[0].promotion)
        yield CalibrationOrder(database, instrument, settings, costs, companions, counts_only), blocks
        blocks.forget()


def prepared_sweep(
    db: str | Path,
    instrument: str,
    now: RunConfig,
    values: Mapping[str, Sequence[Any]],
    safeguards: Safeguards = NO_SAFEGUARDS,
    listener: Listener = ignore,
    *,
    alone: bool = False,
    selection: Selection = EVERY,
) -> SweepOrder:
    """What to sweep: every combination of values, or each flag alone.

    Raises InputError, as `prepared` does.
    """
    from dask_validator.run.sweep import SweepOrder, refuse_worlds  # which plain runs need not load

    check_swept(values)
    settings = one_at_a_time(now, values) if alone else combinations(now, values)
    refuse_worlds(settings)
    costs = costs_in(db, instrument, now)
    check_is_file(db)
    grant_access(db, safeguards)
    database = database_at(
        db, instrument, safeguards, listener, to_write=False, promotion=now.promotion, selection=selection
    )
    return SweepOrder(Order(database, instrument, now, costs), settings, tuple(values), alone)


def costs_in(db: str | Path, instrument: str, config: RunConfig) -> Costs:
    """What a round trip costs; imported trades need nobody to say so. Raises InputError."""
    return costs_of(instrument, config.instruments, config.costs, partial(all_imported, db, instrument))


def patience_s(safeguards: Safeguards) -> float:
    """Seconds that the commit waits for a lock."""
    return max(safeguards.wait_for_lock, PATIENCE_S)


def grant_access(db: str | Path, safeguards: Safeguards) -> None:
    """Open this file so from now on."""
    grant(db, Access(safeguards.memory_limit, safeguards.allow_external_views))


def files_of(db: str | Path, instrument: str, safeguards: Safeguards, config: RunConfig) -> outputs.Files:
    """What the call reads and writes, to be checked against one another."""
    journal, wf_output = (Path(path) if path else None for path in (safeguards.journal, config.wf_output))
    return outputs.Files(Path(db), instrument, journal, wf_output, read=outputs.read_by(vars(config)))


def journal_of(db: str | Path, instrument: str, safeguards: Safeguards, *, keeps: bool = True) -> Journal:
    """Locked for as long as it is open; one that keeps nothing, where nothing is to be kept."""
    path = _journal_path(db, instrument, safeguards) if keeps else None
    return Journal(path, Path(db).absolute(), instrument)


def _journal_path(db: str | Path, instrument: str, safeguards: Safeguards) -> Path:
    return Path(safeguards.journal or default_path(Path(db).absolute(), instrument))


def blocks_path(db: str | Path, instrument: str) -> Path:
    """Where null worlds of an instrument are kept."""
    return calibration_path(Path(db).absolute(), instrument)


def _discard(db: str | Path, instrument: str, safeguards: Safeguards, listener: Listener) -> None:
    """Give up the journal, whatever the database holds; kept while somebody has that, which ends by itself."""
    path = _journal_path(db, instrument, safeguards)
    try:
        database_at(db, instrument, safeguards, listener, to_write=True)
    except DatabaseHeld:
        raise
    except InputError as error:
        there = os.path.lexists(path)
        discard(path, instrument)
        discard_blocks(blocks_path(db, instrument))
        raise InputError(f"{error} ({path} is given up all the same)" if there else str(error)) from error
    if said := discard(path, instrument):
        listener(Said(said, warning=True))
    discard_blocks(blocks_path(db, instrument))


def database_at(
    db: str | Path,
    instrument: str,
    safeguards: Safeguards,
    listener: Listener,
    *,
    to_write: bool,
    source: Source | None = None,
    promotion: Promotion = NOTHING_ASKED,
    selection: Selection = WAITING,
) -> Database:
    """The instrument in this file, looked at and, for who writes, found free. Raises InputError, DatabaseHeld."""
    database = Database.at(
        db,
        source or source_of(db),
        to_write=to_write,
        instrument=instrument,
        selection=selection,
        promotion=promotion,
        wait_s=safeguards.wait_for_lock,
        say=lambda text: listener(Said(text)),
        passing=partial(is_another_run, database=Path(db).absolute(), instrument=instrument),
    )
    for doubt in doubts(database.path) if to_write else ():
        listener(Said(doubt, warning=True))
    return database
