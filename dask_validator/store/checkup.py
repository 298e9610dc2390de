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
from dask_validator.store.reader import count_selected, refuse_nameless, refuse_repeated_features
from dask_validator.store.selection import WAITING, Selection, shared_out
from dask_validator.store.symbols import refuse_absent
from dask_validator.store.trade_tables import LOG_KEY

if TYPE_CHECKING:
    from dask_validator.sources.source import Source


class Checkup(NamedTuple):
    """What a database holds for one instrument."""

    path: Path
    instrument: str
    statuses: list[tuple[str, int]]
    selection: Selection
    waiting: int  # of the selection
    outcome_keys: int
    findings: list[str]  # about sessions, filters and stops
    columns_to_add: list[str]
    held_by: Holder | None  # reads only: a writer could not be looked past
    doubts: list[str]  # about its locks


def examine(
    path: Path, instrument: str, source: Source, config: RunConfig, costs: Costs, selection: Selection = WAITING
) -> Checkup:
    """Look, read-only, at what a run of this selection would meet.

    Raises
    ------
    InputError
        What would stop a run, in one line.
    """
    check_is_file(path)
    refuse_if_held(path, to_write=False)
    looking = _Looking(path, instrument, source, config, costs, selection)
    found = read(path, lambda connection: _examined(connection, looking))
    return found._replace(held_by=_holder(path), doubts=doubts(path))  # closed, or we would hold it ourselves


class _Looking(NamedTuple):
    path: Path
    instrument: str
    source: Source
    config: RunConfig
    costs: Costs
    selection: Selection


def _examined(connection: duckdb.DuckDBPyConnection, asked: _Looking) -> Checkup:
    path, instrument, source, config, costs, selection = asked
    refuse_truncated(connection, path)
    refuse_macros(connection)
    catalogue = read_catalogue(connection, source.tables, config.promotion)
    refuse_absent(connection, path, instrument)
    shared_out(connection, path, [instrument], selection)
    refuse_obstacles(connection, catalogue, Waiting(instrument, selection))
    refuse_repeated_features(connection, catalogue, instrument)
    refuse_nameless(connection, instrument, selection)
    statuses = connection.execute(
        "SELECT coalesce(nullif(validation_status, ''), 'waiting') AS status, count(*) "
        "FROM experimental_strategies WHERE instrument = ? GROUP BY status ORDER BY status",
        [instrument],
    ).fetchall()
    keys = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(PLAN)}, {LOG_KEY} FROM experimental_strategies "
        f"WHERE {selection.condition})",
        selection.parameters(instrument),
    ).fetchone()
    reading = Reading(vocabulary_of(config, catalogue), catalogue, costs, config.seasons)
    return Checkup(
        path,
        instrument,
        statuses,
        selection,
        count_selected(connection, instrument, selection),
        keys[0] if keys else 0,
        findings(connection, instrument, selection, config, reading),
        [f"{table}.{name}" for table in OPTIONAL for name in catalogue.lacking(table)],
        held_by=None,
        doubts=[],
    )


def _holder(path: Path) -> Holder | None:
    try:
        return holder(path)
    except Unknown:
        return None
