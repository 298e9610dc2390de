"""Two judgements of the same strategies: whose verdict is another one, which gate decided that, and what has changed.

A gate holds or not by what it sees and by what it needs. Where both have changed, each is put in the place of the other
one: said is what alone would have turned the verdict, and both where only both did. What a gate sees follows from the
strategy's row, its outcomes, the features of the days, the costs, the rules, and of some gates all other strategies: of
these, those are said that differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import fields, replace
from enum import Flag, StrEnum, auto
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import OF_SMALL_SAMPLES, BadValue, RunConfig
from dask_validator.model import Status
from dask_validator.rules.costs import Costs
from dask_validator.rules.counting import CODE
from dask_validator.rules.gate_inputs import (
    EVERYTHING,
    GATED,
    READS_ALL,
    facts_of,
    reads_costs,
    reads_outcomes,
    reads_years,
)
from dask_validator.rules.gates import GATES, HELD, POSITION, Gate, Scope, Terms
from dask_validator.rules.verdicts import Verdicts

Booleans = NDArray[np.bool_]
OWN = [i for i, gate in enumerate(GATES) if not gate.of_others]  # gates whose numbers no other strategy moves


class Kind(StrEnum):
    """How a verdict has changed."""

    GAINED = "gained"  # it passes now
    LOST = "lost"  # it passed before
    MOVED = "moved"  # to another phase, or to or from SKIPPED or FAILED
    SHIFTED = "shifted"  # to another gate of the same phase


KINDS = tuple(Kind)
SAME = -1  # in place of a kind


class Cause(Flag):
    """What has changed."""

    NOTHING = 0
    THRESHOLD = auto()  # a flag of the gate that decided
    NUMBERS = auto()  # of its row, that the gate looks at
    ROW = auto()  # of which follows what the gate looks at
    OUTCOMES = auto()
    FEATURES = auto()  # of the days
    RULES = auto()  # other flags, or costs, of which follows what the gate looks at
    OTHERS = auto()  # the correction over all strategies; its own numbers are as before
    UNKNOWN = auto()  # nothing that is known


class Side(NamedTuple):
    """One judgement of many strategies; columns of shape (n,) in ascending order of the ids.

    Attributes
    ----------
    status, gate
        Positions in STATUSES, and in the register of gates, else HELD.
    observed, p_value
        What gates see, shape (n, n_gates), and what is corrected for all others; NaN where it is unknown.
    rows, outcomes
        Hashes of the row and of the outcomes, 0 where there are none; None: they are not known.
    gated
        Whether the gates of eras and holdout are for it.
    costs
        None where they were not kept.
    features
        Fingerprint of the days of the instrument; empty where nobody knows.
    hashed_by
        The version of DuckDB, whose hashes are its own.
    failed
        By strategy, why it is FAILED.
    """

    terms: Terms
    ids: NDArray[np.object_]  # texts of any length
    status: NDArray[np.int8]
    gate: NDArray[np.int8]
    observed: NDArray[np.float64]
    p_value: NDArray[np.float64]
    rows: NDArray[np.uint64] | None
    outcomes: NDArray[np.uint64] | None
    gated: Booleans
    costs: Costs | None = None
    features: str = ""
    hashed_by: str = ""
    failed: Mapping[str, str] = {}

    def of(self, which: NDArray[Any]) -> Side:
        """The strategies at these positions, or where this holds."""
        columns = {name: column[which] for name in _COLUMNS if (column := getattr(self, name)) is not None}
        return self._replace(**columns)

    @property
    def small(self) -> Booleans:
        """Those that the rules of small samples are for."""
        size = self.terms.config.small_sample
        return ~(self.observed[:, POSITION["sample_size"]] >= size) if size else np.zeros(len(self.ids), dtype=np.bool_)


_COLUMNS = ("ids", "status", "gate", "observed", "p_value", "rows", "outcomes", "gated")


class Inputs(NamedTuple):
    """What differs of what two judgements were made of, of the strategies that are in both.

    Attributes
    ----------
    flags
        Fields of RunConfig: value before, value after; but those of no verdict.
    costs
        Of a round trip, by name: before, after.
    rows, outcomes
        Whether it is another one; None where nobody knows.
    p_value, gated
        Whether it is another one, and whether gates of eras and holdout are for it in one of the two only.
    features
        Whether any day of the instrument has others; None where nobody knows.
    """

    flags: Mapping[str, tuple[Any, Any]]
    costs: Mapping[str, tuple[float, float]]
    rows: Booleans | None
    outcomes: Booleans | None
    p_value: Booleans
    gated: Booleans
    features: bool | None

    def of(self, which: NDArray[Any]) -> Inputs:
        """Those of the strategies at these positions."""
        columns = {name: column[which] for name in _OF_EACH if (column := getattr(self, name)) is not None}
        return self._replace(**columns)


_OF_EACH = ("rows", "outcomes", "p_value", "gated")


class Differences(NamedTuple):
    """Two judgements, of the strategies that are in both; columns of shape (n,).

    Attributes
    ----------
    kind
        Position in KINDS, or SAME.
    decisive
        Position of the gate that holds in one of them only, or HELD where none of them does.
    cause
        `Cause.value`; 0 where the verdict is the same.
    numbers
        Whether any number of its own is another one.
    """

    before: Side
    after: Side
    inputs: Inputs
    kind: NDArray[np.int8]
    decisive: NDArray[np.int8]
    cause: NDArray[np.int64]
    numbers: Booleans


def differences(before: Side, after: Side) -> Differences:
    """Compare two judgements of the same strategies, in the same order."""
    inputs = inputs_between(before, after)
    decisive = _decisive(before, after)
    kind = _kinds(before, after)
    cause = np.zeros(len(kind), dtype=np.int64)
    numbers = _other_numbers(before.observed[:, OWN], after.observed[:, OWN])
    for gate, rows in _groups(before, after, decisive, kind != SAME):
        cause[rows] = _causes(before.of(rows), after.of(rows), inputs.of(rows), gate)
    return Differences(before, after, inputs, kind, decisive, cause, numbers)


class Matched(NamedTuple):
    """Two judgements, by the strategies that both have, in one order, and those that one alone has."""

    before: Side
    after: Side
    only_before: Side
    only_after: Side


def matched(before: Side, after: Side) -> Matched:
    """Find the strategies that are in both."""
    if np.array_equal(before.ids, after.ids):  # as mostly, and many times as fast
        nobody = np.empty(0, dtype=np.int64)
        return Matched(before, after, before.of(nobody), after.of(nobody))
    _, ours, theirs = np.intersect1d(before.ids, after.ids, assume_unique=True, return_indices=True)
    alone = (np.delete(np.arange(len(side.ids)), rows) for side, rows in ((before, ours), (after, theirs)))
    only_ours, only_theirs = alone
    return Matched(before.of(ours), after.of(theirs), before.of(only_ours), after.of(only_theirs))


def flags_between(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Fields that verdicts depend on and that differ: value before, value after."""
    values = {each.name: (getattr(before, each.name), getattr(after, each.name)) for each in fields(RunConfig)}
    return {name: (a, b) for name, (a, b) in values.items() if a != b and name in EVERYTHING}


