"""Trades of any backtester: `import_trades()` and `validate_trades()`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.api.validation import validate
from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.store.access import Access
from dask_validator.views.result import RunResult

if TYPE_CHECKING:
    from distributed import Client

    from dask_validator.run.importing import Imported


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
    flags = {"wf_output": "{db}.walkforward.jsonl"} | flags
    result = validate(db, instrument, config, workers=workers, client=client, progress=progress, **flags)
    vars(result)["_folder"] = folder  # removed with the result
    return result
