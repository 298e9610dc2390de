"""`validate()`: the composition root of the Python interface; the command line builds on the same parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.execution.executor import Executor, SerialExecutor
from dask_validator.instruments import costs_of
from dask_validator.results_file import check_writable
from dask_validator.run import run_validation
from dask_validator.store.database import Database

if TYPE_CHECKING:
    from distributed import Client

    from dask_validator.result import RunResult
    from dask_validator.rules.costs import Costs


def validate(
    db: str | Path,
    instrument: str = "MGC",
    config: RunConfig | None = None,
    *,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
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
        A `dask.distributed.Client` to run on instead; it stays open.
    progress
        Whether to show progress and warnings on stderr.

    Raises
    ------
    InputError
        Bad usage or input; nothing was written.
    NotCommitted, Incomplete
        Carry `.result` when there is one.
    """
    from dask_validator.monitor.terminal import Terminal

    config = _with_flags(config or RunConfig(), flags)
    database, costs = preflight(db, instrument, config)
    with Terminal(quiet=not progress) as terminal, open_executor(workers, client, say=terminal.say) as executor:
        terminal.warn(executor.warnings)
        result = run_validation(database, instrument, config, costs, executor, terminal.listen)
        terminal.warn(result.warnings)
    return result


def _with_flags(config: RunConfig, flags: dict[str, Any]) -> RunConfig:
    known = [field.name for field in dataclasses.fields(RunConfig)]
    if unknown := sorted(set(flags) - set(known)):
        raise InputError(f"validate() got {', '.join(unknown)}; the fields of RunConfig are {', '.join(known)}")
    return dataclasses.replace(config, **flags)


def preflight(db: str | Path, instrument: str, config: RunConfig) -> tuple[Database, Costs]:
    """Everything that can be refused before any work.

    Raises
    ------
    InputError
        Unknown instrument, unusable database, somebody holds it, or the JSONL cannot be written.
    """
    costs = costs_of(instrument, config.instruments)
    database = Database.at(db, to_write=not config.dry_run)
    if not config.dry_run and not config.no_walkforward:
        check_writable(Path(config.wf_output), database.path)
    return database, costs


@contextmanager
def open_executor(
    workers: int | None = None,
    client: Client | None = None,
    scheduler: str | None = None,
    dashboard_address: str | None = "127.0.0.1:8787",
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Executor]:
    """Where the tasks run: this process, a LocalCluster of our own, the user's client, or a scheduler's address.

    Raises
    ------
    InputError
        `workers` below 1 or together with a cluster, a cluster that cannot be used, or a script without the
        `__main__` guard.
    """
    if client is not None or scheduler is not None:
        if workers is not None:
            raise InputError("got both workers and a cluster (--scheduler, client=); needed one of them")
        from dask_validator.execution.client import connect, existing_cluster

        with nullcontext(client) if client is not None else closing(connect(str(scheduler))) as connected:
            yield existing_cluster(connected, say)
        return
    count = default_workers() if workers is None else workers
    if not isinstance(count, int) or count < 1:
        raise InputError(f"workers got {count!r}; needed a whole number, at least 1")
    if count == 1:
        yield SerialExecutor()
        return
    from dask_validator.execution.forking import prepare
    from dask_validator.execution.main_guard import require_main_guard

    require_main_guard()
    prepare()  # before Dask is imported, which takes as long here as there
    from dask_validator.execution.cluster import local_cluster

    with local_cluster(count, dashboard_address) as executor:
        yield executor


def default_workers() -> int:
    """One core is left to the user; Dask's count honours affinity and cgroups."""
    from dask.system import CPU_COUNT

    return max(1, min(8, CPU_COUNT - 1))
