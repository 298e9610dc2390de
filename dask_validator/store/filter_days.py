"""Which days meet the conditions of filters: columns of `daily_features`, read once, then looked at in memory.

The conditions are the user's. They are evaluated on a connection of their own, which has these columns and nothing
else: no file, no table, no macro of the database is within reach.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.filters.conditions import Condition, Days, Filter, conditions
from dask_validator.filters.shipped import vocabulary
from dask_validator.filters.values import Value
from dask_validator.filters.vocabulary import Vocabulary
from dask_validator.model import Session
from dask_validator.rules.costs import Costs
from dask_validator.rules.day_masks import SessionDays
from dask_validator.store.connection import first_line
from dask_validator.store.contract import Catalogue
from dask_validator.store.filter_text import Columns, Parts, Written, columns_of, parts_of, placed, written
from dask_validator.store.kinds import BOOLEAN, DATE, KINDS, NUMBER, TEXT

Truth = np.ma.MaskedArray[Any, np.dtype[np.bool_]]  # by day; masked where it is NULL
MINUTES_OF_OTHERS = 5
ROWS = "feature_rows"
_KIND = {duckdb_kind: kind for kind in (NUMBER, TEXT, BOOLEAN, DATE) for duckdb_kind in KINDS[kind]}
# On their way out of the file and into memory: dates as days, numbers as doubles that are known or NULL.
_OUT = {
    NUMBER: "CASE WHEN isnan({0}::DOUBLE) THEN NULL ELSE {0}::DOUBLE END",
    TEXT: "{0}::VARCHAR",
    BOOLEAN: "{0}",
    DATE: "CASE WHEN isfinite({0}) THEN ({0} - DATE '1970-01-01')::INTEGER END",
}
_NOTHING: Mapping[str, Any] = {NUMBER: 0.0, TEXT: "", BOOLEAN: False, DATE: 0}
_IN = {NUMBER: "{0}::DOUBLE", TEXT: "{0}::VARCHAR", BOOLEAN: "{0}::BOOLEAN", DATE: "DATE '1970-01-01' + {0}::INTEGER"}


class Looked(NamedTuple):
    """What one condition says of each day of a session."""

    holds: Truth
    lacks: NDArray[np.bool_]  # days on which a column that the condition names is missing


class Column(NamedTuple):
    """A column of the features, of the row itself or of another symbol's."""

    name: str  # in lower case
    symbol: str | None = None


class Reading(NamedTuple):
    """What conditions are evaluated by."""

    vocabulary: Vocabulary
    catalogue: Catalogue
    costs: Costs
    zones: Mapping[str, str]  # by label, whose clock changes make seasons


Key = tuple[str, Condition]  # label of a session, whatever its opening-range minutes
Found = Mapping[Key, Looked | str]  # a text says why a condition cannot be evaluated


def vocabulary_of(config: RunConfig, catalogue: Catalogue) -> Vocabulary:
    """What filters can be called by these rules. Raises InputError for a `[[filter]]` table that is no filter."""
    known = vocabulary(config, catalogue.sessions)
    if known.own:
        with apart() as memory:
            for entry in known.own:
                parts_of(entry, memory)
    return known


