"""What earlier runs have left in `dask_validator_runs`: their records, and the lines of their strategies."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.model import R, TaskTiming, Walked
from dask_validator.rules import jsonl
from dask_validator.rules.gates import Terms
from dask_validator.rules.verdicts import Verdicts
from dask_validator.store import record_shape as shape
from dask_validator.store.connection import read, reading
from dask_validator.store.results import read_verdicts
from dask_validator.store.symbols import refuse_absent

MOST_NAMED = 5
LONGEST = 1 << 26  # bytes of a line; one with all windows of 10,000 years has a third of that

_RECORD = (
    "SELECT run_id, instrument, started_at, finished_at, parameters, versions, fingerprints, summary, task_timings, "
    "{lines}, {undone} FROM dask_validator_runs WHERE {which} ORDER BY finished_at DESC, run_id DESC LIMIT 1"
)
_HAS = (
    "SELECT 1 FROM duckdb_columns() WHERE table_name = ? AND column_name = ? AND schema_name = 'main' "
    "AND database_name = current_database()"
)
_LAST = (
    "SELECT run_id, finished_at FROM dask_validator_runs WHERE instrument = ? AND {stands} "
    "ORDER BY finished_at DESC, run_id DESC LIMIT 1"
)
_NAMES = (
    "SELECT run_id FROM dask_validator_runs WHERE instrument = ? AND {stands} AND {which} "
    "ORDER BY finished_at DESC, run_id DESC"
)
_LISTED = (
    "SELECT run_id, instrument, started_at, finished_at, {undone}, parameters, summary FROM dask_validator_runs "
    "WHERE {which} ORDER BY finished_at DESC, run_id DESC"
)
_LATEST = "SELECT run_id, instrument FROM dask_validator_runs ORDER BY finished_at DESC, run_id DESC LIMIT ?"


class LastRun(NamedTuple):
    """The run that was committed last."""

    run_id: str
    finished_at: datetime


class Listed(NamedTuple):
    """What a list of runs says of one."""

    run_id: str
    instrument: str
    started_at: datetime
    finished_at: datetime
    undone: bool
    parameters: dict[str, Any]
    summary: dict[str, Any]


class PastRun(NamedTuple):
    """One run, as it is recorded; of every strategy, `records`, `verdicts` and `walked` tell."""

    run_id: str
    instrument: str
    started_at: datetime
    finished_at: datetime
    parameters: dict[str, Any]  # fields of RunConfig
    versions: dict[str, str]
    fingerprints: dict[str, Any]
    summary: dict[str, Any]
    timings: list[TaskTiming]
    path: str | Path  # of the database
    lines: bytes = b""  # the JSONL as a zlib stream, if an earlier version made the run
    undone: bool = False  # taken back since

    @property
    def config(self) -> RunConfig:
        """The parameters.

        Raises
        ------
        InputError
            They are of a version of this package whose flags this one does not have.
        """
        try:
            return RunConfig(**self.parameters)
        except TypeError as error:
            raise InputError(f"run {self.run_id} was made by another version of dask_validator: {error}") from None

    def records(self) -> Iterator[dict[str, Any]]:
        """The objects of the JSONL, one per strategy that reached walk-forward, in `strategy_id` order."""
        if self.lines:
            return records(self.lines)
        return jsonl.records(self.verdicts(), self.run_id, self.instrument, self.finished_at)

    def jsonl(self) -> bytes:
        """The lines that it has appended, or was to append, as one zlib stream."""
        return self.lines or jsonl.compressed(self.verdicts(), self.run_id, self.instrument, self.finished_at)

    def verdicts(self, strategy_id: str = "") -> Verdicts:
        """As they were made, all or that of one strategy; none of a run that an earlier version made."""
        return read(self.path, lambda connection: read_verdicts(connection, self.run_id, self.terms, strategy_id))

    @property
    def terms(self) -> Terms:
        """As far as this version knows the parameters: what was judged is read, not judged again."""
        known = {field.name for field in fields(RunConfig)}
        config = RunConfig(**{name: value for name, value in self.parameters.items() if name in known})
        return Terms(config, self.summary.get("waives") is True, self.summary.get("unit", R))

    def walked(self, strategy_id: str) -> Walked | None:
        """The facts of one strategy's walk-forward, if it came so far and they were kept."""
        if not self.lines:
            return next(iter(self.verdicts(strategy_id).walked), None)
        found = next((record for record in self.records() if record["strategy_id"] == strategy_id), None)
        return jsonl.walked_of(found) if found and found["windows"] else None


def read_past_run(path: str | Path, instrument: str, run_id: str | None = None) -> PastRun | None:
    """The run of that name, of whatever instrument, else the latest of the instrument that stands; None without any.

    Raises
    ------
    InputError
        The database cannot be read, or the record is damaged.
    """
    row = read(path, lambda connection: _recorded(connection, instrument, run_id))
    return _past_run(path, row) if row else None


def needed_past_run(path: str | Path, instrument: str, run_id: str | None = None) -> PastRun:
    """The same. Raises InputError also where there is none, naming those that there are."""
    run = read_past_run(path, instrument, run_id)
    if run is None:
        latest = ", ".join(f"{name} ({of})" for name, of in latest_runs(path))
        wanted = f"run {run_id!r}" if run_id is not None else f"run of {instrument}"
        has = f"the latest are {latest}" if latest else "it has none at all"
        raise InputError(f"{path} has no committed {wanted}; {has}")
    return run


