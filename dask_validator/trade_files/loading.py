"""One statement per relation: its rows as trades, each with the reason for which it cannot be used, if there is one.

All rows are kept, in the order of the source: a row's number in its file is told by where it stands.
"""

from __future__ import annotations

from typing import NamedTuple

from dask_validator.store.kinds import literal
from dask_validator.trade_files import cells
from dask_validator.trade_files.cells import Cell, Manner, quoted
from dask_validator.trade_files.declaration import Format
from dask_validator.trade_files.relations import Relation
from dask_validator.trade_files.units import Results

ROWS, FILES = "trade_rows", "trade_files"
# Rows of a file stand in its order, whole files not always in that of their names.
IN_SOURCE = f"{ROWS}.file * 1099511627776 + {ROWS}.rowid"
A_LEG = ""  # no trade in itself, and nothing wrong with it
NO_STRATEGY = "no strategy"
NO_DATE, BAD_DATE = "no date", "unreadable date"
NO_RESULT, BAD_RESULT, NOT_FINITE = "no result", "result is not a number", "result is not finite"
NO_RISK = "no initial risk: no stop, no distance, or on the wrong side of the entry"
FOREIGN_ZONE = "another zone"
COLUMNS = {
    "file": "INTEGER",
    "strategy_id": "VARCHAR",
    "trading_day": "DATE",
    "exit_time": "TIMESTAMP",
    "result": "DOUBLE",
    "risk": "DOUBLE",
    "cost": "DOUBLE",
    "side": "VARCHAR",
    "symbol": "VARCHAR",
    "entry_time": "TIMESTAMP",
    "currency": "VARCHAR",
    "reason": "VARCHAR",
    "row_hash": "UBIGINT",
}


class Reader(NamedTuple):
    """All that decides what the rows of a relation mean."""

    relation: Relation
    one: Format
    found: dict[str, str]
    manner: Manner
    results: Results
    zone_said: bool
    cost_per_trade: float | None
    several: bool = False  # places, in all
    first_file: int = 0  # the number of the first place here

    def raw(self, name: str) -> Cell:
        """The same, under a name of its own beside what was made of it."""
        return Cell(quoted(f"{name} raw"), self.cell(name).kind)

    @property
    def many(self) -> bool:
        """Whether the relation has several places, and says of each row of which it is."""
        return len(self.relation.places) > 1

    @property
    def in_its_file(self) -> bool:
        """Whether the file's name has to stand before that of the strategy."""
        return self.several and self.one.local_names and "strategy_id" not in self.found

    @property
    def by_file_name(self) -> bool:
        """Whether the file's name says, alone or with a column, which strategy its trades are of."""
        return self.in_its_file or self.one.chosen(self.one.trade, "strategy_id", self.found) is None

    def cell(self, name: str) -> Cell:
        """The file's column for one of our names."""
        return self.relation.cells[self.found[name]]


def create() -> str:
    """The statement that makes the table of all rows."""
    return f"CREATE TEMP TABLE {ROWS} ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"


def insert(reader: Reader) -> str:
    """The statement that reads a relation into it."""
    order = "ORDER BY row" if reader.one.ordered else ""
    derived = _derived(reader)
    return f"INSERT INTO {ROWS} SELECT {', '.join(_trade(reader).values())} FROM {derived} {order}"


def _read(reader: Reader) -> str:
    """Each column that the declaration names, by our name and as what it is; of what may be unreadable, the cell too.

    Only where a value is missing is its cell looked at: on millions of rows that nobody has to mend, it costs nothing.
    """
    relation, one = reader.relation, reader.one
    columns = []
    for name in reader.found:
        cell = reader.cell(name)
        if name in one.columns["numbers"]:
            columns.append(f"{cells.number(cell, reader.manner.decimal)} AS {quoted(name)}")
        elif name in one.columns["times"]:
            columns.append(f"{cells.time(cell, reader.manner)} AS {quoted(name)}")
        else:
            columns.append(f"{(cells.side if name in one.columns['sides'] else cells.word)(cell)} AS {quoted(name)}")
        columns.append(f"{cell.sql} AS {reader.raw(name).sql}")
    if one.ordered:
        columns.append("row_number() OVER () AS row")
    if reader.many:
        columns.append("file_index")
    every = ", ".join(cell.sql for cell in relation.cells.values())
    return f"(SELECT {', '.join(columns)}, hash({every}) AS row_hash FROM {relation.sql})"


