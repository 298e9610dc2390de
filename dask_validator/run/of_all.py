"""From a calibration and the p-values of an instrument to the facts of phase 7 (rules.md, section 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.errors import NothingToCalibrate
from dask_validator.events import Event, Listener, Said, Screened
from dask_validator.journal.blocks import Blocks
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.fdr import Correction, adjusted_p_values, one_sided
from dask_validator.rules.gates import POSITION
from dask_validator.rules.of_all import COLUMNS, NOTHING, OfAll
from dask_validator.run.order import Order
from dask_validator.work.compute import Computer
from dask_validator.work.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.reader import Facts, Survey
    from dask_validator.universe.calibration import Calibration, Strategies


def in_worlds(
    order: Order, executor: Executor, listener: Listener, run_id: str, *, blocks: Blocks, survey: Survey
) -> Calibration | None:
    """All canonical strategies of the instrument in null worlds, as a part of a run that has the database open.

    None where nothing can be calibrated: then gates fail closed.
    """
    from dask_validator.run.all_strategies import CANONICAL, Calibrating, CalibrationOrder
    from dask_validator.run.calibrate import calibrated  # which plain runs need not load

    database = replace(order.database, waiting=CANONICAL)
    of_all = CalibrationOrder(database, order.instrument, [order.config], order.costs, survey=survey)
    computer = Computer(executor, _beside(listener), Stopwatch(), f"{run_id}-all")
    try:
        return calibrated(Calibrating(of_all, computer, _beside(listener), blocks))
    except NothingToCalibrate as error:
        listener(Said(f"{error}: gates that need null worlds let nothing pass", warning=True))
        return None


def _beside(listener: Listener) -> Listener:
    """The run itself tells what was screened."""

    def tell(event: Event) -> None:
        if not isinstance(event, Screened):
            listener(event)

    return tell


def facts_of_phase_7(config: RunConfig, candidates: Candidates, facts: Facts, calibration: Calibration | None) -> OfAll:
    """What gates over all strategies see of the candidates; nothing where none is asked for."""
    columns: dict[str, NDArray[np.float64]] = {}
    if calibration is not None:
        columns |= of_worlds(calibration.strategies).about(candidates.ids)
    if "fdr" in config.gate or config.says_how_to_correct:
        columns["fdr_p"] = _corrected(config, candidates, facts)
    return OfAll(candidates.ids, columns) if columns else NOTHING


def of_worlds(strategies: Strategies) -> OfAll:
    """What null worlds say of each strategy."""
    known = strategies._asdict()
    return OfAll(strategies.ids, {name: known[name] for name in COLUMNS if name in known})


def _corrected(config: RunConfig, candidates: Candidates, facts: Facts) -> NDArray[np.float64]:
    """p of each candidate, corrected for all canonical strategies of the instrument, shape (n_strategies,)."""
    p_values = np.array(candidates.p_values, dtype=np.float64)
    expectancies = np.concatenate(candidates.observed)[:, POSITION["expectancy_r"]]
    family = facts.p_values
    if config.fdr_sides != 2:
        family, p_values = one_sided(family, facts.expectancies), one_sided(p_values, expectancies)
    ascending = np.sort(family)
    return Correction(ascending, adjusted_p_values(ascending, config.fdr_method or "bh")).adjusted_of(p_values)
