"""Which strategies the gates of eras and holdout are for, where the rules say that (rules.md, section 9)."""

from __future__ import annotations

from datetime import UTC

import duckdb

from dask_validator.config import GatesOnly
from dask_validator.errors import InputError
from dask_validator.store.contract import Catalogue
from dask_validator.store.kinds import quoted
from dask_validator.store.selection import EVERY, Selection

TABLE, MADE = "experimental_strategies", "created_at"


def read_ungated(
    connection: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    instrument: str,
    only: GatesOnly,
    which: Selection = EVERY,
) -> frozenset[str]:
    """The strategies of the instrument that the gates are not for: no value in the column, too old, or of no date.

    Raises
    ------
    InputError
        The table has no such column.
    """
    if lacking := [name for name in (only.not_null, MADE) if name.lower() not in catalogue.tables[TABLE]]:
        raise InputError(f"gates_only needs the column {TABLE}.{lacking[0]}, which is not there; leave gates_only out")
    # A time without a zone is UTC, wherever the machine is.
    kind = "TIMESTAMPTZ" if "ZONE" in catalogue.tables[TABLE][MADE].kind else "TIMESTAMP"
    after = only.created_after.astimezone(UTC).replace(tzinfo=None if kind == "TIMESTAMP" else UTC)
    found = connection.execute(
        f"SELECT strategy_id FROM {TABLE} WHERE {which.condition} AND strategy_id IS NOT NULL "
        f"AND ({quoted(only.not_null)} IS NOT NULL AND {MADE}::{kind} > $after::{kind}) IS NOT TRUE",
        which.parameters(instrument) | {"after": after.isoformat()},
    )
    return frozenset(strategy_id for (strategy_id,) in found.fetchall())
