"""What a promoted strategy's row of `validated_setups` says beyond what is copied (rules.md, section 6)."""

from __future__ import annotations

from typing import NamedTuple

from dask_validator.model import Discovery, SeasonSplit


class Standing(NamedTuple):
    """What is said of the years of a strategy that passed."""

    years_tested: int
    all_years_positive: bool
    regime_waivers: tuple[int, ...]


def computed_columns(standing: Standing, discovery: Discovery | None) -> dict[str, object]:
    """Column -> value."""
    waivers = standing.regime_waivers
    return {
        "years_tested": standing.years_tested,
        "all_years_positive": standing.all_years_positive,
        "regime_waivers": f"[{', '.join(map(str, waivers))}]" if waivers else None,
        "regime_waiver_count": len(waivers),
        "fdr_significant": discovery.significant if discovery else None,
        "fdr_adjusted_p": discovery.adjusted_p if discovery else None,
        # A promoted setup is not retired; a user who declares these NOT NULL can have none.
        "retired_at": None,
        "retirement_reason": None,
    }


def split_columns(split: SeasonSplit | None) -> dict[str, object]:
    """The five `dst_*` columns of a split."""
    return {f"dst_{name}": value for name, value in (split or SeasonSplit())._asdict().items()}
