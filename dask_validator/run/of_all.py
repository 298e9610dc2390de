"""From a calibration and the p-values of an instrument to the facts of phase 7 (rules.md, section 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import NothingToCalibrate
from dask_validator.events import Event, Listener, Said, Screened
from dask_validator.journal.blocks import Blocks
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.families import corrected, doubts_about_tests
from dask_validator.rules.of_all import COLUMNS, NOTHING, OfAll
from dask_validator.run.order import Order
from dask_validator.store.families import read_tests
from dask_validator.store.selection import CANONICAL
from dask_validator.work.compute import Computer
from dask_validator.work.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.execution.executor import Executor
    from dask_validator.store.contract import Catalogue
    from dask_validator.store.reader import Survey
    from dask_validator.universe.calibration import Calibration, Strategies


def in_worlds(
    order: Order, executor: Executor, listener: Listener, run_id: str, *, blocks: Blocks, survey: Survey
) -> Calibration | None:
    """All canonical strategies of the instrument in null worlds, as a part of a run that has the database open.

    None where nothing can be calibrated: then gates fail closed.
    """
    from dask_validator.run.all_strategies import Calibrating, CalibrationOrder
    from dask_validator.run.calibrate import calibrated  # which plain runs need not load

    database = replace(order.database, selection=CANONICAL)
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


def facts_of_phase_7(candidates: Candidates, family: OfAll, calibration: Calibration | None) -> OfAll:
    """What gates over all strategies see of the candidates; nothing where none is asked for."""
    columns: dict[str, NDArray[np.float64]] = {}
    if calibration is not None:
        columns |= of_worlds(calibration.strategies).about(candidates.ids)
    if family.columns:
        columns |= {name: family.about(candidates.ids)[name] for name in family.columns}
    return OfAll(candidates.ids, columns) if columns else NOTHING


def of_worlds(strategies: Strategies) -> OfAll:
    """What null worlds say of each strategy."""
    known = strategies._asdict()
    return OfAll(strategies.ids, {name: known[name] for name in COLUMNS if name in known})


def of_family(order: Order, catalogue: Catalogue, listener: Listener) -> OfAll:
    """Corrected p-values, where the rules ask for them, of the family of the instrument's strategies.

    Raises
    ------
    InputError
        The rules group by a column that is not there, or say that there were fewer tests than strategies.
    """
    config = order.config
    if not ("fdr" in config.gate or config.says_how_to_correct):
        return NOTHING
    family = order.database.read_family(order.instrument, catalogue, config)
    tests = read_tests(config.fdr_k_file)
    for doubt in doubts_about_tests(family, tests):
        listener(Said(doubt, warning=True))
    found = corrected(family, config.fdr_method or "bh", config.fdr_sides or 1, tests)
    return OfAll(family.ids.tolist(), {"fdr_p": found.p_values, "fdr_tests": found.tests.astype(np.float64)})
