"""`validate()`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.api.calls import display_of, rules_of, with_flags
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared
from dask_validator.config import RunConfig
from dask_validator.config.rules_file import located
from dask_validator.errors import Incomplete, InputError, NotCommitted
from dask_validator.events import Listeners
from dask_validator.run.run import run_validation
from dask_validator.sources.chosen import source_of
from dask_validator.store.database import Database
from dask_validator.store.selection import Selection
from dask_validator.system.surroundings import settle
from dask_validator.views.live.sender import Sender
from dask_validator.views.monitor.notebook import Notebook
from dask_validator.views.monitor.summary import lines_appended
from dask_validator.views.result import RunResult

if TYPE_CHECKING:
    from distributed import Client


def instruments(db: str | Path) -> list[str]:
    """The instruments of a database, in their order, to be validated one after the other. Raises InputError."""
    return Database.at(db, source_of(db), to_write=False).instruments()


def validate(
    db: str | Path,
    instrument: str = "MGC",
    config: RunConfig | None = None,
    *,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
    rules: str | Path | None = None,
    strategies: str | Sequence[str] = "waiting",
    **flags: Any,
) -> RunResult:
    """Validate strategies of one instrument and write the verdicts.

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
    strategies
        Which: `"waiting"`, `"passed"`, `"rejected"`, `"failed"`, `"all"`, or a list of their ids. Those that were
        judged before are judged again; with `dry_run=True` that is what other rules would have made of them.
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
    if not isinstance(instrument, str):
        each = "[validate(db, name) for name in instruments(db)]"
        raise InputError(f"instrument got {instrument!r}; needed one; all of a database: {each}")
    settle()
    selection = Selection.of(strategies)
    config, safeguards = with_flags(rules_of(config, rules, instrument), flags)
    with (
        display_of(f"{instrument} in {Path(db).name}", progress, client) as display,
        located(rules),
        prepared(db, instrument, config, safeguards, display.listen, selection=selection) as (order, journal),
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
        if where := lines_appended(outcome):
            display.say(where)
    return RunResult.of(outcome)
