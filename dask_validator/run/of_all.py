"""From a calibration and the p-values of an instrument to the facts of phase 7."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dask_validator.config import RunConfig
from dask_validator.events import Event, Listener, Screened
from dask_validator.journal.blocks import Blocks
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.of_all import NOTHING, OfAll
from dask_validator.run.calibrating import CANONICAL, Calibrating, CalibrationOrder
from dask_validator.run.calibration import calibrated
from dask_validator.run.order import Order
from dask_validator.universe.calibration import Calibration
from dask_validator.work.compute import Computer
from dask_validator.work.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.reader import Facts


def in_worlds(order: Order, executor: Executor, listener: Listener, run_id: str) -> Calibration:
    """All canonical strategies of the instrument in null worlds, as a part of a run that has the database open."""
    database = replace(order.database, waiting=CANONICAL)
    of_all = CalibrationOrder(database, order.instrument, [order.config], order.costs)
    with Blocks(order.blocks, order.database.path, order.instrument) as blocks:
        computer = Computer(executor, _beside(listener), Stopwatch(), f"{run_id}-all")
        return calibrated(Calibrating(of_all, computer, _beside(listener), blocks))


def _beside(listener: Listener) -> Listener:
    """The run itself tells what was screened."""

    def tell(event: Event) -> None:
        if not isinstance(event, Screened):
            listener(event)

    return tell


def facts_of_phase_7(config: RunConfig, candidates: Candidates, facts: Facts, calibration: Calibration | None) -> OfAll:
    """What gates over all strategies see of the candidates; nothing where none is asked for."""
    if calibration is None and "fdr" not in config.gate:
        return NOTHING
    columns = {}
    if calibration is not None:
        of_worlds = calibration.strategies._asdict()
        shared = OfAll(
            of_worlds["ids"], {name: of_worlds[name] for name in ("luck_bound", "stepm_p", "z", "luck", "luck_q")}
        )
        columns = shared.about(candidates.ids)
    return OfAll(candidates.ids, columns)
