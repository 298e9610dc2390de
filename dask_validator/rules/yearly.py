"""The `yearly_results` JSON of strategies: read with Python's JSON semantics, shape checked, counted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.rules.json_values import as_double

DORMANT_BELOW_ATR = 20.0
MAX_WAIVED_TRADES = 5
_DOUBLES = range(-(2**53), 2**53)  # whole numbers that doubles are exact for


class Year(NamedTuple):
    """One calendar year of a strategy: trades taken and mean R per trade."""

    year: int
    trades: float
    avg_r: float
    positive: bool  # NaN is not: unknown fails closed


class Years(NamedTuple):
    """The years of one strategy, counted (rules.md, section 2, phase 3).

    A year is tested unless it is excluded or, where that is asked for, has too few trades; it counts in phase 3 if it
    has enough, which may be fewer for a small sample. `negative` and `waived` are those that count and are not
    positive, ascending.
    """

    tested: int = 0
    all_positive: bool = False
    counting: int = 0
    positive: int = 0
    negative: tuple[int, ...] = ()
    waived: tuple[Year, ...] = ()
    largest_share: float | None = None  # of the tested year that earned most in their total R; None: nothing earned


NO_YEARS = Years()


def years_of(
    text: str | None, config: RunConfig, atr_by_year: Mapping[int, float], tested_from: float = -math.inf
) -> Years:
    """Count the years of one strategy.

    Parameters
    ----------
    atr_by_year
        Mean `atr_20` in points by calendar year.
    tested_from
        Trades that a tested year has.

    Raises
    ------
    UnusableStrategy
        Valid JSON of the wrong shape (rules.md, section 1).
    """
    tested, positive, counting, lost = 0, 0, 0, []
    total_r, largest_r = 0.0, -math.inf
    for number, trades, avg_r, year_r in _tested(text, config.exclude_years):
        if trades >= tested_from:
            tested += 1
            positive += avg_r > 0
            total_r += year_r
            if year_r > largest_r:
                largest_r = year_r
        if trades >= config.min_trades_per_year:
            counting += 1
            if not avg_r > 0:
                lost.append(Year(number, trades, avg_r, positive=False))
    lost.sort()
    waived = tuple(year for year in lost if _dormant(year, atr_by_year))
    negative = tuple(year.year for year in lost if year not in waived)
    share = largest_r / total_r if 0 < total_r < math.inf else None
    return Years(tested, positive == tested, counting, counting - len(lost), negative, waived, share)


def _dormant(year: Year, atr_by_year: Mapping[int, float]) -> bool:
    atr = atr_by_year.get(year.year)
    return atr is not None and atr < DORMANT_BELOW_ATR and year.trades <= MAX_WAIVED_TRADES


def parse_years(text: str | None, exclude_years: Iterable[int]) -> list[Year]:
    """Years of the JSON that are not excluded; empty when there are no yearly data. Raises UnusableStrategy."""
    return [Year(number, trades, avg_r, avg_r > 0) for number, trades, avg_r, _ in _tested(text, exclude_years)]


def _tested(text: str | None, exclude_years: Iterable[int]) -> Iterator[tuple[int, float, float, float]]:
    """Number, trades, mean R and total R of each year that is not excluded."""
    for key, data in _load(text).items():
        number = _year_number(key)
        if number in exclude_years:
            continue
        if type(data) is dict:
            trades, avg_r, total_r = data.get("trades"), data.get("avg_r"), data.get("total_r")
            if type(avg_r) is type(total_r) is float and type(trades) is int and trades in _DOUBLES:  # as nearly all
                yield number, float(trades), avg_r, total_r
                continue
        trades, avg_r = _numbers(number, data)
        yield number, trades, avg_r, _total_r(data, trades * avg_r)


def trades_and_r(text: str | None) -> list[tuple[int, float, float]]:
    """Number, trades and mean R of every year, in the order of the JSON; what is absent or null is 0.

    Raises
    ------
    UnusableStrategy
        They cannot be read.
    """
    found = []
    for key, data in _load(text).items():
        if isinstance(data, dict) and None in data.values():
            data = {name: value for name, value in data.items() if value is not None}
        number = _year_number(key)
        found.append((number, *_numbers(number, data)))
    return found


def _load(text: str | None) -> dict[str, object]:
    try:
        loaded = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UnusableStrategy(f"yearly_results is a JSON {type(loaded).__name__}, needed an object of years")
    return loaded


def _year_number(key: str) -> int:
    try:
        return int(key)
    except ValueError:
        raise UnusableStrategy(f"yearly_results has the year {key[:40]!r}, needed an integer") from None


def _total_r(data: Any, computed: float) -> float:
    """As it is stored; NaN where that is no number, as nothing that rejects depends on it."""
    total_r = data.get("total_r")
    if total_r is None:
        return computed
    number = as_double(total_r)
    return math.nan if number is None else number


def _numbers(year: int, data: object) -> tuple[float, float]:
    if not isinstance(data, dict):
        raise UnusableStrategy(f"yearly_results of {year} is {json.dumps(data)[:40]}, needed an object")
    trades, avg_r = as_double(data.get("trades", 0)), as_double(data.get("avg_r", 0))
    if trades is None or avg_r is None:
        name = "trades" if trades is None else "avg_r"
        raise UnusableStrategy(f"yearly_results of {year} has {name} = {json.dumps(data[name])[:40]}, needed a number")
    if math.isnan(trades):
        raise UnusableStrategy(f"yearly_results of {year} has trades = NaN, needed a number")
    return trades, avg_r
