"""Near misses: rejected strategies that one flag would have let through, the smallest change first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.model import Strategy
from dask_validator.rules.costs import Doubles
from dask_validator.rules.gates import GATES, OF_ROWS, OF_UNIVERSE, PHASES, Terms
from dask_validator.rules.jsonl import walked_of
from dask_validator.rules.judging import why
from dask_validator.rules.remedies import Remedy, screening_remedy, thresholds_remedy, walkforward_remedy
from dask_validator.rules.screening import Market, screen
from dask_validator.rules.verdicts import Verdicts

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
    rejected: Iterable[Sequence[Strategy]], config: RunConfig, market: Market
) -> dict[int, list[Miss]]:
    """The nearest misses of phases 1-5, nearest first, equally near ones by expectancy; one more than is shown."""
    nearest: dict[int, Smallest[Miss]] = {phase: Smallest(MOST_MISSES + 1) for phase in range(1, 6)}
    terms = market.terms(config)
    for rows in rejected:
        screened = screen(rows, terms, market, all_years=True)
        fails_one, bounds = _single_failures(screened.observed, terms)
        fails_one[list(screened.unusable)] = False
        for i in sorted(np.flatnonzero(fails_one).tolist(), key=bounds.__getitem__):
            of_phase = nearest.get(GATES[screened.gate[i]].phase)
            if of_phase is None:  # eras, which all others come after
                continue
            if of_phase.bound is not None and bounds[i] > of_phase.bound[0]:
                continue
            remedy = screening_remedy(rows[i], config, market)
            if len(remedy.changes) == 1 and remedy.helps:
                key = (distance(remedy, config), -(rows[i].expectancy_r or 0.0), rows[i].strategy_id)
                texts = screened.texts(i, config)
                why_not = why(int(screened.gate[i]), screened.observed[i], terms, texts)
                of_phase.add(key, Miss(rows[i].strategy_id, why_not, remedy))
    return {phase: found.items() for phase, found in nearest.items()}


def evidence_misses(verdicts: Verdicts) -> list[Miss]:
    """The nearest ones of phase 7; one more than is shown."""
    found: Smallest[Miss] = Smallest(MOST_MISSES + 1)
    terms = verdicts.terms
    for i in np.flatnonzero(np.isin(verdicts.gate, OF_UNIVERSE)).tolist():
        remedy = thresholds_remedy(verdicts.observed[i], terms, OF_UNIVERSE)
        if len(remedy.changes) == 1 and remedy.helps:
            key = (distance(remedy, terms.config), verdicts.ids[i])
            found.add(key, Miss(verdicts.ids[i], verdicts.reasons[i], remedy))
    return found.items()


def _single_failures(observed: Doubles, terms: Terms) -> tuple[NDArray[np.bool_], list[float]]:
    """Which rows fail in one phase alone, and a bound of their distance that is cheaper than the remedy."""
    failing = np.zeros((len(observed), max(PHASES) + 1), dtype=np.bool_)
    bounds = np.zeros(len(observed))
    for position in OF_ROWS:
        gate, threshold = GATES[position], GATES[position].threshold(terms)
        if threshold is None:
            continue
        fails = ~gate.holds(observed[:, position], threshold)
        failing[fails, gate.phase] = True
        if gate.name == "negative_years":  # as many are excluded, or more
            bounds[fails] = observed[fails, position]
        elif gate.column is not None and threshold:
            bounds[fails] = np.nan_to_num(np.abs(observed[fails, position] - threshold) / abs(threshold), nan=np.inf)
    return failing.sum(axis=1) == 1, bounds.tolist()


def add_walkforward_miss(misses: Smallest[Miss], record: Mapping[str, Any], config: RunConfig) -> None:
    """Add the strategy of a JSONL line that failed phase 6, if a single flag would have let it through."""
    now = config.wf_min_trades
    if record.get("params", {}).get("min_trades_per_window", now) != now:  # of a small sample, which has its own flags
        return
    remedy = walkforward_remedy(walked_of(record), config)
    if len(remedy.changes) == 1 and remedy.helps:
        key = (distance(remedy, config), -record["agg_oos_exp_r"], record["strategy_id"])
        misses.add(key, Miss(record["strategy_id"], str(record["rejection_reason"]), remedy))
