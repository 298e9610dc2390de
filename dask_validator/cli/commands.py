"""All commands, each registered by the module that it stands in."""

from __future__ import annotations

from dask_validator.cli import looking, luck, trades, validating
from dask_validator.cli.group import cli, main

__all__ = ["cli", "looking", "luck", "main", "trades", "validating"]