@contextmanager
def apart() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to nothing: it parses and computes, and cannot reach a file."""
    with duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": 1}) as connection:
        yield connection


def read_session_days(
    connection: duckdb.DuckDBPyConnection, symbol: str, wanted: Mapping[Session, Collection[Filter]], reading: Reading
) -> dict[Session, SessionDays]:
    """The days of each session with a features row, and those that each of its filters admits.

    Raises
    ------
    InputError
        A condition that is not allowed.
    """
    in_need = {session: filters for session, filters in wanted.items() if filters}
    looked = look(connection, symbol, in_need, reading) if in_need else NOTHING
    return {
        session: SessionDays(
            looked.days[looked.of(session)],
            {each: looked.packed(each, session) for each in filters},
            reading.zones.get(session[1]),
        )
        for session, filters in wanted.items()
    }


class Look(NamedTuple):
    """The rows of some sessions, and what conditions say of them."""

    minutes: NDArray[np.float64]  # orb_minutes, ascending
    days: NDArray[np.int32]  # since 1970-01-01, ascending among equal minutes
    found: Found

    def of(self, session: Session) -> slice:
        """The rows of a session."""
        if session[0] is None:
            return slice(0, 0)
        return slice(*(int(np.searchsorted(self.minutes, session[0], side)) for side in ("left", "right")))

    def packed(self, selecting: Filter, session: Session) -> bytes | str:
        """The days of the session that a filter admits, as bits; a text says why nobody knows."""
        admitted = self._admitted(selecting, session[1])
        return admitted if isinstance(admitted, str) else np.packbits(admitted[self.of(session)]).tobytes()

    def _admitted(self, selecting: Filter, label: str) -> NDArray[np.bool_] | str:
        """What is NULL is not admitted."""
        if isinstance(selecting, Days):
            return np.full(self.days.size, selecting is not Days.NONE)
        if isinstance(selecting, Condition):
            looked = self.found[label, selecting]
            return looked if isinstance(looked, str) else looked.holds.filled(False)
        base, overlay = self._admitted(selecting.base, label), self._admitted(selecting.overlay, label)
        if isinstance(base, str):
            return base
        return overlay if isinstance(overlay, str) else base & overlay


NOTHING = Look(np.empty(0), np.empty(0, dtype=np.int32), {})


def look(
    connection: duckdb.DuckDBPyConnection, symbol: str, wanted: Mapping[Session, Collection[Filter]], reading: Reading
) -> Look:
    """What each condition of the filters says of each row of its sessions. Raises InputError, as reading does."""
    keys = {(label, part) for (_, label), filters in wanted.items() for each in filters for part in conditions(each)}
    with apart() as memory:
        parser = _Parser(memory, reading)
        plans = {key: parser.plan(*key) for key in sorted(keys, key=repr)}
        usable = {key: plan for key, plan in plans.items() if isinstance(plan, _Plan)}
        columns = list(dict.fromkeys(column for plan in usable.values() for column in plan.columns.values()))
        minutes = {minutes for minutes, _ in wanted if minutes is not None}
        rows = _read(connection, symbol, sorted(minutes), columns, reading.catalogue)
        in_memory = _InMemory(memory, columns, rows)
        found: dict[Key, Looked | str] = {key: plan for key, plan in plans.items() if isinstance(plan, str)}
        for label in {label for label, _ in usable}:
            of_session = {key: plan for key, plan in usable.items() if key[0] == label}
            found |= in_memory.looked(of_session, reading.costs)
    return Look(rows.minutes, rows.days, found)


class _Plan(NamedTuple):
    """A condition for one session, whose columns are there."""

    parts: Parts
    values: Mapping[str, Value]
    columns: Mapping[tuple[str, str], Column]  # by symbol, empty for the row's own, and name, as the condition has them

    def sql(self, number: int, places: Mapping[Column, str], costs: Costs) -> tuple[str, dict[str, Any]]:
        """The condition over columns in memory, and its parameters."""
        bound: dict[str, Any] = {}
        friction = costs.commission_rt + costs.spread_doubled + costs.slippage
        values = {**self.values, "f": friction, "point_value": float(costs.point_value)}

        def parameter(name: str) -> str:
            value, field = values[name], self.parts.entry.fields.get(name)
            bound[f"p{number}_{name}"] = _bindable(value)
            return f"$p{number}_{name}::{field.sql_type if field else 'DOUBLE'}"

        def column(name: str, symbol: str = "") -> str:
            return places[self.columns[symbol, name]]

        return written(self.parts, Written(column, parameter, lambda symbol, name: column(name, symbol))), bound


def _bindable(value: Value) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and np.isnan(value) else value


class _Parser:
    """From conditions to plans; each entry is parsed once."""

    def __init__(self, memory: duckdb.DuckDBPyConnection, reading: Reading) -> None:
        self._memory, self._reading = memory, reading
        self._entries = {entry.title: entry for entry in reading.vocabulary.entries}
        self._known: dict[str, tuple[Parts, Columns]] = {}

    def plan(self, label: str, condition: Condition) -> _Plan | str:
        """How to evaluate it, or why that is impossible."""
        if condition.entry not in self._known:
            parts = parts_of(self._entries[condition.entry], self._memory)
            self._known[condition.entry] = parts, columns_of(parts)
        parts, named = self._known[condition.entry]
        values = dict(condition.values)
        columns = {("", name): Column(placed(name, label, values)) for name in sorted(named.own)}
        for symbol, name in sorted(named.of_symbols):
            of = str(values[symbol[1:]]) if symbol.startswith("$") else symbol
            columns[symbol, name] = Column(placed(name, label, values), of)
        there = self._reading.catalogue.tables["daily_features"]
        for column in columns.values():
            if column.name.lower() not in there:
                return f"daily_features has no column {column.name}"
            if (kind := there[column.name.lower()].kind) and _kind(kind) is None:
                return f"column daily_features.{column.name} is {kind}; needed {', '.join(_OUT)}"
        return _Plan(parts, values, columns)


def _kind(of_duckdb: str) -> str | None:
    return _KIND.get(of_duckdb.split("(")[0])  # ENUM and DECIMAL go on in parentheses


class _Rows(NamedTuple):
    """The rows as they were read."""

    minutes: NDArray[np.float64]
    days: NDArray[np.int32]
    columns: Mapping[str, tuple[str, Any]]  # kind and values, by name in memory


def _read(
    connection: duckdb.DuckDBPyConnection,
    symbol: str,
    minutes: Sequence[int],
    columns: Sequence[Column],
    catalogue: Catalogue,
) -> _Rows:
    there = catalogue.tables["daily_features"]
    kinds = [str(_kind(there[column.name.lower()].kind)) for column in columns]
    others = list(dict.fromkeys(column.symbol for column in columns if column.symbol is not None))
    out = [_OUT[kind].format(_place(column, others)) for kind, column in zip(kinds, columns, strict=True)]
    query = (
        "SELECT f.orb_minutes::DOUBLE AS minutes, (f.trading_day - DATE '1970-01-01')::INTEGER AS day"
        + "".join(f", {sql} AS c{i}" for i, sql in enumerate(out))
        + " FROM daily_features f"
        + "".join(_joined(i, {c.name for c in columns if c.symbol == other}) for i, other in enumerate(others))
        + " WHERE f.symbol = $symbol AND f.orb_minutes IN (SELECT unnest($minutes::DOUBLE[]))"
        + " AND f.trading_day IS NOT NULL ORDER BY f.orb_minutes, f.trading_day"
    )
    bound = {"symbol": symbol, "minutes": minutes} | {f"other{i}": other for i, other in enumerate(others)}
    arrays = connection.execute(query, bound).fetchnumpy()
    found = {f"c{i}": (kind, arrays[f"c{i}"]) for i, kind in enumerate(kinds)}
    return _Rows(np.asarray(arrays["minutes"]), np.asarray(arrays["day"]).astype(np.int32, copy=False), found)


def _place(column: Column, others: Sequence[str]) -> str:
    quoted = '"' + column.name.replace('"', '""') + '"'
    return f"f.{quoted}" if column.symbol is None else f"o{others.index(column.symbol)}.{quoted}"


def _joined(number: int, names: Collection[str]) -> str:
    """The rows of another symbol; of a day that has two, nobody knows which counts."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in sorted(names)]
    only = ", ".join(f"CASE WHEN count(*) = 1 THEN min({name}) END AS {name}" for name in quoted)
    rows = f"symbol = $other{number} AND orb_minutes = {MINUTES_OF_OTHERS} GROUP BY trading_day"
    return f" LEFT JOIN (SELECT trading_day, {only} FROM daily_features WHERE {rows}) o{number} USING (trading_day)"


