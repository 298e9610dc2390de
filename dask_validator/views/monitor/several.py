"""The runs of several instruments in one table, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dask_validator.wording.harmless import plain

WIDTH = 12  # of the instrument
COUNTS = {"rows": 9, "passed": 8, "rejected": 10, "skipped": 9, "failed": 8, "retired": 9}  # and their widths

Row = tuple[str, Mapping[str, Any] | None, str]


def table(rows: Iterable[Row]) -> str:
    """A line for each: instrument, summary if there is one, how the run has ended."""
    head = "".join(["instrument".ljust(WIDTH), *(name.rjust(width) for name, width in COUNTS.items())])
    return "\n".join(["", head, *(_line(*row) for row in rows)])


def _line(instrument: str, summary: Mapping[str, Any] | None, ending: str) -> str:
    name = plain(instrument)
    name = name if len(name) <= WIDTH else f"{name[: WIDTH - 1]}~"
    counts = ((f"{summary[name]:,}" if summary else "-").rjust(width) for name, width in COUNTS.items())
    return "".join([name.ljust(WIDTH), *counts, f"  {ending}"])
