"""The row of a run's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def run_log(instrument: str, answers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of what a run wrote (rules.md, section 9)."""
    by_phase = dict.fromkeys(range(1, 11), 0)
    candidates = 0
    passed = 0
    failed = 0
    for answer in answers:
        if answer["status"] == "SKIPPED":
            continue
        candidates = candidates + 1
        if answer["status"] == "PASSED":
            passed = passed + 1
        elif answer["status"] == "FAILED":
            failed = failed + 1
        else:
            by_phase[answer["phase"]] = by_phase[answer["phase"]] + 1
    return {
        "instrument": instrument,
        "candidates": candidates,
        "phase1_rejected": by_phase[1],
        "phase2_rejected": by_phase[2],
        "phase3_rejected": by_phase[3],
        "phase4_rejected": by_phase[4],
        "phase4c_rejected": 0,
        "phase4d_rejected": 0,
        "phase4b_rejected": by_phase[6],
        "phase_fdr_rejected": by_phase[7] + by_phase[8],
        "final_passed": passed,
        "rejection_rate": round(1 - passed / candidates, 4) if candidates else 1.0,
        "elsewhere": {"5": by_phase[5], "9": by_phase[9], "10": by_phase[10], "FAILED": failed},
    }
