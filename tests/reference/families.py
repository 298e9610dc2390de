"""Phases 7 and 8: several tests at once, and efficiency."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .fdr import ALPHA
from .settings import Settings


class InFamily(NamedTuple):
    """What the family says of one strategy: its adjusted p, unrounded, and the number of tests."""

    adjusted: float
    k: int


def known(value: float | None) -> bool:
    """Whether there is a number (rules.md, section 9: missing is NULL or NaN)."""
    return value is not None and not math.isnan(value)


def p_of(row: Mapping[str, Any], sides: int) -> float:
    """The p-value of one side or of two (rules.md, section 9)."""
    p: float = row["p_value"]
    if sides == 2:
        return p
    expectancy_r = row["expectancy_r"]
    if expectancy_r is not None and expectancy_r > 0:
        return p / 2
    return 1 - p / 2


def adjusted_in_group(p_values: Mapping[str, float], m: int, method: str) -> dict[str, float]:
    """The adjusted p-values of one group, `m` tests (rules.md, sections 6 and 9)."""
    factor = 1.0
    if method == "by":
        factor = 0.0
        for i in range(1, m + 1):
            factor = factor + 1 / i
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    adjusted = {}
    smallest = 1.0
    for rank in range(len(ranked), 0, -1):
        strategy_id, p = ranked[rank - 1]
        smallest = min(smallest, p * m / rank * factor)
        adjusted[strategy_id] = smallest
    return adjusted


def families(everything: Iterable[Mapping[str, Any]], settings: Settings, instrument: str) -> dict[str, InFamily]:
    """Every strategy that is in a family, of all instruments (rules.md, section 9)."""
    method = settings.fdr_method or "bh"
    instruments = {instrument, *(settings.fdr_instruments or ())}
    groups: dict[str, dict[str, float]] = {}
    for row in everything:
        if row["instrument"] not in instruments or not known(row["p_value"]):
            continue
        if row["is_canonical"] is False or (row["is_canonical"] is None and method != "raw"):
            continue
        group = "|".join(str(row[column] or "") for column in settings.fdr_group_by or ())
        groups.setdefault(group, {})[row["strategy_id"]] = p_of(row, settings.fdr_sides or 1)

    tested = {}
    for group, p_values in groups.items():
        if method == "raw":
            for strategy_id, p in p_values.items():
                tested[strategy_id] = InFamily(p, 1)
            continue
        m = (settings.fdr_k or {}).get(group, len(p_values))
        for strategy_id, adjusted in adjusted_in_group(p_values, m, method).items():
            tested[strategy_id] = InFamily(adjusted, m)
    return tested


def asks_for_its_own(settings: Settings) -> bool:
    """Whether promotion writes the family's values and not those of rules.md (statistics.md, section 7)."""
    given = (settings.fdr_sides, settings.fdr_method, settings.gate_alpha, settings.fdr_k)
    return any(value is not None for value in given) or bool(settings.fdr_group_by or settings.fdr_instruments)


def family_fdr(tested: InFamily | None, settings: Settings) -> tuple[bool | None, float | None]:
    """`fdr_significant` and `fdr_adjusted_p` (rules.md, section 9)."""
    if tested is None:
        return None, None
    adjusted = tested.adjusted if settings.fdr_method == "raw" else round(tested.adjusted, 6)
    return tested.adjusted < alpha(settings), adjusted


def alpha(settings: Settings) -> float:
    """The level of the gate (rules.md, section 9)."""
    return ALPHA if settings.gate_alpha is None else settings.gate_alpha


def rejecting_phase(
    row: Mapping[str, Any], tested: InFamily | None, wfe: float | None, settings: Settings
) -> int | None:
    """7 or 8 when such a gate rejects a strategy that passed the phases before (rules.md, section 9)."""
    if "fdr" in settings.gates:
        if tested is None or not tested.adjusted < alpha(settings):
            return 7
        if settings.min_sharpe_ann is not None:
            sharpe_ann = row["sharpe_ann"]
            if sharpe_ann is None or not sharpe_ann > settings.min_sharpe_ann:
                return 7
    if settings.min_wfe is not None and (wfe is None or not wfe >= settings.min_wfe):
        return 8
    return None
