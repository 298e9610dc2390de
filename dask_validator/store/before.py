"""What a run finds before it writes, kept so that it can be taken back.

Values are kept in columns of their own types: no text or JSON gives every value of every type back. What the run leaves
is kept as a hash, by which an undo knows whether somebody has written since. Setups lie in a table of their own: a row
has many columns, and few strategies have one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator.errors import InputError
from dask_validator.store.contract import KEPT_ON_CONFLICT, Catalogue
from dask_validator.store.kinds import quoted
from dask_validator.store.our_tables import BEFORE, BEFORE_SETUPS
from dask_validator.store.setups import Statement

if TYPE_CHECKING:
    from dask_validator.store.contract import Column

STRATEGIES, SETUPS = "experimental_strategies", "validated_setups"
HOLDING = {"dask_validator_before": STRATEGIES, "dask_validator_before_setups": SETUPS}


class Kept(NamedTuple):
    """Which columns of the user's tables a run has kept.

    Attributes
    ----------
    kinds
        By table and by column: its type. Of strategies what runs write, of setups all.
    updated
        Columns that runs change in a setup which is there already.
    """

    kinds: Mapping[str, Mapping[str, str]]
    updated: list[str]

    def columns(self, table: str) -> Mapping[str, str]:
        """The columns of one of our tables that hold values of the user's, and their types."""
        return self.kinds[HOLDING[table]] if table in HOLDING else {}

    def hashed(self, table: str) -> str:
        """SQL for the hash of what a row of the user's table holds in them."""
        return f"hash({', '.join(f'{table}.{quoted(name)}' for name in self.kinds[table])})"

    def as_json(self) -> str:
        """As the record of the run has it."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: Any) -> Kept:
        """Raise InputError for what somebody else has put there."""
        try:
            found = json.loads(text)
            kinds = {table: {str(name): str(kind) for name, kind in found["kinds"][table].items()} for table in _TABLES}
            return cls(kinds, [name for name in found["updated"] if name in kinds[SETUPS]])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"kept_before in dask_validator_runs cannot be read: {error}") from error


_TABLES = (STRATEGIES, SETUPS)


def kept_of(catalogue: Catalogue) -> Kept:
    """What a run is to keep of these tables, once they have the columns that it adds."""
    kinds = {table: {**_kinds(catalogue, table), **catalogue.lacking(table)} for table in _TABLES}
    written = {table: [name for name in kinds[table] if name in catalogue.written(table)] for table in _TABLES}
    of_strategies = {name: kinds[STRATEGIES][name] for name in written[STRATEGIES]}
    updated = [name for name in written[SETUPS] if name not in KEPT_ON_CONFLICT]
    return Kept({STRATEGIES: of_strategies, SETUPS: kinds[SETUPS]}, updated)


def _kinds(catalogue: Catalogue, table: str) -> dict[str, str]:
    return {name: column.kind for name, column in catalogue.tables[table].items()}


def other_kinds(table: str, columns: Mapping[str, str], there: Mapping[str, Column]) -> Iterator[Statement]:
    """A column of the user's that has another type now takes it in our table too.

    No run before that can be taken back any more, so it does not matter which values do not fit.
    """
    for name, kind in columns.items():
        if name in there and there[name].kind != kind:
            change = f"ALTER COLUMN {quoted(name)} TYPE {kind} USING TRY_CAST({quoted(name)} AS {kind})"
            yield Statement(f"ALTER TABLE {table} {change}")


def found(kept: Kept, run_id: str) -> Iterator[Statement]:
    """Look, before anything is changed; setups can be written down at once."""
    strategies = ", ".join(f"e.{quoted(name)}" for name in kept.kinds[STRATEGIES])
    yield Statement(
        f"CREATE TEMP TABLE found_before AS SELECT e.strategy_id, s.strategy_id IS NOT NULL AS had_setup, {strategies} "
        f"FROM computed_verdicts v JOIN {STRATEGIES} e USING (strategy_id) "
        f"LEFT JOIN {SETUPS} s ON s.strategy_id = e.strategy_id"
    )
    setups = ", ".join(map(quoted, kept.kinds[SETUPS]))
    yield Statement(
        f"INSERT INTO dask_validator_before_setups ({', '.join(BEFORE_SETUPS)}, {setups}) "
        f"SELECT ?, {setups} FROM {SETUPS} WHERE strategy_id IN (SELECT strategy_id FROM computed_verdicts)",
        (run_id,),
    )


def insert(kept: Kept, run_id: str) -> Statement:
    """Write it down when all else is changed, with what is there now."""
    strategies = ", ".join(map(quoted, kept.kinds[STRATEGIES]))
    return Statement(
        f"INSERT INTO dask_validator_before ({', '.join(BEFORE)}, {strategies}) "
        f"SELECT ?, strategy_id, had_setup, {kept.hashed(STRATEGIES)}, left_setup, "
        f"{', '.join(f'f.{quoted(name)}' for name in kept.kinds[STRATEGIES])} "
        f"FROM found_before f JOIN {STRATEGIES} USING (strategy_id) LEFT JOIN "
        f"(SELECT strategy_id, {kept.hashed(SETUPS)} AS left_setup FROM {SETUPS}) USING (strategy_id)",
        (run_id,),
    )
