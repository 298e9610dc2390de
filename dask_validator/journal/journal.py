"""The journal of one run: what it was asked, what it has finished, how far its commit has come."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dask_validator.errors import InputError
from dask_validator.journal import checked, lines
from dask_validator.journal.answers import check_sense, decode, encode
from dask_validator.journal.inputs import Inputs
from dask_validator.journal.lines import InUse, Lines, peek
from dask_validator.model import Answer


class Append(NamedTuple):
    """Lines on their way to the JSONL: where they begin, and whether a line end goes before them."""

    path: str
    offset: int
    after_line_end: bool


@dataclass
class Recovered:
    """What an earlier run has left in the journal."""

    inputs: Inputs = field(default_factory=dict)  # what its answers depend on, by name
    settings: Mapping[str, Any] = field(default_factory=dict)  # what `commit` needs to do as the run would have done
    answers: dict[str, Answer] = field(default_factory=dict)  # by strategy_id
    opened: set[str] = field(default_factory=set)  # computed by the run's own process, which may have died of them
    computed: bool = False  # nothing was left to compute
    run_id: str | None = None  # of the run that had it last: whether that is committed, only the database can say
    committing: bool = False  # it had begun to commit
    append: Append | None = None
    pid: int | None = None  # who had it last

    @property
    def is_computed(self) -> bool:
        """Whether `commit` could write it."""
        return bool(self.settings) and (self.computed or self.committing)

    @property
    def last_output(self) -> str | None:
        """Where that run has begun to append its lines, or would have."""
        return self.append.path if self.append else self.output

    @property
    def output(self) -> str | None:
        """The JSONL of the run that had it last, as far as that is known."""
        return self.settings["config"]["wf_output"] if self.settings else None


def default_path(database: Path, instrument: str) -> Path:
    """Beside the database, one for each instrument."""
    return Path(f"{database}.{quote(instrument, safe='')}.journal")


class Journal:
    """Kept by one run at a time; `path` None keeps nothing, as a dry run does."""

    def __init__(self, path: Path | None, database: Path, instrument: str) -> None:
        """Lock it, and read what is there.

        Raises
        ------
        InputError
            Another run has it, it is no journal of this user's, or it cannot be made.
        """
        self.path = path
        self.reason: str | None = None  # why nothing more can be kept
        self.finished_append = False  # whether an earlier run's lines were what was left to do
        self.computed_all = False  # whether nothing is left to compute for whoever takes over
        self.recovered = Recovered()
        self._lines = None if path is None else _open(path, database, instrument)
        self._worth_keeping = False
        if self._lines is not None:
            self.recovered = _recover(self._lines)
            self._worth_keeping = bool(self.recovered.inputs)
            self._introduce()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def keeps(self) -> bool:
        """Whether there is something that another run could take over."""
        return self._lines is not None and self._worth_keeping

    def begin(
        self, inputs: Inputs, settings: Mapping[str, Any], run_id: str = "", *, must_hold: bool = False
    ) -> str | None:
        """Go on with what is there if it holds; else set it aside and say so, or refuse to if it must hold."""
        if self._lines is None:
            return None
        said = None
        apart = [name for name in inputs if self.recovered.inputs.get(name) != inputs[name]]
        if apart and must_hold:
            raise InputError(
                f"{self.path} is of a run with other {', '.join(apart)}: it no longer holds; run again to compute anew"
            )
        if apart and self.recovered.inputs:
            aside = self._lines.set_aside()
            said = f"{self.path} was of a run with other {', '.join(apart)}: nothing taken over, kept as {aside.name}"
            self._introduce()
        if apart:
            self.recovered = Recovered(inputs)
        self._add({"inputs": inputs, "settings": settings, "run": run_id})
        return said

    def answered(self, answers: Iterable[Answer]) -> None:
        """Keep what a task has answered: it is on the disk afterwards."""
        self._keep(encode(list(answers)))

    def opens(self, strategy_ids: Iterable[str]) -> None:
        """This process itself is about to compute these."""
        self._keep({"opened": list(strategy_ids)}, durable=False)

    def computed(self) -> None:
        """Every answer is there."""
        self.computed_all = self._keep({"computed": True})

    def commits(self, run_id: str) -> None:
        """The transaction is about to begin."""
        self._add({"committing": run_id})

    def appends(self, append: Append) -> None:
        """The JSONL is about to be written. Raises OSError: an append that nobody knows of could be done twice."""
        if self.keeps:
            self.reason = None
            if not self._add({"append": append}):
                raise OSError(errno.EIO, f"{self.reason}, which keeps it from being done twice")

    def reread(self) -> None:
        """Look again at what is there, to start over with it; what cannot be read is computed anew."""
        if self._lines is not None:
            try:
                self.recovered = _recover(self._lines)
            except InputError:
                self.recovered = Recovered()

    def forget(self) -> str | None:
        """Everything is where it belongs; a warning when the journal cannot be emptied."""
        self.recovered = Recovered()
        self._worth_keeping = False
        if self._lines is None:
            return None
        try:
            self._lines.clear()
        except OSError as error:
            return f"all is written, but the journal {self.path} could not be emptied ({error.strerror}); remove it"
        self._introduce()
        return None

    def close(self) -> None:
        """Leave the journal to the next run; one with nothing in it is taken away."""
        if self._lines is not None and self._worth_keeping:
            self._lines.close()
        elif self._lines is not None:
            self._lines.remove()

    def _keep(self, record: Any, *, durable: bool = True) -> bool:
        """Add what another run could take over."""
        kept = self._add(record, durable=durable)
        self._worth_keeping |= kept
        return kept

    def _introduce(self) -> None:
        """Say who has the journal."""
        self._add({"pid": os.getpid(), "host": socket.gethostname()}, durable=False)

    def _add(self, record: Any, *, durable: bool = True) -> bool:
        if self._lines is None or self.reason is not None:
            return False
        try:
            self._lines.append(record, durable=durable)
        except OSError as error:  # a full disk must not cost the run, only what a crash of it could be spared
            self.reason = f"the journal {self.path} cannot be written ({error.strerror})"
            return False
        return True


def _open(path: Path, database: Path, instrument: str) -> Lines:
    try:
        # A read-only file has a journal all the same; others may read it, never add to it.
        return Lines(path, database.stat().st_mode & 0o444 | 0o600)
    except InUse:
        raise _in_use(path, instrument) from None


def discard(path: Path, instrument: str) -> str | None:
    """Give up what an earlier run has left, unread; what was kept under another name is said. Raises InputError."""
    try:
        aside = lines.discard(path)
    except InUse:
        raise _in_use(path, instrument) from None
    return f"{path} is no journal of ours, or could not be emptied: kept as {aside.name}" if aside else None


def _in_use(path: Path, instrument: str) -> InputError:
    return InputError(
        f"{path} is in use by {_user(path)}: a run of {instrument} on this database; wait for its end, then run again"
    )


def _user(path: Path) -> str:
    try:
        pid = left_in(path).pid
    except InputError:
        pid = None
    return f"PID {pid}" if pid else "another process"


def left_in(path: Path) -> Recovered:
    """What a journal holds that another run may have at this moment; nothing when there is none."""
    return _recover(peek(path)) if os.path.lexists(path) else Recovered()


def _recover(records: Iterable[Any]) -> Recovered:
    found = Recovered()
    for record in records:
        with suppress(*checked.UNSOUND):  # not a record of ours: then it is none
            _apply(record, found)
    found.opened -= found.answers.keys()
    return found


def _apply(record: Any, found: Recovered) -> None:
    match record:
        case {"answers": _}:
            answers = list(decode(record))
            check_sense(answers)
            found.answers.update((answer.strategy_id, answer) for answer in answers)
        case {"inputs": inputs, "settings": settings}:
            asked, run_id = (checked.texts(inputs), checked.settings(settings)), checked.text(record.get("run", ""))
            if found.inputs != asked[0]:  # whatever came before was about something else
                found.answers.clear()
                found.opened.clear()
            found.inputs, found.settings = asked
            found.run_id, found.computed, found.committing, found.append = run_id, False, False, None
        case {"opened": [*strategy_ids]}:
            found.opened.update(map(checked.text, strategy_ids))
        case {"computed": True}:
            found.computed = True
        case {"committing": run_id}:
            found.run_id, found.committing, found.append = checked.text(run_id), True, None
        case {"append": [path, offset, after_line_end]}:
            found.append = Append(checked.text(path), checked.number(offset, "offset"), checked.flag(after_line_end))
        case {"pid": pid}:
            found.pid = checked.number(pid)
