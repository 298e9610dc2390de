"""What an import has read and written, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_validator.views.monitor.trade_files import bad
from dask_validator.wording.harmless import plain

if TYPE_CHECKING:
    from dask_validator.run.importing import Imported

_NAMED = 5  # strategies that are FAILED


def imported(found: Imported) -> str:
    """A line each."""
    reading, changes = found.reading, found.changes
    span = f" ({found.days[0]} to {found.days[1]})" if found.days else ""
    counts = [
        f"{count:,} {what}"
        for count, what in (
            (changes.new, "new"),
            (changes.changed, "changed, waiting again"),
            (changes.unchanged, "unchanged"),
            (changes.aliases, "with the trades of another (aliases)"),
            (changes.gone, f"gone from the source, {changes.retired:,} setups retired"),
        )
        if count
    ]
    lines = [
        f"Imported into {found.db} as {found.instrument}: {reading.format}",
        f"  {found.trades:,} trades of {found.strategies:,} strategies{span}, results in {found.unit}",
        f"  strategies: {'; '.join(counts)}",
        *(f"  {remark}" for remark in reading.remarks),
        *(f"  {bad(kind)}" for kind in reading.bad),
        *(f"  FAILED {name}: {reason}" for name, reason in list(found.refused.items())[:_NAMED]),
    ]
    if len(found.refused) > _NAMED:
        lines.append(f"  and {len(found.refused) - _NAMED:,} more FAILED")
    if found.without_costs:
        lines.append(
            f"  phase 4 will not be judged for {found.without_costs:,} strategies: no costs given "
            "(a column cost, or --cost-per-trade X)"
        )
    return "\n".join(map(plain, lines))
