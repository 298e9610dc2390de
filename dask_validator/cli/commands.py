"""All commands, each registered by the module that it stands in."""

from __future__ import annotations

from dask_validator.cli import comparing, looking, looking_back, luck, sweeping, trades, undoing, validating
from dask_validator.cli.group import cli, main

__all__ = ["cli", "comparing", "looking", "looking_back", "luck", "main", "sweeping", "trades", "undoing", "validating"]
