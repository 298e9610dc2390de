"""What the calls of the Python interface share: rules and flags, and where progress is shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.config import RunConfig, Safeguards
from dask_validator.config.rules_file import load_rules
from dask_validator.errors import InputError
from dask_validator.views.monitor.notebook import Notebook, in_notebook

if TYPE_CHECKING:
    from distributed import Client

    from dask_validator.views.monitor.terminal import Terminal


def display_of(title: str, progress: bool, client: Client | None) -> Terminal | Notebook:
    """Where progress is shown: below the cell of a notebook, else on stderr."""
    from dask_validator.views.monitor.terminal import Terminal

    if in_notebook():
        return Notebook(title, quiet=not progress, dashboard_stays=client is not None)
    return Terminal(quiet=not progress)


def rules_of(config: RunConfig | None, rules: str | Path | None, instrument: str) -> RunConfig:
    """Those given, or those of the file. Raises InputError for both."""
    if config is not None and rules is not None:
        raise InputError("got config and rules; needed one of them: rules is a file in place of config")
    return config or load_rules(rules, instrument)


def with_flags(config: RunConfig, flags: dict[str, Any]) -> tuple[RunConfig, Safeguards]:
    """Flags win; those of no rule are safeguards. Raises InputError for a name that is neither."""
    rules, safe = ([field.name for field in dataclasses.fields(kind)] for kind in (RunConfig, Safeguards))
    if unknown := sorted(set(flags) - {*rules, *safe}):
        raise InputError(f"got {', '.join(unknown)}; needed {', '.join([*rules, *safe])}")
    config = dataclasses.replace(config, **{name: value for name, value in flags.items() if name in rules})
    return config, Safeguards(**{name: value for name, value in flags.items() if name in safe})
