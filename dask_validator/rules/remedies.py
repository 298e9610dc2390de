"""What would have to change for a strategy to pass: flags, found by applying the gates again, or more than flags."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dask_validator.config import RunConfig, flag
from dask_validator.errors import InputError
from dask_validator.model import Gate, Strategy
from dask_validator.rules.costs import Costs
from dask_validator.rules.screening import every_gate
from dask_validator.rules.walkforward import OutOfSample, out_of_sample
from dask_validator.rules.yearly import parse_years

STEP = 1e-4  # shares and multipliers are named with four decimals
MOST_ROUNDS = 20  # a change can bring another gate to fail, but not for ever


class Remedy(NamedTuple):
    """How a strategy would pass: with all changes together, if nothing is lacking."""

    changes: dict[str, Any]  # fields of RunConfig and their values
    lacking: tuple[str, ...]  # in words, what no flag can change

    @property
    def helps(self) -> bool:
        """Whether flags alone let the strategy pass."""
        return bool(self.changes) and not self.lacking

    @property
    def flags(self) -> str:
        """The changes as one would type them."""
        return " ".join(_spelled(name, value) for name, value in self.changes.items())


def _spelled(name: str, value: Any) -> str:
    if value is None or value == ():
        return f"(without {flag(name)})"
    if value is True:
        return flag(name)
    values = value if isinstance(value, tuple) else [value]
    return " ".join([flag(name), *map(str, values)])


def screening_remedy(strategy: Strategy, config: RunConfig, costs: Costs, atr_by_year: Mapping[int, float]) -> Remedy:
    """The changes that let a strategy pass phases 1-5.

    Raises
    ------
    UnusableStrategy
        `yearly_results` of the wrong shape.
    """
    changes: dict[str, Any] = {}
    lacking: dict[str, str] = {}  # by gate
    for _ in range(MOST_ROUNDS):
        case = _Case(strategy, replace(config, **changes), costs, atr_by_year)
        failed = next((gate for gate in case.gates() if not gate.passed and _about(gate) not in lacking), None)
        if failed is None:
            break
        remedy = _REMEDIES[_about(failed)](case, failed)
        if isinstance(remedy, str):
            lacking[_about(failed)] = remedy
        elif not _is_possible(case.config, remedy):
            lacking[_about(failed)] = f"no value of {', '.join(map(flag, remedy))} helps"
        else:
            changes |= remedy
    else:
        lacking[""] = "no flags were found that help"
    return Remedy(changes, tuple(lacking.values()))


def _about(gate: Gate) -> str:
    """Phase 3 has one gate, under the name of the rule that decided it."""
    return "years" if gate.phase == 3 else gate.name


def _is_possible(config: RunConfig, changes: dict[str, Any]) -> bool:
    try:
        return replace(config, **changes) != config
    except InputError:
        return False


class _Case(NamedTuple):
    strategy: Strategy
    config: RunConfig
    costs: Costs
    atr_by_year: Mapping[int, float]

    def gates(self, **changes: Any) -> tuple[Gate, ...]:
        return every_gate(self.strategy, replace(self.config, **changes).screen_rules, self.costs, self.atr_by_year)


Changes = dict[str, Any] | str  # fields of RunConfig, or why none of them helps


def _sample_size(case: _Case, failed: Gate) -> Changes:
    return {"min_sample": failed.observed}


def _expectancy(case: _Case, failed: Gate) -> Changes:
    return f"expectancy after costs must be above 0 R per trade; it is {_r(failed.observed)}"


def _years(case: _Case, failed: Gate) -> Changes:
    """Years left out first; then other years let in; then a share of negative ones admitted."""
    known = parse_years(case.strategy.yearly_results, frozenset())
    fewer = {math.floor(year.trades) for year in known if 0 <= year.trades < case.config.min_trades_per_year}
    trades = [{}, *({"min_trades_per_year": n} for n in sorted(fewer, reverse=True))]
    years: list[dict[str, Any]] = [{}, {"exclude_years": ()}] if case.config.exclude_years else [{}]
    for waivers in ({}, {"no_regime_waivers": True}):
        for included in years:
            for enough in trades:
                if (changes := _settled(case, {**waivers, **included, **enough})) is not None:
                    return changes
    return "there must be yearly results of a year with trades; there are none"


def _settled(case: _Case, changes: dict[str, Any]) -> dict[str, Any] | None:
    """The changes and what they bring with them for phase 3 to hold; None when it does not."""
    for _ in range(3):
        gate = next(gate for gate in case.gates(**changes) if gate.phase == 3)
        if gate.passed:
            return changes
        if gate.name == "negative_years":
            excluded = changes.get("exclude_years", case.config.exclude_years)
            changes = changes | {"exclude_years": tuple(sorted({*excluded, *map(int, gate.detail.split(", "))}))}
        elif gate.name == "years_positive":
            changes = changes | {"min_years_positive_pct": _floor(gate.observed)}
        else:
            break
    return None


def _stress(case: _Case, failed: Gate) -> Changes:
    expectancy, stressed = case.strategy.expectancy_r, failed.observed
    if expectancy is None or not expectancy > 0 or not isinstance(stressed, float) or not math.isfinite(stressed):
        return f"expectancy after stressed costs must be above 0 R per trade; it is {_r(stressed)}"
    multiplier = case.config.stress_multiplier  # the stress is linear in it, and none at 1
    return {"stress_multiplier": _floor(1 + (multiplier - 1) * expectancy / (expectancy - stressed), steps_below=1)}


def _sharpe(case: _Case, failed: Gate) -> Changes:
    return {"min_sharpe": _known(failed.observed)}


def _drawdown(case: _Case, failed: Gate) -> Changes:
    return {"max_drawdown": _known(failed.observed)}


def _r(value: object) -> str:
    return "unknown" if _known(value) is None else f"{value:.4f} R"


def _known(value: object) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _floor(value: Any, steps_below: int = 0) -> float:
    """Not above the value, to four decimals, nor below zero."""
    steps = math.floor(value / STEP)
    below = round(steps * STEP, 4) > value  # by an error of the division
    return float(max(0.0, round((steps - below - steps_below) * STEP, 4)))


_REMEDIES: dict[str, Callable[[_Case, Gate], Changes]] = {
    "sample_size": _sample_size,
    "expectancy_r": _expectancy,
    "years": _years,
    "stressed_expectancy_r": _stress,
    "sharpe_ratio": _sharpe,
    "max_drawdown_r": _drawdown,
}


def walkforward_remedy(windows: Sequence[tuple[int, float | None]], config: RunConfig) -> Remedy:
    """The fewest and smallest changes that let a strategy pass phase 6, its windows being as they are.

    Parameters
    ----------
    windows
        `(test_n, test_exp_r)` of each test window, as stored.
    """
    tested = [(n, exp_r) for n, exp_r in windows if exp_r is not None]
    if not tested:
        return Remedy({}, ("there must be test windows with trades; there are none",))
    ways = [
        changes
        for min_trades in _thresholds((n for n, _ in tested), config.wf_min_trades)
        if (changes := _changes(out_of_sample(tested, min_trades), min_trades, config)) is not None
    ]
    if not ways:
        exp_r = out_of_sample(tested, config.wf_min_trades).exp_r
        return Remedy({}, (f"expectancy over the valid test windows must be above 0 R; it is {exp_r:.4f} R",))
    return Remedy(min(ways, key=lambda changes: (len(changes), _distance(changes, config))), ())


def _thresholds(sizes: Iterable[int], now: int) -> Iterator[int]:
    """Of all the `wf_min_trades` that admit the same windows the one nearest to what it is now."""
    yield now
    for size in sorted(set(sizes)):
        if size > 0:
            yield size if size < now else size + 1


def _changes(found: OutOfSample, min_trades: int, config: RunConfig) -> dict[str, Any] | None:
    if not (found.windows and found.exp_r > 0):
        return None
    wanted = {
        "wf_min_trades": min_trades,
        "wf_min_windows": min(config.wf_min_windows, found.windows),
        "wf_min_pct_positive": min(config.wf_min_pct_positive, _floor(found.pct_positive)),
    }
    if found.pct_positive >= config.wf_min_pct_positive:
        del wanted["wf_min_pct_positive"]
    return {name: value for name, value in wanted.items() if value != getattr(config, name)}


def _distance(changes: Mapping[str, Any], config: RunConfig) -> float:
    """Relative to what the flags are now."""
    return float(sum(abs(value / getattr(config, name) - 1) for name, value in changes.items()))
