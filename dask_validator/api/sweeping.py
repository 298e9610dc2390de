"""`sweep()`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.api.calls import display_of, rules_of, with_flags
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_sweep
from dask_validator.config import RunConfig
from dask_validator.events import Listeners
from dask_validator.store.selection import Selection
from dask_validator.system.surroundings import settle

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client


def sweep(
    db: str | Path,
    instrument: str = "MGC",
    values: Mapping[str, Sequence[Any]] | None = None,
    config: RunConfig | None = None,
    *,
    one_at_a_time: bool = False,
    workers: int | None = None,
    client: Client | None = None,
    progress: bool = True,
    rules: str | Path | None = None,
    strategies: str | Iterable[str] = "all",
    **flags: Any,
) -> pd.DataFrame:
    """How many strategies each combination of thresholds would promote; nothing is written.

    Strategies are judged anew, exactly as `validate` would with these flags; what the combinations share is computed
    once.

    Parameters
    ----------
    values
        By field of RunConfig, the values to try: `{"wf_min_windows": [2, 3, 4], "min_sample": [20, 30]}`. Of a field
        that is a list in itself, a list of those: `{"exclude_years": [[], [2020]]}`.
    one_at_a_time
        Whether each flag is tried alone, the others being as `config` has them, in place of every combination.
    config, workers, client, progress, rules, strategies
        As of `validate`; all strategies unless something else is said.
    flags
        Further fields of RunConfig, or `task_timeout`, `wait_for_lock`, `memory_limit` and `allow_external_views`.

    Returns
    -------
    One row a combination: its values; `promoted`; `stay`, `lost`, those of today's promotions (strategies with an
    active setup) that it promotes or not; `new`, promotions that are none today; `as_given`, whether these are the
    values of `config`.

    Raises
    ------
    InputError
        Bad usage or input, a field that no verdict depends on, or a gate that takes null worlds.
    Incomplete
        The workers were lost.
    """
    from dask_validator.run.sweep import run_sweep  # which plain runs need not load
    from dask_validator.views.sweep_frame import frame_of

    settle()
    selection = Selection.of(strategies)
    now, safeguards = with_flags(rules_of(config, rules, instrument), flags)
    with display_of(f"{instrument} in {Path(db).name}", progress, client) as display:
        asked = prepared_sweep(
            db, instrument, now, values or {}, safeguards, display.listen, alone=one_at_a_time, selection=selection
        )
        with open_executor(workers, client, say=display.say, task_timeout_s=safeguards.task_timeout) as executor:
            display.warn(executor.warnings)
            return frame_of(run_sweep(asked, executor, Listeners(display.listen)))
