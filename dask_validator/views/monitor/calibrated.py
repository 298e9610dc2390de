"""A calibration in words and one table, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.config import FEW_WORLDS, RunConfig, flag
from dask_validator.model import Status
from dask_validator.universe.calibration import Calibration, flags_of
from dask_validator.wording import luck

if TYPE_CHECKING:
    from dask_validator.demo import DemoTruth

_HEAD = ("", "promoted", "by luck", "90 % of worlds", "of them luck")
_WIDTHS = (9, 9, 16, 16)
_NAME = 26  # so that 80 columns hold a row


def render(calibration: Calibration) -> str:
    """The table, what it says of the first setting, and what no number here can tell."""
    rows = [setting.to_dict(calibration.design) for setting in calibration.settings]
    first, losing = rows[0], calibration.settings[0].losing
    names = [name or "as asked" for name in differing([setting.config for setting in calibration.settings])]
    table = [_HEAD, *((name, *_cells(row)) for name, row in zip(names, rows, strict=True))]
    lines = [line for name, *cells in table for line in _lines(name, cells)]
    head = f"Promotions of {calibration.instrument} in the data, and in worlds without an edge"
    said = luck.verdict(first, losing=losing)
    if len(rows) > 1:
        said[0] = f"{names[0]}: {said[0]}"
    return "\n".join([head, *lines, "", *said, *luck.limits(first["strategies"], calibration.last_day)])


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


def _cells(row: dict[str, Any]) -> list[str]:
    share = "-"
    if row["false_share"] is not None:
        low, high = luck.percent(row["false_share_low"]), luck.percent(row["false_share_high"])
        share = f"{luck.percent(row['false_share'])} ({low}-{high})"
    between = f"{row['null_q05']:,.0f} to {row['null_q95']:,.0f}"
    return [f"{row['promoted']:,}", luck.one_decimal(row["null_mean"]), between, share]


def differing(settings: Sequence[RunConfig]) -> list[str]:
    """By setting, the flags in which it differs from another one."""
    all_flags = [flags_of(config) for config in settings]
    varied = [name for name in all_flags[0] if len({str(flags[name]) for flags in all_flags}) > 1]
    return [" ".join(f"{flag(name)} {flags[name]}" for name in varied) for flags in all_flags]
