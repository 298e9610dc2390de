"""What would make DuckDB refuse the commit, found before anything is computed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress
from typing import Any, NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.model import Status
from dask_validator.rules.promotion import PATHWAYS
from dask_validator.rules.seasons import SEASON_VERDICTS
from dask_validator.store.contract import KEPT_ON_CONFLICT, Catalogue, Column, Constraint, constraints, foreign_keys
from dask_validator.store.kinds import quoted
from dask_validator.store.ruled import ruled_texts
from dask_validator.store.selection import Selection

MOST_NAMED = 3
# All that we write to columns of text that is neither free nor copied.
VOCABULARY = {
    ("experimental_strategies", "validation_status"): [status.value for status in Status],
    ("experimental_strategies", "dst_verdict"): list(SEASON_VERDICTS),
    ("validated_setups", "dst_verdict"): list(SEASON_VERDICTS),
    ("validated_setups", "status"): ["active", "retired"],
    ("experimental_strategies", "validation_pathway"): list(PATHWAYS),
    ("validated_setups", "validation_pathway"): list(PATHWAYS),
}
_NOTES = {"validation_notes", "retirement_reason", "regime_waivers", "rejection_reason"}
FREE = {*_NOTES, "validation_run_id", "promotion_git_sha"}
_IDS = {"strategy_id": "strategy_id", "promoted_from": "strategy_id"}
_TABLES = ("experimental_strategies", "validated_setups")

_INDEXED = {"PRIMARY KEY", "UNIQUE", "FOREIGN KEY"}


class Waiting(NamedTuple):
    """Which strategies a run would update."""

    instrument: str
    selection: Selection

    @property
    def ids(self) -> str:
        """A query of their strategy_ids, with these parameters."""
        return f"SELECT strategy_id FROM experimental_strategies WHERE {self.selection.condition}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Values of the query, by name."""
        return self.selection.parameters(self.instrument)


def refuse_obstacles(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, waiting: Waiting) -> None:
    """Raise InputError for all that a commit of these strategies would fail at, one kind at a time."""
    _refuse(_generated(catalogue), "a run writes them; make them plain columns")
    _refuse(_narrow(connection, catalogue), "a run writes these values; widen the column, or make it VARCHAR")
    _refuse(_forbidden(connection, catalogue), "a run writes these values; widen the constraint")
    _refuse(_unknown_copies(connection, catalogue, waiting), "promotion copies them; widen the column")
    written = {table: catalogue.written(table) - KEPT_ON_CONFLICT for table in _TABLES}
    refuse_pinned(connection, catalogue.tables, written, waiting)


def refuse_pinned(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, Mapping[str, Column]],
    written: Mapping[str, Set[str]],
    waiting: Waiting,
    then: str = "run",
) -> None:
    """Raise InputError for indexes and keys on columns, by table, that DuckDB would not let anybody write."""
    _refuse(
        (found for table in written for found in _pinned(connection, (table, tables[table]), written[table], waiting)),
        "DuckDB refuses to update such rows: drop the index or constraint",
        then,
    )


def _refuse(found: Iterable[str], why: str, then: str = "run") -> None:
    if listed := list(found):
        raise InputError(f"{'; '.join(listed)}: {why}, then {then} again")


def _generated(catalogue: Catalogue) -> Iterator[str]:
    for table in _TABLES:
        names, columns = catalogue.written(table), catalogue.tables[table]
        if generated := sorted(name for name in names & columns.keys() if columns[name].generated_as is not None):
            yield f"{table} generates {', '.join(generated)}"


