"""What a run has done, counted: the summary object, and the sentences that belong to it."""

from __future__ import annotations

from collections.abc import Collection, Set
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dask_validator.config import RunConfig, flag
from dask_validator.model import R, Status, TaskTiming
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.counting import CODE
from dask_validator.rules.fdr import Correction
from dask_validator.rules.gates import HELD, OF_WINDOWS, POSITION
from dask_validator.rules.verdicts import Verdicts
from dask_validator.store.selection import Selection
from dask_validator.wording.harmless import plain
from dask_validator.wording.sentences import listed, of_them

MOST_NAMED = 20
STRESS = POSITION["stressed_expectancy_r"]
_STRICTLY = "--strict-filters applies those it knows, fails the others"
RETIRING = (Status.REJECTED, Status.SKIPPED)


class Cost(Protocol):
    """What computing has cost."""

    timings: list[TaskTiming]
    workers: int  # tasks that can run at once
    reused: int  # answers of an earlier run

    @property
    def wall_s(self) -> float:
        """From the first submission to the last result."""
        ...


def of_imported(verdicts: Verdicts) -> dict[str, Any]:
    """What the summary says of imported trades beside the rest; nothing where there is nothing to say."""
    unit, unjudged = verdicts.terms.unit, not_judged(verdicts)
    return ({} if unit == R else {"unit": unit}) | ({"cost_stress_not_judged": unjudged} if unjudged else {})


def not_judged(verdicts: Verdicts) -> int:
    """Strategies that came past phase 4 without costs, hence without being judged by it."""
    came = (verdicts.gate == HELD) | (verdicts.gate > STRESS)
    decided = np.isin(verdicts.status, [CODE[Status.PASSED], CODE[Status.REJECTED]])
    return int((came & decided & np.isnan(verdicts.observed[:, STRESS])).sum())


def walkforward_summary(verdicts: Verdicts, cost: Cost) -> dict[str, Any]:
    """Walk-forward and what it cost, as the interface names it; seconds."""
    walked = [i for i, _ in verdicts.windowed()]
    timings, wall_s = cost.timings, cost.wall_s
    sum_s = sum(timing.wall_s for timing in timings)
    cpu_s = sum(timing.cpu_s for timing in timings)
    return {
        "strategies": len(walked),
        "passed": len(walked) - int(np.isin(verdicts.gate[walked], OF_WINDOWS).sum()),
        "wall_s": round(wall_s, 4),
        "sum_s": round(sum_s, 4),
        "cpu_s": round(cpu_s, 4),
        "speedup": round(sum_s / wall_s, 3) if wall_s else 0.0,
        "cpu_speedup": round(cpu_s / wall_s, 3) if wall_s else 0.0,
        "workers": cost.workers,
        "tasks": len(timings),
        "reused": cost.reused,
        "passed_on_unknown_filters": len(verdicts.every_day & verdicts.standings.keys()),
    }


def fdr_summary(verdicts: Verdicts, correction: Correction) -> dict[str, int]:
    """The correction, counted: two-sided as it is stored, then one-sided, as an edge is a positive mean."""
    passed = list(verdicts.standings)
    return {
        "tested": correction.tested,
        "significant": correction.significant,
        "passed_significant": int(verdicts.significant[passed].sum()),
        "earning": correction.earning,
        "losing": correction.losing,
        "passed_earning": int(verdicts.earns[passed].sum()),
    }


def count_retired(verdicts: Verdicts, unretired_setups: Set[str]) -> int:
    """Setups that are no longer of any use."""
    return sum(verdicts.ids[i] in unretired_setups for status in RETIRING for i in verdicts.of(status))


def unknown_filters(candidates: Candidates, strategies: str) -> list[str]:
    """A sentence that names every filter that is not known, with the number of strategies that use it."""
    counts, known = dict(sorted(candidates.unknown.items())), candidates.vocabulary
    if known.unknown == "fail" or not counts:  # each is FAILED and says so itself
        return []
    named = listed([f"{name!r} ({count:,})" for name, count in counts.items()], MOST_NAMED)
    if known.unknown == "none":
        taken = "no day (--unknown-filters fail fails them)"
    else:
        instead = "--unknown-filters fail fails them" if known.by_params else _STRICTLY
        taken = f"every day ({instead})"
    return [f"{sum(counts.values()):,} {strategies} use unknown filters, which are taken as {taken}: {named}"]


def looks_at_holdout(config: RunConfig) -> list[str]:
    """A sentence where walk-forward reads the days that are to be held out."""
    if config.holdout_from is None or config.wf_last_day is not None or config.no_walkforward:
        return []
    day_before = config.holdout_from - timedelta(days=1)
    return [f"walk-forward reads the holdout too; --wf-last-day {day_before} would keep it from that"]


def without_effect(config: RunConfig) -> list[str]:
    """A sentence for settings that mean nothing without another one."""
    return [
        f"without {flag(switch)} nothing asks for {', '.join(map(flag, names))}"
        for switch, names in config.without_effect.items()
    ]


def still_active(verdicts: Verdicts, active_setups: Set[str]) -> list[str]:
    """A sentence for setups whose strategy has FAILED."""
    ids = [strategy_id for strategy_id, _ in verdicts.failures() if strategy_id in active_setups]
    if not ids:
        return []
    return [f"{len(ids):,} strategies FAILED, but their setups stay active: {plain(', '.join(ids))}"]


def left_alone(ids: Collection[str], waiting: int) -> list[str]:
    """A sentence for strategies that others have changed, validated or removed before our commit."""
    if not ids:
        return []
    count = f"{len(ids):,} strategies ({waiting:,} of them waiting)"
    return [f"{count} are no longer as the run found them and left alone: {plain(listed(sorted(ids), MOST_NAMED))}"]


def left_failed(count: int) -> list[str]:
    """A sentence for strategies of which the import has found that they cannot be validated."""
    if not count:
        return []
    left = f"{of_them(count, 'strategy is', 'strategies are')} left FAILED by the import and not judged"
    return [f"{left}; p-values of theirs count as tries all the same; run --strategies failed --dry-run names them"]


def left_waiting(unanswered: int) -> list[str]:
    """A sentence for strategies without a result."""
    return [f"{unanswered:,} strategies have no result yet and are left waiting"] if unanswered else []


def not_kept(reason: str | None) -> list[str]:
    """A sentence about a journal that cannot be written."""
    return [f"{reason}: if this run is interrupted, nothing can be taken over"] if reason else []


def given_up(journal: Path | None, left: Selection, now: Selection) -> str:
    """A sentence about a run whose end this one does not bring."""
    return f"{journal} was of a run of other strategies ({left.said}), which this run ({now.said}) gives up"


def taken_over(reused: int, changed: int, journal: Path | None) -> str | None:
    """A sentence about what an earlier run has left."""
    if not reused and not changed:
        return None
    again = f"; {changed:,} no longer hold, because their rows have changed" if changed else ""
    return f"Took over {reused:,} results from {journal}{again}"