def _derived(reader: Reader) -> str:
    """The same with the place's number and name and, one after the other, what the declaration derives."""
    strategies = ", ".join("NULL" if one.strategy is None else literal(one.strategy) for one in reader.relation.places)
    at = "CAST(file_index AS INTEGER)" if reader.many else "0"
    named = f"list_extract([{strategies}]::VARCHAR[], {at} + 1) AS file_name"
    relation = f"(SELECT {reader.first_file} + {at} AS file, {named}, * FROM {_read(reader)})"
    for name in reader.one.derived:
        if expression := reader.one.chosen(reader.one.derived, name, reader.found):
            relation = f"(SELECT *, {expression} AS {quoted(name)} FROM {relation})"
    return relation


def _trade(reader: Reader) -> dict[str, str]:
    """The SQL of each column of the table."""
    one, found, results = reader.one, reader.found, reader.results
    parts = {name: one.chosen(one.trade, name, found) for name in COLUMNS}
    time = one.chosen(one.trade, "exit_time", found) or "NULL"
    strategy = parts["strategy_id"] or "file_name"
    if reader.in_its_file:
        strategy = f"file_name || '/' || {strategy}"
    cost = results.cost or "NULL"
    if reader.cost_per_trade is not None:
        fixed = reader.cost_per_trade * (100 if results.unit == "return" else 1)
        cost = f"coalesce({cost}, {fixed!r})"
    values: dict[str, str] = {
        "file": "file",
        "strategy_id": strategy,
        "trading_day": f"CAST({parts['trading_day'] or time} AS DATE)",
        "exit_time": time,
        "result": results.result,
        "risk": results.risk or "NULL",
        "cost": f"CASE WHEN isfinite({cost}) THEN {cost} END" if cost != "NULL" else "NULL",
        "side": parts["side"] or "NULL",
        "symbol": parts["symbol"] or "NULL",
        "entry_time": parts["entry_time"] or "NULL",
        "currency": parts["currency"] if results.uses_money and parts["currency"] else "NULL",
        "row_hash": "row_hash",
    }
    return {name: f"{_reason(reader, values)}" if name == "reason" else values[name] for name in COLUMNS}


def _reason(reader: Reader, values: dict[str, str]) -> str:
    """Why a row is no trade that can be used: the first of these that holds."""
    one, results, time, day = reader.one, reader.results, values["exit_time"], values["trading_day"]
    declared = [
        (one.legs or "", A_LEG),
        *((sql, reason) for reason, conditions in one.bad.items() for sql in conditions),
    ]
    cases = [
        *(
            (condition, literal(reason))
            for condition, reason in declared
            if condition and one.has(condition, reader.found)
        ),
        *((foreign, literal(FOREIGN_ZONE)) for foreign in _foreigners(reader, time)),
        (f"({values['strategy_id']}) IS NULL", literal(NO_STRATEGY)),
        (_unread(reader, "times", f"{time} {day}"), literal(BAD_DATE)),
        (f"({time}) IS NULL OR ({day}) IS NULL", literal(NO_DATE)),
        (f"({results.amount}) IS NULL AND ({_unread(reader, 'numbers', results.amount)})", literal(BAD_RESULT)),
        (f"({results.amount}) IS NULL", literal(NO_RESULT)),
        (f"NOT isfinite({results.amount})", literal(NOT_FINITE)),
    ]
    if results.needs_risk:
        cases.append((f"NOT coalesce(isfinite({results.risk}) AND ({results.risk}) > 0, false)", literal(NO_RISK)))
    cases.append((f"NOT coalesce(isfinite({results.result}), false)", literal(NOT_FINITE)))
    return "CASE " + " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in cases) + " END"


def _unread(reader: Reader, kind: str, expression: str) -> str:
    """The condition on which something stands in a column that the expression takes, and nothing that can be read."""
    names = _taken(reader, kind, expression)
    return (
        " OR ".join(f"({quoted(name)} IS NULL AND NOT {cells.absent(reader.raw(name))})" for name in names) or "false"
    )


def _foreigners(reader: Reader, time: str) -> list[str]:
    """Conditions on which a time is told by a zone that nobody has said."""
    if reader.zone_said:
        return []
    taken = [reader.raw(name) for name in _taken(reader, "times", time)]
    return [cells.has_foreign_offset(cell) for cell in taken if cell.is_text]


def _taken(reader: Reader, kind: str, expression: str) -> list[str]:
    """The columns of the file that the expression takes."""
    named = reader.one.named(expression)
    return [name for name in reader.one.columns[kind] if name in named and name in reader.found]
