"""What kinds of columns the contract asks for, and the types of DuckDB that are of them."""

from __future__ import annotations

from collections.abc import Mapping

TEXT, NUMBER, DATE, BOOLEAN, TIMESTAMP = "text", "a number", "a date", "a boolean", "a timestamp"
Wanted = Mapping[str, str]  # columns of a table, and what kind each is of

_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
KINDS = {
    TEXT: ("VARCHAR", "ENUM"),
    NUMBER: (*_SIGNED, *(f"U{kind}" for kind in _SIGNED), "DOUBLE", "FLOAT", "DECIMAL"),
    TIMESTAMP: ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    DATE: ("DATE",),
    BOOLEAN: ("BOOLEAN",),
}


def is_of(declared: str, kind: str) -> bool:
    """Whether a declared type is of a kind; ENUM and DECIMAL go on in parentheses."""
    return declared.split("(")[0] in KINDS[kind]


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name in SQL, whatever it is."""
    return '"' + name.replace('"', '""') + '"'
