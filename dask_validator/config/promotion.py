"""What a rules file says of the rows that are written, and of the rows that two of the gates are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from typing import Any, Self

from dask_validator.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Modes:
    """How a column of `experimental_strategies` decides what is written to a promoted row.

    Attributes
    ----------
    column
        The one that names the mode.
    default
        What NULL, an empty text and this name itself write.
    named
        By mode, the columns that it writes.
    """

    column: str
    default: str
    named: dict[str, dict[str, Any]] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """From `[promotion.modes]`. Raises InputError for what is not one."""
        recorded = table.get("named") if set(table) == {"column", "default", "named"} else None
        if isinstance(recorded, Mapping) and all(isinstance(columns, Mapping) for columns in recorded.values()):
            return cls(column=table["column"], default=table["default"], named=dict(table["named"]))
        named = {name: value for name, value in table.items() if name not in ("column", "default")}
        texts = [table.get(name) for name in ("column", "default")]
        if not all(isinstance(text, str) and text for text in texts):
            raise InputError("[promotion.modes] needs column and default, two texts")
        for name, columns in named.items():
            if not isinstance(columns, Mapping):
                raise InputError(f"[promotion.modes] has {name} = {columns!r}; needed a table of columns")
        return cls(column=table["column"], default=table["default"], named={k: _plain(v) for k, v in named.items()})


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What is written to `validated_setups` beside what every run writes (rules.md, section 9).

    Attributes
    ----------
    copy
        Columns that exist under the same name in both tables.
    constants
        Columns of promoted rows that are always the same.
    run_log
        The table that gets a row a run.
    noise_floor
        Expectancy in R; a setup that earns no more out of sample is marked as noise.
    """

    copy: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict, hash=False)
    modes: Modes | None = None
    run_log: str | None = None
    noise_floor: float | None = None

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """From `[promotion]`. Raises InputError for unknown keys and wrong types."""
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(table) - known):
            raise InputError(f"[promotion] has {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        copy, constants, modes = table.get("copy", ()), table.get("constants", {}), table.get("modes")
        floor, run_log = table.get("noise_floor"), table.get("run_log")
        wrong = {
            "copy, a list of columns": isinstance(copy, list | tuple) and all(isinstance(name, str) for name in copy),
            "constants, a table of columns": isinstance(constants, Mapping),
            "modes, a table": modes is None or isinstance(modes, Mapping),
            "run_log, a table's name": run_log is None or (isinstance(run_log, str) and run_log != ""),
            "noise_floor, a number": floor is None or (isinstance(floor, int | float) and not isinstance(floor, bool)),
        }
        if needed := [name for name, holds in wrong.items() if not holds]:
            raise InputError(f"[promotion] needs {needed[0]}")
        return cls(
            copy=tuple(copy),
            constants=_plain(constants),
            modes=None if modes is None else Modes.of(modes),
            run_log=run_log,
            noise_floor=None if floor is None else float(floor),
        )


@dataclass(frozen=True, kw_only=True)
class GatesOnly:
    """Which rows the gates of eras and holdout are for: those made after some time that have a value in a column."""

    not_null: str
    created_after: datetime

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """From `gates_only`. Raises InputError."""
        column, after = table.get("not_null"), table.get("created_after")
        if isinstance(after, str):
            try:
                after = datetime.fromisoformat(after)
            except ValueError:
                after = None
        if (
            set(table) != {"not_null", "created_after"}
            or not isinstance(column, str)
            or not isinstance(after, datetime)
        ):
            raise InputError(
                "gates_only needs not_null, a column, and created_after, a time such as 2026-04-08T00:00:00Z"
            )
        return cls(not_null=column, created_after=after if after.tzinfo else after.replace(tzinfo=UTC))


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """The same with dates as text, as a record keeps them."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in table.items()}
