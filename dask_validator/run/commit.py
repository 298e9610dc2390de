"""What a run leaves behind: one transaction, then the lines of the JSONL, and nothing in the journal."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.errors import ChangedMeanwhile, InputError, NotCommitted
from dask_validator.events import Committed, Committing, Listener, Said
from dask_validator.journal.journal import Append, Journal
from dask_validator.journal.others import is_another_run
from dask_validator.journal.provenance import versions
from dask_validator.rules.jsonl import compressed
from dask_validator.run import results_file
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.store.selection import WAITING, WAITING_OR_FAILED, Selection
from dask_validator.system.interrupts import held_back
from dask_validator.work.stopwatch import Stopwatch

if TYPE_CHECKING:
    from dask_validator.rules.verdicts import Verdicts
    from dask_validator.store.database import Database
    from dask_validator.store.fingerprints import Fingerprints, Seen
    from dask_validator.store.past_runs import PastRun
    from dask_validator.store.writer import RunRecord


def settings(order: Order, ids: Sequence[str]) -> Mapping[str, Any]:
    """All that `dask-validator commit` needs to end the run, which has found these, as the run would have done."""
    config = asdict(order.config) | {"wf_output": str(Path(order.config.wf_output).absolute()), "instruments": None}
    selection: dict[str, Any] = {"which": order.selection.which, "ids": order.selection.ids}
    if order.selection not in (WAITING, WAITING_OR_FAILED):  # others may come to be of that status, or leave it
        selection["found"] = ids
    plain = json.loads(json.dumps(config, default=str))
    of_order = {"costs": order.costs, "resume": order.resume, "keep_runs": order.keep_runs}
    return {"config": plain, "selection": selection, **of_order}


def selection_left(left: Mapping[str, Any], *, as_found: bool = False) -> Selection:
    """What the run was asked for that left these settings, or what it found; an earlier version knew but one."""
    usual = {"which": (WAITING_OR_FAILED if left["resume"] else WAITING).which}
    kept = left.get("selection", usual)
    ids = (as_found and kept.get("found")) or kept.get("ids")
    return Selection(kept["which"], None if ids is None else tuple(ids))


def write(
    order: Order,
    outcome: Outcome,
    seen: Seen,
    *,
    started_at: datetime,
    listener: Listener,
    watch: Stopwatch,
    journal: Journal,
) -> Outcome:
    """Commit the verdicts and append the JSONL; the outcome, committed.

    Raises
    ------
    NotCommitted
        Carries the outcome: nothing was written, or all but the JSONL.
    ChangedMeanwhile
        Others have written first: nothing was written.
    """
    finished_at, run_id = datetime.now(UTC), outcome.summary["run_id"]
    listener(Committing(len(outcome.verdicts)))
    # Interrupted between the two, the lines of a committed run would wait for the next start.
    with held_back() as interrupts, ThreadPoolExecutor(1) as background:
        compressing = partial(compressed, outcome.verdicts, run_id, order.instrument)
        lines = background.submit(compressing, finished_at)
        record = _record(order, outcome, seen.fingerprints, started_at, finished_at)
        journal.commits(run_id)
        try:
            with watch.stage("commit"):
                recorded_at = _commit(order, record, outcome.verdicts, seen, interrupts)
        except ChangedMeanwhile:
            raise
        except NotCommitted as error:
            raise NotCommitted(str(error), outcome.ended(watch, committed=False)) from error
        listener(Committed(len(outcome.verdicts)))
        if (outcome.summary["walkforward"] or {}).get("strategies"):
            try:
                with watch.stage("jsonl"):
                    own = lines.result() if recorded_at == finished_at else compressing(recorded_at)
                    _append(Path(order.config.wf_output), own, journal)
            except NotCommitted as error:
                raise NotCommitted(str(error), outcome.ended(watch, committed=True)) from error
        if warning := journal.forget():
            listener(Said(warning, warning=True))
    return outcome.ended(watch, committed=True)


def _commit(order: Order, record: RunRecord, verdicts: Verdicts, seen: Seen, interrupts: list[int]) -> datetime:
    from dask_validator.store.patience import Patience

    passing = partial(is_another_run, database=order.database.path, instrument=order.instrument)
    patience = Patience(order.commit_wait_s, lambda: bool(interrupts), passing)
    return order.database.commit(record, verdicts, seen, patience, keep_runs=order.keep_runs)


def _record(
    order: Order,
    outcome: Outcome,
    fingerprints: Fingerprints,
    started_at: datetime,
    finished_at: datetime,
) -> RunRecord:
    from dask_validator.store.writer import RunRecord

    summary: dict[str, Any] = {**outcome.summary, "committed": True}
    kept = summary | outcome.kept
    return RunRecord(
        run_id=summary["run_id"],
        instrument=summary["instrument"],
        started_at=started_at,
        finished_at=finished_at,
        parameters=json.dumps(asdict(order.config), default=str),
        versions=json.dumps(versions()),
        fingerprints=json.dumps(fingerprints),
        summary=json.dumps(kept),
        task_timings=json.dumps([timing._asdict() for timing in outcome.timings]),
    )


def _append(path: Path, lines: bytes, journal: Journal, announced: Append | None = None) -> None:
    """Lines of a run that has just been committed, or of one that had `announced` them and did not live to the end."""
    path = path.absolute()
    try:
        if announced and results_file.finish(path, lines, announced.offset, announced.after_line_end):
            return
        results_file.append(path, lines, lambda offset, line_end: journal.appends(Append(str(path), offset, line_end)))
    except OSError as error:
        kept = "in dask_validator_results and dask_validator_windows"
        if journal.keeps:
            kept += ", and the next run appends them; --discard gives that up"
        why = f"the database is committed, but {path} could not be written ({error.strerror})"
        raise NotCommitted(f"{why}; its lines are kept {kept}") from error


def finish_append(database: Database, journal: Journal, instrument: str, output: str | Path) -> str | None:
    """Append what a run that was committed did not live to append, and say so; nothing when there is none.

    The journal and the database may be anybody's: neither decides which file is written, nor what a line is.

    Raises
    ------
    InputError
        The lines belong into another file than `output`, or are not those of that run.
    NotCommitted
        The JSONL cannot be written.
    """
    left = journal.recovered
    try:
        run = database.past_run(instrument, left.run_id) if left.run_id else None
        if run is None:
            return None
        if _count_lines(run, instrument):
            refuse_other_output(journal, output)
            _append(Path(output), run.jsonl(), journal, left.append)
    except InputError as error:
        raise InputError(f"{error}; or leave the lines out with --discard") from None
    warning = journal.forget()
    journal.finished_append = True
    place = Path(output).absolute()
    done = f"Run {run.run_id} was committed, but had not lived to see all its lines in {place}: they are there now"
    return f"{done}; {warning}" if warning else done


def refuse_other_output(journal: Journal, output: str | Path) -> None:
    """Raise InputError unless the run that left the journal would have written its lines to this very file."""
    named = journal.recovered.last_output
    if named is not None and os.path.realpath(named) != os.path.realpath(output):
        raise InputError(
            f"{journal.path} is of a run whose lines belong into {named}, and --wf-output is {output}; "
            f"to append them to the former, run again with --wf-output {shlex.quote(named)}"
        )


def _count_lines(run: PastRun, instrument: str) -> int:
    """How many lines the run has kept. Raises InputError unless they are its own, all of them, in their order."""
    count, before = 0, ""
    for line in run.records():
        count, own = count + 1, False
        with suppress(KeyError, TypeError, ValueError):
            own = line["instrument"] == run.instrument == instrument and before < line["strategy_id"]
            own &= datetime.fromisoformat(line["timestamp"]) == run.finished_at
            before = line["strategy_id"]
        if not own:
            raise InputError(f"line {count} that dask_validator_runs has kept of run {run.run_id} is not of that run")
    judged = run.summary.get("walkforward") or {}
    if count != (expected := judged.get("strategies", 0)):
        raise InputError(f"dask_validator_runs has kept {count} lines of run {run.run_id}; its record says {expected}")
    return count
