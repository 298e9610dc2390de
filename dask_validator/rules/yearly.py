"""The `yearly_results` JSON of a strategy: read with Python's JSON semantics, shape checked."""

from __future__ import annotations

import json
import math
from collections.abc import Set
from typing import NamedTuple

from dask_validator.errors import UnusableStrategy
from dask_validator.rules.json_values import as_double


class Year(NamedTuple):
    """One calendar year of a strategy: trades taken and mean R per trade."""

    year: int
    trades: float
    avg_r: float
    positive: bool  # NaN is not: unknown fails closed


def parse_years(text: str | None, exclude_years: Set[int]) -> list[Year]:
    """Years of the JSON that are not excluded; empty when there are no yearly data.

    Raises
    ------
    UnusableStrategy
        Valid JSON of the wrong shape (rules.md, section 1).
    """
    years = ((_year_number(key), data) for key, data in _load(text).items())
    return [_year(year, data) for year, data in years if year not in exclude_years]


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


def _year(year: int, data: object) -> Year:
    if not isinstance(data, dict):
        raise UnusableStrategy(f"yearly_results of {year} is {json.dumps(data)[:40]}, needed an object")
    trades, avg_r = as_double(data.get("trades", 0)), as_double(data.get("avg_r", 0))
    if trades is None or avg_r is None:
        name = "trades" if trades is None else "avg_r"
        raise UnusableStrategy(f"yearly_results of {year} has {name} = {json.dumps(data[name])[:40]}, needed a number")
    if math.isnan(trades):
        raise UnusableStrategy(f"yearly_results of {year} has trades = NaN, needed a number")
    return Year(year, trades, avg_r, avg_r > 0)
