"""False discovery rate."""

from __future__ import annotations

import math
from collections.abc import Mapping

ALPHA = 0.05


def benjamini_hochberg(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """The unrounded adjusted p of every strategy with a p-value; NaN counts as NULL (rules.md, sections 1 and 6)."""
    known = [(p, strategy_id) for strategy_id, p in p_values.items() if p is not None and not math.isnan(p)]
    known.sort()
    m = len(known)

    adjusted = {}
    smallest = 1.0
    for rank in range(m, 0, -1):
        p, strategy_id = known[rank - 1]
        smallest = min(smallest, p * m / rank)
        adjusted[strategy_id] = smallest
    return adjusted


def earning_and_losing(tested: Mapping[str, tuple[float | None, float | None]]) -> tuple[set[str], set[str]]:
    """Who earns significantly, by one-sided p-values, and who loses among the two-sided discoveries.

    `tested` gives the two-sided p-value and the expectancy in R (statistics, section 7).
    """
    known = {name: (p, r) for name, (p, r) in tested.items() if p is not None and not math.isnan(p)}
    earns = {name: p / 2 if r is not None and r > 0 else 1 - p / 2 for name, (p, r) in known.items()}
    one_sided = benjamini_hochberg(earns)
    two_sided = benjamini_hochberg({name: p for name, (p, _) in known.items()})
    losing = {name for name, (_, r) in known.items() if two_sided[name] < ALPHA and r is not None and r < 0}
    return {name for name in known if one_sided[name] < ALPHA}, losing


def promoted_fdr(adjusted: Mapping[str, float], strategy_id: str) -> tuple[bool | None, float | None]:
    """`fdr_significant` on the unrounded value and `fdr_adjusted_p` rounded to 6 (rules.md, section 6)."""
    if strategy_id not in adjusted:
        return None, None
    return adjusted[strategy_id] < ALPHA, round(adjusted[strategy_id], 6)
