"""What the user's rules say of a setup's row, checked against the tables that it comes from and goes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb

from dask_validator.config import Promotion
from dask_validator.errors import BadRule
from dask_validator.rules.promotion import ORDINARY, mode_column
from dask_validator.store.kinds import BOOLEAN, DATE, NUMBER, TEXT, TIMESTAMP, is_of

if TYPE_CHECKING:
    from dask_validator.store.contract import Catalogue, Column

NOTHING_ASKED = Promotion()
TO_SAY = {"retired_at", "retirement_reason", *ORDINARY}  # of what every run writes, that rules may say otherwise
TO_COPY = {"n_trials_at_discovery"}
LOG = "run_id"
_OF_TEXT = (TEXT, DATE, TIMESTAMP)  # JSON knows no dates: rules that a run has kept have them as texts


def said_names(promotion: Promotion) -> set[str]:
    """The columns of a setup that only the rules name."""
    return {*promotion.copy, *_said(promotion)}


def ruled_texts(promotion: Promotion) -> dict[str, list[str]]:
    """By column, the texts that the rules may write there."""
    found: dict[str, list[str]] = {}
    for _, names in _by_keys(promotion):
        for name, value in names.items():
            found.setdefault(name, []).append(str(as_text(value)))
    if promotion.modes is not None:
        found[promotion.modes.column] = [promotion.modes.default, *promotion.modes.named]
    return found


def as_text(value: Any) -> str | None:
    """As DuckDB casts it to any kind."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else None if value is None else str(value)


def check_rules(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, by_run: set[str]) -> None:
    """Raise BadRule for what these tables cannot follow.

    Parameters
    ----------
    by_run
        Columns of a setup that are not the rules' to say.
    """
    promotion = catalogue.promotion
    for name in promotion.copy:
        _check_copy(catalogue, name, by_run)
    for keys, names in _by_keys(promotion):
        for name, value in names.items():
            if name in by_run - TO_SAY or name in {*promotion.copy, mode_column(promotion)}:
                raise _bad([*keys, name], "is written by the run itself; leave it out")
            _check_value(connection, [*keys, name], value, _column(catalogue, "validated_setups", [*keys, name]))
    if promotion.modes is not None:
        _column(catalogue, "experimental_strategies", ["promotion", "modes", "column"], promotion.modes.column)
    if promotion.run_log is not None and not catalogue.has(promotion.run_log.lower(), LOG):
        got = f"got {promotion.run_log!r}; needed a table of the database with a column {LOG}"
        raise _bad(["promotion", "run_log"], got)


def _bad(keys: Sequence[str], what: str) -> BadRule:
    return BadRule(f"{'.'.join(keys)} {what}", keys)


def _said(promotion: Promotion) -> set[str]:
    return {name for _, names in _by_keys(promotion) for name in names}


def _by_keys(promotion: Promotion) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    yield ["promotion", "constants"], promotion.constants
    for mode, names in (promotion.modes.named if promotion.modes else {}).items():
        yield ["promotion", "modes", mode], names


def _column(catalogue: Catalogue, table: str, keys: Sequence[str], name: str = "") -> Column:
    """The one that is called so, or as the last of the keys."""
    if not catalogue.has(table, name or keys[-1]):
        what = f"names {name!r}, which is no column" if name else "is no column"
        raise _bad(keys, f"{what} of {table}; needed the name of one that it has, in lower case")
    return catalogue.tables[table][name or keys[-1]]


def _check_copy(catalogue: Catalogue, name: str, by_run: set[str]) -> None:
    keys = ["promotion", "copy"]
    if name in by_run - TO_COPY:
        raise _bad(keys, f"names {name!r}, which is written by the run itself; leave it out")
    tables = ("experimental_strategies", "validated_setups")
    source, target = (_column(catalogue, table, keys, name) for table in tables)
    kinds = (TEXT, NUMBER, DATE, BOOLEAN, TIMESTAMP)
    if not any(is_of(source.kind, kind) and is_of(target.kind, kind) for kind in kinds):
        raise _bad(keys, f"names {name!r}, which is {source.kind} there and {target.kind} here; needed one kind")


def _check_value(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], value: Any, column: Column) -> None:
    kinds = (BOOLEAN,) if isinstance(value, bool) else (NUMBER,) if isinstance(value, int | float) else _OF_TEXT
    fits = any(is_of(column.kind, kind) for kind in kinds) and value is not None
    query = f"SELECT TRY_CAST(? AS {column.kind}) IS NOT NULL"
    if not fits or connection.execute(query, [as_text(value)]).fetchall() != [(True,)]:
        raise _bad(keys, f"got {value!r}; needed a value of {column.kind}, as validated_setups has it")
