"""The picture of docs/luck.md: promotions by world, and those of the data, under two settings.

usage: python -m benchmarks.luck_picture DB PNG

DB is a demonstration database as `dask-validator demo --build-only` makes it. Needs Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bokeh.embed import components
from bokeh.layouts import column
from bokeh.plotting import figure

from dask_validator import CalibrationResult, calibrate
from tests.notebooks import photographer

SETTINGS = {"the default flags": 0, "--no-regime-waivers --min-years-positive-pct 0.6": 3}  # among the combinations
HEIGHT = 250  # pixels


def drawn(found: CalibrationResult, title: str, setting: int) -> figure:
    """One setting, without tools."""
    plot = found.plot_worlds(setting)
    plot.title, plot.height, plot.toolbar_location = title, HEIGHT, None
    return plot


def main(db: str, png: str) -> None:
    """Calibrate, draw, take the picture."""
    found = calibrate(db, no_regime_waivers=[False, True], min_years_positive_pct=[1.0, 0.6], workers=1)
    plots = [drawn(found, title, setting) for title, setting in SETTINGS.items()]
    script, element = components(column(*plots), wrap_script=False)
    with photographer() as picture:
        Path(png).write_bytes(picture(element, script))


if __name__ == "__main__":
    main(*sys.argv[1:])