def inputs_between(before: Side, after: Side) -> Inputs:
    """What differs of what the same strategies were judged by. DuckDB's hashes say nothing to another version's."""
    pairs = [(before.costs, after.costs)] if before.costs and after.costs else []
    costs = {name: (a, b) for one, two in pairs for name, a, b in zip(Costs._fields, one, two, strict=True) if a != b}
    flags = flags_between(before.terms.config, after.terms.config)
    alike = before.hashed_by == after.hashed_by
    read_alike = alike and not flags.keys() & READS_ALL and "" not in (before.features, after.features)
    return Inputs(
        flags,
        costs,
        _unequal(before.rows, after.rows) if alike else None,
        _unequal(before.outcomes, after.outcomes) if alike else None,
        ~same(before.p_value, after.p_value),
        before.gated != after.gated,
        before.features != after.features if read_alike else None,
    )


def _unequal(before: NDArray[np.uint64] | None, after: NDArray[np.uint64] | None) -> Booleans | None:
    return None if before is None or after is None else np.not_equal(before, after)


def same(before: NDArray[np.float64], after: NDArray[np.float64]) -> Booleans:
    """NaN equals NaN."""
    return np.asarray((before == after) | (np.isnan(before) & np.isnan(after)), dtype=np.bool_)


def _other_numbers(before: NDArray[np.float64], after: NDArray[np.float64]) -> Booleans:
    """Whether any differs, of the gates that both have looked at."""
    both = ~(np.isnan(before).all(axis=0) | np.isnan(after).all(axis=0))
    return np.asarray(~same(before[:, both], after[:, both]).all(axis=1), dtype=np.bool_)


