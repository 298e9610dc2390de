"""Verdicts, counted: by status, and the rejections by phase."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dask_validator.model import Status
from dask_validator.rules.gates import GATES, Terms
from dask_validator.rules.judging import phases

STATUSES = tuple(Status)
CODE = {status: code for code, status in enumerate(STATUSES)}


def counted(status: NDArray[np.int8], gate: NDArray[np.int8], terms: Terms) -> dict[str, Any]:
    """The counts of a summary; a gate may reject what has no status yet."""
    of_gate = np.array([*(g.phase for g in GATES), 0])[gate]  # HELD is the last
    of = {str(name).lower(): int((status == code).sum()) for name, code in CODE.items()}
    by_phase = {str(phase): int((of_gate == phase).sum()) for phase in phases(terms)}
    of["rejected"] = sum(by_phase.values())
    return {
        "rows": sum(of.values()),
        **{name: of[name] for name in ("passed", "rejected", "skipped", "failed")},
        "rejected_by_phase": by_phase,
    }
