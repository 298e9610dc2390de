"""Runs, and all that they say and write, to be compared with other runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from distributed import Client

from dask_validator import RunConfig, validate
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared
from dask_validator.events import Listener, ignore
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation

TABLES = ("experimental_strategies", "validated_setups", "orb_outcomes", "edge_families", "validated_setups_archive")
OF_THE_CLOCK = {"run_id", "db", "total_s", "walkforward"}


def answers(database: Path, tables: Sequence[str] = TABLES) -> dict[str, list[Any]]:
    """All that a run writes, without moments and run ids; the JSONL lies beside the database."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {}
        for table in tables:
            moments = "EXCLUDE (promoted_at, retired_at)" if table == "validated_setups" else ""
            rows = connection.execute(f"SELECT * {moments} FROM {table} ORDER BY ALL").fetchall()
            found[table] = list(map(repr, rows))  # NaN equals NaN as text
    lines = [json.loads(line) for line in (database.parent / "wf.jsonl").read_text().splitlines()]
    return {**found, "lines": [{**line, "timestamp": None, "run_id": None} for line in lines]}


def verdicts(result: Outcome) -> tuple[object, ...]:
    """What a run says, without clocks and run ids."""
    summary = {name: value for name, value in result.summary.items() if name not in OF_THE_CLOCK}
    judged = result.summary["walkforward"]
    return (
        summary,
        judged["strategies"],
        judged["passed"],
        repr(list(result.verdicts)),
        result.verdicts.observed.tobytes(),
        tuple(result.warnings),
    )


def config(database: Path) -> RunConfig:
    """Default rules; the JSONL beside the database."""
    return RunConfig(wf_output=database.parent / "wf.jsonl")


class Serial:
    """One serial run: what every other must equal."""

    def __init__(self, database: Path) -> None:
        self.verdicts = verdicts(validate(database, "MGC", config(database), workers=1, progress=False))
        self.answers = answers(database)


def run_on(client: Client, database: Path, listener: Listener = ignore) -> Outcome:
    """What `validate(database, client=client)` does, with a listener."""
    with (
        prepared(database, "MGC", config(database)) as (order, journal),
        open_executor(client=client) as executor,
    ):
        return run_validation(order, executor, listener, journal)
