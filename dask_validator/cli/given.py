"""What the flags of a call say: rules and safeguards."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click
from click.core import ParameterSource

from dask_validator.config import RunConfig, Safeguards
from dask_validator.config.rules_file import load_rules
from dask_validator.run.outcome import Outcome

SOME_FAILED = 3


def config_of(flags: dict[str, Any], instrument: str) -> RunConfig:
    """The rules of the file, if there is one, and what the user has said on the command line."""
    return load_rules(flags["rules_file"], instrument, **said(fields_of(RunConfig, flags)))


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


def refuse_both(workers: int | None, scheduler: str | None) -> None:
    """One place to compute is enough."""
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other: give one of them")


def code_of(result: Outcome) -> int:
    """The exit code of a run that is done."""
    return SOME_FAILED if result.summary["failed"] else 0
