"""Which past day each day of a world takes its payoffs from (docs/statistics.md, section 3.1).

Politis, D. N. and Romano, J. P. (1994), The Stationary Bootstrap, Journal of the American Statistical Association 89,
1303-1313; here within eras, so that keys recorded only in late years meet the others on the same source days.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig

LEAST_POOL = 250  # days that a later era must have to draw from


class Design(NamedTuple):
    """The worlds of one calibration: a world depends on the seed and its own number alone."""

    worlds: int = 1000
    block_days: float = 5.0  # mean length of a block
    seed: int = 0

    @classmethod
    def of(cls, config: RunConfig) -> Design:
        """As the flags ask for it."""
        return cls(config.worlds, config.block_days, config.null_seed)


def era_starts(days: int) -> list[int]:
    """First day of each era, as positions among so many trading days; an era's pool reaches to the last day."""
    return [0] + [start for start in (days // 2, 3 * days // 4) if days - start >= LEAST_POOL]


def era_of(days: int) -> NDArray[np.int64]:
    """The era of each day, shape (days,)."""
    return np.searchsorted(era_starts(days), np.arange(days), side="right") - 1


def source_days(design: Design, days: int, first: int, count: int) -> NDArray[np.int64]:
    """Source day of each day in the worlds `first` to `first + count - 1`, shape (days, count)."""
    drawn = np.empty((days, count), dtype=np.int64)
    starts = era_starts(days)
    for column in range(count):
        for era, (start, end) in enumerate(zip(starts, [*starts[1:], days], strict=True)):
            drawn[start:end, column] = start + _drawn(design, first + column, era, end - start, days - start)
    return drawn


def _drawn(design: Design, world: int, era: int, days: int, pool: int) -> NDArray[np.int64]:
    """Days of the pool, shape (days,): blocks of geometric length, each from anywhere, going on at the start."""
    rng = np.random.default_rng([design.seed, world, era])
    jump = rng.random(days) < 1 / design.block_days
    jump[0] = True
    fresh = rng.integers(0, pool, days)
    day = np.arange(days)
    block = np.maximum.accumulate(np.where(jump, day, 0))
    return (fresh[block] + day - block) % pool
