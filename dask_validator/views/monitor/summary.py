"""The summary of a run in words, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.events import Failures
from dask_validator.run.forecast import NOT_REPLAYED, USUAL_START_UP_S, has_worlds
from dask_validator.run.outcome import Outcome
from dask_validator.store.selection import WAITING, WAITING_OR_FAILED
from dask_validator.views.funnel import funnel
from dask_validator.wording import sentences
from dask_validator.wording.harmless import plain

if TYPE_CHECKING:
    from dask_validator.demo import DemoTruth, TruthRow
    from dask_validator.journal.journal import Recovered
    from dask_validator.store.checkup import Checkup

_TRUTHS = ("", "edge", "decayed", "noise", "all")
PARTED = 1.25  # beyond this, wall-clock speedup and CPU speedup tell different stories
SHORT_S = 5.0  # nobody waits long enough for workers to matter


def render(summary: Mapping[str, Any]) -> str:
    """The verdict: how many passed, the funnel, and what follows from it, a line each."""
    rows = summary["rows"]
    lines = [f"{summary['instrument']} in {summary['db']}: {summary['passed']:,} of {rows:,} strategies passed"]
    lines += [f"  {name:<40}{count:>9,}{count / max(rows, 1):>8.1%}" for name, count in funnel(summary)]
    if unjudged := sentences.not_judged(summary):
        lines.append(f"  {unjudged}")
    if (walkforward := summary["walkforward"]) is not None:
        lines.append(f"Walk-forward: {walkforward['passed']:,} of {walkforward['strategies']:,} strategies passed")
        if doubt := sentences.unknown_filters(summary):
            lines.append(f"  {doubt}")
        if walkforward["reused"]:
            lines.append(f"Taken over from an earlier run: {walkforward['reused']:,} results")
    of_all, of_passed = sentences.discoveries(summary["fdr"])
    lines += [f"P-values: {of_all}", f"  {of_passed}"]
    if summary["retired"]:
        label = "Retired setups" if summary["committed"] else "Setups that would be retired"
        lines.append(f"{label}: {summary['retired']:,}")
    return "\n".join(lines)


def ending(result: Outcome) -> str:
    """How it ended and how long that took, in one line."""
    summary = result.summary
    if summary["dry_run"]:
        end = "dry run, nothing written"
    elif summary["committed"]:
        end = f"committed in {result.stages['commit']:.2f} s"
    else:
        end = "not committed"
    return f"Run {summary['run_id']}: {end}; took {summary['total_s']:.2f} s"


def lines_appended(result: Outcome) -> str | None:
    """Where the lines of the JSONL have gone, if that depends on the folder in which the run was started."""
    judged = result.summary["walkforward"]
    if result.order is None or not result.summary["committed"] or not (judged and judged["strategies"]):
        return None
    path = Path(result.order.config.wf_output)
    return None if path.is_absolute() else f"Walk-forward lines appended to {path.absolute()}"


def nothing_waiting(result: Outcome) -> str:
    """Instead of a verdict, in one line: who has judged the strategies, and how to have them judged again."""
    instrument, last = result.summary["instrument"], result.last_run
    selection = result.order.selection if result.order else WAITING
    if selection not in (WAITING, WAITING_OR_FAILED):
        return f"Nothing to validate: {instrument} in {result.summary['db']} has no {selection.strategies}"
    by = (
        f"the last run was {last.run_id} on {last.finished_at:%Y-%m-%d %H:%M} UTC"
        if last
        else "no run of ours is recorded"
    )
    again = "--strategies all validates them again"
    return f"Nothing was waiting: {by} ({instrument} in {result.summary['db']}); {again}"


def statistics(result: Outcome) -> str:
    """What the tasks have cost, where the time went, and what other numbers of workers would have taken."""
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in result.stages.items())
    return "\n".join([*_tasks(result.summary["walkforward"]), f"Seconds by stage: {stages}", *_replay(result)])


def _tasks(walkforward: Mapping[str, Any] | None) -> list[str]:
    if not walkforward or not walkforward["tasks"]:
        return []
    workers = walkforward["workers"]
    lines = [
        f"Computing: {walkforward['wall_s']:.2f} s wall-clock, {walkforward['sum_s']:.2f} s of tasks, "
        f"{walkforward['cpu_s']:.2f} s CPU in {walkforward['tasks']} tasks on {workers} worker(s): "
        f"speedup {walkforward['speedup']:.2f}, CPU speedup {walkforward['cpu_speedup']:.2f}"
    ]
    if workers > 1 and walkforward["speedup"] > PARTED * walkforward["cpu_speedup"] > 0:
        lines.append("  the two differ by more than a quarter: workers waited for a core, a disk or each other")
    return lines


def _replay(result: Outcome) -> list[str]:
    if not result.forecasts:
        return [NOT_REPLAYED] if result.timings and has_worlds(result.stages) else []
    alone = result.forecasts[0].total_s
    if alone < SHORT_S:
        return [f"One worker is enough: alone it would take {alone:.1f} s"]
    measured = result.start_up_s
    start_up = f"{USUAL_START_UP_S} s of start-up assumed" if measured is None else f"{measured:.1f} s of start-up"
    rows = [
        ("workers", *(f"{forecast.workers}{'*' * forecast.recommended}" for forecast in result.forecasts)),
        ("seconds", *(f"{forecast.total_s:.{1 if alone < 1000 else 0}f}" for forecast in result.forecasts)),
    ]
    return [
        f"Replaying {len(result.timings)} tasks with a core for each worker ({start_up}) gives",
        *(f"  {name}" + "".join(cell.rjust(7) for cell in cells) for name, *cells in rows),
        "  * recommended: the fewest within 10 % of the best that this many cores allow",
    ]


def failures(failed: Failures, most: int | None = 10) -> list[str]:
    """FAILED strategies grouped by their reasons; `most` reasons and `most` strategies of each, None for all."""
    by_reason: dict[str, list[str]] = {}
    for strategy_id, reason in failed:
        by_reason.setdefault(reason, []).append(strategy_id)
    lines = [_failed(reason, ids, most) for reason, ids in list(by_reason.items())[:most]]
    hidden = len(by_reason) - len(lines)
    return lines + ([f"... and {hidden:,} other reasons (-v shows all)"] if hidden else [])


def _failed(reason: str, ids: Sequence[str], most: int | None) -> str:
    if len(ids) == 1:
        return plain(f"FAILED {ids[0]}: {reason}")
    hidden = len(ids) - len(ids[:most])
    more = f" and {hidden:,} more (-v shows all)" if hidden else ""
    return plain(f"{len(ids):,} strategies FAILED: {reason}: {', '.join(ids[:most])}{more}")


def truth(found: DemoTruth) -> str:
    """What the demonstration knows that real data never tell."""
    noise = f"{found.noise:,} of {found.promoted:,} promotions ({found.decayed:,} of them decayed edges)"
    rows = [(_judged(row), *(f"{count:,}" for count in (*row[2:], row.all))) for row in found.table]
    return "\n".join(
        [
            f"Planted edges found: {found.found:,} of {found.planted:,}. Noise promoted: {noise}",
            *(f"  {name:<40}" + "".join(cell.rjust(9) for cell in counts) for name, *counts in [_TRUTHS, *rows]),
        ]
    )


def _judged(row: TruthRow) -> str:
    promoted = "promoted" if row.promoted else "not promoted"
    return f"{promoted}, {'earns significantly' if row.significant else 'not significant'}"


def left_over(path: Path, left: Recovered) -> str | None:
    """What an earlier run has left in its journal, in one line."""
    if not left.inputs:
        return None
    if left.is_computed:
        ends = f"dask-validator commit, or the same run, ends it, with --wf-output {left.output}"
        return f"{path} has a run that was computed but perhaps not committed: {ends}"
    return f"{path} has {len(left.answers):,} results of a run that did not end; a run takes over what still holds"


def left_by_worlds(path: Path, strategies: int) -> str:
    """What a calibration has left in its journal, in one line."""
    ends = "asked the same, it takes them over; calibrate --discard, or run --discard, gives them up"
    return plain(f"{path} has {strategies:,} strategies in all worlds of a calibration that did not end; {ends}")


def checkup(found: Checkup) -> str:
    """What a run would meet, a line each."""
    lines = [
        f"{found.path}: tables and columns are as needed; held by {found.held_by or 'nobody'}",
        *(f"  {doubt}" for doubt in found.doubts),
        *(f"  {found.instrument}: {count:>9,} strategies {status}" for status, count in found.statuses),
        *(f"  {finding}" for finding in found.findings),
    ]
    if found.columns_to_add:
        lines.append(f"  a run would add the columns {', '.join(found.columns_to_add)}")
    if found.held_by:
        lines.append("A run would be refused until the file is closed there; --dry-run would not")
    lines.append(
        f"A run would validate {found.waiting:,} strategies with {found.outcome_keys:,} outcome keys"
        if found.waiting
        else f"A run would do nothing: there are no {found.selection.strategies}"
    )
    return "\n".join(map(plain, lines))
