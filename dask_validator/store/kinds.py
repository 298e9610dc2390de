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
