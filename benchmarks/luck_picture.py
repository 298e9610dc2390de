"""The picture of docs/luck.md: promotions of the data beside those of worlds without an edge, under two settings.

usage: python -m benchmarks.luck_picture DB PNG

DB is a demonstration database as `dask-validator demo --build-only` makes it. Needs Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from bokeh.embed import components
from bokeh.layouts import column
from bokeh.models import Label, NumeralTickFormatter, Span
from bokeh.plotting import figure

from dask_validator import calibrate
from dask_validator.universe.calibration import Setting
from dask_validator.views.palette import LIGHT
from dask_validator.views.plots import WIDTH
from tests.notebooks import photographer

TITLES = ("The default flags", "--no-regime-waivers --min-years-positive-pct 0.6")
HEIGHT, ABOUT = 230, 40  # pixels; bins


def worlds_figure(setting: Setting, title: str) -> figure:
    """How many worlds promote how many, and how many are promoted in the data."""
    worlds, numbers = setting.counts[0], setting.numbers
    width = max(1, round((worlds.max() - worlds.min()) / ABOUT))
    heights, edges = np.histogram(worlds, np.arange(worlds.min(), worlds.max() + 2 * width, width))
    plot = figure(width=WIDTH, height=HEIGHT, title=title, toolbar_location=None)
    plot.x_range.start, plot.x_range.end = 0, 1.3 * max(setting.promoted, worlds.max())
    plot.y_range.start, plot.y_range.end = 0, 1.3 * heights.max()
    plot.quad(left=edges[:-1], right=edges[1:], bottom=0, top=heights, color=LIGHT.second, line_color=LIGHT.card)
    plot.add_layout(Span(location=setting.promoted, dimension="height", line_color=LIGHT.mark, line_width=2))
    by_luck = f"by luck: {numbers.null_mean:,.0f} ({numbers.null_q05:,.0f} to {numbers.null_q95:,.0f})"
    for x, text, colour in (
        (int(worlds.min()), by_luck, LIGHT.soft),
        (setting.promoted, f" promoted: {setting.promoted:,}", LIGHT.mark),
    ):
        plot.add_layout(Label(x=x, y=1.08 * heights.max(), text=text, text_color=colour, text_font_size="10pt"))
    plot.xaxis.axis_label, plot.yaxis.axis_label = "strategies promoted", "worlds"
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.xgrid.grid_line_color = None
    return plot


def main(db: str, png: str) -> None:
    """Calibrate, draw, take the picture."""
    found = calibrate(db, no_regime_waivers=[False, True], min_years_positive_pct=[1.0, 0.6], workers=1)
    drawn = [worlds_figure(found.settings[i], title) for i, title in zip((0, 3), TITLES, strict=True)]
    script, element = components(column(*drawn), wrap_script=False)
    with photographer() as picture:
        Path(png).write_bytes(picture(element, script))


if __name__ == "__main__":
    main(*sys.argv[1:])
