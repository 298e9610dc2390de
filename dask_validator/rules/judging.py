"""Gates applied: which one rejects, all that hold or not, and why, in words.

Judging is comparing columns of what gates observe, as the register has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from string import Formatter

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import Judged
from dask_validator.rules.gates import GATES, HELD, NOT_CALIBRATED, OPT_IN, PHASES, POSITION, Gate, Terms


class _Unknown(float):
    """NaN that says so."""

    def __format__(self, _: str) -> str:
        return "unknown"


def first_failing(observed: NDArray[np.float64], terms: Terms, positions: Sequence[int]) -> NDArray[np.int8]:
    """Position of the first of these gates that is on and does not hold, else HELD; shape (n_strategies,).

    Parameters
    ----------
    observed
        Shape (n_strategies, n_gates), in the order of the register.
    """
    found = np.full(len(observed), HELD, dtype=np.int8)
    if terms.config.small_sample:
        small = observed[:, POSITION["sample_size"]] < terms.config.small_sample
        for some, config in ((small, terms.config.of_small_samples), (~small, terms.config.of_others)):
            found[some] = first_failing(observed[some], terms._replace(config=config), positions)
        return found
    for position in positions:
        if (threshold := GATES[position].threshold(terms)) is not None:
            found[(found == HELD) & ~GATES[position].holds(observed[:, position], threshold)] = position
    return found


def terms_of(observed: NDArray[np.float64], terms: Terms) -> Terms:
    """The terms of one strategy, by all its numbers, shape (n_gates,)."""
    return terms.of(float(observed[POSITION["sample_size"]]))


def phases(terms: Terms) -> dict[int, str]:
    """Names of the phases that count, by number."""
    on = {gate.phase for gate in GATES if gate.threshold(terms) is not None}
    return {phase: name for phase, name in PHASES.items() if phase in on or phase not in OPT_IN}


def judged(position: int, observed: NDArray[np.float64], terms: Terms, reason: str) -> Judged:
    """One gate, which is on, applied to one strategy; `reason` is why it does not hold, if it does not.

    Parameters
    ----------
    observed
        All numbers of the strategy, shape (n_gates,).
    """
    gate = GATES[position]
    threshold = gate.threshold(terms_of(observed, terms))
    assert threshold is not None
    holds = bool(gate.holds(observed[position], threshold))
    return Judged(gate.phase, gate.name, gate.number(observed[position]), threshold, holds, "" if holds else reason)


def every_judged(
    observed: NDArray[np.float64], terms: Terms, texts: Mapping[str, str], positions: Sequence[int]
) -> list[Judged]:
    """All of these gates that are on, also those behind one that rejects."""
    on = (position for position in positions if GATES[position].threshold(terms) is not None)
    return [judged(position, observed, terms, why(position, observed, terms, texts)) for position in on]


def whys(
    gates: NDArray[np.int8],
    observed: NDArray[np.float64],
    terms: Terms,
    texts: Callable[[int], Mapping[str, str]] = lambda row: {},
) -> list[str]:
    """Why each strategy is rejected by its gate; empty where none rejects.

    Parameters
    ----------
    gates
        Shape (n_strategies,): positions in the register, or HELD.
    observed
        Shape (n_strategies, n_gates).
    texts
        Of a row, what the words name beside numbers.
    """
    found = [""] * len(gates)
    for position in np.unique(gates[gates != HELD]).tolist():
        unknown = np.isnan(observed[:, position]) & bool(GATES[position].unknown)
        for template, some in ((GATES[position].words, ~unknown), (GATES[position].unknown, unknown)):
            rows = np.flatnonzero((gates == position) & some).tolist()
            beside = [{"unknown": NOT_CALIBRATED, **texts(row)} for row in rows]
            for row, words in zip(rows, _said(template, position, observed[rows], terms, beside), strict=True):
                found[row] = words
    return found


def why(position: int, observed: NDArray[np.float64], terms: Terms, texts: Mapping[str, str]) -> str:
    """The reason of a gate that does not hold for one strategy; `texts` is what its words name beside numbers."""
    return whys(np.array([position], dtype=np.int8), observed[None], terms, lambda _: texts)[0]


def said(template: str, position: int, observed: NDArray[np.float64], terms: Terms, texts: Mapping[str, str]) -> str:
    """A template of the register, filled in for one strategy."""
    return _said(template, position, observed[None], terms, [texts])[0]


def _said(
    template: str,
    position: int,
    observed: NDArray[np.float64],
    terms: Terms,
    texts: Sequence[Mapping[str, str]],
) -> list[str]:
    """A template, filled in for each strategy."""
    columns = {name: _words(name, position, observed, terms) for name in _named(template)}
    return [
        template.format_map({**{name: column[row] for name, column in columns.items()}, **of})
        for row, of in enumerate(texts)
    ]


def _words(name: str, position: int, observed: NDArray[np.float64], terms: Terms) -> Sequence[object]:
    """What a name in a template stands for, strategy by strategy."""
    gate, count = GATES[position], len(observed)
    if name == "threshold":
        if not terms.config.small_sample:
            return [gate.threshold(terms)] * count
        return [gate.threshold(terms_of(of_one, terms)) for of_one in observed]
    if name == "unit":
        return [terms.unit] * count
    if name == "value":
        return [_valued(gate, value, terms.unit) for value in observed[:, position].tolist()]
    of = POSITION.get(name, position)  # another gate's, or its own, which is called `observed`
    return [_shown(GATES[of], value) for value in observed[:, of].tolist()]


@lru_cache
def _named(template: str) -> frozenset[str]:
    """What it leaves open."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _valued(gate: Gate, observed: float, unit: str) -> str:
    """A result with its unit."""
    seen = _shown(gate, observed)
    return f"{seen:.4f}" if isinstance(seen, _Unknown) else f"{seen:.4f} {unit}"


def _shown(gate: Gate, observed: float) -> float:
    number = gate.number(observed)
    return _Unknown("nan") if number is None else number
