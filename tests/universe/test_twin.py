"""The fast worlds against the slow twin, on generated universes: every strategy, gate, null and world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.rules.gates import Terms
from dask_validator.universe import cells, simulation, worlds
from dask_validator.universe.calendars import Observed, joined
from dask_validator.universe.cells import Cut, Taken, cut
from dask_validator.universe.evidence import Evidence, Rows, evidence, passing_in_data
from dask_validator.universe.gates import Circumstances, dormant_years
from dask_validator.universe.payoffs import Payoffs, payoffs
from dask_validator.universe.simulation import Simulation, draws
from dask_validator.universe.worlds import Design
from dask_validator.work.observing import observed
from tests.reference import null_worlds as twin
from tests.rules.strategies import as_outcomes
from tests.universe.universes import LARGE, LEAST_POOL, Case, cases

AT_ONCE = 3  # worlds, so that four of them are two lots


@pytest.fixture(autouse=True, scope="module")
def _short_eras() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "LEAST_POOL", LEAST_POOL)
        yield


class OfKey(NamedTuple):
    """One key as the package has it."""

    own: slice  # its strategies
    cut: Cut
    paid: Payoffs


class Fast:
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
            assert paid is not None
            of_key = slice(first, first + len(own))
            yield OfKey(of_key, cut(outcomes, self.days, taken, case.settings[0].window_rules), paid)
            first += len(own)

    def circumstances(self, own: slice = slice(None)) -> Circumstances:
        """Of some of the strategies."""
        return Circumstances(KNOWN_COSTS["MGC"], self.risk_dollars[own], self.dormant)

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


def days_of(days: object) -> NDArray[np.int32]:
    """Days since 1970."""
    return np.array(days, dtype="datetime64[D]").astype(np.int32)


def mask_of(days: NDArray[np.int32], taken: object) -> NDArray[np.bool_]:
    """A filter admits whole days."""
    return np.isin(days, days_of([day for day, _, _ in taken]))  # type: ignore[attr-defined]


def slow(case: Case) -> list[list[twin.InWorld]]:
    """The twin's worlds, from the twin's nulls."""
    universe, settings = case.universe, [twin.as_settings(config) for config in case.settings]
    found = [twin.evidence(of, universe.keys[of.key], case.settings[0].min_sample) for of in universe.traders]
    return twin.every_world(universe, settings, case.worlds, [of.mus for of in found], LEAST_POOL)


@given(cases())
def test_every_gate_in_every_world(case: Case) -> None:
    """Whoever passes a world passes the twin's, for each setting and each null, and nobody else does."""
    fast = Fast(case)
    passed, _ = fast.worlds()

    expected = np.array([[strategy.passed for strategy in world] for world in slow(case)])
    assert np.array_equal(passed, expected.transpose(2, 3, 1, 0))


@given(cases())
def test_every_deviate_in_every_world(case: Case) -> None:
    """Deviates are those of the twin, to the last digit but one that float32 has."""
    fast = Fast(case)
    _, z = fast.worlds()

    expected = np.array([[strategy.z for strategy in world] for world in slow(case)]).T.astype(np.float32)
    assert np.array_equal(np.isfinite(z), np.isfinite(expected))
    known = np.isfinite(z)
    assert (np.abs(z[known] - expected[known]) <= np.spacing(np.abs(expected[known]))).all()


@given(cases())
def test_the_data(case: Case) -> None:
    """The same gates on the data, and what the nulls make of each strategy, are those of the twin."""
    fast, universe = Fast(case), case.universe
    columns = dict.fromkeys(Rows._fields, np.full(len(case.stored), np.nan))
    for name in ("sharpe_ratio", "win_rate"):
        columns[name] = np.array([getattr(of, name) for of in case.stored], dtype=np.float64)
    passed = passing_in_data(fast.observed, Rows(**columns), fast.terms, fast.circumstances())

    settings = [twin.as_settings(config) for config in case.settings]
    for own, (trader, stored) in enumerate(zip(universe.traders, case.stored, strict=True)):
        assert passed[:, own].tolist() == [twin.in_data(trader, stored, flags, universe) for flags in settings]
        expected = twin.evidence(trader, universe.keys[trader.key], case.settings[0].min_sample)
        z = fast.evidence.z[own]
        assert (None if np.isnan(z) else z) == (expected.z and pytest.approx(expected.z, rel=1e-12))
        assert fast.evidence.mus[:, own].tolist() == list(expected.mus)
        assert fast.evidence.shifts[:, own].tolist() == pytest.approx(list(expected.shifts), rel=1e-12)
        assert fast.evidence.candidates[own] == (expected.z is not None and expected.z > 1.645)
