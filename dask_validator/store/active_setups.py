"""The setups that are active, and which run has promoted each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import duckdb

from dask_validator.model import Status
from dask_validator.store.connection import read
from dask_validator.store.contract import has_table
from dask_validator.store.past_runs import past_runs, stands
from dask_validator.store.symbols import refuse_absent

_ACTIVE = """
    SELECT strategy_id, instrument FROM validated_setups
    WHERE lower(status) = 'active' AND coalesce(instrument = $1, TRUE)
"""
# Of all runs that have let it pass the latest, whatever later ones have said: these would have retired it.
PROMOTED = f"""
    SELECT strategy_id, a.instrument, run_id
    FROM ({_ACTIVE}) a JOIN dask_validator_results r USING (strategy_id) JOIN dask_validator_runs u USING (run_id)
    WHERE verdict = '{Status.PASSED}' AND {{stands}}
    QUALIFY row_number() OVER (PARTITION BY strategy_id ORDER BY finished_at DESC, run_id DESC) = 1
"""


class Setup(NamedTuple):
    """One that is active."""

    strategy_id: str
    instrument: str
    run_id: str | None  # that has promoted it and was not taken back; None: none of ours


def read_active_setups(path: str | Path, instrument: str | None = None) -> list[Setup]:
    """Those of one instrument, or of all, in order of `strategy_id`. Raises InputError for one that is not there."""
    found = {setup.strategy_id: setup for setup in read(path, lambda connection: _read(connection, path, instrument))}
    orphans = {setup.instrument for setup in found.values() if setup.run_id is None}
    for symbol in sorted(orphans):
        found |= _by_earlier_versions(path, symbol, [setup for setup in found.values() if setup.run_id is None])
    return [found[strategy_id] for strategy_id in sorted(found)]


def _read(connection: duckdb.DuckDBPyConnection, path: str | Path, instrument: str | None) -> list[Setup]:
    wanted = [instrument]
    rows = connection.execute(_ACTIVE, wanted).fetchall()
    found = {strategy_id: Setup(strategy_id, str(of), None) for strategy_id, of in rows}
    if has_table(connection, "dask_validator_results"):
        rows = connection.execute(PROMOTED.format(stands=stands(connection)), wanted).fetchall()
        found |= {strategy_id: Setup(strategy_id, str(of), run_id) for strategy_id, of, run_id in rows}
    if instrument is not None and not found:
        refuse_absent(connection, path, instrument)
    return list(found.values())


def _by_earlier_versions(path: str | Path, instrument: str, setups: Iterable[Setup]) -> dict[str, Setup]:
    """Those that a run has promoted which has kept its lines only."""
    left = {setup.strategy_id: setup for setup in setups if setup.instrument == instrument}
    found: dict[str, Setup] = {}
    for run in past_runs(path, instrument, judged=""):  # by none but those that may have judged any
        if not left:
            break
        passed = {line["strategy_id"] for line in run.records() if line["passed"]} if run.lines else set()
        found |= {name: left.pop(name)._replace(run_id=run.run_id) for name in passed & left.keys()}
    return found
