"""A calibration in words and one table, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.config import FEW_WORLDS
from dask_validator.model import Status
from dask_validator.wording import luck

if TYPE_CHECKING:
    from dask_validator.demo import DemoTruth
    from dask_validator.universe.calibration import Calibration

_WIDTHS = (8, 9, 18, 17)
_NAME = 26  # so that 80 columns hold a row


def render(instrument: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The table, what it says, and what no number here can tell; rows as `--json` has them."""
    names = luck.names(rows)
    table = [luck.HEAD, *((name, *luck.row(row)) for name, row in zip(names, rows, strict=True))]
    lines = [line for name, *cells in table for line in _lines(name, cells)]
    head = f"Promotions of {instrument} in the data, and in worlds without an edge"
    return "\n".join([head, *lines, "", *luck.verdict(rows), *luck.limits(rows[0])])


def kept_promises(
    calibration: Calibration, share: float, truth_of: Callable[[Mapping[str, str]], DemoTruth]
) -> list[str]:
    """What the worlds promise of a demonstration, beside what it knows of its calibrated strategies."""
    numbers, strategies = calibration.settings[0].numbers, calibration.strategies
    between = f"90 %: {numbers.null_q05:,.0f} to {numbers.null_q95:,.0f}"
    promise = f"Luck would promote about {luck.one_decimal(numbers.null_mean)} ({between})"
    gated = strategies.promoted & (strategies.luck_bound <= share)
    lines = []
    for name, promoted in (
        ("of the", strategies.promoted),
        (f"with --gate luck --gate-share {share:g}, of the", gated),
    ):
        ids = {strategies.ids[i]: str(Status.PASSED) for i in np.flatnonzero(promoted).tolist()}
        found = truth_of(ids)
        lines.append(f"{name} {found.promoted:,} promoted {found.noise - found.decayed:,} never had an edge")
    return [f"{promise}; {lines[0]}", lines[1][0].upper() + lines[1][1:]]


def doubts(calibration: Calibration) -> list[str]:
    """What makes its numbers coarse."""
    worlds = calibration.design.worlds
    few = f"{worlds} worlds are few: quantiles are coarse; {FEW_WORLDS} or more are better"
    return [few] if worlds < FEW_WORLDS else []


def _lines(name: str, cells: Sequence[str]) -> list[str]:
    """A row of the table; a long name stands above its numbers."""
    numbers = "".join(cell.rjust(size) for cell, size in zip(cells, _WIDTHS, strict=True))
    if len(name) <= _NAME:
        return [f"  {name:<{_NAME}}{numbers}"]
    return [f"  {name}", f"  {'':<{_NAME}}{numbers}"]
