"""Strategies in the data: whether the gates of the worlds say what the run says, and how strong each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.rules.costs import Friction
from dask_validator.rules.gates import Terms
from dask_validator.universe import deviates
from dask_validator.universe.calendars import Observed
from dask_validator.universe.gates import Circumstances, passing
from dask_validator.universe.luck import REJECTABLE, hansen_threshold
from dask_validator.universe.payoffs import UNITS

CLOSE_R = 0.001  # between the mean of the trades and the stored expectancy
NULLS = ("u", "c", "l")  # every strategy breaks even; sure losers lose as they do; all losers do
MOST_CANDIDATES = 20_000  # whose deviates are kept world by world


class Rows(NamedTuple):
    """What the rows of strategies say; columns of shape (n_strategies,), NaN where unknown."""

    sample_size: NDArray[np.float64]
    expectancy_r: NDArray[np.float64]
    sharpe_ratio: NDArray[np.float64]
    win_rate: NDArray[np.float64]
    max_drawdown_r: NDArray[np.float64]
    risk_dollars: NDArray[np.float64]  # as `rules.costs.Friction` has them
    mean_cost: NDArray[np.float64]

    @property
    def friction(self) -> Friction:
        """What a round trip costs."""
        return Friction(self.risk_dollars, self.mean_cost)

    def of(self, rows: NDArray[np.int64]) -> Rows:
        """The strategies at these positions."""
        return Rows(*(column[rows] for column in self))


def follow(observed: Observed, rows: Rows) -> NDArray[np.bool_]:
    """Whether the stored numbers follow from outcomes and filter, shape (n_strategies,)."""
    trades = observed.calendar.trades
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = observed.sums.total[:, 0] / (trades * float(UNITS))
        close = np.abs(mean - rows.expectancy_r) <= CLOSE_R
    found: NDArray[np.bool_] = (trades > 0) & (trades == rows.sample_size) & close
    return found


def passing_in_data(
    observed: Observed, rows: Rows, settings: Sequence[Terms], beside: Circumstances
) -> NDArray[np.bool_]:
    """Who passes the gates of the worlds, in the data, shape (n_settings, n_strategies)."""
    moments = {"sharpe_ratio": rows.sharpe_ratio[:, None], "win_rate": rows.win_rate[:, None]}
    return np.array(
        [passing(observed.calendar, observed.sums, terms, beside, moments)[:, 0] for terms in settings]
    ).reshape(len(settings), len(observed.ids))


class Evidence(NamedTuple):
    """How far each mean is from zero; columns of shape (n_strategies,)."""

    z: NDArray[np.float64]  # NaN below the least sample, or without variance
    mus: NDArray[np.float64]  # by null, units that a trade pays, never above zero, shape (n_nulls, n_strategies)
    shifts: NDArray[np.float64]  # by null, of the deviate, shape (n_nulls, n_strategies)
    candidates: NDArray[np.bool_]  # that a step-down could reject


def evidence(observed: Observed, min_sample: int) -> Evidence:
    """Deviates of the data, and what the nulls c and l (Hansen 2005) take from them."""
    trades, total = observed.calendar.trades, observed.sums.total[:, 0]
    spread = deviates.variance(total, observed.squares / deviates.SQUARED, trades)
    t = deviates.student(total, spread, trades)
    z = np.where(trades >= min_sample, deviates.normal(t, trades), np.nan)
    mean = np.minimum(0.0, total / trades)
    sure = hansen_threshold(trades)
    nothing, below = np.zeros(len(trades)), np.nan_to_num(np.minimum(z, 0.0))
    mus = np.array([nothing, np.where(t <= sure, mean, 0.0), mean])
    shifts = np.array([nothing, np.where(z <= sure, below, 0.0), below])
    return Evidence(z, mus, shifts, _candidates(z))


def stitched(observed: Observed, config: RunConfig) -> NDArray[np.float64]:
    """Deviates of the trades of valid test windows alone, shape (n_strategies,); NaN without variance.

    They are no evidence beside `z`: the strategies were chosen on these windows too.
    """
    windows, count = observed.calendar.windows, len(observed.ids)
    if config.no_walkforward:
        return np.full(count, np.nan)
    valid = windows.trades >= config.wf_min_trades
    trades = windows.per_strategy(windows.trades * valid, count)
    total = windows.per_strategy(observed.sums.windows * valid[:, None], count)[:, 0]
    squares = windows.per_strategy((observed.window_squares * valid)[:, None], count)[:, 0]
    spread = deviates.variance(total, squares / deviates.SQUARED, trades)
    z: NDArray[np.float64] = deviates.normal(deviates.student(total, spread, trades), trades)
    return z


def _candidates(z: NDArray[np.float64]) -> NDArray[np.bool_]:
    chosen = np.flatnonzero(z > REJECTABLE)
    strongest = chosen[np.argsort(-z[chosen], kind="stable")][:MOST_CANDIDATES]
    found = np.zeros(z.size, dtype=np.bool_)
    found[strongest] = True
    return found