def _kinds(before: Side, after: Side) -> NDArray[np.int8]:
    passed = [side.status == CODE[Status.PASSED] for side in (before, after)]
    phase = np.array([*(gate.phase for gate in GATES), 0])  # HELD is the last
    elsewhere = (before.status != after.status) | (phase[before.gate] != phase[after.gate])
    conditions = [~passed[0] & passed[1], passed[0] & ~passed[1], elsewhere, before.gate != after.gate]
    return np.select(conditions, range(len(KINDS)), SAME).astype(np.int8)


def _decisive(before: Side, after: Side) -> NDArray[np.int8]:
    """Of the two gates that decided, the one that comes first; none where something else decided."""
    judged = np.ones(len(before.ids), dtype=np.bool_)
    for side in (before, after):
        judged &= (side.gate != HELD) | (side.status == CODE[Status.PASSED])
    last = len(GATES)
    first = np.minimum(*(np.where(side.gate == HELD, last, side.gate) for side in (before, after)))
    return np.where(judged & (first != last), first, HELD).astype(np.int8)


def _groups(
    before: Side, after: Side, decisive: NDArray[np.int8], changed: Booleans
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Changed strategies with one deciding gate and the same settings: the gate, and their positions."""
    key = decisive.astype(np.int64) * 4 + 2 * before.small + after.small
    for value in np.unique(key[changed]).tolist():
        yield value // 4, np.flatnonzero(changed & (key == value))


def _causes(before: Side, after: Side, inputs: Inputs, position: int) -> NDArray[np.int64]:
    """Of strategies that one gate decided, and that have the same settings; HELD: no gate did."""
    if position == HELD:
        return _or_unknown(of_inputs(inputs, None, len(before.ids)))
    gate, terms = GATES[position], [side.terms.of(_size(side)) for side in (before, after)]
    needed = [gate.threshold(each) for each in terms]
    seen = [side.observed[:, position] for side in (before, after)]
    held = [_holds(gate, column, threshold) for column, threshold in zip(seen, needed, strict=True)]
    is_off = None in needed  # nobody knows what it would have seen
    moved = needed[0] != needed[1]
    by_threshold = _holds(gate, seen[0], needed[1]) == held[1] if moved else np.zeros_like(held[0])
    other = ~same(*seen) & (not is_off)
    by_number = other & (_holds(gate, seen[1], needed[0]) == held[1])
    flags = gate_flags(inputs, gate, before.terms, after.terms, _size(before))
    of_threshold = _of_threshold(inputs, flags, *terms).value
    cause = np.where(moved & (by_threshold | ~by_number | is_off), of_threshold, 0).astype(np.int64)
    of_number = of_inputs(inputs, gate, len(before.ids))
    of_number |= Cause.THRESHOLD.value if facts_of(gate) & {*flags} else 0
    if gate.of_others:
        of_number = np.where(of_number == 0, np.int64(Cause.OTHERS.value), of_number)
    return _or_unknown(
        cause | np.where(other & (by_number | ~by_threshold), _or_unknown(of_number), 0).astype(np.int64)
    )


def _of_threshold(inputs: Inputs, flags: Collection[str], before: Terms, after: Terms) -> Cause:
    """Why a gate needs something else, if it does."""
    cause = Cause.THRESHOLD if flags else Cause.NOTHING
    # Without its flag, it is volatility that says whether losing years may be waived.
    if before.waives != after.waives and "no_regime_waivers" not in inputs.flags and inputs.features is not False:
        cause |= Cause.FEATURES
    if cause or before.waives != after.waives:
        return cause
    return Cause.ROW  # its trades are as few as small samples have, or no longer


def _size(side: Side) -> float:
    """One that stands for the number of trades of all of them."""
    return float(side.observed[0, POSITION["sample_size"]])


def _or_unknown(cause: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(cause == 0, Cause.UNKNOWN.value, cause)


def _holds(gate: Gate, observed: NDArray[np.float64], threshold: float | None) -> Booleans:
    """All hold against a gate that is off."""
    return np.ones(len(observed), dtype=np.bool_) if threshold is None else gate.holds(observed, threshold)


def gate_flags(inputs: Inputs, gate: Gate, before: Terms, after: Terms, size: float) -> list[str]:
    """Flags of the gate that differ: those that it names, and those that alone move its threshold.

    Parameters
    ----------
    size
        Trades of the strategy before.
    """
    named, needed = _named(gate), gate.threshold(before.of(size))
    tried = ((name, _with(name, before, after)) for name in inputs.flags)
    return [
        name
        for name, terms in tried
        if name in named or (terms is not None and gate.threshold(terms.of(size)) != needed)
    ]


def _named(gate: Gate) -> Set[str]:
    """Flags of the gate, and the same of small samples."""
    return {*gate.flags, *(OF_SMALL_SAMPLES[name] for name in gate.flags if name in OF_SMALL_SAMPLES)}


def _with(name: str, before: Terms, after: Terms) -> Terms | None:
    """The terms before with one flag as it is after; None where that means nothing without another one."""
    try:
        config = replace(before.config, **{name: getattr(after.config, name)})
    except BadValue:
        return None
    return Terms(config, after.waives if name == "no_regime_waivers" else before.waives, before.unit)


def of_inputs(inputs: Inputs, gate: Gate | None, count: int) -> NDArray[np.int64]:
    """What differs of all that a gate's number follows from; None: that whatever is said follows from."""
    cause = np.zeros(count, dtype=np.int64)
    if gate is not None and gate.name == "fdr_p":
        cause |= np.where(inputs.p_value, Cause.NUMBERS.value, 0)
    elif inputs.rows is not None:
        own = gate is not None and (gate.scope is Scope.ROW or gate.column is not None)
        cause |= np.where(inputs.rows, (Cause.NUMBERS if own else Cause.ROW).value, 0)
    if (gate is None or gate.phase in GATED) and "gates_only" not in inputs.flags:
        cause |= np.where(inputs.gated, Cause.ROW.value, 0)
    if inputs.outcomes is not None and reads_outcomes(gate):
        cause |= np.where(inputs.outcomes, Cause.OUTCOMES.value, 0)
    if inputs.features and (reads_outcomes(gate) or reads_years(gate)):
        cause |= Cause.FEATURES.value
    if rule_flags(inputs, gate) or (inputs.costs and reads_costs(gate)):
        cause |= Cause.RULES.value
    return cause


def rule_flags(inputs: Inputs, gate: Gate | None) -> list[str]:
    """Flags that differ and that what the gate looks at follows from, but those of the gate itself."""
    known = EVERYTHING if gate is None else facts_of(gate) - _named(gate)
    return [name for name in inputs.flags if name in known]


def side_of(verdicts: Verdicts) -> Side:
    """Verdicts in memory, without what they were made of."""
    gated = np.ones(len(verdicts), dtype=np.bool_)
    gated[list(verdicts.ungated)] = False
    ids = np.array(verdicts.ids, dtype=np.object_)
    columns = (verdicts.status, verdicts.gate, verdicts.observed, verdicts.p_value)
    return Side(verdicts.terms, ids, *columns, None, None, gated, failed=dict(verdicts.failures()))
