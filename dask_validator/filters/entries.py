"""The `[[filter]]` tables of a rules file: one kind of condition each, checked before use (rules.md, section 5)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from dask_validator.errors import InputError
from dask_validator.filters.values import Field, Misfit, Value, declared

LABELS_OF_NODES = {"filter_type", "description"}
PARTS = {"base", "overlay"}
COSTS = {"f", "point_value"}  # parameters that every condition may use
_RESERVED = LABELS_OF_NODES | PARTS | COSTS | {"L"}
_KEYS = {"fields", "optional", "prefix", "name", "when", "let"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Entry(NamedTuple):
    """One kind of filter."""

    title: str  # names it in messages; unlike any other one
    when: str  # the condition, in SQL
    fields: Mapping[str, Field] = {}
    optional: frozenset[str] = frozenset()
    prefix: str = ""  # of `filter_type`
    name: str | None = None  # all of `filter_type`
    let: Mapping[str, str] = {}  # sub-expressions by name, each of those before it

    def is_for(self, filter_type: str | None) -> bool:
        """Whether the entry is about nodes of this type."""
        if self.name is not None:
            return filter_type == self.name
        return not self.prefix or (filter_type is not None and filter_type.startswith(self.prefix))

    def has(self, fields: Collection[str]) -> bool:
        """Whether these are its fields, all that it needs and no other; without any, only a name can mean it."""
        named = bool(fields) or bool(self.prefix) or self.name is not None
        return named and self.fields.keys() >= set(fields) >= self.fields.keys() - self.optional

    def read(self, fields: Mapping[str, Any], sessions: Collection[str]) -> tuple[tuple[str, Value], ...]:
        """The values in the order of the entry's fields, None where one is absent. Raises Misfit."""
        values: list[tuple[str, Value]] = []
        for name, field in self.fields.items():
            try:
                values.append((name, field.read(fields[name], sessions) if name in fields else None))
            except Misfit as error:
                raise Misfit(f"{name} = {fields[name]!r:.40}, {error}") from None
        return tuple(values)


def entries(tables: Sequence[Mapping[str, Any]], where: str) -> tuple[Entry, ...]:
    """The entries of one file.

    Raises
    ------
    InputError
        A table that is no filter, by its number and what it is for.
    """
    return tuple(_entry(table, f"{where} {number}") for number, table in enumerate(tables, 1))


def _entry(table: Any, where: str) -> Entry:
    if not isinstance(table, Mapping):
        raise InputError(f"{where} is {table!r:.60}; needed a table with when, and fields")
    named = table.get("name") or table.get("prefix")
    title = f"{where} ({named})" if isinstance(named, str) else where
    if unknown := sorted(set(table) - _KEYS):
        raise InputError(f"{title} has {', '.join(unknown)}; needed {', '.join(sorted(_KEYS))}")
    for key in ("when", "prefix", "name"):
        if not (key != "when" and key not in table) and not (isinstance(table.get(key), str) and table[key]):
            raise InputError(f"{title} has {key} = {table.get(key)!r:.60}; needed a text")
    if "name" in table and "prefix" in table:
        raise InputError(f"{title} has name and prefix; needed one of them")
    fields = _fields(table.get("fields", {}), title)
    optional = table.get("optional", [])
    if not isinstance(optional, list) or not set(map(str, optional)) <= fields.keys():
        raise InputError(f"{title} has optional = {optional!r:.60}; needed a list of its fields")
    fields = {name: field._replace(nullable=True) if name in optional else field for name, field in fields.items()}
    let = _let(table.get("let", {}), fields, title)
    name, prefix = table.get("name"), table.get("prefix", "")
    return Entry(title, table["when"], fields, frozenset(optional), prefix, name, let)


def _fields(declarations: Any, title: str) -> dict[str, Field]:
    if not isinstance(declarations, Mapping):
        raise InputError(f"{title} has fields = {declarations!r:.60}; needed a table of names and types")
    fields: dict[str, Field] = {}
    for name, declaration in declarations.items():
        if name in _RESERVED or not _WORD.fullmatch(name):
            raise InputError(f"{title} has a field {name!r}; needed a word other than {', '.join(sorted(_RESERVED))}")
        try:
            fields[name] = declared(declaration)
        except Misfit as error:
            raise InputError(f"{title} has fields.{name} = {declaration!r:.60}; {error}") from None
    return fields


def _let(texts: Any, fields: Collection[str], title: str) -> dict[str, str]:
    if not isinstance(texts, Mapping):
        raise InputError(f"{title} has let = {texts!r:.60}; needed a table of names and expressions")
    for name, text in texts.items():
        if not _WORD.fullmatch(name) or name in fields or not isinstance(text, str):
            raise InputError(
                f"{title} has let.{name} = {text!r:.60}; needed a word that is no field, and an expression"
            )
    return dict(texts)
