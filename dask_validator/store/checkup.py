"""Pre-flight without computing: what a run would meet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from dask_validator.config import RunConfig
from dask_validator.model import PLAN
from dask_validator.rules.costs import Costs
from dask_validator.store.connection import check_is_file, read, refuse_truncated
from dask_validator.store.contract import OPTIONAL, read_catalogue
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.store.findings import findings
from dask_validator.store.functions import refuse_macros
from dask_validator.store.lock import Holder, Unknown, doubts, holder, refuse_if_held
from dask_validator.store.obstacles import Waiting, refuse_obstacles
from dask_validator.store.reader import WAITING, refuse_absent, refuse_nameless, refuse_repeated_features
from dask_validator.store.trade_tables import LOG_KEY

if TYPE_CHECKING:
    from dask_validator.sources.source import Source


class Checkup(NamedTuple):
    """What a database holds for one instrument."""

    path: Path
    instrument: str
    statuses: list[tuple[str, int]]
    waiting: int
    outcome_keys: int
    findings: list[str]  # about sessions, filters and stops
    columns_to_add: list[str]
    held_by: Holder | None  # reads only: a writer could not be looked past
    doubts: list[str]  # about its locks


def examine(path: Path, instrument: str, source: Source, config: RunConfig, costs: Costs) -> Checkup:
    """Look, read-only.

    Raises
    ------
    InputError
        What would stop a run, in one line.
    """
    check_is_file(path)
    refuse_if_held(path, to_write=False)
    found = read(path, lambda connection: _examined(connection, path, instrument, source, config, costs))
    return found._replace(held_by=_holder(path), doubts=doubts(path))  # closed, or we would hold it ourselves


def _examined(
    connection: duckdb.DuckDBPyConnection, path: Path, instrument: str, source: Source, config: RunConfig, costs: Costs
) -> Checkup:
    refuse_truncated(connection, path)
    refuse_macros(connection)
    catalogue = read_catalogue(connection, source.tables, config.promotion)
    refuse_absent(connection, path, instrument)
    refuse_obstacles(connection, catalogue, Waiting(instrument, WAITING))
    refuse_repeated_features(connection, catalogue, instrument)
    refuse_nameless(connection, instrument)
    of_instrument = f"FROM experimental_strategies WHERE instrument = $1 AND {WAITING}"
    statuses = connection.execute(
        f"SELECT CASE WHEN {WAITING} THEN 'waiting' ELSE validation_status END AS status, count(*) "
        "FROM experimental_strategies WHERE instrument = ? GROUP BY status ORDER BY status",
        [instrument],
    ).fetchall()
    keys = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(PLAN)}, {LOG_KEY} {of_instrument})",
        [instrument],
    ).fetchone()
    reading = Reading(vocabulary_of(config, catalogue), catalogue, costs, config.seasons)
    return Checkup(
        path,
        instrument,
        statuses,
        dict(statuses).get("waiting", 0),
        keys[0] if keys else 0,
        findings(connection, instrument, config, reading),
        [f"{table}.{name}" for table in OPTIONAL for name in catalogue.lacking(table)],
        held_by=None,
        doubts=[],
    )


def _holder(path: Path) -> Holder | None:
    try:
        return holder(path)
    except Unknown:
        return None
