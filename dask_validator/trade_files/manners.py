"""How the cells of a file are written (decimal sign, order of dates, zone): as it tells, or as is said; not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.store.kinds import literal
from dask_validator.trade_files.cells import DIGITS_OF_DAY, OFFSET, Cell, Manner, spelled, text
from dask_validator.trade_files.declaration import Format
from dask_validator.trade_files.mapping import Layout
from dask_validator.trade_files.relations import Relation

_SAMPLE = 20_000  # rows; only where they leave it open are all looked at
_DOTTED_YEAR = r"^\d{4}\.\d{1,2}\.\d{1,2}"


class Said(NamedTuple):
    """What the user says of it."""

    timezone: str | None
    date_order: str | None
    layout: Layout


def manner(
    connection: duckdb.DuckDBPyConnection, relation: Relation, one: Format, found: dict[str, str], said: Said
) -> Manner:
    """How numbers and times of these places are written.

    Raises
    ------
    InputError
        It can be read in two ways, and nobody has said in which.
    """
    numbers = _written(relation, found, one.columns["numbers"])
    times = _written(relation, found, one.columns["times"])
    return Manner(
        decimal=said.layout.decimal or _decimal(connection, relation, numbers),
        date_order=None if one.date_format else _date_order(connection, relation, times, said.date_order),
        date_format=one.date_format,
        zone=one.zone,
        wanted=said.timezone,
    )


def knows_zone(connection: duckdb.DuckDBPyConnection, relation: Relation, one: Format, found: dict[str, str]) -> bool:
    """Whether the moments of its times are known, so that a zone decides their days."""
    cells = [relation.cells[found[name]] for name in one.columns["times"] if name in found]
    if one.zone is not None or any(cell.has_zone for cell in cells if not cell.is_text):
        return True
    written = [cell for cell in cells if cell.is_text]
    told = "bool_or(regexp_matches(cell, $1) OR regexp_full_match(cell, '\\d{9,19}'))"
    return bool(written) and bool(_looked(connection, relation, written, told, [OFFSET])[0])


def _written(relation: Relation, found: dict[str, str], names: dict[str, list[str]]) -> list[Cell]:
    """The cells of these columns that are text."""
    return [cell for name in names if name in found and (cell := relation.cells[found[name]]).is_text]


def _looked(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    cells: Sequence[Cell],
    facts: str,
    parameters: Sequence[str],
    rows: int | None = _SAMPLE,
) -> tuple[int, ...]:
    """The facts about these cells, of the first rows or of all."""
    listed = ", ".join(text(cell) for cell in cells)
    limit = f"LIMIT {rows}" if rows else ""
    sample = f"SELECT unnest([{listed}]) AS cell FROM (SELECT * FROM {relation.sql} {limit})"
    return tuple(
        value or 0 for value in connection.execute(f"SELECT {facts} FROM ({sample})", parameters).fetchall()[0]
    )


def _decimal(connection: duckdb.DuckDBPyConnection, relation: Relation, cells: Sequence[Cell]) -> str:
    if not cells:
        return "."
    point, comma = (f"regexp_full_match(cell, {literal(spelled(mark))})" for mark in ".,")
    facts = (
        f"count_if({point} AND NOT {comma}), count_if({comma} AND NOT {point}), "
        f"count_if({point} AND {comma} AND contains(cell, ',')), count_if({point} AND {comma} AND contains(cell, '.'))"
    )
    points, commas, either_comma, either_point = _looked(connection, relation, cells, facts, [])
    if points or commas:
        return "." if points >= commas else ","
    if either_comma or (either_point and relation.separator == ";"):
        raise InputError(
            f"{relation.places[0].name} has numbers such as {'1,234' if either_comma else '1.234'} only, which may be "
            "thousands or fractions; say decimal = '.' or ',' in a TOML file for --columns"
        )
    return "."


def _date_order(
    connection: duckdb.DuckDBPyConnection, relation: Relation, cells: Sequence[Cell], said: str | None
) -> str | None:
    if said is not None or not cells:
        return said
    parts = ", ".join(f"try_cast(regexp_extract(cell, '{DIGITS_OF_DAY}', {n}) AS INTEGER)" for n in (1, 2))
    facts = (
        f"count_if(greatest({parts}) IS NOT NULL), "
        f"count_if(list_extract([{parts}], 1) > 12), count_if(list_extract([{parts}], 2) > 12), "
        f"count_if(regexp_matches(cell, '{_DOTTED_YEAR}'))"
    )
    numeric, first, second, dotted = _looked(connection, relation, cells, facts, [])
    if numeric and not first and not second:
        numeric, first, second, dotted = _looked(connection, relation, cells, facts, [], rows=None)
    if not numeric:
        return "ymd" if dotted else None
    if bool(first) == bool(second):
        doubt = "both orders" if first else "no day above 12"
        raise InputError(
            f"the dates of {relation.places[0].name} can be month or day first ({doubt}); say --date-order mdy or dmy"
        )
    return "dmy" if first else "mdy"
