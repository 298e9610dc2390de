"""What the user may choose: the rule flags of the command line, checked once, frozen."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from dask_validator.errors import InputError

DEFAULT_WF_OUTPUT = Path("data/walkforward_results.jsonl")
MAX_MONTHS = 1200
GATES_OF_ALL = ("fdr", "luck", "stepm")  # in the order in which they are asked
FdrMethod = Literal["bh", "by", "raw"]
FDR_METHODS = get_args(FdrMethod)
ALPHA = 0.05
LEAST_WORLDS, MOST_WORLDS, FEW_WORLDS = 20, 100_000, 200  # with fewer than the last, quantiles are coarse
LONGEST_BLOCK = 1e12  # days


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    number: Any = value if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    return bool(abs(number) <= sys.float_info.max)  # an int of 400 digits is no float


def _is_size(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*[KMGT]i?B\s*", value, re.IGNORECASE) is not None


# What a field's annotation admits, and the words for it: a wrong type must not become a verdict.
_KINDS: dict[str, Callable[[Any], tuple[bool, str]]] = {
    "int": lambda value: (_is_whole(value), "a whole number"),
    "float": lambda value: (_is_finite(value), "a finite number"),
    "float | None": lambda value: (value is None or _is_finite(value), "a finite number"),
    "bool": lambda value: (isinstance(value, bool), "True or False"),
    "int | None": lambda value: (value is None or _is_whole(value), "a whole number"),
    "tuple[str, ...]": lambda value: (isinstance(value, list | tuple), "a list of names"),
    "tuple[int, ...]": lambda value: (isinstance(value, Iterable) and all(map(_is_whole, value)), "years"),
    "str | None": lambda value: (value is None or _is_size(value), "a size such as 800MiB or 4GB"),
    "FdrMethod | None": lambda value: (value in (None, *FDR_METHODS), f"one of {', '.join(FDR_METHODS)}"),
    "str | Path": lambda value: (isinstance(value, str | Path), "a path"),
    "str | Path | None": lambda value: (value is None or isinstance(value, str | Path), "a path"),
}


class WindowRules(NamedTuple):
    """What test windows depend on (rules.md, section 3), in calendar months."""

    test_months: int = 6
    min_train_months: int = 12


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings of one run; every field is the command-line flag of the same name.

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
    no_walkforward: bool = False
    wf_test_months: int = 6
    wf_min_train_months: int = 12
    wf_min_trades: int = 15
    wf_min_windows: int = 3
    wf_min_pct_positive: float = 0.60
    strict_filters: bool = False
    wf_output: str | Path = DEFAULT_WF_OUTPUT
    instruments: str | Path | None = None
    dry_run: bool = False
    gate: tuple[str, ...] = ()
    gate_alpha: float | None = None
    gate_share: float = 0.10
    fdr_method: FdrMethod | None = None
    fdr_sides: int | None = None
    calibrate: bool = False
    worlds: int = 1000
    block_days: float = 5.0
    null_seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            self._need(field.name, *_KINDS[str(field.type)](getattr(self, field.name)))
        object.__setattr__(self, "exclude_years", tuple(sorted(set(self.exclude_years))))
        self._check_multiplicity()
        for name in ("wf_test_months", "wf_min_train_months"):
            self._need(name, 1 <= getattr(self, name) <= MAX_MONTHS, f"1 to {MAX_MONTHS} months")
        for name in ("min_years_positive_pct", "wf_min_pct_positive"):
            self._need(name, 0 <= getattr(self, name) <= 1, "a share between 0 and 1 (0.6 is 60 %)")
        for name in ("wf_min_trades", "wf_min_windows"):
            self._need(name, getattr(self, name) >= 1, "at least 1")
        for name in ("min_sample", "min_trades_per_year", "stress_multiplier"):
            self._need(name, getattr(self, name) >= 0, "zero or more")

    def _need(self, name: str, holds: bool, needed: str) -> None:
        if not holds:
            raise InputError(f"{flag(name)} got {getattr(self, name)!r}; needed {needed}")

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

    @property
    def alpha(self) -> float:
        """The level of the gates `fdr` and `stepm`."""
        return ALPHA if self.gate_alpha is None else self.gate_alpha

    @property
    def says_how_to_correct(self) -> bool:
        """Whether p-values are to be corrected otherwise than rules.md, section 6 says."""
        return any(given is not None for given in (self.fdr_method, self.fdr_sides, self.gate_alpha))

    @property
    def needs_worlds(self) -> bool:
        """Whether the run puts its strategies into worlds without an edge."""
        return self.calibrate or bool({"luck", "stepm"} & set(self.gate))

    @property
    def window_rules(self) -> WindowRules:
        """The flags that test windows depend on."""
        return WindowRules(self.wf_test_months, self.wf_min_train_months)


def combinations(config: RunConfig, values: Mapping[str, Sequence[Any]]) -> list[RunConfig]:
    """The settings with every combination of several values of flags; the last flag changes fastest."""
    return [replace(config, **dict(zip(values, chosen, strict=True))) for chosen in product(*values.values())]


@dataclass(frozen=True, kw_only=True)
class Safeguards:
    """How a run is kept from loss: the flags that no verdict depends on.

    Raises
    ------
    InputError
        Seconds below zero.
    """

    resume: bool = False
    discard: bool = False
    journal: str | Path | None = None
    task_timeout: float = 600.0  # seconds
    wait_for_lock: float = 0.0  # seconds
    memory_limit: str | None = None  # of each process, as DuckDB spells sizes
    allow_external_views: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            holds, needed = _KINDS[str(field.type)](value)
            if not holds or (field.type == "float" and value < 0):
                more = ", zero or more seconds" if field.type == "float" else ""
                raise InputError(f"{flag(field.name)} got {value!r}; needed {needed}{more}")
        if self.resume and self.discard:
            raise InputError("got --resume and --discard; needed one of them: go on, or start anew")


def flag(field_name: str) -> str:
    """The command-line spelling of a field: `wf_min_trades` is `--wf-min-trades`."""
    return "--" + field_name.replace("_", "-")
