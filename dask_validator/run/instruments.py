"""Costs by symbol: the known ones, and those a user adds in a TOML file (rules.md, section 7)."""

from __future__ import annotations

import stat
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dask_validator.errors import InputError
from dask_validator.rules.costs import KNOWN_COSTS, Costs

LONGEST = 1 << 20  # characters of a file of costs
MUST_BE_POSITIVE = {"point_value", "tick_size", "min_ticks_floor"}


def costs_of(symbol: str, toml_path: str | Path | None = None) -> Costs:
    """Costs of the symbol; a table in the user's file wins over a known one.

    Raises
    ------
    InputError
        An unknown symbol, or a file that is missing, not TOML, or incomplete.
    """
    tables = _load(Path(toml_path)) if toml_path else {}
    if symbol in tables:
        return _costs(symbol, tables[symbol], toml_path)
    if symbol in KNOWN_COSTS:
        return KNOWN_COSTS[symbol]
    known = ", ".join(sorted({*KNOWN_COSTS, *tables}))
    raise InputError(f"unknown instrument {symbol!r}; known: {known}; describe others with --instruments TOML")


def _load(path: Path) -> dict[str, object]:
    """Its tables; the path may be one that a run has left in a database, of whatever there is."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would be read for ever
            raise InputError(f"--instruments got {path}, which is not a file; needed one of TOML")
        with path.open(encoding="utf-8-sig") as file:  # editors may put a byte-order mark first
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise ValueError(f"it has more than {LONGEST:,} characters")
        return tomllib.loads(text)
    except OSError as error:
        raise InputError(f"--instruments got {path}, which cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"--instruments got {path}, which is not valid TOML: {error}") from None


def _costs(symbol: str, table: object, path: str | Path | None) -> Costs:
    if not isinstance(table, dict):
        raise InputError(f"--instruments {path}: {symbol} is not a table; needed [{symbol}] with {_needed()}")
    if missing := [name for name in Costs._fields if name not in table]:
        raise InputError(f"--instruments {path}: [{symbol}] lacks {', '.join(missing)}; needed {_needed()}")
    try:
        return checked_costs([table[name] for name in Costs._fields])
    except InputError as error:
        raise InputError(f"--instruments {path}: [{symbol}] has {error}") from None


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
