"""What a calibration comes to: promotions of the data beside those of the worlds, and each strategy's share of luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.universe.companions import Companions
from dask_validator.universe.evidence import NULLS
from dask_validator.universe.luck import Count, count
from dask_validator.universe.worlds import Design

APPLIED = (  # the flags that the gates of phases 1 to 6 depend on in worlds
    *("min_sample", "stress_multiplier", "min_sharpe", "max_drawdown", "min_win_rate", "exclude_years"),
    *("min_years_positive_pct", "min_trades_per_year", "no_regime_waivers", "no_walkforward", "wf_test_months"),
    *("wf_min_train_months", "wf_min_trades", "wf_min_windows", "wf_min_pct_positive", "strict_filters"),
    *("filters", "unknown_filters"),
)


class Strategies(NamedTuple):
    """The calibrated strategies under the first setting, by `strategy_id`; columns of shape (n_strategies,)."""

    ids: Sequence[str]
    promoted: NDArray[np.bool_]  # passes phases 1 to 6 in the data
    luck: NDArray[np.float64]  # share of the worlds that promote it: of its calendar and the gates, not of its result
    z: NDArray[np.float64]  # normal deviate of its mean; NaN below the least sample
    z_stitched: NDArray[np.float64]  # of its trades in valid test windows alone, on which it was chosen too
    luck_q: NDArray[np.float64]  # of promoted ones, else NaN
    luck_bound: NDArray[np.float64]
    stepm_p: NDArray[np.float64]  # NaN where z is no more than 1.645
    maxt_p: NDArray[np.float64]


class Setting(NamedTuple):
    """One setting of the gates."""

    config: RunConfig
    counts: NDArray[np.int64]  # promotions by null and world, shape (n_nulls, n_worlds)
    promoted: int  # calibrated strategies that pass in the data
    strategies: int  # that are calibrated
    not_calibrated: int
    promoted_not_calibrated: int
    losing: int  # of the calibrated, whose deviate is below zero
    upper_bound: bool  # a gate is on that no world can judge

    @property
    def numbers(self) -> Count:
        """Promotions beside those of the worlds."""
        return count(self.promoted, self.counts[0])

    def to_dict(self, design: Design, last_day: str) -> dict[str, Any]:
        """As `--json` prints it; `last_day` is that of the outcomes."""
        of_count, flags = self.numbers._asdict(), flags_of(self.config)
        return {
            "settings": {name: list(value) if isinstance(value, tuple) else value for name, value in flags.items()},
            "worlds": design.worlds,
            "seed": design.seed,
            "block_days": design.block_days,
            "null": NULLS[0],
            "strategies": self.strategies,
            "not_calibrated": self.not_calibrated,
            **of_count,
            "null_c_mean": float(self.counts[1].mean()),
            "null_l_mean": float(self.counts[2].mean()),
            "promoted_not_calibrated": self.promoted_not_calibrated,
            "losing": self.losing,
            "upper_bound": self.upper_bound,
            "last_day": last_day,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """How many promotions luck makes, for each of the settings, which share their worlds.

    Attributes
    ----------
    settings
        In the order in which they were asked.
    strategies
        Each calibrated strategy, under the first setting.
    not_calibrated
        By strategy_id, why it is left out, under one of the settings at least.
    spa
        p-values of the best strategy (Hansen 2005), by null; none where only counts were wanted.
    last_day
        The last day with an outcome, as ISO date: only days after it are out of sample.
    companions
        What goes with a report, where that is asked for: of the tested strategies, those whose z is no NaN.
    """

    instrument: str
    design: Design
    settings: Sequence[Setting]
    strategies: Strategies
    not_calibrated: Mapping[str, str]
    spa: Mapping[str, float]
    last_day: str
    companions: Companions | None = None

    def __repr__(self) -> str:
        first = self.settings[0].numbers
        return f"<Calibration {self.instrument}: {first.promoted} promoted, {first.null_mean:.1f} by luck>"

    @property
    def counts(self) -> NDArray[np.int64]:
        """Promotions by setting, null and world, shape (n_settings, n_nulls, n_worlds)."""
        return np.stack([setting.counts for setting in self.settings])

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"calibration": [setting.to_dict(self.design, self.last_day) for setting in self.settings]}


def flags_of(config: RunConfig) -> dict[str, Any]:
    """The flags that phases 1 to 6 depend on."""
    return {name: getattr(config, name) for name in APPLIED}
