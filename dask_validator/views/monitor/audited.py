"""An audit of what was promoted, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dask_validator.explanation.audit import NO_NUMBER, Audit, Drifted
from dask_validator.views.monitor.folding import wrapped
from dask_validator.wording.harmless import plain
from dask_validator.wording.sentences import listed

MOST, DETAILS = 20, 6  # setups that are shown, and differences of each
_NAMES = {
    "active": "active setups",
    "as_promoted": "as they were promoted",
    "differing": "differ",
    "data_only": "other data, but no number of theirs differs",
    "gone": "without their strategy",
    "not_computed": "cannot be computed again",
    "unpromoted": "promoted by no run of ours, not looked at",
}


def render(found: Audit) -> str:
    """Counts, then what differs, setup by setup."""
    lines = [f"{count:>10,}  {_NAMES[name]}" for name, count in found.totals.items() if count or name == "active"]
    for run in found.runs:
        for text in (*run.remarks, *([run.refused] if run.refused else [])):
            lines += wrapped(f"Run {run.run_id}: {text}")
    lines += _setups([each for each in found.drifted if each.what != (NO_NUMBER,)])
    lines += _named("Other data, but no number differs", [each for each in found.drifted if each.what == (NO_NUMBER,)])
    lines += _ids("Without their strategy", [strategy_id for strategy_id, _ in found.gone])
    lines += _ids("Promoted by no run of ours", [setup.strategy_id for setup in found.unpromoted])
    return "\n".join(map(plain, lines))


def _setups(drifted: Sequence[Drifted]) -> Iterator[str]:
    if drifted:
        yield ""
        yield "What differs"
    for each in drifted[:MOST]:
        yield f"  {each.strategy_id} (run {each.run_id})"
        yield from wrapped(
            f"{', '.join(each.what)}; changed: {', '.join(each.causes) or 'nothing known'}", "    ", "      "
        )
        for text in each.details[:DETAILS]:
            yield from wrapped(text, "      ", "        ")
        if len(each.details) > DETAILS:
            yield f"      and {len(each.details) - DETAILS:,} more; --json has all"
    if len(drifted) > MOST:
        yield f"  and {len(drifted) - MOST:,} more; --json has all"


def _named(title: str, drifted: Sequence[Drifted]) -> Iterator[str]:
    by_cause: dict[tuple[str, ...], list[str]] = {}
    for each in drifted:
        by_cause.setdefault(each.causes, []).append(each.strategy_id)
    for causes, ids in by_cause.items():
        yield from _ids(f"{title}: {', '.join(causes)}", ids)


def _ids(title: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        yield ""
        yield f"{title}: {len(ids):,}"
        yield from wrapped(listed(ids, MOST), "  ", "    ")
