"""A place as a relation: the SQL by which DuckDB reads it, its headers, and what kind each column is.

Files of one header are read together. Of a CSV every cell is text: what a cell means is decided in `cells`, where what
cannot be read is counted instead of being an error of the reader.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.store.connection import first_line
from dask_validator.store.kinds import literal
from dask_validator.trade_files import places
from dask_validator.trade_files.cells import Cell, quoted
from dask_validator.trade_files.declaration import Format, Nested, formats, tidy
from dask_validator.trade_files.mapping import Layout
from dask_validator.trade_files.places import Place

REJECTS, SCANS = "trade_rejects", "trade_scans"
_HEADER_WITHIN = 60  # lines
_LONGEST_LINE = 2**20  # characters
_VERBATIM = "delim = '\x01', quote = '', escape = '', header = false, auto_detect = false"
_SEPARATORS = ",;\t|"
_FRAME = "trade_frame"
_GENEROUS = 40  # times what a packed document takes on the disk


class Relation(NamedTuple):
    """Places that are read by one query."""

    places: Sequence[Place]
    cells: dict[str, Cell]  # by header
    sql: str  # what stands behind FROM; has the columns of the cells, and `file_index` where there are several places
    first_line: int  # of the data
    separator: str | None = None


class Csv(NamedTuple):
    """How a CSV is to be read."""

    headers: tuple[str, ...]
    separator: str
    skipped: int  # lines up to and with the header
    encoding: str


def relations(
    connection: duckdb.DuckDBPyConnection, found: Sequence[Place], wanted: Format | None, said: Layout
) -> list[Relation]:
    """Every place in one of them, in the order in which each kind first appears.

    Raises
    ------
    InputError
        A file that cannot be opened, or has no header.
    """
    kept: list[Relation] = []
    csvs: dict[Csv, list[Place]] = {}
    parquets: dict[tuple[tuple[str, str], ...], list[Place]] = {}
    for number, place in enumerate(found):
        try:
            if place.kind == places.CSV:
                csvs.setdefault(_csv(connection, place, wanted, said), []).append(place)
            elif place.kind == places.PARQUET:
                columns = _described(connection, f"read_parquet({literal(place.path)})")
                if "file_index" in map(str.lower, columns):
                    raise InputError(f"{place.name} has a column file_index, which is DuckDB's own name; rename it")
                parquets.setdefault(tuple(columns.items()), []).append(place)
            else:
                kept.append(_single(connection, place, wanted, number))
        except (duckdb.Error, OSError, EOFError, csv.Error) as error:
            raise InputError(f"{place.name} cannot be read: {first_line(error)}") from error
    kept += [_of_csv(how, group) for how, group in csvs.items()]
    return kept + [_of_parquet(dict(columns), group) for columns, group in parquets.items()]


def _single(connection: duckdb.DuckDBPyConnection, place: Place, wanted: Format | None, number: int) -> Relation:
    if place.kind == places.JSON:
        return _of_json(connection, place, wanted)
    if place.kind == places.FRAME:
        place = place._replace(path=f"{_FRAME}_{number}")
        connection.register(place.path, place.frame)
    columns = _described(connection, place.path)
    return Relation([place], {header: Cell(quoted(header), kind) for header, kind in columns.items()}, place.path, 1)


def release_frames(connection: duckdb.DuckDBPyConnection, found: Iterable[Relation]) -> None:
    """Let go of what belongs to the caller."""
    for place in [place for relation in found for place in relation.places if place.kind == places.FRAME]:
        connection.unregister(place.path)


def _described(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def _of_parquet(columns: dict[str, str], group: Sequence[Place]) -> Relation:
    cells = {header: Cell(quoted(header), kind) for header, kind in columns.items()}
    return Relation(group, cells, f"read_parquet({_listed(group)})", 1)


def _listed(group: Iterable[Place]) -> str:
    return f"[{', '.join(literal(place.path) for place in group)}]"


def _of_csv(how: Csv, group: Sequence[Place]) -> Relation:
    names = [f"c{number}" for number in range(len(how.headers))]
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in names)
    sql = (
        f"read_csv({_listed(group)}, columns = {{{columns}}}, delim = {literal(how.separator)}, quote = '\"', "
        f"escape = '\"', header = false, skip = {how.skipped}, auto_detect = false, "
        f"encoding = '{how.encoding}', store_rejects = true, "
        f"rejects_table = '{REJECTS}', rejects_scan = '{SCANS}')"
    )
    cells = {header: Cell(name, "VARCHAR") for header, name in zip(how.headers, names, strict=True)}
    return Relation(group, cells, sql, how.skipped + 1, how.separator)


def _csv(connection: duckdb.DuckDBPyConnection, place: Place, wanted: Format | None, said: Layout) -> Csv:
    encoding = _encoding(place.path)
    lines = _first_lines(connection, place.path, encoding)
    number = said.skip_rows if said.skip_rows is not None else _header(lines, wanted, said)
    if number is None or number >= len(lines):
        raise InputError(f"{place.name} has no header; needed a line that names the columns")
    separator = said.separator or _separator(lines[number])
    headers = _split(lines[number], separator)
    following = next((line for line in lines[number + 1 :] if line.strip()), "")
    if len(_split(following, separator)) == len(headers) + 1 and following.rstrip().endswith(separator):
        headers.append("")  # some end their rows, but not their header, with a separator
    return Csv(tuple(_named(headers, place)), separator, number + 1, encoding)


def _header(lines: Sequence[str], wanted: Format | None, said: Layout) -> int | None:
    """The first line that names the columns of a tool; else the first in which something stands."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    known = [wanted] if wanted else list(formats().values())
    for number in filled:
        headers = _split(lines[number], said.separator or _separator(lines[number]))
        if any(one.fits(headers) for one in known):
            return number
    return filled[0] if filled else None


