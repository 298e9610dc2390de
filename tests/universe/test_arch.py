"""Another library's tests of many means at once, on dense panels: every strategy trades every day."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap, StepM
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.model import LOSS, WIN, Outcomes
from dask_validator.rules.costs import KNOWN_COSTS, Friction
from dask_validator.rules.screening import Market
from dask_validator.universe import luck
from dask_validator.universe.calendars import joined
from dask_validator.universe.cells import Taken, cut
from dask_validator.universe.evidence import evidence
from dask_validator.universe.gates import Circumstances
from dask_validator.universe.payoffs import payoffs
from dask_validator.universe.simulation import Simulation, draws
from dask_validator.universe.worlds import Design
from dask_validator.work.observing import observed

WORLDS, BLOCK = 1000, 10
NOBODY = np.full(WORLDS, -np.inf, dtype=np.float32)


def published() -> NDArray[np.float64]:
    """Two hundred correlated strategies over 500 days, of which the first five have an edge."""
    rng = np.random.default_rng(7)
    returns = 0.7 * rng.normal(0, 1, (500, 1)) + rng.normal(0, 1, (500, 200))
    returns[:, :5] += 0.25
    return returns


def mixed(edge: float) -> NDArray[np.float64]:
    """Forty strategies over 498 days, too few for a second era: one with an edge, some that lose, most for sure.

    Of equal standard deviation, because theirs does not divide by it.
    """
    rng = np.random.default_rng(11)
    returns = 0.5 * rng.normal(0, 1, (498, 1)) + rng.normal(0, 1, (498, 40))
    returns = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    returns[:, 0] += edge
    returns[:, 10:20] -= 0.05
    returns[:, 20:] -= 0.4
    return returns


def theirs(returns: NDArray[np.float64]) -> list[float]:
    """Their p-values under the nulls u, c and l; losses are what they take."""
    spa = SPA(np.zeros(len(returns)), -returns, reps=WORLDS, block_size=BLOCK, seed=1)
    spa.compute()
    return [float(spa.pvalues[name]) for name in ("upper", "consistent", "lower")]


def their_worlds(returns: NDArray[np.float64]) -> NDArray[np.float32]:
    """The means of their draws less the mean of the data, shape (n_strategies, n_worlds)."""
    drawn = StationaryBootstrap(BLOCK, returns, seed=1).bootstrap(WORLDS)
    return np.array([sample[0].mean(axis=0) - returns.mean(axis=0) for sample, _ in drawn], dtype=np.float32).T


def test_step_down_finds_what_is_published() -> None:
    """Romano and Wolf's step-down, on the draws of another library: four of the five edges, as it says itself."""
    returns = published()
    found, _ = luck.step_down(returns.mean(axis=0), their_worlds(returns), NOBODY)

    stepm = StepM(np.zeros(500), -returns, size=0.05, reps=WORLDS, block_size=BLOCK, seed=1)
    stepm.compute()
    assert np.flatnonzero(found <= 0.05).tolist() == stepm.superior_models == [0, 2, 3, 4]


def test_p_values_of_the_best_on_the_same_draws() -> None:
    """Hansen's three p-values, world by world the same: theirs leave the data out, which count as one world here."""
    returns = mixed(0.1)
    mean, worlds = returns.mean(axis=0), their_worlds(returns)
    sure = mean <= luck.hansen_threshold(np.array([498])) * returns.std(axis=0) / math.sqrt(498)
    shifts = [np.zeros(40), np.where(sure, mean, 0.0), np.minimum(mean, 0.0)]
    maxima = np.array([(worlds + shift[:, None]).max(axis=0) for shift in shifts])

    expected = theirs(returns)
    assert 10 < sure.sum() < 30  # the three nulls differ
    assert len(set(expected)) == 3
    assert luck.best(mean, maxima) == [(1 + round(p * WORLDS)) / (1 + WORLDS) for p in expected]


@pytest.mark.parametrize("edge", [0.08, 0.11])
def test_worlds_say_the_same_of_the_best(edge: float) -> None:
    """Own draws, payoffs in whole units, deviates anew in each world: p-values as theirs, but for the draws.

    Both are shares of a thousand draws; three standard errors of their difference are allowed.
    """
    returns = mixed(edge)

    for ours, p in zip(spa_by_worlds(returns), theirs(returns), strict=True):
        assert 0.02 < p < 0.9
        assert abs(ours - p) < 3 * math.sqrt(2 * p * (1 - p) / WORLDS)


def spa_by_worlds(returns: NDArray[np.float64]) -> list[float]:
    """The p-values of a calibration: every column is a key with one strategy."""
    keys = list(_keys(returns))
    of_data = evidence(joined([sums for sums, _ in keys]), 30)
    maxima = np.full((len(of_data.shifts), WORLDS), -np.inf, dtype=np.float32)
    for drawn in draws(Design(WORLDS, BLOCK, 3), len(returns)):
        z = np.concatenate([simulation.worlds(drawn).z for _, simulation in keys])
        for null, shift in enumerate(of_data.shifts):
            maxima[null, drawn.worlds] = (z + shift[:, None]).max(axis=0)
    return luck.best(of_data.z, maxima)


def _keys(returns: NDArray[np.float64]) -> Iterator[tuple[Any, Simulation]]:
    costs, days = KNOWN_COSTS["MGC"], np.arange(len(returns), dtype=np.int32)
    terms = Market(costs, {}).terms(RunConfig())
    every = np.ones(days.size, dtype=np.bool_)
    for name, pnl_r in enumerate(returns.T):
        outcomes = Outcomes(days, np.where(pnl_r > 0, WIN, LOSS).astype(np.uint8), pnl_r)
        paid = payoffs(outcomes, days)
        of_key = cut(outcomes, days, [Taken(every, every)], terms.config.window_rules)
        beside = Circumstances(costs, Friction(np.array([100.0]), np.array([np.nan])), frozenset())
        yield (
            observed([str(name)], of_key, paid),
            Simulation(of_key, paid, beside=beside, settings=[terms], mus=[np.zeros(1)], with_z=True),
        )
