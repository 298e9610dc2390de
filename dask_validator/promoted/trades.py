"""The trades of one strategy, as a run counts them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import WindowRules
from dask_validator.model import NOWHERE, OTHER, Outcomes, Walked
from dask_validator.rules.walkforward import membership, walkforwards


class Trades(NamedTuple):
    """The outcomes that a strategy takes, in day order; of one day, in the order in which they are added up.

    Attributes
    ----------
    outcomes
        Those that it takes, n of them.
    rows
        Their positions among the outcomes of its key, shape (n,).
    window
        The test window that counts each, from 0, or NOWHERE, shape (n,): a scratch counts in none.
    walked
        What walk-forward makes of them.
    """

    outcomes: Outcomes
    rows: NDArray[np.int64]
    window: NDArray[np.int64]
    walked: Walked

    @property
    def counted(self) -> Outcomes:
        """Wins and losses: the others count nowhere."""
        return self.outcomes.where(self.outcomes.code != OTHER)

    @property
    def cumulative(self) -> NDArray[np.float64]:
        """The sum of wins and losses until each outcome, it included, shape (n,)."""
        return np.cumsum(np.where(self.outcomes.code != OTHER, self.outcomes.pnl_r, 0.0))


def trades_of(outcomes: Outcomes, taken: NDArray[np.bool_], rules: WindowRules, *, windows: bool = True) -> Trades:
    """Those of the outcomes that the mask of shape (n_outcomes,) takes, with or without test windows.

    Raises
    ------
    UnusableStrategy
        An outcome that cannot be used.
    """
    own = outcomes.where(taken)
    [walked] = walkforwards([own], rules)
    window = membership(own, rules) if windows else np.full(own.days.size, NOWHERE)
    return Trades(own, np.flatnonzero(taken), window, walked)
