"""What a round trip costs, per instrument (rules.md, sections 2 and 7)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class Costs(NamedTuple):
    """Contract and friction of one instrument; dollars per round trip, tick size in points."""

    point_value: float
    commission_rt: float
    spread_doubled: float
    slippage: float
    tick_size: float
    min_ticks_floor: float

    def risk_dollars(self, risk_points: Doubles) -> Doubles:
        """Dollars at risk in one trade, never below the floor of `min_ticks_floor` ticks."""
        return np.maximum(risk_points * self.point_value, self.min_ticks_floor * self.tick_size * self.point_value)

    @property
    def friction(self) -> float:
        """Dollars that a round trip costs, added in the order of the rules."""
        return self.commission_rt + self.spread_doubled + self.slippage

    def extra_friction(self, multiplier: float) -> float:
        """Dollars that a round trip costs more when each cost is multiplied."""
        stressed = self.commission_rt * multiplier + self.spread_doubled * multiplier + self.slippage * multiplier
        return stressed - self.friction


KNOWN_COSTS = {
    "MGC": Costs(10, 2.40, 2.00, 4.00, 0.10, 10),
    "MNQ": Costs(2, 1.24, 0.50, 1.00, 0.25, 10),
    "MES": Costs(5, 1.24, 1.25, 1.25, 0.25, 10),
    "MCL": Costs(100, 1.24, 2.00, 2.00, 0.01, 10),
    "SIL": Costs(1000, 1.24, 10.00, 10.00, 0.005, 10),
    "M6E": Costs(12500, 1.24, 1.25, 1.25, 0.00005, 10),
    "M2K": Costs(5, 1.24, 1.00, 1.00, 0.10, 10),
}


# Of imported trades alone, whose costs stand beside their results; strategies of the users' own are judged by none.
NO_COSTS = Costs(1, 0, 0, 0, 1, 1)


class Friction(NamedTuple):
    """What a round trip of each strategy costs; columns of shape (n_strategies,), one of them NaN."""

    risk_dollars: Doubles  # at risk in one trade, of the users' own strategies
    mean_cost: Doubles  # in the unit of the results, of imported trades; NaN where none is given

    @property
    def imported(self) -> NDArray[np.bool_]:
        """Whose trades were imported."""
        return np.isnan(self.risk_dollars)

    def of(self, rows: NDArray[np.int64]) -> Friction:
        """The strategies at these positions."""
        return Friction(self.risk_dollars[rows], self.mean_cost[rows])

    def extra(self, costs: Costs, multiplier: float, trades: NDArray[Any] | int = 1) -> Doubles:
        """What so many trades cost more when each cost is multiplied, in the unit of the results; NaN: nobody knows."""
        with np.errstate(over="ignore"):
            own = trades * costs.extra_friction(multiplier) / self.risk_dollars
            return np.where(self.imported, trades * ((multiplier - 1) * self.mean_cost), own)


def risk_dollars(median_risk_points: Doubles, avg_risk_points: Doubles, costs: Costs) -> Doubles:
    """Dollars at risk: of the two risks the first, in points, that is known and positive, else the floor."""
    floor = costs.min_ticks_floor * costs.tick_size
    with np.errstate(invalid="ignore", over="ignore"):
        average = np.where(avg_risk_points > 0, avg_risk_points, floor)
        return costs.risk_dollars(np.where(median_risk_points > 0, median_risk_points, average))
