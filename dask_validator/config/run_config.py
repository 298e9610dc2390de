"""The rule flags of one run, checked once, frozen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from dask_validator.config.kinds import BadValue, check, converted, flag
from dask_validator.config.promotion import GatesOnly, Promotion
from dask_validator.model import EPOCH

DEFAULT_WF_OUTPUT = Path("data/walkforward_results.jsonl")
MAX_MONTHS = 1200
LAST_YEAR = date.max.year - MAX_MONTHS // 12  # leaves Python's calendar room for a window
GATES_OF_ALL = ("fdr", "luck", "stepm")  # in the order in which they are asked
FdrMethod = Literal["bh", "by", "raw"]
FDR_METHODS = get_args(FdrMethod)
ALPHA = 0.05
LEAST_WORLDS, MOST_WORLDS, FEW_WORLDS = 20, 100_000, 200  # with fewer than the last, quantiles are coarse
LONGEST_BLOCK = 1e12  # days
SEASON_ZONES = {
    "0900": "America/New_York",
    "0030": "America/New_York",
    "2300": "America/New_York",
    "1800": "Europe/London",
}
# By plain field, the one that holds for small samples.
OF_SMALL_SAMPLES = {
    name: f"small_{name}"
    for name in ("min_trades_per_year", "wf_min_trades", "wf_min_windows", "wf_window_trades", "wf_train_trades")
}
# Settings that mean nothing unless another one is given.
SWITCHED_BY = {
    **dict.fromkeys(("era_min_trades", "era_min_exp"), "era_starts"),
    **dict.fromkeys(("holdout_min_trades", "holdout_few", "holdout_min_exp", "holdout_min_ratio"), "holdout_from"),
    **dict.fromkeys(OF_SMALL_SAMPLES.values(), "small_sample"),
    "wf_in_sample_min": "wf_in_sample",
}
# Rules that null worlds do not apply (statistics.md, section 4).
BEYOND_WORLDS = (
    *("waived_years", "wf_first_day", "wf_last_day", "wf_window_trades", "small_sample", "era_starts"),
    *("holdout_from", "min_wfe"),
)
Table = dict[str, Any]


class WindowRules(NamedTuple):
    """What the facts of walk-forward depend on (rules.md, sections 3 and 9).

    Attributes
    ----------
    test_months, min_train_months
        Calendar months.
    first_day, last_day
        Since 1970-01-01: windows start no earlier, and later outcomes are not there; None: no bound.
    window_trades, train_trades
        Wins and losses of a window and before the first, in place of months; None: by months.
    in_sample_min
        Training outcomes that an expectancy in sample needs; None: nobody asks for it.
    holdout_from
        Day since 1970-01-01 from which a holdout is measured; None: nobody asks for it.
    """

    test_months: int = 6
    min_train_months: int = 12
    first_day: int | None = None
    last_day: int | None = None
    window_trades: int | None = None
    train_trades: int | None = None
    in_sample_min: int | None = None
    holdout_from: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings of one run; every field is the command-line flag of the same name, or a table of the rules file.

    Raises
    ------
    InputError
        A value that no run could use: months below 1, a percentage outside 0-1, NaN.
    """

    min_sample: int = 30
    stress_multiplier: float = 1.5
    min_sharpe: float | None = None
    max_drawdown: float | None = None
    min_win_rate: float | None = None
    exclude_years: tuple[int, ...] = ()
    min_years_positive_pct: float = 1.0
    min_trades_per_year: int = 1
    no_regime_waivers: bool = False
    waived_years: Literal["excuse", "positive"] = "excuse"
    years_counted: Literal["all", "tested"] = "all"
    no_walkforward: bool = False
    wf_test_months: int = 6
    wf_min_train_months: int = 12
    wf_min_trades: int = 15
    wf_min_windows: int = 3
    wf_min_pct_positive: float = 0.60
    wf_first_day: date | None = None
    wf_last_day: date | None = None
    wf_window_trades: int | None = None
    wf_train_trades: int | None = None
    wf_in_sample: bool = False
    wf_in_sample_min: int = 15
    small_sample: int = 0
    small_min_trades_per_year: int | None = None
    small_wf_min_trades: int | None = None
    small_wf_min_windows: int | None = None
    small_wf_window_trades: int | None = None
    small_wf_train_trades: int | None = None
    filters: Literal["names", "params"] = "names"
    unknown_filters: Literal["all", "none", "fail"] | None = None
    strict_filters: bool = False
    filter: tuple[Table, ...] = field(default=(), hash=False)
    seasons: dict[str, str] = field(default_factory=SEASON_ZONES.copy, hash=False)
    touch_entry_models: tuple[str, ...] = ()
    era_starts: tuple[int, ...] = ()
    era_min_trades: int = 50
    era_min_exp: float = -0.05
    holdout_from: date | None = None
    holdout_min_trades: int = 30
    holdout_few: Literal["pass", "reject"] = "reject"
    holdout_min_exp: float = 0.0
    holdout_min_ratio: float | None = None
    gates_only: GatesOnly | None = None
    min_wfe: float | None = None
    wf_output: str | Path = DEFAULT_WF_OUTPUT
    instruments: str | Path | None = None
    costs: dict[str, Table] = field(default_factory=dict, hash=False)
    dry_run: bool = False
    gate: tuple[str, ...] = ()
    gate_alpha: float | None = None
    gate_share: float = 0.10
    fdr_method: Literal["bh", "by", "raw"] | None = None
    fdr_sides: int | None = None
    fdr_instruments: tuple[str, ...] = ()
    fdr_group_by: tuple[str, ...] = ()
    fdr_k_file: str | Path | None = None
    min_sharpe_ann: float | None = None
    calibrate: bool = False
    worlds: int = 1000
    block_days: float = 5.0
    null_seed: int = 0
    promotion: Promotion = field(default_factory=Promotion)
    provenance: str | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = converted(str(each.type), getattr(self, each.name))
            check(each.name, str(each.type), value)
            object.__setattr__(self, each.name, value)
        object.__setattr__(self, "exclude_years", tuple(sorted(set(self.exclude_years))))
        self._check_numbers()
        self._check_multiplicity()
        self._check_options()

    def _need(self, name: str, holds: bool, needed: str) -> None:
        if not holds:
            raise BadValue(name, getattr(self, name), needed)

    def _check_numbers(self) -> None:
        for name in ("wf_test_months", "wf_min_train_months"):
            self._need(name, 1 <= getattr(self, name) <= MAX_MONTHS, f"1 to {MAX_MONTHS} months")
        for name in ("min_years_positive_pct", "wf_min_pct_positive"):
            self._need(name, 0 <= getattr(self, name) <= 1, "a share between 0 and 1 (0.6 is 60 %)")
        of_windows = ("wf_min_trades", "wf_min_windows", "wf_window_trades", "wf_train_trades")
        for name in (*of_windows, *(OF_SMALL_SAMPLES[plain] for plain in of_windows), "wf_in_sample_min"):
            self._need(name, getattr(self, name) is None or getattr(self, name) >= 1, "at least 1")
        of_rows = ("min_sample", "min_trades_per_year", "small_min_trades_per_year", "stress_multiplier")
        for name in (*of_rows, "small_sample", "era_min_trades", "holdout_min_trades"):
            self._need(name, (getattr(self, name) or 0) >= 0, "zero or more")

    def _check_multiplicity(self) -> None:
        self._need("gate", set(self.gate) <= {*GATES_OF_ALL, "none"}, f"of {', '.join(GATES_OF_ALL)}, or none")
        named = () if "none" in self.gate else tuple(name for name in GATES_OF_ALL if name in self.gate)
        object.__setattr__(self, "gate", named)
        self._need("gate_alpha", self.gate_alpha is None or 0 < self.gate_alpha < 1, "a share between 0 and 1")
        self._need("gate_share", 0 <= self.gate_share <= 1, "a share between 0 and 1 (0.1 is 10 %)")
        self._need("fdr_sides", self.fdr_sides in (None, 1, 2), "1 or 2")
        few = math.ceil(1 / self.alpha)
        self._need("worlds", LEAST_WORLDS <= self.worlds <= MOST_WORLDS, f"{LEAST_WORLDS} to {MOST_WORLDS:,}")
        self._need(
            "worlds", self.worlds >= few or not self.gate, f"at least {few}: no share of fewer is {self.alpha:g}"
        )
        self._need("block_days", 1 <= self.block_days <= LONGEST_BLOCK, f"1 to {LONGEST_BLOCK:g} days")
        self._need("null_seed", self.null_seed >= 0, "zero or more")

    def _check_options(self) -> None:
        both = self.strict_filters and self.unknown_filters is not None
        self._need("unknown_filters", not both, "--strict-filters or this one: both say what unknown filters are")
        for name in ("wf_first_day", "wf_last_day", "holdout_from"):
            day = getattr(self, name)
            self._need(name, day is None or day.year <= LAST_YEAR, f"a day in the years 1 to {LAST_YEAR}")
        rising = all(one < next_one for one, next_one in zip(self.era_starts, self.era_starts[1:], strict=False))
        self._need("era_starts", rising and len(self.era_starts) != 1, "two years or more, ascending")
        if self.min_wfe is not None:
            self._need("min_wfe", self.wf_in_sample and not self.no_walkforward, "walk-forward with --wf-in-sample")
        by_trades = self.wf_window_trades is not None or self.small_wf_window_trades is not None
        for name in ("wf_train_trades", "small_wf_train_trades"):
            needed = f"{flag(name.replace('train', 'window'))} too: without windows by trades, training is months"
            self._need(name, getattr(self, name) is None or by_trades, needed)
        if self.needs_worlds:
            self.check_worlds()

    def check_worlds(self) -> None:
        """Raise BadValue for a rule that null worlds do not apply: what they count would be of other rules."""
        for each in fields(self):
            if each.name in BEYOND_WORLDS:
                unset = getattr(self, each.name) == each.default
                self._need(each.name, unset, "none with --calibrate, or gate luck or stepm: worlds do not apply it")

    @property
    def alpha(self) -> float:
        """The level of the gates `fdr` and `stepm`."""
        return ALPHA if self.gate_alpha is None else self.gate_alpha

    @property
    def says_how_to_correct(self) -> bool:
        """Whether p-values are to be corrected otherwise than rules.md, section 6 says."""
        given = (self.fdr_method, self.fdr_sides, self.gate_alpha, self.fdr_k_file)
        return any(each is not None for each in given) or bool(self.fdr_instruments or self.fdr_group_by)

    @property
    def needs_worlds(self) -> bool:
        """Whether the run puts its strategies into worlds without an edge."""
        return self.calibrate or bool({"luck", "stepm"} & set(self.gate))

    @property
    def without_effect(self) -> dict[str, list[str]]:
        """Settings that somebody has given, by the one that they mean nothing without."""
        found: dict[str, list[str]] = {}
        for each in fields(self):
            switch = SWITCHED_BY.get(each.name)
            if switch and not getattr(self, switch) and getattr(self, each.name) != each.default:
                found.setdefault(switch, []).append(each.name)
        return found

    @property
    def asks_for_evidence(self) -> bool:
        """Whether strategies are weighed by more than their own numbers and windows."""
        return bool(self.gate or self.says_how_to_correct or self.holdout_from or self.era_starts)

    @property
    def on_unknown_filter(self) -> Literal["all", "none", "fail"]:
        """What becomes of a strategy whose filter nobody understands: every day is its, no day, or it is FAILED."""
        if self.strict_filters:
            return "fail"
        return self.unknown_filters or ("all" if self.filters == "names" else "fail")

    @property
    def day_rules(self) -> str:
        """What the days that strategies trade depend on (rules.md, sections 4 and 5), as a text."""
        seasons = sorted(self.seasons.items())
        return repr([self.filters, self.on_unknown_filter, self.strict_filters, self.filter, seasons])

    @property
    def window_trades(self) -> int:
        """Wins and losses that make a test window valid."""
        return self.wf_window_trades or self.wf_min_trades

    @property
    def window_rules(self) -> WindowRules:
        """The flags that the facts of walk-forward depend on."""
        return WindowRules(
            self.wf_test_months,
            self.wf_min_train_months,
            _day(self.wf_first_day),
            _day(self.wf_last_day),
            self.wf_window_trades,
            (self.wf_train_trades or self.wf_window_trades) if self.wf_window_trades else None,
            self.wf_in_sample_min if self.wf_in_sample else None,
            _day(self.holdout_from),
        )

    @property
    def fact_rules(self) -> tuple[object, ...]:
        """What the facts of walk-forward, seasons and holdouts depend on; all else is judgement."""
        of_small = (self.small_sample, self.of_small_samples.window_rules) if self.small_sample else None
        return self.window_rules, of_small, self.day_rules

    def is_small(self, sample_size: float | None) -> bool:
        """Whether the settings of small samples hold for so many trades; what is unknown counts as none."""
        return self.small_sample > 0 and not (sample_size or 0) >= self.small_sample

    def of(self, sample_size: float) -> RunConfig:
        """The settings of a strategy with so many trades."""
        if not self.small_sample:
            return self
        return self.of_small_samples if self.is_small(sample_size) else self.of_others

    def named(self, changes: Mapping[str, Any], sample_size: float) -> dict[str, Any]:
        """Changes to the settings of a strategy with so many trades, by the flags that decide them."""
        small = {plain for plain, name in OF_SMALL_SAMPLES.items() if getattr(self, name) is not None}
        if not self.is_small(sample_size):
            return dict(changes)
        return {OF_SMALL_SAMPLES[name] if name in small else name: value for name, value in changes.items()}

    @cached_property
    def of_small_samples(self) -> RunConfig:
        """The settings of strategies with fewer than `small_sample` trades."""
        given = {plain: getattr(self, small) for plain, small in OF_SMALL_SAMPLES.items()}
        return replace(self, small_sample=0, **{name: value for name, value in given.items() if value is not None})

    @cached_property
    def of_others(self) -> RunConfig:
        """The settings of all other strategies."""
        return replace(self, small_sample=0)


def _day(of: date | None) -> int | None:
    return None if of is None else (of - EPOCH).days


def unusual(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Of the recorded settings of a run, those that are not as they are when nothing is said."""
    usual = json.loads(json.dumps(asdict(RunConfig()), default=str))
    return {name: value for name, value in parameters.items() if name not in usual or value != usual[name]}
