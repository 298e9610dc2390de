"""`compare()` and `audit()`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.api.calls import display_of, rules_of, with_flags
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import NO_SAFEGUARDS, grant_access, prepared
from dask_validator.config import RunConfig, Safeguards
from dask_validator.errors import InputError
from dask_validator.events import Said, ignore
from dask_validator.explanation.audit import Audit
from dask_validator.explanation.compared import of_outcome, recorded
from dask_validator.explanation.comparison import Compared, Comparison
from dask_validator.run.audit import audit_setups
from dask_validator.run.run import run_validation
from dask_validator.store.connection import check_is_file, reading
from dask_validator.store.lock import wait_until_free
from dask_validator.store.selection import Selection
from dask_validator.store.sides import still_there
from dask_validator.system.surroundings import settle

if TYPE_CHECKING:
    from distributed import Client

    from dask_validator.events import Listener
    from dask_validator.execution.executor import Executor


def compare(
    db: str | Path,
    run_a: str,
    run_b: str | None = None,
    *,
    config: RunConfig | None = None,
    rules: str | Path | None = None,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
    **flags: Any,
) -> Comparison:
    """What has changed from one run of a database to another one, and why; nothing is written.

    Parameters
    ----------
    run_b
        Default: none; the strategies of the first are judged anew, on the data as they are now.
    config, rules, workers, client, progress, flags
        How they are judged then, as of `validate`.

    Raises
    ------
    InputError
        There is no such run, nothing is left of it, or they are of two instruments.
    Incomplete
        The workers were lost.
    """
    settle()
    if run_b is not None:
        if flags or config is not None or rules is not None:
            raise InputError(
                "got two runs and flags; needed one of them: flags are for judging run_a's strategies anew"
            )
        return compare_runs(db, run_a, run_b)
    before = opened(db, run_a)
    config, safeguards = with_flags(rules_of(config, rules, before.instrument), flags)
    with (
        display_of(f"{before.instrument} in {Path(db).name}", progress, client) as display,
        open_executor(workers, client, say=display.say, task_timeout_s=safeguards.task_timeout) as executor,
    ):
        display.warn(executor.warnings)
        return compare_anew(db, before, config, executor, safeguards, display.listen)


def compare_runs(
    db: str | Path, run_a: str, run_b: str, safeguards: Safeguards = NO_SAFEGUARDS, listener: Listener = ignore
) -> Comparison:
    """Two runs that are recorded. Raises InputError where one is not there, or they are of two instruments."""
    _wait(db, safeguards, listener)
    with reading(db):  # opened once for all that is read
        return Comparison.of(recorded(db, run_a), recorded(db, run_b))


def opened(
    db: str | Path, run_id: str, safeguards: Safeguards = NO_SAFEGUARDS, listener: Listener = ignore
) -> Compared:
    """One run that is recorded. Raises InputError where it is not there."""
    _wait(db, safeguards, listener)
    return recorded(db, run_id)


def _wait(db: str | Path, safeguards: Safeguards, listener: Listener) -> None:
    """For whoever holds the file."""
    check_is_file(db)
    grant_access(db, safeguards)
    wait_until_free(
        db, safeguards.wait_for_lock, lambda text: listener(Said(text)), passing=lambda pid: False, to_write=False
    )


def compare_anew(
    db: str | Path,
    before: Compared,
    config: RunConfig,
    executor: Executor,
    safeguards: Safeguards,
    listener: Listener,
) -> Comparison:
    """A run that is recorded, and a dry run of its strategies by these rules. Raises InputError, Incomplete."""
    ids = still_there(db, before.instrument, before.side.ids)
    if not ids:
        raise InputError(f"{db} has none of the {len(before.side.ids):,} strategies of {before.name} any more")
    config, selection = replace(config, dry_run=True), Selection.of(ids)
    with (
        prepared(db, before.instrument, config, safeguards, listener, selection=selection) as (order, journal),
        reading(order.database.path),  # so that nobody changes it before it has been compared
    ):
        return Comparison.of(before, of_outcome(run_validation(order, executor, listener, journal)))


def audit(db: str | Path, instrument: str | None = None, **access: Any) -> Audit:
    """Compute the active setups again, by the rules of the runs that promoted them, on the data as they are now.

    Serially, in this process; nothing is written.

    Parameters
    ----------
    instrument
        Default: all that have active setups.
    access
        `memory_limit` and `allow_external_views`, as the command has them.

    Raises
    ------
    InputError
        The database cannot be read, or has nothing of the instrument.
    """
    settle()
    return audit_database(db, instrument, Safeguards(**access))


def audit_database(
    db: str | Path, instrument: str | None, safeguards: Safeguards, listener: Listener = ignore
) -> Audit:
    """The same for a command. Raises InputError."""
    check_is_file(db)
    grant_access(db, safeguards)
    with open_executor(workers=1, task_timeout_s=safeguards.task_timeout) as executor:
        runs, unpromoted = audit_setups(db, instrument, executor, listener)
    return Audit(tuple(runs), tuple(unpromoted))
