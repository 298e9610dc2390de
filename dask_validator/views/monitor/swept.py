"""A sweep as a table, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_validator.views.sweep_words import cells, head, said_of

if TYPE_CHECKING:
    from dask_validator.run.swept import Sweep

MOST_ROWS = 200


def render(sweep: Sweep) -> str:
    """One line a combination."""
    rows = sweep.rows
    lines = [head(sweep.flags), *(cells(row, sweep.flags) for row in rows[:MOST_ROWS])]
    marks = ["", *("  as given" if row["as_given"] else "" for row in rows[:MOST_ROWS])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + mark
        for line, mark in zip(lines, marks, strict=True)
    ]
    more = [f"  and {len(rows) - MOST_ROWS:,} more: --csv has them all"] if len(rows) > MOST_ROWS else []
    return "\n".join([*said_of(sweep), *table, *more])