def _encoding(path: str) -> str:
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8"


def _first_lines(connection: duckdb.DuckDBPyConnection, path: str, encoding: str) -> list[str]:
    """As they are, whatever the file is packed with."""
    if path.lower().endswith(".zst"):
        reader = f"read_csv({literal(path)}, columns = {{line: 'VARCHAR'}}, {_VERBATIM}) LIMIT {_HEADER_WITHIN}"
        return [row[0] or "" for row in connection.execute(f"SELECT line FROM {reader}").fetchall()]
    opened = gzip.open if path.lower().endswith(".gz") else open
    without_mark = "utf-8-sig" if encoding == "utf-8" else encoding
    with opened(path, "rt", encoding=without_mark, errors="replace") as file:
        return [line.rstrip("\r\n") for _ in range(_HEADER_WITHIN) if (line := file.readline(_LONGEST_LINE))]


def _separator(line: str) -> str:
    return max(_SEPARATORS, key=lambda separator: len(_split(line, separator)))


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _named(headers: Sequence[str], place: Place) -> list[str]:
    """Headers without blanks around; those that are empty get a number. Raises InputError for one given twice."""
    named = [header.replace("\ufeff", "").strip() or f"column {number}" for number, header in enumerate(headers, 1)]
    tidied = [tidy(header) for header in named]
    for header in named:
        if tidied.count(tidy(header)) > 1:
            raise InputError(f"{place.name} has two columns {header}; rename one")
    return named


def _of_json(connection: duckdb.DuckDBPyConnection, place: Place, wanted: Format | None) -> Relation:
    """Trades of a document: its objects, or those of a list inside, as a tool's declaration says."""
    sql, size = _objects(place.path), None
    try:
        first = _first_document(connection, sql)
    except duckdb.InvalidInputException as error:
        if "maximum_object_size" not in str(error):
            raise
        size = min(_GENEROUS * os.path.getsize(place.path), 2**32 - 1)
        sql = _objects(place.path, size)
        first = _first_document(connection, sql)
    for nested in [one for tool in ([wanted] if wanted else formats().values()) for one in tool.nested]:
        if _has_trades(connection, first, nested):
            sql = _taken_out(sql, nested)
            break
    keys = connection.execute(f"SELECT DISTINCT unnest(json_keys(document)) AS key FROM {sql} ORDER BY key")
    cells = {key: Cell(f"json_extract_string(document, {_path(key)})", "VARCHAR") for (key,) in keys.fetchall()}
    return Relation([place], {**cells, "above": Cell("above", "VARCHAR")}, sql, 1)


def _objects(path: str, size: int | None = None) -> str:
    room = f", maximum_object_size = {size}" if size else ""
    reader = f"read_json_objects({literal(path)}, format = 'auto'{room})"
    return f"(SELECT json AS document, NULL::VARCHAR AS above FROM {reader})"


def _first_document(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    row = connection.execute(f"SELECT CAST(document AS VARCHAR) FROM {sql} LIMIT 1").fetchone()
    return row[0] if row and row[0] else "null"


def _path(key: str) -> str:
    return literal('$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"')


def _has_trades(connection: duckdb.DuckDBPyConnection, document: str, nested: Nested) -> bool:
    """Whether the list of trades is where a declaration says."""
    path = f"$.{nested.under}{'.*' if nested.keyed else ''}.{nested.trades}"
    found = f"json_extract($1::JSON, {literal(path)})"
    some = f"len({found}) > 0" if nested.keyed else f"json_type({found}) = 'ARRAY'"
    row = connection.execute(f"SELECT {some}", [document]).fetchone()
    return bool(row and row[0])


def _taken_out(sql: str, nested: Nested) -> str:
    """The trades as documents; `above` is the name under which they stand."""
    trades = "'[\"JSON\"]'"
    if not nested.keyed:
        inner = f"json_extract(document, {literal(f'$.{nested.under}.{nested.trades}')})"
        return f"(SELECT NULL::VARCHAR AS above, unnest(from_json({inner}, {trades})) AS document FROM {sql})"
    each = (
        f"SELECT unnest(json_keys(document, {literal(f'$.{nested.under}')})) AS above, "
        f"unnest(json_extract(document, {literal(f'$.{nested.under}.*')})) AS one FROM {sql}"
    )
    inner = f"json_extract(one, {literal(f'$.{nested.trades}')})"
    return f"(SELECT above, unnest(from_json({inner}, {trades})) AS document FROM ({each}))"
