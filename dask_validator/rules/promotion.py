"""What a promoted strategy's row of `validated_setups` says beyond what is copied (rules.md, section 6)."""

from __future__ import annotations

from dask_validator.model import SeasonSplit, Verdict


def computed_columns(verdict: Verdict) -> dict[str, object]:
    """Column -> value of a PASSED verdict."""
    waivers, discovery = verdict.regime_waivers, verdict.discovery
    return {
        "years_tested": verdict.years_tested,
        "all_years_positive": verdict.all_years_positive,
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
