"""Near misses: rejected strategies that one flag would have let through, the smallest change first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Gate, Strategy
from dask_validator.rules.costs import Costs
from dask_validator.rules.notes import reason
from dask_validator.rules.remedies import Remedy, screening_remedy, walkforward_remedy
from dask_validator.rules.screening import screen

MOST_MISSES = 10  # a phase

Item = TypeVar("Item")


class Smallest(Generic[Item]):
    """The few items with the smallest keys of however many are added."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[Any, Item]] = []
        self.bound: Any = None  # keys from here on need not be added; None: any key may belong to the smallest

    def add(self, key: Any, item: Item) -> None:
        """Keep the item if its key is among the smallest; equal keys are not told apart by their items."""
        if self.bound is not None and not key < self.bound:
            return
        self._kept.append((key, item))
        if len(self._kept) >= 2 * self._most:
            self._prune()

    def _prune(self) -> None:
        self._kept.sort(key=lambda kept: kept[0])
        del self._kept[self._most :]
        if len(self._kept) == self._most:
            self.bound = self._kept[-1][0]

    def items(self) -> list[Item]:
        """In order of their keys."""
        self._prune()
        return [item for _, item in self._kept]


class Miss(NamedTuple):
    """A rejected strategy that one flag would have let through."""

    strategy_id: str
    why: str
    remedy: Remedy


def distance(remedy: Remedy, config: RunConfig) -> float:
    """How far the one flag of a remedy is from what it was, relative to that; added or dropped years count one each."""
    [(name, value)] = remedy.changes.items()
    before = getattr(config, name)
    if isinstance(value, tuple):
        return float(len(set(value) ^ set(before)))
    if value is None or before is None:
        return math.inf
    return abs(value - before) / abs(before) if before else float(abs(value))


def screening_misses(
    rejected: Iterable[Strategy], config: RunConfig, costs: Costs, atr_by_year: Mapping[int, float]
) -> dict[int, list[Miss]]:
    """The nearest misses of phases 1-5, nearest first, equally near ones by expectancy; one more than is shown."""
    nearest: dict[int, Smallest[Miss]] = {phase: Smallest(MOST_MISSES + 1) for phase in range(1, 6)}
    for strategy in rejected:
        try:
            gate = screen(strategy, config.screen_rules, costs, atr_by_year).rejected_by
            if gate is None or gate.name == "expectancy_r":  # which has no flag
                continue
            of_phase = nearest[gate.phase]
            if of_phase.bound is not None and _at_least(gate) > of_phase.bound[0]:
                continue
            remedy = screening_remedy(strategy, config, costs, atr_by_year)
        except UnusableStrategy:
            continue
        if len(remedy.changes) == 1 and remedy.helps:
            key = (distance(remedy, config), -(strategy.expectancy_r or 0.0), strategy.strategy_id)
            of_phase.add(key, Miss(strategy.strategy_id, reason(gate), remedy))
    return {phase: found.items() for phase, found in nearest.items()}


def _at_least(gate: Gate) -> float:
    """A bound of the distance that is cheaper than the remedy: as many years are excluded as are negative."""
    return float(gate.observed) if gate.name == "negative_years" and isinstance(gate.observed, int) else 0.0


def add_walkforward_miss(misses: Smallest[Miss], record: Mapping[str, Any], config: RunConfig) -> None:
    """Add the strategy of a JSONL line that failed phase 6, if a single flag would have let it through."""
    remedy = walkforward_remedy([(w["test_n"], w["test_exp_r"]) for w in record["windows"]], config)
    if len(remedy.changes) == 1 and remedy.helps:
        key = (distance(remedy, config), -record["agg_oos_exp_r"], record["strategy_id"])
        misses.add(key, Miss(record["strategy_id"], str(record["rejection_reason"]), remedy))