def _narrow(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> Iterator[str]:
    """Columns whose ENUM lacks a value that every run may write."""
    vocabulary = _vocabulary(catalogue)
    for table in _TABLES:
        for name in sorted(catalogue.written(table) & catalogue.tables[table].keys()):
            kind = catalogue.tables[table][name].kind
            if not kind.startswith("ENUM"):
                continue
            if name in FREE:
                yield f"{table}.{name} is an ENUM and lacks notes, which are free text"
            elif values := vocabulary.get((table, name)):
                query = (
                    f"SELECT value FROM (SELECT unnest(?::VARCHAR[]) AS value) WHERE TRY_CAST(value AS {kind}) IS NULL"
                )
                if lacking := connection.execute(query, [values]).fetchall():
                    yield f"{table}.{name} is an ENUM and lacks {', '.join(value for (value,) in lacking)}"


def _vocabulary(catalogue: Catalogue) -> dict[tuple[str, str], list[str]]:
    """By table and column, every text that a run may write there."""
    found = {**VOCABULARY}
    for name, values in ruled_texts(catalogue.promotion).items():
        found["validated_setups", name] = [*found.get(("validated_setups", name), []), *values]
    return found


def _forbidden(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> Iterator[str]:
    """CHECK constraints on one column, which do not admit what every run may write."""
    vocabulary = _vocabulary(catalogue)
    for table in _TABLES:
        for kind, expression, names, _ in constraints(connection).get(table, []):
            values = vocabulary.get((table, names[0])) if kind == "CHECK" and len(names) == 1 else None
            if not values:
                continue
            query = f"SELECT {names[0]} FROM (SELECT unnest(?::VARCHAR[]) AS {names[0]}) WHERE NOT {expression}"
            with suppress(duckdb.Error):  # an expression that makes no sense of text: the commit will tell
                if refused := connection.execute(query, [values]).fetchall():
                    yield f"{table} has CHECK {expression}, which refuses {', '.join(value for (value,) in refused)}"


def _unknown_copies(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, waiting: Waiting) -> Iterator[str]:
    for name, source in ({name: name for name in catalogue.copied} | _IDS).items():
        kind = catalogue.tables["validated_setups"][name].kind
        if not kind.startswith("ENUM"):
            continue
        lacking = connection.execute(
            f"SELECT DISTINCT {source}::VARCHAR FROM experimental_strategies WHERE strategy_id IN ({waiting.ids}) "
            f"AND {source} IS NOT NULL AND TRY_CAST({source}::VARCHAR AS {kind}) IS NULL "
            f"ORDER BY ALL LIMIT {MOST_NAMED}",
            waiting.parameters,
        ).fetchall()
        if lacking:
            yield f"validated_setups.{name} is an ENUM and lacks {', '.join(value for (value,) in lacking)}"


def _pinned(
    connection: duckdb.DuckDBPyConnection,
    described: tuple[str, Mapping[str, Column]],
    written: Set[str],
    waiting: Waiting,
) -> Iterator[str]:
    """Indexes of a table with rows that a run updates and foreign keys point at.

    DuckDB deletes and inserts a row where an indexed column is updated, and deletes no row that is referred to.
    """
    table, columns = described
    found = constraints(connection).get(table, [])
    updated = _touched(columns.values(), written, found)
    indexes = [f"the index {name} on {on}" for name, on in _indexes(connection, table) if updated & _words(on)]
    indexes += [
        f"{kind} ({', '.join(names)})" for kind, _, names, _ in found if kind in _INDEXED and updated & set(names)
    ]
    if indexes and (tables := _referring(connection, table, waiting)):
        yield f"{table} has {' and '.join(indexes)}, and {', '.join(tables)} refers to {waiting.selection.strategies}"


def _touched(columns: Iterable[Column], written: Set[str], found: Iterable[Constraint]) -> set[str]:
    """The columns that DuckDB updates with ours: what a CHECK sees beside them, and what is generated of them."""
    updated = {*written}
    for kind, _, names, _ in found:
        if kind == "CHECK" and updated & set(names):
            updated |= set(names)
    return updated | {column.name for column in columns if updated & _words(column.generated_as or "")}


def _words(expression: str) -> set[str]:
    return set(re.findall(r"\w+", expression.lower()))


def _indexes(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """Name and what it is on, of those that are not constraints."""
    return connection.execute(
        "SELECT index_name, expressions FROM duckdb_indexes() WHERE lower(table_name) = ? AND schema_name = 'main' "
        "AND database_name = current_database() ORDER BY ALL",
        [table],
    ).fetchall()


def _referring(connection: duckdb.DuckDBPyConnection, table: str, waiting: Waiting) -> list[str]:
    """The tables with foreign keys to rows of that table whose strategies wait."""
    return [
        name
        for name, refers in foreign_keys(connection, table)
        if connection.execute(
            f"SELECT 1 FROM {table} t JOIN {quoted(name)} c ON {refers} WHERE t.strategy_id IN ({waiting.ids}) LIMIT 1",
            waiting.parameters,
        ).fetchone()
    ]
