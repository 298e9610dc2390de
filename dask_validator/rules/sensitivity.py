"""Which promotions hang by a thread: how many fall, and how many more there are, when one threshold moves.

All of it is read off what a run has seen. On the tighter side that is exact: whatever is promoted has been looked at by
every gate. On the laxer side it is a lower bound: where a strategy was rejected early, nobody knows what later gates
would have seen, and those are counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import OF_SMALL_SAMPLES, BadValue, RunConfig
from dask_validator.model import Status, Walked
from dask_validator.rules.counting import CODE
from dask_validator.rules.gates import GATES, HELD, OF_HOLDOUT, OF_ROWS, OF_UNIVERSE, OF_WINDOWS, POSITION, Gate, Terms
from dask_validator.rules.judging import first_failing
from dask_validator.rules.verdicts import Verdicts
from dask_validator.rules.window_gates import observe

MOVE = 0.1  # of a threshold
LEAST = 0.01  # also of zero, to see whether a flag is a threshold at all
STEPS = range(-5, 6)  # of a curve, in tenths of the threshold
# What is NaN also where an earlier gate has rejected, and nobody has looked.
_SEEN_LATER = [i for i, gate in enumerate(GATES) if not (gate.column or gate.of_others or gate.unknown_holds)]


class Point(NamedTuple):
    """One value of a flag."""

    value: float
    promoted: int  # strategies that hold against all gates, as far as these have seen them
    unseen: int  # further ones that no gate is known to reject: windows or years of theirs were not looked at


class Sensitivity(NamedTuple):
    """One flag that moves thresholds, all others being as they are.

    Attributes
    ----------
    flag
        Field of RunConfig.
    gates
        Names of the gates that it moves.
    value, tightened
        As it is, and a tenth tighter (whole numbers: the next one beyond); None where no tighter value is different or
        possible, as with 10 % of zero or a share of 1.
    fallen
        Positions of the promoted strategies that fall when it is tightened, ascending.
    curve
        By value, ascending, from half of it to half as much again.
    """

    flag: str
    gates: tuple[str, ...]
    value: float
    tightened: float | None
    fallen: NDArray[np.int64]
    curve: tuple[Point, ...]


def sensitivities(verdicts: Verdicts) -> list[Sensitivity]:
    """Each flag that is a threshold, by how many promotions fall when it is a tenth tighter, the most first.

    Left out are flags that decide which years or holdouts count: that takes the data; and gates that judged nobody, as
    that of stressed costs where trades came without costs. A strategy that would be promoted may lack what a setup
    needs.
    """
    seen = _Seen.of(verdicts)
    found = (_sensitivity(seen, name, gates) for name, gates in _flags(seen).items())
    return sorted((one for one in found if one is not None), key=lambda one: -one.fallen.size)


def _flags(seen: _Seen) -> dict[str, list[Gate]]:
    """By flag, the gates that have judged and name it; those of small samples where there are some with their own."""
    terms, gates_of = seen.terms, dict[str, list[Gate]]()
    for gate in seen.gates_that_judged():
        for name in gate.flags:
            gates_of.setdefault(name, []).append(gate)
    small_ones = seen.observed[seen.judged, POSITION["sample_size"]] < (terms.config.small_sample or 0)
    own = {small for small in OF_SMALL_SAMPLES.values() if small_ones.any() and _value(small, [], terms)}
    return gates_of | {
        small: gates_of[plain] for plain, small in OF_SMALL_SAMPLES.items() if small in own and plain in gates_of
    }


def _value(name: str, gates: Sequence[Gate], terms: Terms) -> float | None:
    """Of a flag that is a number; the threshold itself where the flag has no value of its own."""
    value = getattr(terms.config, name)
    if value is None and gates:
        value = gates[0].threshold(terms)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sensitivity(seen: _Seen, name: str, gates: Sequence[Gate]) -> Sensitivity | None:
    """None where the flag moves nothing that is known here."""
    value = _value(name, gates, seen.terms)
    if value is None:
        return None
    tightened = _beyond(value, MOVE if gates[0].comparison in (">=", ">") else -MOVE)
    points = sorted({tightened, *(_beyond(value, MOVE * step) for step in STEPS)})
    possible = {at: terms for at in points if (terms := _moved(seen.terms, name, at)) is not None}
    step = 1 if isinstance(value, int) else LEAST
    next_ones = (_moved(seen.terms, name, value + way) for way in (step, -step))
    if not any(terms is not None and seen.is_moved(terms) for terms in next_ones):
        return None
    rows = seen.held_elsewhere({POSITION[gate.name] for gate in gates})
    there = seen.only(rows)
    can_tighten = tightened != value and tightened in possible
    fallen = there.promoted & ~there.holding(possible[tightened]) if can_tighten else np.zeros_like(there.promoted)
    return Sensitivity(
        name,
        tuple(gate.name for gate in gates),
        value,
        tightened if can_tighten else None,
        rows[fallen],
        tuple(there.point(at, terms) for at, terms in possible.items()),
    )


def _beyond(value: float, share: float) -> float:
    """The value moved by a share of it; whole numbers to the next one beyond."""
    moved = round(value + abs(value) * share, 10)
    if isinstance(value, int):
        return math.ceil(moved) if share > 0 else math.floor(moved)
    return moved


def _moved(terms: Terms, name: str, value: float) -> Terms | None:
    """None for a value that no run could use."""
    try:
        changes: dict[str, Any] = {name: value}
        return terms._replace(config=replace(terms.config, **changes))
    except BadValue:
        return None


class _Seen(NamedTuple):
    """What a run has seen and decided."""

    terms: Terms
    observed: NDArray[np.float64]
    walked: Mapping[int, Walked]
    promoted: NDArray[np.bool_]
    judged: NDArray[np.bool_]  # promoted or rejected
    half_seen: NDArray[np.bool_]  # rejected before all gates have looked
    positions: Sequence[int]  # of the gates that judge

    @classmethod
    def of(cls, verdicts: Verdicts) -> _Seen:
        """The run of these verdicts."""
        windows = [] if verdicts.terms.config.no_walkforward else OF_WINDOWS
        promoted = verdicts.status == CODE[Status.PASSED]
        last = [POSITION[name] for name in ("yearly_data", *(["windows"] if windows else []))]
        return cls(
            verdicts.terms,
            verdicts.observed,
            dict(verdicts.windowed()),
            promoted,
            promoted | (verdicts.status == CODE[Status.REJECTED]),
            np.asarray(np.isnan(verdicts.observed[:, last]).any(axis=1)),
            [*OF_ROWS, *OF_HOLDOUT, *windows, *OF_UNIVERSE],
        )

    def gates_that_judged(self) -> list[Gate]:
        """Those that are on, and knew what they look at of anybody."""
        known = set(np.flatnonzero((~np.isnan(self.observed[self.judged])).any(axis=0)).tolist())
        return [gate for i, gate in enumerate(GATES) if i in known and gate.threshold(self.terms) is not None]

    def is_moved(self, terms: Terms) -> bool:
        """Whether other terms change anything: a threshold, or what gates see."""
        thresholds = {tuple(gate.threshold(of) for gate in GATES) for of in (self.terms, terms)}
        return len(thresholds) > 1 or self._under(terms) is not self.observed

    def held_elsewhere(self, moved: Set[int]) -> NDArray[np.int64]:
        """Positions of those that no gate but these is known to reject: what moves these changes nothing of others."""
        return np.flatnonzero(self.judged & ~self._failing(self.terms, self.observed, but=moved))

    def only(self, rows: NDArray[np.int64]) -> _Seen:
        """Some of them."""
        return self._replace(
            observed=np.asfortranarray(self.observed[rows]),  # judging goes by columns
            walked={new: self.walked[old] for new, old in enumerate(rows.tolist()) if old in self.walked},
            promoted=self.promoted[rows],
            judged=self.judged[rows],
            half_seen=self.half_seen[rows],
        )

    def holding(self, terms: Terms) -> NDArray[np.bool_]:
        """Who holds against all gates, shape (n,)."""
        return self._holding(terms, self._under(terms))

    def _holding(self, terms: Terms, observed: NDArray[np.float64]) -> NDArray[np.bool_]:
        holding: NDArray[np.bool_] = first_failing(observed, terms, self.positions) == HELD
        return self.judged & holding

    def point(self, value: float, terms: Terms) -> Point:
        """Promotions under other terms."""
        observed = self._under(terms)
        holding, failing = self._holding(terms, observed), self._failing(terms, observed)
        unseen = self.judged & self.half_seen & ~failing & ~holding
        return Point(value, int(holding.sum()), int(unseen.sum()))

    def _failing(self, terms: Terms, observed: NDArray[np.float64], but: Set[int] = frozenset()) -> NDArray[np.bool_]:
        """Whom a gate is known to reject, be it that later ones have not looked."""
        failing = np.zeros(len(observed), dtype=np.bool_)
        for position in self.positions:
            if position not in but:
                fails = first_failing(observed, terms, [position]) != HELD
                unseen = self.half_seen & np.isnan(observed[:, position]) & (position in _SEEN_LATER)
                failing |= fails & ~unseen
        return failing

    def _under(self, terms: Terms) -> NDArray[np.float64]:
        """What gates see under other terms: the same, but for valid windows and stress."""
        was, config = self.terms.config, terms.config
        multipliers = was.stress_multiplier, config.stress_multiplier
        restressed = multipliers[0] != multipliers[1] and multipliers[0] != 1
        rewindowed = _least(was) != _least(config)
        if not (restressed or rewindowed):
            return self.observed
        observed = self.observed.copy(order="F")
        if rewindowed:
            observe(list(self.walked.values()), config, observed, list(self.walked))
        if restressed:
            stressed, expectancy = (POSITION[name] for name in ("stressed_expectancy_r", "expectancy_r"))
            extra = observed[:, expectancy] - observed[:, stressed]
            observed[:, stressed] = observed[:, expectancy] - extra * (multipliers[1] - 1) / (multipliers[0] - 1)
        return observed


def _least(config: RunConfig) -> tuple[int, int]:
    return config.window_trades, config.of_small_samples.window_trades
