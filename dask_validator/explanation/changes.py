"""One changed verdict in words: where it was and is, what the gate that decided saw and needed, and why that is so."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dask_validator.config import flag
from dask_validator.model import Status
from dask_validator.rules.counting import STATUSES
from dask_validator.rules.differences import (
    KINDS,
    SAME,
    Cause,
    Differences,
    Inputs,
    Side,
    gate_flags,
    rule_flags,
)
from dask_validator.rules.gate_inputs import reads_costs
from dask_validator.rules.gates import GATES, HELD, PHASES, POSITION, Gate

ONLY_IN_FILES = {"filter", "seasons", "gates_only", "promotion"}  # tables of a file of rules, without a flag
OFF = "off"
_CAUSES = {
    Cause.NUMBERS: "its own numbers: its row has changed",
    Cause.ROW: "its row",
    Cause.OUTCOMES: "its outcomes",
    Cause.FEATURES: "daily_features",
    Cause.OTHERS: "the correction over all strategies; its own numbers are as before",
    Cause.UNKNOWN: "nothing that is kept tells why",
}


class Change(NamedTuple):
    """One strategy whose verdict is another one.

    Attributes
    ----------
    kind
        gained, lost, moved (to another phase, or to or from SKIPPED or FAILED), shifted (to another gate of the phase).
    gate
        The name of the gate that holds in one of the two only; None where no gate decided.
    seen, needed
        What it saw and what it needed, before and after; None: unknown, or off.
    causes
        Of `threshold`, `numbers`, `row`, `outcomes`, `features`, `rules`, `others`, `unknown`.
    why
        The same in words.
    """

    strategy_id: str
    kind: str
    before: str
    before_phase: int | None
    before_gate: str | None
    after: str
    after_phase: int | None
    after_gate: str | None
    gate: str | None
    seen: tuple[float | None, float | None]
    needed: tuple[float | None, float | None]
    causes: tuple[str, ...]
    decided: str  # in words: what the gate saw and needed
    why: str


def changes(found: Differences, of: Iterable[int] | None = None) -> list[Change]:
    """Those of these strategies, or all, in order of the kinds and, of each, of the ids."""
    kinds = found.kind.tolist()
    rows = sorted((i for i in (range(len(kinds)) if of is None else of) if kinds[i] != SAME), key=kinds.__getitem__)
    words: dict[tuple[object, ...], str] = {}
    return [_change(found, i, words) for i in rows]


def _change(found: Differences, i: int, words: dict[tuple[object, ...], str]) -> Change:
    position, cause = int(found.decisive[i]), Cause(int(found.cause[i]))
    gate = None if position == HELD else GATES[position]
    seen, needed = _numbers(found, i, gate)
    settings = tuple(bool(small) for small in (found.before.small[i], found.after.small[i]))
    key = position, cause, settings
    if key not in words:
        words[key] = "; ".join(_reasons(found, i, gate, cause))
    return Change(
        str(found.before.ids[i]),
        str(KINDS[found.kind[i]]),
        *_place(found.before, i),
        *_place(found.after, i),
        gate.name if gate else None,
        seen,
        needed,
        tuple(str(each.name).lower() for each in cause),
        _decided(found, i, gate, seen, needed),
        words[key],
    )


def _place(side: Side, i: int) -> tuple[str, int | None, str | None]:
    """Status, phase and gate that rejected."""
    gate = None if side.gate[i] == HELD else GATES[side.gate[i]]
    return str(STATUSES[side.status[i]]), gate.phase if gate else None, gate.name if gate else None


Pair = tuple[float | None, float | None]


def _numbers(found: Differences, i: int, gate: Gate | None) -> tuple[Pair, Pair]:
    if gate is None:
        return (None, None), (None, None)
    sides = (found.before, found.after)
    one, two = (_finite(gate.number(float(side.observed[i, POSITION[gate.name]]))) for side in sides)
    sizes = (float(side.observed[i, POSITION["sample_size"]]) for side in sides)
    needed = [gate.threshold(side.terms.of(size)) for side, size in zip(sides, sizes, strict=True)]
    return (one, two), (needed[0], needed[1])


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _decided(found: Differences, i: int, gate: Gate | None, seen: Pair, needed: Pair) -> str:
    if gate is None:
        strategy_id = str(found.before.ids[i])
        failed = [side.failed[strategy_id] for side in (found.before, found.after) if strategy_id in side.failed]
        return "; ".join(failed)
    label = gate.title(found.after.terms.unit)
    return f"{label} {_moved(seen, 'unknown')}, needed {gate.comparison} {_moved(needed, OFF)}"


def _moved(pair: Pair, nothing: str) -> str:
    one, two = (nothing if number is None else number_text(number) for number in pair)
    return one if one == two else f"{one} -> {two}"


def number_text(number: float) -> str:
    """A number as people read it; not rounded away where it is small."""
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:.4f}" if 0.001 <= abs(number) < 1e6 or not number else f"{number:.3g}"


def _reasons(found: Differences, i: int, gate: Gate | None, cause: Cause) -> Iterator[str]:
    size = float(found.before.observed[i, POSITION["sample_size"]])
    for each in cause:
        if each is Cause.THRESHOLD and gate is not None:
            flags = gate_flags(found.inputs, gate, found.before.terms, found.after.terms, size)
            yield ", ".join(flag_change(name, found.inputs.flags[name]) for name in flags)
        elif each is Cause.RULES:
            yield ", ".join(rules_changed(found.inputs, gate))
        else:
            yield _CAUSES[each]


def rules_changed(inputs: Inputs, gate: Gate | None) -> list[str]:
    """Flags and costs that what the gate looks at follows from."""
    flags = [flag_change(name, inputs.flags[name]) for name in rule_flags(inputs, gate)]
    return flags + (costs_changed(inputs.costs) if reads_costs(gate) else [])


def costs_changed(costs: Mapping[str, tuple[float, float]]) -> list[str]:
    """Each with the value before and after."""
    return [f"{name} {one:g} -> {two:g}" for name, (one, two) in costs.items()]


def flag_change(name: str, values: tuple[Any, Any]) -> str:
    """A flag with its value before and after."""
    spelled = name if name in ONLY_IN_FILES else flag(name)
    one, two = map(_value, values)
    return f"{spelled} {one} -> {two}"


def _value(value: Any) -> str:
    if value is None or value is False or value == () or value == {}:
        return OFF
    if value is True:
        return "on"
    if isinstance(value, tuple) and not any(isinstance(each, dict) for each in value) and not hasattr(value, "_asdict"):
        return " ".join(map(str, value))
    return json.dumps(value, default=str) if isinstance(value, dict | list | tuple) else str(value)


def verdict_text(status: str, phase: int | None) -> str:
    """Where a strategy has ended up."""
    if status == Status.REJECTED and phase is not None:
        return f"phase {phase} ({PHASES[phase]})"
    return {Status.PASSED: "passed", Status.SKIPPED: "skipped"}.get(Status(status), status)
