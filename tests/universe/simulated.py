"""Generated universes as the package has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.rules.costs import KNOWN_COSTS, Friction
from dask_validator.rules.gates import Terms
from dask_validator.universe.calendars import Observed, joined
from dask_validator.universe.cells import Cut, Taken, cut
from dask_validator.universe.evidence import Evidence, evidence
from dask_validator.universe.gates import Circumstances, dormant_years
from dask_validator.universe.payoffs import Payoffs, payoffs
from dask_validator.universe.simulation import Simulation, draws
from dask_validator.universe.worlds import Design
from dask_validator.work.observing import observed
from tests.reference.walkforward import Outcome
from tests.rules.strategies import as_outcomes
from tests.universe.universes import Case

AT_ONCE = 3  # worlds, so that four of them are two lots


class OfKey(NamedTuple):
    """One key as the package has it."""

    own: slice  # its strategies
    cut: Cut
    paid: Payoffs


class Simulated:
    """A case as the package has it."""

    def __init__(self, case: Case) -> None:
        universe = case.universe
        waives = bool(universe.atr_by_year)
        self.days = days_of(universe.days)
        self.design = Design(case.worlds.count, case.worlds.block_days, case.worlds.seed)
        self.terms = [Terms(config, waives and not config.no_regime_waivers) for config in case.settings]
        self.risk_dollars = np.array([trader.risk_dollars for trader in universe.traders])
        self.dormant = dormant_years(universe.atr_by_year)
        self.keys = list(self._keys(case))
        names = [str(number) for number in range(len(universe.traders))]
        self.observed: Observed = joined([observed(names[of.own], of.cut, of.paid) for of in self.keys])
        self.evidence: Evidence = evidence(self.observed, case.settings[0].min_sample)

    def _keys(self, case: Case) -> Iterator[OfKey]:
        first = 0
        for key in sorted({trader.key for trader in case.universe.traders}):
            outcomes = as_outcomes(list(case.universe.keys[key]))
            own = [trader for trader in case.universe.traders if trader.key == key]
            taken = [Taken(mask_of(outcomes.days, of.row), mask_of(outcomes.days, of.walked)) for of in own]
            paid = payoffs(outcomes, self.days)
            of_key = slice(first, first + len(own))
            yield OfKey(of_key, cut(outcomes, self.days, taken, case.settings[0].window_rules), paid)
            first += len(own)

    def circumstances(self, own: slice = slice(None)) -> Circumstances:
        """Of some of the strategies."""
        dollars = self.risk_dollars[own]
        return Circumstances(KNOWN_COSTS["MGC"], Friction(dollars, np.full(dollars.size, np.nan)), self.dormant)

    def worlds(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Who passes, by setting, null, strategy and world; deviates by strategy and world."""
        passed, z = [], []
        for of in self.keys:
            simulated = Simulation(
                of.cut,
                of.paid,
                beside=self.circumstances(of.own),
                settings=self.terms,
                mus=list(self.evidence.mus[:, of.own]),
                with_z=True,
            )
            found = [simulated.worlds(drawn) for drawn in draws(self.design, self.days.size, AT_ONCE)]
            passed.append(np.concatenate([np.array(lot.passed) for lot in found], axis=3))
            z.append(np.concatenate([lot.z for lot in found if lot.z is not None], axis=1))
        return np.concatenate(passed, axis=2), np.concatenate(z)


def days_of(days: Sequence[date]) -> NDArray[np.int32]:
    """Days since 1970."""
    return np.array(days, dtype="datetime64[D]").astype(np.int32)


def mask_of(days: NDArray[np.int32], taken: Sequence[Outcome]) -> NDArray[np.bool_]:
    """A filter admits whole days."""
    return np.isin(days, days_of([day for day, _, _ in taken]))
