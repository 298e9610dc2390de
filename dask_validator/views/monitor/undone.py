"""What was taken back, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_validator.store.undo import Undone


def render(undone: Undone) -> str:
    """What is as it was, and what stays."""
    counts = {
        "strategies as they were": undone.strategies,
        "setups as they were": undone.setups_restored,
        "setups gone, which it had made": undone.setups_deleted,
    }
    lines = [f"Run {undone.run_id} of {undone.instrument} is undone"]
    lines += [f"  {label:<32}{count:>9,}" for label, count in counts.items()]
    stays = "Its lines in the JSONL stay"
    return "\n".join([*lines, f"{stays}, and its line in {undone.run_log}" if undone.run_log else stays])
