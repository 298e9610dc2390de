"""What a cell means: the SQL that makes a number, a time or a side of it, and NULL of what cannot be read."""

from __future__ import annotations

from typing import NamedTuple

from dask_validator.store.kinds import literal

EMPTY = "('', 'nan', 'nat', 'none', 'null', 'n/a', 'na', '-')"
_CURRENCY = "(?:[A-Z]{0,3}[$€£¥₿]|[A-Z]{3,5})"
_MINUS = "\u2212-"  # the dash last: elsewhere in a class it would be a range
_SPACES = " \u00a0\u2009\u202f"
_APOSTROPHES = "'\u2019"
_LONG, _SHORT = "('long', 'buy', 'b', 'l', '1')", "('short', 'sell', 's', '-1')"
_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_FRACTIONAL = ("FLOAT", "DOUBLE", "DECIMAL")
_CLOCKS = ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_ORDERS = {"mdy": ("%m/%d/%y", "%m/%d/%Y"), "dmy": ("%d/%m/%y", "%d/%m/%Y"), "ymd": ("%y/%m/%d", "%Y/%m/%d")}
DIGITS_OF_DAY = r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-](?:\d{4}|\d{2})(?:\D|$)"
OFFSET = r":\d{2}(?:\.\d+)?\s*(?:[zZ]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
FOREIGN_OFFSET = r":\d{2}(?:\.\d+)?\s*[+-](?:\d[1-9]|[1-9]\d|00:?(?:[1-9]\d|\d[1-9]))(?::?\d{2})?$"


class Cell(NamedTuple):
    """One column of a file, as SQL, and what kind DuckDB sees in it."""

    sql: str
    kind: str

    @property
    def is_text(self) -> bool:
        """Whether people wrote it, in whatever manner."""
        return not self.kind.startswith((*_NUMERIC, *_FRACTIONAL, "TIMESTAMP", "DATE", "BOOLEAN"))

    @property
    def is_number(self) -> bool:
        """Whether it is one already."""
        return self.kind.startswith((*_NUMERIC, *_FRACTIONAL))

    @property
    def has_zone(self) -> bool:
        """Whether it is a time on the clock of the world."""
        return self.kind.startswith("TIMESTAMP WITH TIME ZONE") or self.is_number


class Manner(NamedTuple):
    """How the cells of a file are written."""

    decimal: str = "."
    date_order: str | None = None  # of dates that do not begin with the year
    date_format: str | None = None
    zone: str | None = None  # of the times that do not say it; None: taken as written
    wanted: str | None = None  # the zone whose days are the trading days; None: UTC, and nobody has said so


