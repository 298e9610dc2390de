"""Costs by symbol: the known ones, and those a user adds in a TOML file (rules.md, section 7)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dask_validator.config.toml_file import read_toml
from dask_validator.errors import InputError
from dask_validator.rules.costs import KNOWN_COSTS, NO_COSTS, Costs

MUST_BE_POSITIVE = {"point_value", "tick_size", "min_ticks_floor"}
NONE: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def costs_of(
    symbol: str,
    toml_path: str | Path | None = None,
    of_rules: Mapping[str, Mapping[str, Any]] = NONE,
    all_imported: Callable[[], bool] = lambda: False,
) -> Costs:
    """Costs of the symbol: those of the user's file win over those of the rules, and these over known ones.

    Parameters
    ----------
    all_imported
        Whether the trades of all strategies of the symbol were imported: they have costs of their own.

    Raises
    ------
    InputError
        An unknown symbol, or a file that is missing, not TOML, or incomplete.
    """
    tables = read_toml(Path(toml_path), "--instruments")[0] if toml_path else {}
    if symbol in tables:
        return _costs(tables[symbol], f"--instruments {toml_path}: [{symbol}]")
    if symbol in of_rules:
        return _costs(of_rules[symbol], f"--rules: [costs.{symbol}]")
    if symbol in KNOWN_COSTS:
        return KNOWN_COSTS[symbol]
    if all_imported():
        return NO_COSTS
    known = ", ".join(sorted({*KNOWN_COSTS, *tables, *of_rules}))
    raise InputError(f"unknown instrument {symbol!r}; known: {known}; describe others with --instruments TOML")


def kept_costs(summary: Mapping[str, Any]) -> Costs | None:
    """Those that a run was made with, as its record has them; an earlier version kept none. Raises InputError."""
    kept = summary.get("costs")
    return None if kept is None else checked_costs([kept[name] for name in Costs._fields])


def _costs(table: object, where: str) -> Costs:
    if not isinstance(table, Mapping):
        raise InputError(f"{where} is not a table; needed one with {_needed()}")
    if missing := [name for name in Costs._fields if name not in table]:
        raise InputError(f"{where} lacks {', '.join(missing)}; needed {_needed()}")
    try:
        return checked_costs([table[name] for name in Costs._fields])
    except InputError as error:
        raise InputError(f"{where} has {error}") from None


def checked_costs(values: Sequence[Any]) -> Costs:
    """Costs made of numbers that can be costs, in the order of their names. Raises InputError."""
    for name, value in zip(Costs._fields, values, strict=True):
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        if not number or value < 0 or (name in MUST_BE_POSITIVE and value == 0):
            sign = "above zero" if name in MUST_BE_POSITIVE else "of zero or more"
            raise InputError(f"{name} = {value!r}; needed a number {sign}")
    return Costs(*values)


def _needed() -> str:
    return ", ".join(Costs._fields)
