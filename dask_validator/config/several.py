"""Flags with several values: as many settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from typing import Any

from dask_validator.config.kinds import flag
from dask_validator.config.run_config import RunConfig
from dask_validator.errors import InputError

# What no verdict depends on, or nobody has several of.
_NEVER_SEVERAL = {
    *("wf_output", "instruments", "dry_run", "provenance", "calibrate", "worlds", "block_days", "null_seed"),
    *("filter", "seasons", "gates_only", "costs", "promotion"),
}
SWEPT = tuple(each.name for each in fields(RunConfig) if each.name not in _NEVER_SEVERAL)


def combinations(config: RunConfig, values: Mapping[str, Sequence[Any]]) -> list[RunConfig]:
    """The settings with every combination of several values of flags, each once; the last flag changes fastest."""
    settings = (replace(config, **dict(zip(values, chosen, strict=True))) for chosen in product(*values.values()))
    return list(dict.fromkeys(settings))


def one_at_a_time(config: RunConfig, values: Mapping[str, Sequence[Any]]) -> list[RunConfig]:
    """The settings as they are, then each value of each flag alone, each once."""
    alone = (replace(config, **{name: value}) for name, several in values.items() for value in several)
    return list(dict.fromkeys([config, *alone]))


def check_swept(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise InputError unless these are lists of values of flags that verdicts depend on."""
    if not values:
        raise InputError("sweep got no flag with several values; needed one at least: --min-sample 20 30 60")
    for name, several in values.items():
        if name not in SWEPT:
            raise InputError(f"sweep got several values of {name}; needed flags of these: {', '.join(SWEPT)}")
        if not isinstance(several, list | tuple) or not several:
            raise InputError(f"sweep got {flag(name)} {several!r}; needed a list of values")