def quoted(name: str) -> str:
    """A name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(cell: Cell) -> str:
    """Without the blanks around it; NULL for none."""
    return f"nullif(trim(CAST({cell.sql} AS VARCHAR), {literal(_SPACES)}), '')"


def word(cell: Cell) -> str:
    """The same, quick where there are no blanks."""
    if cell.kind != "VARCHAR":
        return text(cell)
    blank = f"{cell.sql} LIKE ' %' OR {cell.sql} LIKE '% ' OR {cell.sql} = ''"
    return f"CASE WHEN {blank} THEN {text(cell)} ELSE {cell.sql} END"


def absent(cell: Cell) -> str:
    """The condition on which nothing was written there."""
    if not cell.is_text:
        return f"{cell.sql} IS NULL"
    return f"({cell.sql} IS NULL OR lower(coalesce({text(cell)}, '')) IN {EMPTY})"


def side(cell: Cell) -> str:
    """Long or short; other words stay."""
    low = f"lower({text(cell)})"
    told = f"CASE WHEN {low} IN {_LONG} THEN 'long' WHEN {low} IN {_SHORT} THEN 'short' ELSE {low} END"
    return f"CASE WHEN {cell.sql} IN ('long', 'short') THEN {cell.sql} ELSE {told} END" if cell.is_text else told


def spelled(decimal: str) -> str:
    """The pattern of a number: a currency, a sign or brackets for losses, thousands in threes."""
    thousands = f"[{_SPACES}{_APOSTROPHES}{',' if decimal == '.' else '.'}]"
    digits = rf"(?:[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+|\d+)?(?:\{decimal}\d*)?(?:[eE][+-]?\d+)?"
    sign, blank = rf"[+{_MINUS}]?", f"[{_SPACES}]*"
    plain = f"{sign}{blank}{_CURRENCY}?{blank}{sign}{blank}{digits}{blank}{_CURRENCY}?"
    return rf"(?:{plain}|\({plain}\))"


def number(cell: Cell, decimal: str) -> str:
    """A DOUBLE."""
    if not cell.is_text:
        return f"CAST({cell.sql} AS DOUBLE)"
    trimmed = text(cell)
    bare = rf"regexp_replace({trimmed}, '[A-Z]{{3,5}}|[A-Z]*[$€£¥₿]|[^0-9eE{decimal}+-]', '', 'g')"
    bare = bare if decimal == "." else f"replace({bare}, ',', '.')"
    sign = rf"CASE WHEN regexp_matches({trimmed}, '^\(|^[^0-9]*[{_MINUS}]') THEN -1 ELSE 1 END"
    pattern = literal(spelled(decimal))
    spelt = f"CASE WHEN regexp_full_match({trimmed}, {pattern}) THEN {sign} * abs(TRY_CAST({bare} AS DOUBLE)) END"
    return _else(f"TRY_CAST({cell.sql} AS DOUBLE)", spelt) if decimal == "." else spelt


def time(cell: Cell, manner: Manner) -> str:
    """A TIMESTAMP on the clock that days are told by."""
    if cell.is_text:
        return _written_time(cell, manner)
    if cell.is_number:
        return _moved(_since_1970(f"CAST({cell.sql} AS BIGINT)"), manner)
    if cell.kind == "DATE":
        return f"CAST({cell.sql} AS TIMESTAMP)"
    if cell.has_zone:
        return _local(cell.sql, manner)
    return _as_said(f"CAST({cell.sql} AS TIMESTAMP)", manner)


def _as_said(naive: str, manner: Manner) -> str:
    return naive if manner.zone is None else _moved(naive, manner, manner.zone)


def _moved(naive: str, manner: Manner, zone: str = "UTC") -> str:
    return naive if (manner.wanted or "UTC") == zone else _local(f"timezone({literal(zone)}, {naive})", manner)


def _local(moment: str, manner: Manner) -> str:
    return f"timezone({literal(manner.wanted or 'UTC')}, {moment})"


def _since_1970(whole: str) -> str:
    """Seconds, milli-, micro- or nanoseconds: for any day of a market since 1973 their sizes do not overlap."""
    us = (
        f"CASE WHEN abs({whole}) < 100000000000 THEN {whole} * 1000000 WHEN abs({whole}) < 100000000000000 "
        f"THEN {whole} * 1000 WHEN abs({whole}) < 100000000000000000 THEN {whole} ELSE {whole} // 1000 END"
    )
    return f"CASE WHEN abs({whole}) >= 100000000 THEN make_timestamp({us}) END"


def _written_time(cell: Cell, manner: Manner) -> str:
    trimmed = text(cell)
    if manner.date_format is not None:
        return _as_said(f"try_strptime({trimmed}, {literal(manner.date_format)})", manner)
    iso = f"TRY_CAST({cell.sql} AS TIMESTAMP)"  # without the offset, should there be one
    if manner.wanted is not None or manner.zone not in (None, "UTC"):
        by_offset = _local(f"TRY_CAST({trimmed} AS TIMESTAMPTZ)", manner)
        iso = f"CASE WHEN regexp_matches({trimmed}, '{OFFSET}') THEN {by_offset} ELSE {_as_said(iso, manner)} END"
    others = [_as_said(_by_order(trimmed, manner.date_order), manner)] if manner.date_order else []
    others.append(
        f"CASE WHEN regexp_full_match({trimmed}, '\\d{{9,19}}') "
        f"THEN {_moved(_since_1970(f'CAST({trimmed} AS BIGINT)'), manner)} END"
    )
    return _else(iso, f"coalesce({', '.join(others)})")


def _else(quick: str, slow: str) -> str:
    """The first of the two that is there; unlike with coalesce, DuckDB computes the second only where it is needed."""
    return f"CASE WHEN {quick} IS NULL THEN {slow} ELSE {quick} END"


def _by_order(trimmed: str, order: str) -> str:
    """Days, months and years in that order, parted by slashes, points or dashes, with or without a clock."""
    dates = _ORDERS[order]
    formats = ", ".join(literal(f"{date}{clock}") for date in dates for clock in ("", *(f" {one}" for one in _CLOCKS)))
    slashed = rf"regexp_replace({trimmed}, '^(\d+)[/.-](\d+)[/.-](\d+),?[T{_SPACES}]*', '\1/\2/\3 ')"
    return f"try_strptime(trim(replace({slashed}, '\u202f', ' ')), [{formats}])"


def has_foreign_offset(cell: Cell) -> str:
    """The condition on which a text names an offset that is not that of UTC; nothing as short as a bare time does."""
    usual = len("2024-01-31 10:00:00")
    return (
        f"CASE WHEN strlen({cell.sql}) > {usual} THEN regexp_matches({text(cell)}, '{FOREIGN_OFFSET}') ELSE false END"
    )
