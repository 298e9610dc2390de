"""All commands, each registered by the module that it stands in."""

from __future__ import annotations

from dask_validator.cli import comparing, looking, luck, trades, validating
from dask_validator.cli.group import cli, main

__all__ = ["cli", "comparing", "looking", "luck", "main", "trades", "validating"]
