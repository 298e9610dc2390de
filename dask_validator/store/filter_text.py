"""The conditions of filters: SQL of the user's, taken apart and put together anew: only what is allowed remains.

DuckDB parses the text and runs nothing of it. Each node of the tree that is listed here is written out in SQL of ours,
with columns and parameters by names of ours; any other one is refused (rules.md, section 5).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.filters.entries import COSTS, Entry

OF_SYMBOL = "of_symbol"
ALLOWED = "columns, parameters, constants, comparisons, AND, OR, NOT, CASE, IN, BETWEEN, IS NULL, + - * / % and "
FUNCTIONS = (
    *("abs", "least", "greatest", "round", "floor", "ceil", "nullif", "coalesce", "if", "isodow", "list_contains"),
    *("lower", OF_SYMBOL),
)
_COMPARISONS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_ARITHMETIC = ("+", "-", "*", "/", "%")
_KEEPING_NAN = ("abs", "round", "floor", "ceil")
_JOINED = {"CONJUNCTION_AND": " AND ", "CONJUNCTION_OR": " OR "}
_AFTER = {"OPERATOR_IS_NULL": "IS NULL", "OPERATOR_IS_NOT_NULL": "IS NOT NULL"}
_IN = {"COMPARE_IN": "IN", "COMPARE_NOT_IN": "NOT IN"}
MOST_CHARACTERS = 100_000  # of a condition with all that it names
LARGEST_INTEGER = 1 << 31
_TOKENS = re.compile(
    r"""(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<comment>--|/\*)"""
    r"""|(?P<dollars>\$\w*\$)|(?P<word>\w*(?:\{\w+\}\w*)+)"""
)
_PLACE = re.compile(r"\{(\w+)\}")

Node = Mapping[str, Any]
Scope = Callable[[str], str]


class Parts(NamedTuple):
    """A condition as the parser sees it."""

    condition: Node
    let: Mapping[str, Node]
    entry: Entry


class Columns(NamedTuple):
    """What a condition reads; names may have places such as `{L}`."""

    own: frozenset[str]
    of_symbols: frozenset[tuple[str, str]]  # a parameter or a text, and the column of that other symbol


class Written(NamedTuple):
    """How a condition is to be written: SQL of ours for each column and parameter."""

    column: Scope  # by its name, with places
    parameter: Scope
    of_symbol: Callable[[str, str], str]


def parts_of(entry: Entry, parser: duckdb.DuckDBPyConnection) -> Parts:
    """The condition of an entry, every node of which is allowed; nothing is run. Raises InputError."""
    let = {name: _tree(parser, text, f"{entry.title}: let.{name}") for name, text in entry.let.items()}
    parts = Parts(_tree(parser, entry.when, f"{entry.title}: when"), let, entry)
    columns_of(parts)
    return parts


def columns_of(parts: Parts) -> Columns:
    """Its columns. Raises InputError for what is not allowed."""
    own: set[str] = set()
    others: set[tuple[str, str]] = set()
    entry = parts.entry

    def column(name: str) -> str:
        sessions = {name for name, field in entry.fields.items() if field.kind == "session"}
        if unknown := set(_PLACE.findall(name)) - {"L"} - sessions:
            raise InputError(f"{entry.title} has {{{min(unknown)}}}; needed {{L}} or a field of type session")
        own.add(name)
        return "c"

    def parameter(name: str) -> str:
        if name not in entry.fields.keys() | COSTS:
            needed = ", ".join(f"${known}" for known in (*entry.fields, *sorted(COSTS)))
            raise InputError(f"{entry.title} has ${name}; needed {needed}")
        return "p"

    def of_symbol(symbol: str, name: str) -> str:
        if symbol.startswith("$"):
            parameter(symbol[1:])
        column(name)
        own.discard(name)
        others.add((symbol, name))
        return "o"

    written(parts, Written(column, parameter, of_symbol))
    return Columns(frozenset(own), frozenset(others))


def written(parts: Parts, how: Written) -> str:
    """The condition in SQL. Raises InputError for a node that is not allowed."""
    return _Writing(parts, how).all()


def placed(name: str, label: str, values: Mapping[str, Any]) -> str:
    """A column's name with a session's label, and those of fields, in their places."""
    return _PLACE.sub(lambda place: label if place[1] == "L" else str(values[place[1]]), name)


def _tree(parser: duckdb.DuckDBPyConnection, text: str, where: str) -> Node:
    """The one expression of the text."""
    found = _serialized(parser, _TOKENS.sub(lambda token: _spelled(token, where), text))
    if found.get("error"):
        raise InputError(f"{where} cannot be parsed: {str(found.get('error_message')).splitlines()[0][:200]}")
    [statement, *more] = found["statements"]
    items = statement["node"].pop("select_list", [])
    nothing = _serialized(parser, "1")["statements"][0]
    del nothing["node"]["select_list"]
    if more or len(items) != 1 or _bare(statement) != _bare(nothing) or items[0].get("alias"):
        raise InputError(f"{where} is more than one expression; needed one condition, without FROM or a name")
    return dict(items[0])


def _spelled(token: re.Match[str], where: str) -> str:
    if token["comment"] or token["dollars"]:
        raise InputError(f"{where} has {token[0]}; needed a condition without comments and quotes of dollars")
    return f'"{token[0]}"' if token["word"] else token[0]


def _serialized(parser: duckdb.DuckDBPyConnection, expression: str) -> dict[str, Any]:
    rows = parser.execute("SELECT system.main.json_serialize_sql($1::VARCHAR)", [f"SELECT {expression}"]).fetchall()
    return dict(json.loads(rows[0][0]))


def _bare(tree: Any) -> Any:
    """The tree without positions in the text, and the names of parameters."""
    if isinstance(tree, dict):
        return {name: _bare(value) for name, value in tree.items() if name not in ("query_location", "named_param_map")}
    return [_bare(value) for value in tree] if isinstance(tree, list) else tree


class _Writing:
    """One condition on its way to SQL of ours."""

    def __init__(self, parts: Parts, how: Written) -> None:
        self._parts, self._how = parts, how
        self._let: dict[str, str] = {}

    def all(self) -> str:
        """The condition, with its sub-expressions in the places of their names."""
        for name, node in self._parts.let.items():
            self._let[name] = self._short(f"({self._sql(node)})")
        return self._short(self._sql(self._parts.condition))

    def _short(self, sql: str) -> str:
        if len(sql) > MOST_CHARACTERS:
            raise InputError(f"{self._parts.entry.title} is longer than {MOST_CHARACTERS:,} characters of SQL")
        return sql

    def _sql(self, node: Node) -> str:
        """What is computed is NULL when it is no number: to DuckDB that would be the largest of all."""
        sql = self._plain(node)
        if not _is_computed(node):
            return sql
        return self._short(f"(CASE WHEN isnan({sql}::DOUBLE) THEN NULL ELSE {sql} END)")

    def _plain(self, node: Node) -> str:
        write = _WRITERS.get(str(node.get("class")))
        if node.get("alias") or write is None:
            raise self._refused(str(node.get("type", node.get("class"))))
        return write(self, node)

    def _refused(self, what: str) -> InputError:
        return InputError(f"{self._parts.entry.title} has {what}; allowed are {ALLOWED}{', '.join(FUNCTIONS)}")

    def column(self, node: Node) -> str:
        """A column, or a sub-expression of that name."""
        names = node["column_names"]
        if len(names) != 1:
            raise self._refused(".".join(names))
        return self._let[names[0]] if names[0] in self._let else self._how.column(names[0])

    def parameter(self, node: Node) -> str:
        """A field or a cost."""
        return self._how.parameter(str(node["identifier"]))

    def constant(self, node: Node) -> str:
        """A number, a text, a truth value or NULL."""
        value = _value(node)
        if value is None or isinstance(value, bool):
            return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
        if isinstance(value, str):
            return _quoted(value)
        if isinstance(value, int) and abs(value) < LARGEST_INTEGER:
            return f"({value})"
        if not math.isfinite(float(value)):
            raise self._refused(str(value))
        return f"'{float(value)!r}'::DOUBLE"

    def comparison(self, node: Node) -> str:
        """Of two values."""
        if node["type"] not in _COMPARISONS:
            raise self._refused(node["type"])
        return f"({self._sql(node['left'])} {_COMPARISONS[node['type']]} {self._sql(node['right'])})"

    def between(self, node: Node) -> str:
        """Both bounds included."""
        value, lower, upper = (self._sql(node[side]) for side in ("input", "lower", "upper"))
        return f"({value} BETWEEN {lower} AND {upper})"

    def conjunction(self, node: Node) -> str:
        """AND, OR."""
        if node["type"] not in _JOINED:
            raise self._refused(node["type"])
        return f"({_JOINED[node['type']].join(map(self._sql, node['children']))})"

    def operator(self, node: Node) -> str:
        """NOT, IN, IS NULL, coalesce."""
        kind, sql = node["type"], [self._sql(child) for child in node["children"]]
        if kind in _IN:
            return f"({sql[0]} {_IN[kind]} ({', '.join(sql[1:])}))"
        if kind == "OPERATOR_NOT":
            return f"(NOT {sql[0]})"
        if kind in _AFTER:
            return f"({sql[0]} {_AFTER[kind]})"
        if kind == "OPERATOR_COALESCE":
            return f"coalesce({', '.join(sql)})"
        raise self._refused(kind)

    def case(self, node: Node) -> str:
        """CASE in any of its forms."""
        checks = "".join(
            f" WHEN {self._sql(check['when_expr'])} THEN {self._sql(check['then_expr'])}"
            for check in node["case_checks"]
        )
        return f"(CASE{checks} ELSE {self._sql(node['else_expr'])} END)"

    def cast(self, node: Node) -> str:
        """`true` and `false`, as some versions of DuckDB have them."""
        constant, kind = node["child"], node.get("cast_type", {}).get("id")
        if kind != "BOOLEAN" or constant["class"] != "CONSTANT" or _value(constant) not in ("t", "f"):
            raise self._refused("a cast")
        return "TRUE" if _value(constant) == "t" else "FALSE"

    def function(self, node: Node) -> str:
        """A function or an operator of arithmetic."""
        name, arguments = str(node["function_name"]), _arguments(node)
        special = any(node.get(key) for key in ("schema", "catalog", "distinct", "filter", "export_state"))
        if arguments is None or special or node.get("order_bys", {}).get("orders"):
            raise self._refused(f"{name} with more than arguments")
        if name in _ARITHMETIC and node.get("is_operator"):
            return self._arithmetic(name, arguments)
        if name == OF_SYMBOL:
            return self._of_symbol(arguments)
        if name not in FUNCTIONS:
            raise self._refused(name)
        write = self._plain if name in _KEEPING_NAN else self._sql
        return f"{name}({', '.join(map(write, arguments))})"

    def _arithmetic(self, operator: str, arguments: list[Node]) -> str:
        sides = [self._plain(argument) for argument in arguments]
        if len(sides) == 1:
            return f"({operator}{sides[0]})"
        left, right = sides
        if operator in "/%" and not (arguments[1]["class"] == "CONSTANT" and _value(arguments[1])):
            right = self._short(f"(CASE WHEN {right} = 0 THEN NULL ELSE {right} END)")
        return f"({left} {operator} {right})"

    def _of_symbol(self, arguments: list[Node]) -> str:
        if len(arguments) != 2 or arguments[1]["class"] != "CONSTANT" or not isinstance(_value(arguments[1]), str):
            raise self._refused(f"{OF_SYMBOL} without a symbol and, in quotes, a column")
        symbol, column = arguments[0], str(_value(arguments[1]))
        if symbol["class"] == "PARAMETER":
            return self._how.of_symbol(f"${symbol['identifier']}", column)
        if symbol["class"] != "CONSTANT" or not isinstance(_value(symbol), str):
            raise self._refused(f"{OF_SYMBOL} of something other than a field or a text")
        return self._how.of_symbol(str(_value(symbol)), column)


_WRITERS: Mapping[str, Callable[[_Writing, Node], str]] = {
    "COLUMN_REF": _Writing.column,
    "PARAMETER": _Writing.parameter,
    "CONSTANT": _Writing.constant,
    "COMPARISON": _Writing.comparison,
    "BETWEEN": _Writing.between,
    "CONJUNCTION": _Writing.conjunction,
    "OPERATOR": _Writing.operator,
    "CASE": _Writing.case,
    "CAST": _Writing.cast,
    "FUNCTION": _Writing.function,
}


def _is_computed(node: Node) -> bool:
    """Whether it may be NaN: the columns are not."""
    if node["class"] != "FUNCTION":
        return False
    keeps = node["function_name"] in _KEEPING_NAN and any(map(_is_computed, _arguments(node) or ()))
    return keeps or bool(node["function_name"] in _ARITHMETIC)


def _arguments(node: Node) -> list[Node] | None:
    """Those of a function, None where one is given by name."""
    if "arguments" not in node:  # DuckDB 1
        return list(node["children"])
    named = any(argument["name"] for argument in node["arguments"])
    return None if named else [argument["expression"] for argument in node["arguments"]]


def _value(node: Node) -> Any:
    """The value of a constant."""
    if "literal" in node:
        kind, text = node["literal"]["kind"], node["literal"]["text"]
        readers: dict[str, Callable[[str], Any]] = {
            "INTEGER": int,
            "NUMERIC": float,
            "BOOLEAN": lambda text: text == "true",
            "NULL_LITERAL": lambda text: None,
        }
        return readers.get(kind, str)(text)
    constant = node["value"]  # DuckDB 1
    if constant["is_null"]:
        return None
    if constant["type"]["id"] == "DECIMAL":
        return float(Decimal(constant["value"]).scaleb(-constant["type"]["type_info"]["scale"]))
    return constant["value"] if isinstance(constant["value"], int | float | str | bool) else math.inf


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
