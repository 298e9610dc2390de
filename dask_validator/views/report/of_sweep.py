"""From a sweep to its page: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dask_validator.config import flag
from dask_validator.run.report_file import FIRST_WORDS
from dask_validator.run.swept import Sweep
from dask_validator.views.report import figures
from dask_validator.views.report.page import environment, source, style, write
from dask_validator.views.sweep_words import cells, head, said_of, spelled

MOST_LISTED = 2_000


def report_sweep(sweep: Sweep, output: Path) -> None:
    """Write the page. Raises InputError where the file cannot be written."""
    rows = sweep.rows
    curves = [(flag(name), _curve(sweep, name, rows)) for name in sweep.flags]
    page = environment().from_string(source("macros.html.j2") + source("sweep.html.j2"))
    write(
        output,
        page.render(
            first_line=Markup(FIRST_WORDS.decode()),
            style=Markup(style()),
            sweep=sweep,
            made_at=datetime.now(UTC),
            names=[flag(name) for name in sweep.flags],
            curves=curves,
            banded=len(sweep.flags) > 1 and not sweep.alone,
            heatmap=_heatmap(sweep, rows) if len(sweep.flags) == 2 and not sweep.alone else None,
            said=said_of(sweep)[1],
            head=head(sweep.flags),
            rows=[(cells(row, sweep.flags), row["as_given"]) for row in rows[:MOST_LISTED]],
            more=max(0, len(rows) - MOST_LISTED),
        ),
    )


def _curve(sweep: Sweep, name: str, rows: Sequence[dict[str, Any]]) -> figures.Figure:
    """Promotions by value of one flag; of flags that were tried alone the others are as given."""
    others = [other for other in sweep.flags if other != name]
    counts: dict[Any, list[int]] = {}
    for row in rows:
        if not sweep.alone or all(row[other] == getattr(sweep.given, other) for other in others):
            counts.setdefault(row[name], []).append(row["promoted"])
    at = _places(list(counts))
    points = [figures.Swept(at[value], spelled(value), min(of), max(of)) for value, of in counts.items()]
    return figures.sweep_figure(flag(name), sorted(points), at.get(getattr(sweep.given, name)))


def _places(values: Sequence[Any]) -> dict[Any, float]:
    """Where each stands on the axis: numbers at what they are, all else one beside the other."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {value: float(value) for value in values}
    return {value: float(i) for i, value in enumerate(values)}


def _heatmap(sweep: Sweep, rows: Sequence[dict[str, Any]]) -> figures.Figure:
    """Promotions by the values of two flags."""
    across, down = (list(dict.fromkeys(row[name] for row in rows)) for name in sweep.flags)
    count = {tuple(row[name] for name in sweep.flags): row["promoted"] for row in rows}
    return figures.heatmap_figure(
        [flag(name) for name in sweep.flags],
        [list(map(spelled, across)), list(map(spelled, down))],
        [[count[one, other] for one in across] for other in down],
    )
