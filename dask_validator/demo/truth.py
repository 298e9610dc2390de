"""How a run's verdicts compare with what was planted, which only an invented database can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dask_validator.demo.outcomes import Kind
from dask_validator.model import Status
from dask_validator.store.connection import reading

REAL = {Kind.EDGE, Kind.SEASONAL}  # a seasonal strategy earns in winter more than it loses in summer


@dataclass(frozen=True)
class DemoTruth:
    """Counts of strategies; aliases of another strategy are left out."""

    planted: int  # with a real edge
    found: int  # of those, PASSED
    promoted: int  # PASSED in all
    noise: int  # PASSED without a real edge
    decayed: int  # of those, with an edge that is gone


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
            "SELECT strategy_id, kind, validation_status "
            "FROM dask_validator_demo_truth JOIN experimental_strategies USING (strategy_id) WHERE is_canonical"
        ).fetchall()
    planted: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for strategy_id, kind, stored in rows:
        planted[kind] += 1
        passed[kind] += (stored if statuses is None else statuses.get(strategy_id)) == Status.PASSED
    found, promoted = sum(passed[kind] for kind in REAL), passed.total()
    return DemoTruth(
        planted=sum(planted[kind] for kind in REAL),
        found=found,
        promoted=promoted,
        noise=promoted - found,
        decayed=passed[Kind.DECAYED],
    )
