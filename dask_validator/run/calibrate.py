"""How many of a run's promotions luck makes: all canonical strategies of an instrument put into worlds without an edge.

Nothing is written (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_validator.config import RunConfig
from dask_validator.events import Listener, Said, Started
from dask_validator.journal.blocks import Blocks
from dask_validator.run.all_strategies import Calibrating, CalibrationOrder, all_strategies
from dask_validator.run.ending import ending_told
from dask_validator.run.naming import new_run_id
from dask_validator.run.null_worlds import put_into_worlds
from dask_validator.system import garbage
from dask_validator.universe.calibration import Calibration
from dask_validator.wording.luck import named
from dask_validator.work.compute import Computer
from dask_validator.work.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor


@garbage.thawed()
def run_calibration(order: CalibrationOrder, executor: Executor, listener: Listener, blocks: Blocks) -> Calibration:
    """Count the promotions of the data and of the worlds: a command of its own.

    Raises
    ------
    InputError
        A flag is on that no world can judge, nothing can be calibrated, or run and worlds disagree about too much.
    Incomplete
        The workers were lost; the journal keeps what went through all worlds.
    """
    run_id, database = new_run_id(), order.database
    run = Calibrating(order, Computer(executor, listener, Stopwatch(), run_id), listener, blocks)
    with ending_told(listener), database.kept_open():
        listener(Started(run_id, order.instrument, str(database.path), dry_run=True))
        executor.start()
        return calibrated(run)


def calibrated(run: Calibrating) -> Calibration:
    """The same as a part of something else, which has the database open. Raises InputError, Incomplete."""
    order, found = run.order, []
    for settings in of_one_kind(order.settings):
        of_kind = run._replace(order=order._replace(settings=settings))
        universe = all_strategies(of_kind)
        order = order._replace(survey=universe.seen.survey)
        found.append(put_into_worlds(of_kind, universe))
    calibration = in_order(found, order.settings)
    for line in named(calibration.not_calibrated):
        run.listener(Said(line, warning=True))
    return calibration


def of_one_kind(settings: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Settings whose strategies trade the same days in the same windows, together."""
    kinds: dict[object, list[RunConfig]] = {}
    for config in settings:
        kinds.setdefault(config.fact_rules, []).append(config)
    return list(kinds.values())


def in_order(found: Sequence[Calibration], settings: Sequence[RunConfig]) -> Calibration:
    """One calibration of all the settings."""
    by_config = {setting.config: setting for calibration in found for setting in calibration.settings}
    left_out = {name: reason for one in reversed(found) for name, reason in one.not_calibrated.items()}
    return replace(found[0], settings=[by_config[config] for config in settings], not_calibrated=left_out)
