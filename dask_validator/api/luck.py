"""`calibrate()`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.api.calls import display_of, rules_of, with_flags
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared_calibration
from dask_validator.config import RunConfig, combinations
from dask_validator.errors import InputError
from dask_validator.events import Listeners
from dask_validator.system.surroundings import settle
from dask_validator.views.live.sender import Sender

if TYPE_CHECKING:
    from distributed import Client

    from dask_validator.views.calibration_result import CalibrationResult


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
    config, safeguards = with_flags(rules_of(config, rules, instrument), flags)
    with (
        display_of(f"{instrument} in {Path(db).name}", progress, client) as display,
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
