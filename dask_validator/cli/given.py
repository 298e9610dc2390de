"""What the flags of a call say: rules and safeguards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dask_validator.config import RunConfig, Safeguards
from dask_validator.config.rules_file import load_rules
from dask_validator.errors import InputError
from dask_validator.run.outcome import Outcome
from dask_validator.store.selection import Selection

SOME_FAILED = 3


def config_of(flags: dict[str, Any], instrument: str) -> RunConfig:
    """The rules of the file, if there is one, and what the user has said on the command line."""
    return load_rules(flags["rules_file"], instrument, **said(fields_of(RunConfig, flags)))


def several_of(flags: dict[str, Any], instrument: str) -> tuple[RunConfig, dict[str, Sequence[Any]]]:
    """The rules as they are without flags of several values, and these; a list of years is one value."""
    lists = {field.name for field in fields(RunConfig) if str(field.type).startswith("tuple")}
    several: dict[str, Sequence[Any]] = {}
    fixed = said(fields_of(RunConfig, flags))
    for name, values in list(fixed.items()):
        if isinstance(values, tuple) and name not in lists:
            fixed[name], *others = values
            if others:
                several[name] = fixed.pop(name), *others
    return load_rules(flags["rules_file"], instrument, **fixed), several


def said(flags: dict[str, Any]) -> dict[str, Any]:
    """Without those that are only defaults."""
    source = click.get_current_context().get_parameter_source
    return {name: value for name, value in flags.items() if source(name) is not ParameterSource.DEFAULT}


def safeguards_of(flags: dict[str, Any]) -> Safeguards:
    """Of those that Safeguards has fields for."""
    return Safeguards(**fields_of(Safeguards, flags))


def fields_of(kind: type[RunConfig] | type[Safeguards], flags: dict[str, Any]) -> dict[str, Any]:
    """Those that are fields of it."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in flags.items() if name in names}


def selection_of(flags: dict[str, Any]) -> Selection:
    """Which strategies the flags say, if they say any. Raises InputError for a list that is none."""
    which, path = flags["which"], flags["ids"]
    if path is None:
        return Selection.of(which)
    if said({"which": which}):
        raise click.UsageError("--strategies and --ids exclude each other: give one of them")
    return Selection.of(_listed(path))


def _listed(path: Path) -> list[str]:
    """The lines of a file, without blank ones."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"--ids got {path}, which cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"--ids got {path}, which is not text in UTF-8; needed one strategy_id a line") from None
    if not (ids := [stripped for line in lines if (stripped := line.strip())]):
        raise InputError(f"--ids got {path}, which has no strategy_id; needed one a line")
    return ids


def refuse_both(workers: int | None, scheduler: str | None) -> None:
    """One place to compute is enough."""
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other: give one of them")


def code_of(result: Outcome) -> int:
    """The exit code of a run that is done."""
    return SOME_FAILED if result.summary["failed"] else 0
