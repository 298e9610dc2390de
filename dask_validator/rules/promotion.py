"""What a promoted strategy's row of `validated_setups` says beyond what is copied (rules.md, section 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from dask_validator.config import Promotion, RunConfig
from dask_validator.model import Discovery, SeasonSplit, Strategy, Walked

MODE = "validation_mode"  # the column that says it, unless the rules name another
ORDINARY = {"status": "active", "verdict_ceiling": None, "pseudo_oos_window_start": None, "pseudo_oos_window_end": None}
MOST_OF_A_YEAR = 0.5  # of the total R: who has more of it from one year depends on that year


PATHWAYS = ("family", "individual")  # whether p-values are corrected for each other


class Standing(NamedTuple):
    """What is said of a strategy that passed, beside what its gates have seen."""

    years_tested: int
    all_years_positive: bool
    regime_waivers: tuple[int, ...]
    year_share: float | None = None  # of the year that earned most in the total R; None: nothing earned
    mode: str | None = None  # as the rules name it; None: the ordinary one
    family: int | None = None  # how many strategies its p-value is corrected for; None: it is not among them
    pathway: str | None = None  # one of PATHWAYS; None: nobody has asked for evidence over all strategies
    holdout: str | None = None  # what the holdout says, in a word


def pathway(config: RunConfig, *, asked: bool) -> str | None:
    """How a strategy's evidence is weighed, where it is."""
    return None if not asked else PATHWAYS[config.fdr_method == "raw"]


class Forward(NamedTuple):
    """What walk-forward has seen of it."""

    windows: int  # valid ones
    exp_r: float  # in them, R per trade
    wfe: float | None  # efficiency: of what it earns in training, the share that it earns in the test
    days: Walked


def mode_column(promotion: Promotion) -> str:
    """Where a strategy's row says its mode."""
    return promotion.modes.column if promotion.modes else MODE


def mode_of(strategy: Strategy, promotion: Promotion) -> str | None:
    """The named mode of the strategy; None: the ordinary one."""
    modes = promotion.modes
    return None if not strategy.mode or (modes and strategy.mode == modes.default) else strategy.mode


def not_promotable(strategy: Strategy, promotion: Promotion) -> str | None:
    """Why nobody could say what the setup of the strategy may be used for, if so."""
    mode, modes = mode_of(strategy, promotion), promotion.modes
    if mode is None or (modes is not None and mode in modes.named):
        return None
    needed = f"{', '.join([modes.default, *modes.named])}, or NULL" if modes else "NULL"
    how = "describe it as [promotion.modes] of a file for --rules"
    return f"{mode_column(promotion)} is {mode[:60]!r}, which no rule names; needed {needed}: {how}"


def setup_columns(
    standing: Standing, discovery: Discovery | None, split: SeasonSplit | None, forward: Forward | None
) -> dict[str, object]:
    """Column -> value, of all that a run computes for a setup and that no name in the rules changes."""
    waivers, share = standing.regime_waivers, standing.year_share
    return {
        "years_tested": standing.years_tested,
        "all_years_positive": standing.all_years_positive,
        "max_year_pct": None if share is None else round(share, 4),
        "era_dependent": share is not None and share > MOST_OF_A_YEAR,
        "regime_waivers": f"[{', '.join(map(str, waivers))}]" if waivers else None,
        "regime_waiver_count": len(waivers),
        "fdr_significant": discovery.significant if discovery else None,
        "fdr_adjusted_p": discovery.adjusted_p if discovery else None,
        "discovery_k": standing.family,
        "validation_pathway": standing.pathway,
        "c8_oos_status": standing.holdout,
        # A promoted setup is not retired; a user who declares these NOT NULL can have none.
        "retired_at": None,
        "retirement_reason": None,
        **split_columns(split),
        **forward_columns(forward),
    }


def forward_columns(forward: Forward | None) -> dict[str, object]:
    """What walk-forward says; None without."""
    if forward is None:
        unknown = ("wf_windows", "wfe", "oos_exp_r", "first_trade_day", "last_trade_day", "trade_day_count")
        return {"wf_tested": False, "wf_passed": None, **dict.fromkeys(unknown)}
    days = forward.days if forward.days.trade_days > 0 else None
    return {
        "wf_tested": True,
        "wf_passed": True,
        "wf_windows": forward.windows,
        "wfe": forward.wfe,
        "oos_exp_r": round(forward.exp_r, 4),
        "first_trade_day": days and days.first_day,
        "last_trade_day": days and days.last_day,
        "trade_day_count": days and days.trade_days,
    }


def ruled_columns(mode: str | None, oos_exp_r: object, promotion: Promotion) -> dict[str, Any]:
    """Column -> value, of all that the rules say: constants, and what a mode makes of the setup, which wins."""
    named: Mapping[str, Mapping[str, Any]] = promotion.modes.named if promotion.modes else {}
    every = dict.fromkeys(key for keys in named.values() for key in keys)
    own = named[mode] if mode is not None else {}
    floor = promotion.noise_floor
    known = floor is not None and isinstance(oos_exp_r, float) and not math.isnan(oos_exp_r)
    return {
        **every,
        **ORDINARY,
        **promotion.constants,
        "noise_risk": oos_exp_r <= floor if known else None,  # type: ignore[operator]
        mode_column(promotion): mode or (promotion.modes.default if promotion.modes else None),
        **own,
    }


def ruled_names(promotion: Promotion) -> list[str]:
    """The columns of `ruled_columns`, in order."""
    return list(ruled_columns(None, None, promotion))


def can_be_null(promotion: Promotion) -> set[str]:
    """Columns of both that have no value for some setups."""
    bare = {**setup_columns(Standing(0, False, ()), None, None, None), **ruled_columns(None, None, promotion)}
    return {name for name, value in bare.items() if value is None}


def split_columns(split: SeasonSplit | None) -> dict[str, object]:
    """The five `dst_*` columns of a split."""
    return {f"dst_{name}": value for name, value in (split or SeasonSplit())._asdict().items()}
