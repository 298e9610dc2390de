"""Every file that a command is to write, checked before any work: a file of its own, and one that can be written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dask_validator.config import flag as flag_of
from dask_validator.config.rules_file import found as rules_at
from dask_validator.errors import InputError
from dask_validator.journal.journal import default_path
from dask_validator.run.report_file import check_place_of, check_report
from dask_validator.run.results_file import check_writable
from dask_validator.store.connection import check_place, log_of
from dask_validator.system.files import check_kind, check_name

OWN = "give it a file of its own"
READ = ("instruments", "ids", "fdr_k_file", "tls_ca_file", "tls_cert", "tls_key")


class Files(NamedTuple):
    """What a command reads and writes."""

    database: Path
    instrument: str
    journal: Path | None = None  # None: in its usual place
    wf_output: Path | None = None  # None: the command has no JSONL
    report: Path | None = None
    report_flag: str = "--report"
    table: Path | None = None
    table_flag: str = "--csv"
    read: Mapping[str, Path] = {}  # by flag

    @property
    def written(self) -> dict[str, Path]:
        """By flag."""
        journal = self.journal or default_path(self.database.absolute(), self.instrument)
        named = {self.report_flag: self.report, self.table_flag: self.table}
        named |= {"--journal": self.journal, "--wf-output": self.wf_output}
        found = {flag: path for flag, path in named.items() if path is not None}
        return found | {"--journal": journal}


def check(files: Files, *, appends: bool = False) -> None:
    """Raise InputError when an output must not, or cannot, be written; leaves no trace.

    Whether the JSONL can be written is asked only when something will be appended. A journal's own file is looked at by
    who opens it.
    """
    check_place(files.database)
    for flag, path in files.written.items():
        check_name(flag, path)
    for flag in files.written:
        _check_apart(flag, files)
    if files.report is not None:
        check_kind(files.report_flag, files.report)
        check_report(files.report_flag, files.report)
    if files.table is not None:
        check_kind(files.table_flag, files.table)
        check_place_of(files.table_flag, files.table)
    if files.wf_output is not None and appends:
        check_kind("--wf-output", files.wf_output, devices=True)
        check_writable(files.wf_output)


def check_flags(flags: Mapping[str, Any], database: Path, instrument: str) -> None:
    """The same for the outputs that the flags of a command name. Raises InputError."""
    journal, wf_output, report = map(flags.get, ("journal", "wf_output", "report"))
    appends = not (flags.get("dry_run") or flags.get("no_walkforward"))
    check(Files(database, instrument, journal, wf_output, report, read=read_by(flags)), appends=appends)


def read_by(given: Mapping[str, Any]) -> dict[str, Path]:
    """The files that a call reads, by flag; of all that it is given, by name. Raises InputError for an odd profile."""
    found = {flag_of(name): Path(given[name]) for name in READ if given.get(name) is not None}
    rules = given.get("rules_file")
    return found if rules is None else found | {"--rules": rules_at(rules)}


def _check_apart(flag: str, files: Files) -> None:
    path = files.written[flag]
    others = {f"the {'journal' if other == '--journal' else other}": of for other, of in files.written.items()}
    others.pop("the journal" if flag == "--journal" else f"the {flag}")
    others |= {"the database": files.database, "the log of the database": Path(log_of(files.database))}
    others |= {f"the {read}": of for read, of in files.read.items()}
    for kind, other in others.items():
        if _is_same(path, other):
            raise InputError(f"{flag} got {path}, which is {kind}; {OWN}")
    usual = default_path(files.database.absolute(), files.instrument)
    if not (flag == "--journal" and _is_same(path, usual)) and _is_named_after(path, files.database):
        raise InputError(f"{flag} got {path}, which is a journal or log of the database; {OWN}")


def _is_same(one: Path, other: Path) -> bool:
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:  # one is not there
        return False


def _is_named_after(path: Path, database: Path) -> bool:
    """Whether a run of another instrument, or DuckDB, may have a file there at any time."""
    place = Path(os.path.realpath(path))
    for base in map(Path, (os.path.abspath(database), os.path.realpath(database))):
        of_it = re.escape(base.name) + r"\.(.*\.journal|(.*\.)?wal)"
        if place.parent == Path(os.path.realpath(base.parent)) and re.fullmatch(of_it, place.name, re.DOTALL):
            return True
    return False