def _recorded(connection: duckdb.DuckDBPyConnection, instrument: str, run_id: str | None) -> tuple[Any, ...] | None:
    lines = "results" if _has(connection, "dask_validator_runs", "results") else "NULL"
    which, value = (
        (f"instrument = ? AND {stands(connection)}", instrument) if run_id is None else ("run_id = ?", run_id)
    )
    rows = _rows(connection, _RECORD.format(which=which, lines=lines, undone=_undone(connection)), value)
    return rows[0] if rows else None


def stands(connection: duckdb.DuckDBPyConnection) -> str:
    """A condition on runs: that nobody has taken them back."""
    return "undone IS NOT TRUE" if _has(connection, "dask_validator_runs", "undone") else "TRUE"


def _undone(connection: duckdb.DuckDBPyConnection) -> str:
    return f"NOT ({stands(connection)})"


def _has(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    return connection.execute(_HAS, [table, column]).fetchone() is not None


def last_run(connection: duckdb.DuckDBPyConnection, instrument: str) -> LastRun | None:
    """The latest run of the instrument that stands; None when there is none, or nobody knows when it was."""
    rows = _rows(connection, _LAST.format(stands=stands(connection)), instrument)
    with suppress(InputError):  # it is only told
        return LastRun(rows[0][0], _moment(*rows[0])) if rows else None
    return None


def past_runs(path: str | Path, instrument: str, judged: str | None = None) -> Iterator[PastRun]:
    """The runs of an instrument that stand, the latest first, each read when it is asked for.

    Parameters
    ----------
    judged
        A strategy: only runs that have judged it, and those of an earlier version, which may have.
    """
    with reading(path) as connection:
        which, parameters = _judging(connection, judged)
        names = _rows(connection, _NAMES.format(which=which, stands=stands(connection)), instrument, *parameters)
    runs = (read_past_run(path, instrument, run_id) for (run_id,) in names)
    yield from (run for run in runs if run is not None)


def _judging(connection: duckdb.DuckDBPyConnection, judged: str | None) -> tuple[str, list[str]]:
    """A condition on runs, and its parameters."""
    if judged is None or not _has(connection, "dask_validator_results", "strategy_id"):
        return "TRUE", []
    earlier = "results <> ''::BLOB" if _has(connection, "dask_validator_runs", "results") else "FALSE"
    return f"({earlier} OR run_id IN (SELECT run_id FROM dask_validator_results WHERE strategy_id = ?))", [judged]


def list_runs(path: str | Path, instrument: str | None = None) -> list[Listed]:
    """All runs, of one instrument if it is named, also those that were taken back; the latest first.

    Raises
    ------
    InputError
        The database cannot be read or has nothing of the instrument, or a record is damaged.
    """
    which, values = ("TRUE", []) if instrument is None else ("instrument = ?", [instrument])
    with reading(path) as connection:
        rows = _rows(connection, _LISTED.format(undone=_undone(connection), which=which), *values)
        if instrument is not None and not rows:
            refuse_absent(connection, path, instrument)
    return [_listed(*row) for row in rows]


def latest_runs(path: str | Path) -> list[tuple[str, str]]:
    """Run and instrument of the latest few runs, the last one first."""
    with reading(path) as connection:
        return _rows(connection, _LATEST, MOST_NAMED)


def records(results: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL that is kept as a zlib stream, one at a time: a million strategies have 200 MB of them.

    Raises
    ------
    InputError
        The stream is damaged, or holds something else.
    """
    try:
        for line in _lines(results):
            record = json.loads(line)
            shape.check_line(record)
            yield record
    except (zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"the lines of the run in dask_validator_runs cannot be read: {error}") from error


def _lines(results: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in jsonl.decompressed(results):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > LONGEST:
            raise ValueError(f"one has more than {LONGEST:,} bytes")
    yield from rest.splitlines()


def _rows(connection: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query, list(parameters)).fetchall()
    except duckdb.CatalogException:  # nothing was ever committed
        return []


def _past_run(path: str | Path, row: tuple[Any, ...]) -> PastRun:
    run_id, instrument, started_at, finished_at, *texts, timings, lines, undone = row
    try:
        parameters, versions, fingerprints, summary = map(json.loads, texts)
        measured = json.loads(timings)
        shape.check(run_id, shape.TEXT)
        for value, needed in ((parameters, shape.PARAMETERS), (versions, shape.TEXTS), (fingerprints, shape.TEXTS)):
            shape.check(value, needed)
        shape.check_summary(summary)
        shape.check(measured, shape.TIMINGS)
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(run_id, error) from error
    return PastRun(
        run_id,
        instrument,
        _moment(run_id, started_at),
        _moment(run_id, finished_at),
        parameters,
        versions,
        fingerprints,
        summary,
        [TaskTiming(**timing) for timing in measured],
        path,
        bytes(lines or b""),
        undone,
    )


def _listed(
    run_id: str, instrument: str, started_at: datetime, finished_at: datetime, undone: bool, *texts: str
) -> Listed:
    try:
        parameters, summary = map(json.loads, texts)
        shape.check(parameters, shape.PARAMETERS)
        shape.check_summary(summary)
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(run_id, error) from error
    moments = _moment(run_id, started_at), _moment(run_id, finished_at)
    return Listed(run_id, instrument, *moments, undone, parameters, summary)


def _moment(run_id: str, value: datetime | None) -> datetime:
    try:
        return value.astimezone(UTC)  # type: ignore[union-attr]
    except (AttributeError, OverflowError, ValueError) as error:  # NULL, or of no calendar
        raise _unreadable(run_id, error) from error


def _unreadable(run_id: str, error: Exception) -> InputError:
    return InputError(f"the record of run {run_id} in dask_validator_runs cannot be read: {error}")
