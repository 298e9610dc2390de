"""`run` of several instruments: one run after the other, a table at the end, and the worst of their exit codes."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from dask_validator.api.executors import Kept
from dask_validator.api.preparing import grant_access
from dask_validator.cli.endings import ONE_OF_SEVERAL, keep_dashboard
from dask_validator.cli.given import code_of, safeguards_of, said
from dask_validator.errors import InputError, ValidatorError
from dask_validator.execution.executor import Executor
from dask_validator.run.naming import FILES, Names, holds
from dask_validator.run.outcome import Outcome
from dask_validator.sources.chosen import source_of
from dask_validator.store.database import Database
from dask_validator.store.selection import Selection
from dask_validator.system.interrupts import INTERRUPTED
from dask_validator.views.monitor import several
from dask_validator.views.monitor.terminal import Terminal, echo

Place = Callable[[Terminal], AbstractContextManager[Executor]]
WORST_FIRST = (INTERRUPTED, 1, 5, 4, 2, 3, 0)  # of exit codes; what was not done at all is worse than a FAILED strategy
ENDINGS = {1: "defect", 2: "bad input", 4: "not written", 5: "incomplete", INTERRUPTED: "interrupted"}
APART = ("journal", "report")  # one file cannot be that of several runs


class Done(NamedTuple):
    """How the run of one instrument has ended."""

    instrument: str
    code: int
    summary: dict[str, Any] | None = None
    error: str | None = None

    @property
    def ending(self) -> str:
        """For the table."""
        if self.code in ENDINGS:
            return ENDINGS[self.code]
        found = self.summary or {}
        return "dry run" if found["dry_run"] else "committed" if found["committed"] else "nothing to do"

    def to_dict(self, db: Path) -> dict[str, Any]:
        """The summary; of a run without one, or that has not ended as it should, why."""
        found = self.summary or {"instrument": self.instrument, "db": str(db.absolute())}
        return found if self.error is None else {**found, "exit_code": self.code, "error": self.error}


def run_each(
    db: Path,
    given: Sequence[str],
    flags: dict[str, Any],
    selection: Selection,
    place: Place,
    run_one: Callable[..., Outcome],
) -> int:
    """Validate one instrument after the other, whatever becomes of the one before; the exit code.

    Raises
    ------
    InputError
        What no run of them could use: nothing was begun.
    KeyboardInterrupt
        The runs before are committed; the table is shown.
    """
    chosen = _chosen(db, given, flags, selection)
    each = {**flags, ONE_OF_SEVERAL: True, "keep_dashboard": None}
    done: list[Done] = []
    with Terminal(quiet=flags["quiet"]) as terminal, Kept(partial(place, terminal)) as kept:
        try:
            for number, (instrument, own) in enumerate(chosen.items(), 1):
                terminal.say(f"{instrument} ({number} of {len(chosen)})")
                run = partial(run_one, instrument, each, lambda _: kept.lent(), selection=own)
                done.append(_ended(instrument, run))
        except KeyboardInterrupt:
            done += [Done(name, INTERRUPTED, error="interrupted") for name in list(chosen)[len(done) :][:1]]
            raise
        finally:
            _show(db, done, list(chosen)[len(done) :], flags)
        keep_dashboard(terminal, kept.dashboard_link, flags["keep_dashboard"])
    return next(code for code in WORST_FIRST if code in {each.code for each in done})


def _chosen(db: Path, given: Sequence[str], flags: dict[str, Any], selection: Selection) -> dict[str, Selection]:
    """By instrument, which of its strategies; a slip of the whole call is refused here."""
    if flags["all_instruments"] and said({"instrument": given}):
        raise click.UsageError("--instrument and --all-instruments exclude each other: give one of them")
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise click.UsageError(f"--instrument got {', '.join(twice)} more than once; give each once")
    for name in APART:
        if flags[name] is not None and not holds(flags[name], "instrument"):
            raise InputError(
                f"{FILES[name]} got {flags[name]} for several instruments; needed {{instrument}} in it, "
                "which stands for each of them"
            )
    Names.of(db, "").in_flags(flags)
    grant_access(db, safeguards_of(flags))
    database = Database.at(db, source_of(db), to_write=False, wait_s=flags["wait_for_lock"], say=echo)
    instruments = database.instruments() if flags["all_instruments"] else list(given)
    if not instruments:
        raise InputError(f"{db} has no instruments: experimental_strategies is empty")
    return database.selection_of(instruments, selection)


def _ended(instrument: str, run: Callable[[], Outcome]) -> Done:
    """How it has; an error is told, and the next one's turn comes."""
    try:
        result = run()
    except ValidatorError as error:
        echo("\n".join(filter(None, [f"dask-validator: {instrument}: {error}", error.details])))
        summary = None if error.result is None else dict(error.result.summary)
        return Done(instrument, error.exit_code, summary, str(error))
    except click.ClickException as error:
        echo(f"dask-validator: {instrument}: {error.format_message()}")
        return Done(instrument, error.exit_code, error=error.format_message())
    except Exception as error:
        echo(traceback.format_exc())
        return Done(instrument, ValidatorError.exit_code, error=f"{type(error).__name__}: {error}")
    return Done(instrument, code_of(result), dict(result.summary))


def _show(db: Path, done: Sequence[Done], left: Sequence[str], flags: dict[str, Any]) -> None:
    if not flags["quiet"]:
        rows = [(each.instrument, each.summary, each.ending) for each in done]
        echo(several.table([*rows, *((name, None, "not begun") for name in left)]), err=flags["as_json"])
    if flags["as_json"]:
        echo(json.dumps([each.to_dict(db) for each in done]), err=False)
