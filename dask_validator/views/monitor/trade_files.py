"""What a trade log holds, for the terminal."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dask_validator.wording.harmless import plain

if TYPE_CHECKING:
    from dask_validator.trade_files.bad_rows import BadRows
    from dask_validator.trade_files.examination import Examination

UNITS = {"r": "R", "return": "per cent", "money": "money"}
_NAMED = 5  # strategies, of those that would be FAILED
_FILES = 3


def examined(found: Examination) -> str:
    """What an import would find, a line each."""
    reading = found.reading
    lines = [
        f"{_files(reading.files)}: {reading.format}",
        f"  strategies   {found.strategies:>12,}",
        f"  trades       {found.trades:>12,}",
        f"  days         {found.days:>12,}  ({found.first_day} to {found.last_day})",
        f"  results in {UNITS[reading.unit]}; days by {_clock(reading.timezone)}",
        *(f"  {remark}" for remark in reading.remarks),
        *(f"  {bad(kind)}" for kind in reading.bad),
        *(f"  {strategy} would be FAILED: {why}" for strategy, why in islice(found.refused.items(), _NAMED)),
    ]
    if len(found.refused) > _NAMED:
        lines.append(f"  and {len(found.refused) - _NAMED:,} more strategies would be FAILED")
    return "\n".join(map(plain, lines))


def bad(kind: BadRows) -> str:
    """One kind of bad rows, with the first of them."""
    what = "kept" if kind.kept else "left out"
    return f"{kind.rows:,} {what}: {kind.reason} (first: {kind.first})"


def _files(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _FILES:,} more" if len(names) > _FILES else ""
    return ", ".join(names[:_FILES]) + more


def _clock(zone: str) -> str:
    return "their dates as written (no zone is named)" if zone == "as written" else f"the clock of {zone}"
