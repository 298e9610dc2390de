"""Phases 1-5 under many settings at once: what gates see is found once for all settings under which they see the same.

Only who is let through is asked: gates need no order and no words.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.model import Strategy
from dask_validator.rules.candidates import refused
from dask_validator.rules.gates import GATES, HELD, OF_ROWS, POSITION, Terms
from dask_validator.rules.judging import first_failing
from dask_validator.rules.screening import (
    Market,
    friction_of,
    means_of,
    observe_years,
    of_rows,
    read_eras,
    read_years,
    stressed,
)

_ERA, _STRESSED = POSITION["era_exp_r"], POSITION["stressed_expectancy_r"]
_OF_YEARS = [position for position in OF_ROWS if GATES[position].phase == 3]
_OF_OTHERS = [position for position in OF_ROWS if position not in _OF_YEARS]


class Let(NamedTuple):
    """Strategies that one setting at least lets through.

    Attributes
    ----------
    observed
        What gates see of their rows under any setting, shape (n_strategies, n_gates).
    through
        Whether each setting lets each of them through, shape (n_settings, n_strategies).
    """

    rows: Sequence[Strategy]
    observed: NDArray[np.float64]
    through: NDArray[np.bool_]

    def only(self, which: NDArray[np.bool_]) -> Self:
        """Some of them; shape (n_strategies,)."""
        rows = [self.rows[i] for i in np.flatnonzero(which).tolist()]
        return self._replace(rows=rows, observed=self.observed[which], through=self.through[:, which])

    def under(self, settings: Sequence[int]) -> tuple[Self, NDArray[np.int64]]:
        """Those that one of these settings lets through, and where they stand."""
        chosen = self._replace(through=self.through[list(settings)])
        return chosen.by_any(), np.flatnonzero(chosen.through.any(axis=0))

    def by_any(self) -> Self:
        """Those that some setting lets through."""
        return self.only(np.asarray(self.through.any(axis=0)))


def joined(parts: Sequence[Let]) -> Let:
    """All of them."""
    rows = [row for part in parts for row in part.rows]
    return Let(
        rows,
        np.concatenate([part.observed for part in parts]),
        np.concatenate([part.through for part in parts], axis=1),
    )


def let_through(rows: Sequence[Strategy], settings: Sequence[RunConfig], market: Market) -> Let:
    """Of these rows those that phases 1-5 let through, and that can be judged at all."""
    rows = [row for row in rows if row.is_canonical is not False and refused(row, market) is None]
    terms = [market.terms(config) for config in settings]
    every = Let(rows, of_rows(rows), np.empty((len(settings), len(rows)), dtype=np.bool_))
    _judge_rows(every, terms, market)
    left = every.by_any()  # to read years takes longer than all else
    _judge_years(left, terms, market)
    return left.by_any()


def _judge_rows(let: Let, terms: Sequence[Terms], market: Market) -> None:
    """By all but their years."""
    means, friction, observed = means_of(let.rows), friction_of(let.rows, market.costs), let.observed.copy()
    for of_era in grouped(terms, _era_key):
        eras = read_eras(let.rows, terms[of_era[0]].config)
        observed[:, _ERA] = np.nan
        observed[list(eras), _ERA] = [era.exp_r for era in eras.values()]
        for of_stress in grouped(terms, lambda of: of.config.stress_multiplier, of_era):
            multiplier = terms[of_stress[0]].config.stress_multiplier
            observed[:, _STRESSED] = stressed(means, friction, market.costs, multiplier)
            for i in of_stress:
                let.through[i] = first_failing(observed, terms[i], _OF_OTHERS) == HELD


def _judge_years(let: Let, terms: Sequence[Terms], market: Market) -> None:
    """Also by these; who has none that can be read is not let through."""
    for of_years in grouped(terms, _years_key):
        observed, readable = let.observed.copy(), np.ones(len(let.rows), dtype=np.bool_)
        years, unusable = read_years(let.rows, observed, range(len(let.rows)), terms[of_years[0]], market)
        observe_years(observed, years)
        readable[list(unusable)] = False
        for i in of_years:
            let.through[i] &= readable & (first_failing(observed, terms[i], _OF_YEARS) == HELD)


def _era_key(terms: Terms) -> Hashable:
    config = terms.config
    return config.era_starts, config.era_min_trades, config.wf_first_day


def _years_key(terms: Terms) -> Hashable:
    config = terms.config
    trades = config.min_trades_per_year, config.small_sample, config.small_min_trades_per_year
    return terms.waives, config.exclude_years, trades


def grouped(
    terms: Sequence[Terms], key: Callable[[Terms], Hashable], among: Sequence[int] | None = None
) -> list[list[int]]:
    """Positions of those with the same key, together; of all, or among some."""
    found: dict[Hashable, list[int]] = {}
    for i in range(len(terms)) if among is None else among:
        found.setdefault(key(terms[i]), []).append(i)
    return list(found.values())
