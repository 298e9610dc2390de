"""How a run's verdicts compare with what was planted, which only an invented database can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dask_validator.demo.outcomes import Kind
from dask_validator.model import Status
from dask_validator.rules.fdr import Correction
from dask_validator.store.connection import reading

REAL = {Kind.EDGE, Kind.SEASONAL}  # a seasonal strategy earns in winter more than it loses in summer


class TruthRow(NamedTuple):
    """How many strategies of each truth share one judgement."""

    promoted: bool
    significant: bool  # earns significantly: one-sided p-value, corrected over all of the instrument
    edge: int
    decayed: int  # an edge once, none any more
    noise: int

    @property
    def all(self) -> int:
        """Whatever the truth."""
        return self.edge + self.decayed + self.noise


@dataclass(frozen=True)
class DemoTruth:
    """Counts of strategies; aliases of another strategy are left out."""

    planted: int  # with a real edge
    found: int  # of those, PASSED
    promoted: int  # PASSED in all
    noise: int  # PASSED without a real edge
    decayed: int  # of those, with an edge that is gone
    table: tuple[TruthRow, ...] = field(default=(), repr=False)  # all of them, by what the run and the p-values say


def truth_report(path: Path, statuses: Mapping[str, str] | None = None) -> DemoTruth:
    """Compare verdicts with the planted truth.

    Parameters
    ----------
    statuses
        Verdict by strategy_id, as a dry run gives them; by default those in the database.

    Raises
    ------
    InputError
        The file cannot be read, or `build_demo` did not make it.
    """
    with reading(path) as connection:
        rows = connection.execute(
            "SELECT strategy_id, kind, validation_status, p_value, expectancy_r "
            "FROM dask_validator_demo_truth JOIN experimental_strategies USING (strategy_id) WHERE is_canonical"
        ).fetchall()
    p_values, expectancies = np.array([row[3:] for row in rows], dtype=np.float64).reshape(-1, 2).T
    earns = Correction.over(p_values, expectancies).earns(p_values, expectancies).tolist()
    counts: Counter[tuple[bool, bool, str]] = Counter()
    for (strategy_id, kind, stored, *_), significant in zip(rows, earns, strict=True):
        passed = (stored if statuses is None else statuses.get(strategy_id)) == Status.PASSED
        counts[passed, significant, kind] += 1
    table = tuple(_row(counts, *judged) for judged in product((True, False), repeat=2))
    promoted = [row for row in table if row.promoted]
    return DemoTruth(
        planted=sum(row.edge for row in table),
        found=sum(row.edge for row in promoted),
        promoted=sum(row.all for row in promoted),
        noise=sum(row.decayed + row.noise for row in promoted),
        decayed=sum(row.decayed for row in promoted),
        table=table,
    )


def _row(counts: Mapping[tuple[bool, bool, str], int], promoted: bool, significant: bool) -> TruthRow:
    edge = sum(counts[promoted, significant, kind] for kind in REAL)
    return TruthRow(
        promoted, significant, edge, *(counts[promoted, significant, kind] for kind in (Kind.DECAYED, Kind.NOISE))
    )
