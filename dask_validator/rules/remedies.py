"""What would have to change for a strategy to pass: flags, found by applying the gates again, or more than flags."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig, flag
from dask_validator.errors import InputError, UnusableStrategy
from dask_validator.model import R, Strategy, Walked
from dask_validator.rules.gates import GATES, HELD, OF_ROWS, OF_WINDOWS, POSITION, Gate, Terms
from dask_validator.rules.judging import first_failing, said
from dask_validator.rules.screening import Market, screen
from dask_validator.rules.window_gates import observe, pooled
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


def screening_remedy(strategy: Strategy, config: RunConfig, market: Market) -> Remedy:
    """The changes that let a strategy pass phases 1-5.

    Raises
    ------
    UnusableStrategy
        `yearly_results` of the wrong shape.
    """
    changes: dict[str, Any] = {}
    lacking: dict[object, str] = {}  # by remedy, which gates may share
    for _ in range(MOST_ROUNDS):
        case = _Case(strategy, replace(config, **changes), market)
        failed = case.first_failing([i for i in OF_ROWS if _remedy_of(GATES[i]) not in lacking])
        if failed == HELD:
            break
        gate = GATES[failed]
        found = _REMEDIES.get(gate.name, _to_observed)(case, gate)
        if found is None:
            lacking[_remedy_of(gate)] = case.lacking(failed)
        elif not _is_possible(case.config, found):
            lacking[_remedy_of(gate)] = f"no value of {', '.join(map(flag, found))} helps"
        else:
            changes |= found
    else:
        lacking[""] = "no flags were found that help"
    return Remedy(changes, tuple(lacking.values()))


def _remedy_of(gate: Gate) -> object:
    return _REMEDIES.get(gate.name, gate.name)


def _is_possible(config: RunConfig, changes: dict[str, Any]) -> bool:
    try:
        return replace(config, **changes) != config
    except InputError:
        return False


class _Case(NamedTuple):
    strategy: Strategy
    config: RunConfig
    market: Market

    @property
    def terms(self) -> Terms:
        return self.market.terms(self.config)

    def observed(self) -> NDArray[np.float64]:
        """Shape (1, n_gates). Raises UnusableStrategy."""
        screened = screen([self.strategy], self.terms, self.market, all_years=True)
        if screened.unusable:
            raise UnusableStrategy(screened.unusable[0])
        return screened.observed

    def first_failing(self, positions: list[int]) -> int:
        return int(first_failing(self.observed(), self.terms, positions)[0])

    def seen(self, gate: Gate) -> float | None:
        """What the gate sees; None where that is unknown or infinite."""
        number = gate.number(self.observed()[0, POSITION[gate.name]])
        return number if number is not None and math.isfinite(number) else None

    def lacking(self, position: int) -> str:
        return said(GATES[position].lacking, position, self.observed()[0], self.terms, {})


Changes = dict[str, Any] | None  # fields of RunConfig; None: no flag helps


def _to_observed(case: _Case, gate: Gate) -> Changes:
    """The threshold moved to what there is, or off where that is unknown."""
    return {gate.flags[0]: case.seen(gate)} if gate.flags else None


def _years(case: _Case, _: Gate) -> Changes:
    """Years left out first; then other years let in; then a share of negative ones admitted."""
    known = parse_years(case.strategy.yearly_results, ())
    fewer = {math.floor(year.trades) for year in known if 0 <= year.trades < case.config.min_trades_per_year}
    trades = [{}, *({"min_trades_per_year": n} for n in sorted(fewer, reverse=True))]
    years: list[dict[str, Any]] = [{}, {"exclude_years": ()}] if case.config.exclude_years else [{}]
    for waivers in ({}, {"no_regime_waivers": True}):
        for included in years:
            for enough in trades:
                if (changes := _settled(case, {**waivers, **included, **enough})) is not None:
                    return changes
    return None


def _settled(case: _Case, changes: dict[str, Any]) -> dict[str, Any] | None:
    """The changes and what they bring with them for phase 3 to hold; None when it does not."""
    of_years = [i for i in OF_ROWS if GATES[i].phase == 3]
    for _ in range(3):
        changed = case._replace(config=replace(case.config, **changes))
        failed = changed.first_failing(of_years)
        if failed == HELD:
            return changes
        match GATES[failed].name:
            case "negative_years":
                screened = screen([case.strategy], changed.terms, case.market, all_years=True)
                excluded = {*changed.config.exclude_years, *screened.years[0].negative}
                changes = changes | {"exclude_years": tuple(sorted(excluded))}
            case "years_positive" | "years_held":
                changes = changes | {"min_years_positive_pct": _floor(changed.seen(GATES[failed]))}
            case _:
                break
    return None


def _stress(case: _Case, gate: Gate) -> Changes:
    expectancy, stressed = case.strategy.expectancy_r, case.seen(gate)
    if expectancy is None or not expectancy > 0 or stressed is None:
        return None
    multiplier = case.config.stress_multiplier  # the stress is linear in it, and none at 1
    return {"stress_multiplier": _floor(1 + (multiplier - 1) * expectancy / (expectancy - stressed), steps_below=1)}


def _floor(value: Any, steps_below: int = 0, least: float = 0.0) -> float:
    """Not above the value, to four decimals, nor below the least."""
    steps = round(value / STEP)  # which an error of the division does not move
    below = round(steps * STEP, 4) > value
    return float(max(least, round((steps - below - steps_below) * STEP, 4)))


# Where moving the threshold to what there is would not do.
_REMEDIES: Mapping[str, Callable[[_Case, Gate], Changes]] = {
    **{gate.name: _years for gate in GATES if gate.phase == 3},
    "stressed_expectancy_r": _stress,
}


def walkforward_remedy(walked: Walked, config: RunConfig, unit: str = R) -> Remedy:
    """The fewest and smallest changes that let a strategy pass phase 6, its windows being as they are."""
    now = config.window_trades
    sizes = [] if config.wf_window_trades else walked.windows["test_n"].tolist()  # windows of trades have them all
    thresholds = list(_thresholds(sizes, now))
    found = pooled([walked.windows] * len(thresholds), thresholds)
    seen = zip(thresholds, found.valid.tolist(), found.pct_positive.tolist(), found.exp_r.tolist(), strict=True)
    ways = [changes for of in seen if (changes := _changes(*of, config)) is not None]
    if not ways:
        return Remedy({}, (_lacking(walked, config, unit),))
    return Remedy(min(ways, key=lambda changes: (len(changes), _distance(changes, config))), ())


def thresholds_remedy(observed: NDArray[np.float64], terms: Terms, positions: Sequence[int]) -> Remedy:
    """Thresholds of these gates moved to what there is; a strategy without the number is helped by none.

    Parameters
    ----------
    observed
        All numbers of the strategy, shape (n_gates,).
    """
    changes: dict[str, Any] = {}
    lacking: list[str] = []
    for position in positions:
        gate, threshold = GATES[position], GATES[position].threshold(terms)
        if threshold is None or gate.holds(observed[position], threshold):
            continue
        if math.isnan(observed[position]):
            lacking.append(gate.lacking)
            continue
        [name] = gate.flags
        needed = _moved(gate, float(observed[position]), name)
        if _is_possible(terms.config, {name: needed}):
            changes[name] = needed if name not in changes else max(needed, changes[name])
        else:
            lacking.append(f"no value of {flag(name)} helps")
    return Remedy(changes, tuple(lacking))


def _moved(gate: Gate, value: float, name: str) -> Any:
    if name == "holdout_few":
        return "pass"
    if gate.comparison in (">=", ">"):
        return _floor(value, steps_below=int(gate.comparison == ">"), least=-math.inf)
    return _ceiling(value, steps_above=int(gate.comparison == "<"))


def _ceiling(value: float, steps_above: int = 0) -> float:
    """Not below the value, which is a share, to four decimals."""
    steps = math.ceil(value / STEP)
    above = round((steps - 1) * STEP, 4) >= value  # by an error of the division
    return round((steps - above + steps_above) * STEP, 4)


def _lacking(walked: Walked, config: RunConfig, unit: str) -> str:
    """Of the gates that do not hold the first that no flag helps."""
    observed, terms = np.full((1, len(GATES)), np.nan), Terms(config, False, unit)
    observe([walked], config, observed, [0])
    hopeless = [i for i in OF_WINDOWS if GATES[i].lacking]
    position = int(first_failing(observed, terms, hopeless)[0])
    if not (walked.windows["test_n"] > 0).any() and len(walked.windows):
        return "there must be test windows with trades; there are none"
    return said(GATES[position].lacking, position, observed[0], terms, {})


def _thresholds(sizes: Iterable[int], now: int) -> Iterator[int]:
    """Of all the `wf_min_trades` that admit the same windows the one nearest to what it is now."""
    yield now
    for size in sorted(set(sizes)):
        if size > 0:
            yield size if size < now else size + 1


def _changes(min_trades: int, valid: int, share: float, exp_r: float, config: RunConfig) -> dict[str, Any] | None:
    if not (valid and exp_r > 0):
        return None
    wanted = {
        "wf_min_trades": config.wf_min_trades if config.wf_window_trades else min_trades,
        "wf_min_windows": min(config.wf_min_windows, valid),
        "wf_min_pct_positive": min(config.wf_min_pct_positive, _floor(share)),
    }
    if share >= config.wf_min_pct_positive:
        del wanted["wf_min_pct_positive"]
    return {name: value for name, value in wanted.items() if value != getattr(config, name)}


def _distance(changes: Mapping[str, Any], config: RunConfig) -> float:
    """Relative to what the flags are now."""
    return float(sum(abs(value / getattr(config, name) - 1) for name, value in changes.items()))
