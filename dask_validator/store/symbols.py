"""The instruments that a database has strategies of."""

from __future__ import annotations

from pathlib import Path

import duckdb

from dask_validator.errors import InputError
from dask_validator.wording.sentences import listed

MOST_NAMED = 20


def refuse_absent(connection: duckdb.DuckDBPyConnection, path: str | Path, instrument: str) -> None:
    """Raise InputError when no strategy at all is of the instrument: most likely a slip."""
    symbols = instruments_in(connection)
    if instrument in symbols:
        return
    has = (
        f"it has those of {listed(symbols, MOST_NAMED)}: give one of these"
        if symbols
        else "experimental_strategies is empty"
    )
    raise InputError(f"{path} has no strategies of {instrument}; {has}")


def instruments_in(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The instruments of all strategies, in their order."""
    query = "SELECT DISTINCT instrument FROM experimental_strategies WHERE instrument IS NOT NULL ORDER BY 1"
    return [name for (name,) in connection.execute(query).fetchall()]
