"""How many strategies each step of a run took away, from its summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dask_validator.rules.gates import PHASES


def funnel(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What each phase took away, from all processed rows down to the passed ones."""
    rejected = summary["rejected_by_phase"]
    return [
        ("processed", summary["rows"]),
        ("skipped (aliases)", summary["skipped"]),
        *(
            (f"rejected in phase {phase} ({name})", rejected[str(phase)])
            for phase, name in counted_phases(summary).items()
        ),
        ("failed", summary["failed"]),
        ("passed", summary["passed"]),
    ]


def counted_phases(summary: Mapping[str, Any]) -> dict[int, str]:
    """Names of the phases that the run counts, by number."""
    return {phase: name for phase, name in PHASES.items() if str(phase) in summary["rejected_by_phase"]}


class Step(NamedTuple):
    """One step of the funnel: how many strategies it took away, and how many it left."""

    name: str
    removed: int
    left: int


def steps(summary: Mapping[str, Any]) -> list[Step]:
    """The funnel with what each of its steps leaves."""
    (first, left), *removals, (last, _) = funnel(summary)
    found = [Step(first, 0, left)]
    for name, removed in removals:
        left -= removed
        found.append(Step(name, removed, left))
    return [*found, Step(last, 0, left)]