class _InMemory:
    """The columns, and conditions over them."""

    def __init__(
        self,
        memory: duckdb.DuckDBPyConnection,
        columns: Sequence[Column],
        rows: _Rows,
    ) -> None:
        self._memory, self._count = memory, rows.days.size
        self._places = {column: f"c{i}" for i, column in enumerate(columns)}
        self._missing = {column: np.ma.getmaskarray(rows.columns[place][1]) for column, place in self._places.items()}
        if self._count:
            arrays: dict[str, Any] = {"row_number": np.arange(self._count, dtype=np.int32)}
            for name, (kind, values) in rows.columns.items():  # DuckDB 1 does not see what is masked
                arrays |= {name: np.ma.filled(values, _NOTHING[kind]), f"{name}_lacks": np.ma.getmaskarray(values)}
            memory.register("arrays", arrays)
            typed = "".join(
                f", CASE WHEN NOT {name}_lacks THEN {_IN[kind].format(name)} END AS {name}"
                for name, (kind, _) in rows.columns.items()
            )
            memory.execute(f"CREATE TABLE {ROWS} AS SELECT row_number{typed} FROM arrays").fetchall()

    def looked(self, plans: Mapping[tuple[str, Condition], _Plan], costs: Costs) -> dict[Any, Looked | str]:
        """What the conditions of one session say, all in one query."""
        written = [plan.sql(i, self._places, costs) for i, plan in enumerate(plans.values())]
        return {
            key: truth if isinstance(truth, str) else Looked(truth, self._lacks(plan))
            for (key, plan), truth in zip(plans.items(), self._truths(written), strict=True)
        }

    def _lacks(self, plan: _Plan) -> NDArray[np.bool_]:
        missing = [self._missing[column] for column in plan.columns.values()]
        return np.asarray(np.logical_or.reduce([np.zeros(self._count, dtype=np.bool_), *missing]))

    def _truths(self, written: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Truth | str]:
        if not self._count or not written:
            return [_truth(np.empty(0, dtype=np.bool_), "BOOLEAN") for _ in written]
        items = ", ".join(f"{sql} AS r{i}" for i, (sql, _) in enumerate(written))
        bound = {name: value for _, of_one in written for name, value in of_one.items()}
        try:
            result = self._memory.execute(f"SELECT {items} FROM {ROWS} ORDER BY row_number", bound)
            kinds = [str(column[1]) for column in result.description or ()]
            columns = result.fetchnumpy()
        except duckdb.Error as error:
            if len(written) == 1:
                return [f"its condition cannot be evaluated: {first_line(error)}"]
            return [truth for one in written for truth in self._truths([one])]
        return [_truth(columns[f"r{i}"], kind) for i, kind in enumerate(kinds)]


def _truth(values: Any, kind: str) -> Truth | str:
    if kind.upper() not in ("BOOL", "BOOLEAN"):
        return f"its condition is a {kind}, needed a BOOLEAN"
    return np.ma.MaskedArray(np.ma.getdata(values).astype(np.bool_), np.ma.getmaskarray(values))
