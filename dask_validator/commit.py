"""What a run leaves behind: one transaction, then the lines of the JSONL."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator import __version__, results_file
from dask_validator.config import RunConfig
from dask_validator.errors import NotCommitted
from dask_validator.events import Committed, Listener
from dask_validator.interrupts import held_back
from dask_validator.result import RunResult
from dask_validator.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.store.database import Database
    from dask_validator.store.writer import RunRecord


def write(
    database: Database,
    result: RunResult,
    config: RunConfig,
    fingerprints: Mapping[str, str],
    started_at: datetime,
    listener: Listener,
    watch: Stopwatch,
) -> None:
    """Commit the verdicts and append the JSONL.

    Raises
    ------
    NotCommitted
        Carries the result: nothing was written, or all but the JSONL.
    """
    finished_at = datetime.now(UTC)
    # Interrupted between the two, the lines of a committed run would never be appended.
    with held_back(), ThreadPoolExecutor(1) as background:
        lines = background.submit(
            results_file.compressed,
            result.verdicts,
            result.summary["instrument"],
            config.walkforward_rules,
            finished_at,
        )
        record = _record(result, config, fingerprints, started_at, finished_at, lines.result)
        with watch.stage("commit"):
            try:
                database.commit(record, result.verdicts)
            except NotCommitted as error:
                raise NotCommitted(str(error), result) from error
        result.summary["committed"] = True
        listener(Committed(len(result.verdicts)))
        if result.summary["walkforward"] and result.summary["walkforward"]["strategies"]:
            with watch.stage("jsonl"):
                _append(Path(config.wf_output), lines.result(), result)


def _record(
    result: RunResult,
    config: RunConfig,
    fingerprints: Mapping[str, str],
    started_at: datetime,
    finished_at: datetime,
    lines: Callable[[], bytes],
) -> RunRecord:
    from dask_validator.store.writer import RunRecord

    summary: dict[str, Any] = dict(result.summary) | {"committed": True}
    return RunRecord(
        summary["run_id"],
        summary["instrument"],
        started_at,
        finished_at,
        json.dumps(asdict(config), default=str),
        json.dumps(_versions()),
        json.dumps(dict(fingerprints)),
        json.dumps(summary),
        json.dumps([timing._asdict() for timing in result.timings]),
        lines,
    )


def _append(path: Path, lines: bytes, result: RunResult) -> None:
    try:
        results_file.append(path, lines)
    except OSError as error:
        raise NotCommitted(
            f"the database is committed, but {path} could not be written ({error.strerror}); its lines are kept in "
            f"dask_validator_runs.results of run {result.summary['run_id']} (zlib)",
            result,
        ) from error


def _versions() -> dict[str, str]:
    packages = ("dask", "distributed", "duckdb", "numpy", "pandas")
    ours = {"python": platform.python_version(), "dask_validator": __version__}
    return ours | {name: version(name) for name in packages}
