"""What the columns of a tool's file mean, read from one small TOML each.

`text`, `numbers`, `times` and `sides` name a column, with every header it has had; `needed` are those that identify the
tool (of a list, one will do). `derived`, `trade`, `result` and `bad` are SQL over those names, in that order: further
columns, the trade, its result in each unit, and rows that are no closed trades. A list of expressions stands for the
first that a row has. An expression that names a column which the file lacks counts as absent.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from dask_validator.errors import InputError

NATIVE = "native"
KINDS = ("text", "numbers", "times", "sides")
# A word of SQL that is no part of a quoted text.
_WORD = re.compile(r"'[^']*'|(?<!\w)([a-z_]\w*)")


class Nested(NamedTuple):
    """Where the trades are in a JSON document."""

    under: str  # the keys that lead to it, joined by points
    trades: str  # the list of trades
    keyed: bool  # `under` holds one object per strategy, by its name


class Format(NamedTuple):
    """The declaration of one tool."""

    tool: str
    needed: list[list[str]]
    columns: dict[str, dict[str, list[str]]]  # by kind and our name: headers, which may hold * and [!%]
    derived: dict[str, list[str]]
    trade: dict[str, list[str]]
    result: dict[str, list[str]]
    bad: dict[str, list[str]]  # by reason: conditions
    legs: str | None  # the condition on which a row belongs to the trade of another
    ordered: bool  # expressions look at other rows, by `file` and `row`
    local_names: bool  # a strategy is named within its file only
    zone: str | None  # of times that do not say it
    fees_are: str | None  # "included" or "excluded"
    before_fees: bool  # results are before fees, which the file does not have
    nested: list[Nested]
    date_format: str | None

    def found(self, headers: Collection[str]) -> dict[str, str]:
        """By our name, the header that the file has for it."""
        known = {tidy(header): header for header in headers}
        return {
            name: known[match]
            for kind in KINDS
            for name, patterns in self.columns[kind].items()
            if (match := _first_match(patterns, known)) is not None
        }

    def fits(self, headers: Collection[str]) -> bool:
        """Whether a file with these headers is one of this tool."""
        found = self.found(headers)
        return all(any(name in found for name in alternatives) for alternatives in self.needed)

    def has(self, expression: str, found: Collection[str]) -> bool:
        """Whether the file has every column that the expression names, itself or through what is derived."""
        words = _words(expression)
        ours = {name for kind in KINDS for name in self.columns[kind]}
        through = words & self.derived.keys()
        return not (words & ours) - set(found) and all(self.chosen(self.derived, name, found) for name in through)

    def named(self, expression: str) -> set[str]:
        """The columns that an expression takes, through those that are derived."""
        words = _words(expression)
        through = [expression for word in words & self.derived.keys() for expression in self.derived[word]]
        return words.union(*map(self.named, through))

    def chosen(self, table: Mapping[str, list[str]], name: str, found: Collection[str]) -> str | None:
        """The SQL for one entry of `trade` or `result`; None where the file lacks what it takes."""
        usable = [expression for expression in table.get(name, []) if self.has(expression, found)]
        return f"coalesce({', '.join(usable)})" if len(usable) > 1 else next(map("({})".format, usable), None)


def tidy(header: str) -> str:
    """A header as declarations spell it."""
    return " ".join(header.replace("\ufeff", "").lower().split())


def _words(expression: str) -> set[str]:
    return {word for word in _WORD.findall(expression) if word}


def _first_match(patterns: list[str], known: Mapping[str, str]) -> str | None:
    return next((header for pattern in patterns for header in known if fnmatchcase(header, pattern)), None)


@lru_cache(maxsize=1)
def formats() -> dict[str, Format]:
    """Every tool that is known, by name."""
    found = (read(tomllib.loads(text)) for text in _texts())
    return {one.tool: one for one in sorted(found, key=lambda one: (one.tool != NATIVE, one.tool))}


def _texts() -> Iterator[str]:
    for entry in files("dask_validator.trade_files.formats").iterdir():
        if entry.name.endswith(".toml"):
            yield entry.read_text(encoding="utf-8")


def read(table: Mapping[str, Any]) -> Format:
    """A declaration from its TOML."""
    text = {"strategy_id": "strategy_id", **table.get("text", {})}  # which any file may have been given
    kinds = {**table, "text": text}
    return Format(
        tool=table["tool"],
        needed=[_listed(name) for name in table["needed"]],
        columns={kind: {name: _listed(headers) for name, headers in kinds.get(kind, {}).items()} for kind in KINDS},
        derived={name: _listed(sql) for name, sql in table.get("derived", {}).items()},
        trade={name: _listed(sql) for name, sql in {"strategy_id": "strategy_id", **table["trade"]}.items()},
        result={name: _listed(sql) for name, sql in table["result"].items()},
        bad={reason: _listed(sql) for reason, sql in table.get("bad", {}).items()},
        legs=table.get("legs"),
        ordered=table.get("ordered", False),
        local_names=table.get("local_names", False),
        zone=table.get("zone"),
        fees_are=table.get("fees_are"),
        before_fees=table.get("before_fees", False),
        nested=[Nested(**one) for one in table.get("nested", [])],
        date_format=table.get("date_format"),
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def named_format(name: str) -> Format:
    """The tool of that name. Raises InputError with those that are known."""
    known = {_bare(tool): one for tool, one in formats().items()}
    if _bare(name) not in known:
        raise InputError(f"--format got {name}, which is not known; give one of {', '.join(formats())}")
    return known[_bare(name)]


def _bare(name: str) -> str:
    """A name that needs no quotes, as people type it."""
    return re.sub(r"\W", "", name.lower())


def told_by(headers: Collection[str], place: str) -> Format:
    """The one tool whose columns these are.

    Raises
    ------
    InputError
        No tool, or several.
    """
    fitting = [one for one in formats().values() if one.fits(headers)]
    if len(fitting) > 1:
        raise InputError(
            f"{place} has the columns of {' and of '.join(one.tool for one in fitting)}; say which with --format"
        )
    if not fitting:
        raise InputError(
            f"{place} has the columns {', '.join(headers)}, which are those of no tool that is known; needed exit_time "
            "(or trading_day) and one of r, return, pnl: rename yours with --columns theirs=ours"
        )
    return fitting[0]
