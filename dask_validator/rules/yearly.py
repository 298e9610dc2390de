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

    @property
    def positive(self) -> bool:
        """NaN is not positive: unknown fails closed."""
        return self.avg_r > 0


def parse_years(text: str | None, exclude_years: Set[int]) -> list[Year]:
    """Years of the JSON that are not excluded; empty when there are no yearly data.

    Raises
    ------
    UnusableStrategy
        Valid JSON of the wrong shape (rules, section 1).
    """
    return [_year(year, data) for year, data in _load(text) if year not in exclude_years]


def _load(text: str | None) -> list[tuple[int, object]]:
    try:
        loaded = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return []
    if loaded is None:
        return []
    if not isinstance(loaded, dict):
        raise UnusableStrategy(f"yearly_results is a JSON {type(loaded).__name__}, needed an object of years")
    return [(_year_number(key), data) for key, data in loaded.items()]


def _year_number(key: str) -> int:
    try:
        return int(key)
    except ValueError:
        raise UnusableStrategy(f"yearly_results has the year {key[:40]!r}, needed an integer") from None


def _year(year: int, data: object) -> Year:
    if not isinstance(data, dict):
        raise UnusableStrategy(f"yearly_results of {year} is {json.dumps(data)[:40]}, needed an object")
    trades, avg_r = _number(year, data, "trades"), _number(year, data, "avg_r")
    if math.isnan(trades):
        raise UnusableStrategy(f"yearly_results of {year} has trades = NaN, needed a number")
    return Year(year, trades, avg_r)


def _number(year: int, data: dict[str, object], name: str) -> float:
    value = data.get(name, 0)
    number = value if type(value) is float else as_double(value)  # nearly all are: it saves a call for each
    if number is None:
        raise UnusableStrategy(f"yearly_results of {year} has {name} = {json.dumps(data[name])[:40]}, needed a number")
    return number
