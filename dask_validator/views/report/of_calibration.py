"""From a calibration to its page: one HTML file that needs nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from dask_validator.run.report_file import FIRST_WORDS
from dask_validator.universe.calibration import Calibration, Setting
from dask_validator.views.report import figures
from dask_validator.views.report.distributions import Histogram
from dask_validator.views.report.page import environment, luck_figures, luck_of, source, style, write
from dask_validator.wording import luck
from dask_validator.wording.sentences import listed

MOST_LISTED, MOST_BARS, MOST_NAMED = 200, 40, 100


class Promoted(NamedTuple):
    """One promoted strategy; None where nothing is known."""

    strategy_id: str
    z: float
    luck_q: float | None
    luck_bound: float | None
    stepm_p: float | None
    psr: float | None = None
    track_record: float | None = None
    deflated: float | None = None


def report_calibration(calibration: Calibration, database: Path, output: Path) -> None:
    """Write the page. Raises InputError where the file cannot be written."""
    rows = calibration.to_dict()["calibration"]
    promoted, of = strongest(calibration), calibration.companions
    page = environment().from_string(source("macros.html.j2") + source("calibration.html.j2"))
    write(
        output,
        page.render(
            first_line=Markup(FIRST_WORDS.decode()),
            style=Markup(style()),
            calibration=calibration,
            database=str(database),
            made_at=datetime.now(UTC),
            luck=luck_of(rows),
            figures={"luck": luck_figures(rows), "worlds": list(map(_by_world, calibration.settings))},
            strongest=promoted[:MOST_LISTED],
            more=max(0, len(promoted) - MOST_LISTED),
            companions=luck.companions(of, calibration.spa) if of is not None else [],
            reasons=[
                (why, len(ids), listed(ids, MOST_NAMED)) for why, ids in luck.by_reason(calibration.not_calibrated)
            ],
        ),
    )


def strongest(calibration: Calibration) -> list[Promoted]:
    """Promoted strategies by z, the largest first."""
    strategies, of = calibration.strategies, calibration.companions
    tested = np.flatnonzero(~np.isnan(strategies.z))
    place = {i: row for row, i in enumerate(tested.tolist())}
    known = tested[strategies.promoted[tested]]
    columns = (strategies.luck_q, strategies.luck_bound, strategies.stepm_p)
    beside = () if of is None else (of.probabilistic, of.track_record, of.deflated_t)
    return [
        Promoted(
            strategies.ids[i],
            float(strategies.z[i]),
            *(_known(column[i]) for column in columns),
            *(_known(column[place[i]]) for column in beside),
        )
        for i in known[np.argsort(-strategies.z[known], kind="stable")].tolist()
    ]


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _by_world(setting: Setting) -> figures.Figure:
    counts = setting.counts[0]
    step = 1 + int(max(counts.max(), setting.promoted)) // MOST_BARS
    worlds = np.bincount(counts // step).tolist()
    worlds += [0] * (setting.promoted // step + 1 - len(worlds))
    edges = [float(i * step) for i in range(len(worlds) + 1)]
    return figures.histogram_figure(
        Histogram(edges, worlds),
        "rejected",
        f"the data: {setting.promoted:,}",
        "promoted strategies",
        unit="worlds",
        spelled=lambda value: f"{value:g}",
        mark=float(setting.promoted),
    )
