"""What `calibrate` returns to Python: settings and strategies as frames, a table for notebooks, plots."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING

from dask_validator.universe.calibration import Calibration
from dask_validator.views.result_html import table
from dask_validator.wording import luck
from dask_validator.wording.harmless import escaped

if TYPE_CHECKING:
    import pandas as pd
    from bokeh.plotting import figure


class CalibrationResult(Calibration):
    """A calibration, with what notebooks ask of it; the attributes are those of `universe.calibration.Calibration`."""

    @classmethod
    def of(cls, calibration: Calibration) -> CalibrationResult:
        """The same calibration."""
        return cls(**{field.name: getattr(calibration, field.name) for field in fields(Calibration)})

    @cached_property
    def by_setting(self) -> pd.DataFrame:
        """One row a setting: its flags, and the numbers of `--json`."""
        import pandas as pd

        rows = self.to_dict()["calibration"]
        return pd.DataFrame([{"setting": name, **row} for name, row in zip(luck.names(rows), rows, strict=True)])

    @cached_property
    def by_strategy(self) -> pd.DataFrame:
        """One row a calibrated strategy, under the first setting: promoted, z and what else is known of it."""
        import pandas as pd

        columns = self.strategies._asdict()
        return pd.DataFrame({"strategy_id": columns.pop("ids"), **columns})

    def _repr_html_(self) -> str:
        """The table and what it says, for a notebook."""
        rows = self.to_dict()["calibration"]
        cells = [(name, *luck.row(row)) for name, row in zip(luck.names(rows), rows, strict=True)]
        said = [*luck.verdict(rows), *luck.limits(rows[0])]
        return table(luck.HEAD, cells) + "".join(f"<p>{escaped(text)}</p>" for text in said)

    def plot(self) -> figure:
        """Bokeh figure: promotions of each setting in the data, and in worlds without an edge (mean, 90 %)."""
        from dask_validator.views import plots

        rows = self.to_dict()["calibration"]
        return plots.luck_figure(luck.names(rows), rows)

    def plot_worlds(self, setting: int = 0) -> figure:
        """Bokeh figure: how many strategies each world promotes under one setting, and the data."""
        from dask_validator.views import plots

        chosen = self.settings[setting]
        return plots.worlds_figure(chosen.counts[0], chosen.promoted)
