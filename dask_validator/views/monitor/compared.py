"""Two runs compared, for the terminal: totals first, then why, then strategy by strategy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from dask_validator.explanation.changes import Change, costs_changed, flag_change, verdict_text
from dask_validator.explanation.comparison import Comparison
from dask_validator.rules.gates import GATES, POSITION
from dask_validator.views.monitor.folding import wrapped
from dask_validator.wording.harmless import plain

MOST = {"gained": 5, "lost": 5, "moved": 3, "shifted": 3}  # strategies that are shown
REASONS = 10
KINDS = {
    "gained": "gained: pass now",
    "lost": "lost: passed before",
    "moved": "moved: to another phase",
    "shifted": "shifted: to another gate, same phase",
}


def render(found: Comparison, *, to_file: bool = False) -> str:
    """The whole comparison, 80 columns wide but for names that are longer; `to_file`: all of it goes to one."""
    lines = [*_head(found), "", *_table(found), *_why(found.changed)]
    for kind, of_kind in groupby(found.changed, key=lambda change: change.kind):
        lines += _strategies(kind, list(of_kind), "the file of --csv" if to_file else "--csv PATH")
    return "\n".join(map(plain, lines))


def _head(found: Comparison) -> Iterator[str]:
    yield f"{found.before.instrument}: before, {found.before.name};"
    yield f"  after, {found.after.name}"
    inputs = found.found.inputs
    flags = [flag_change(name, pair) for name, pair in inputs.flags.items()]
    yield from wrapped(f"Flags that differ: {', '.join(flags) or 'none'}")
    if inputs.costs:
        yield from wrapped(f"Costs that differ: {', '.join(costs_changed(inputs.costs))}")
    yield from wrapped(f"Data that differ: {', '.join(_data(found)) or 'none'}")
    for text in found.untold:
        yield from wrapped(text)


def _data(found: Comparison) -> Iterator[str]:
    for name in ("rows", "outcomes"):
        if (count := found.inputs[name]) is None:
            yield f"{name}: unknown"
        elif count:
            yield f"{name} of {count:,} strategies"
    if found.inputs["daily_features"] is not False:
        yield f"daily_features{': unknown' if found.inputs['daily_features'] is None else ''}"


def _table(found: Comparison) -> Iterator[str]:
    totals = found.totals
    yield f"  {'':<38}{'before':>12}{'after':>12}"
    for name in ("strategies", "passed"):
        yield f"  {name:<38}{totals['before'][name]:>12,}{totals['after'][name]:>12,}"
    for side, name in (("only_before", "only in the run before"), ("only_after", "only in the run after")):
        if count := totals[side]["strategies"]:
            cells = ("", f"{count:,}") if side == "only_after" else (f"{count:,}", "")
            yield f"  {name:<38}{cells[0]:>12}{cells[1]:>12}, {totals[side]['passed']:,} passed"
    if not totals["in_both"]:
        yield "  no strategy is in both: a run takes those that wait. --dry-run in place of the"
        yield "  second run judges those of the first anew"
        return
    yield f"  {'in both':<38}{totals['in_both']:>24,}"
    for kind, name in KINDS.items():
        yield f"    {name:<36}{totals[kind]:>24,}"
    yield f"    {'as before':<36}{totals['same']:>24,}"
    if others := totals["same_with_other_numbers"]:
        yield f"      {'of them with other numbers':<34}{others:>24,}"


def _why(changed: Sequence[Change]) -> Iterator[str]:
    """What has changed how many verdicts."""
    counts = Counter((change.kind, change.why) for change in changed)
    if counts:
        yield ""
        yield "Why"
    shown = counts.most_common(REASONS)
    for (kind, why), count in shown:
        yield from wrapped(f"{count:,} {kind}: {why}", first="  ", then="    ")
    if len(counts) > len(shown):
        yield f"  and {len(counts) - len(shown):,} more reasons"


def _strategies(kind: str, changed: Sequence[Change], whole: str) -> Iterator[str]:
    yield ""
    yield f"{KINDS[kind][0].upper()}{KINDS[kind][1:]}"
    for change in changed[: MOST[kind]]:
        yield f"  {change.strategy_id}"
        yield from wrapped(f"{_way(change)}: {change.why}", first="    ", then="      ")
        yield from wrapped(change.decided, first="    ", then="      ")
    if len(changed) > MOST[kind]:
        yield f"  and {len(changed) - MOST[kind]:,} more; {whole} has all"


def _way(change: Change) -> str:
    if change.kind == "shifted":
        gates = (GATES[POSITION[name]].label for name in (change.before_gate, change.after_gate) if name)
        return f"phase {change.after_phase}, {' -> '.join(gates)}"
    ends = ((change.before, change.before_phase), (change.after, change.after_phase))
    return " -> ".join(verdict_text(*end) for end in ends)
