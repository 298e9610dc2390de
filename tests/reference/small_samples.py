"""Other numbers for small samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .settings import Settings

REPLACED = (
    "min_trades_per_year", "wf_min_trades", "wf_min_windows", "wf_window_trades", "wf_train_trades",
)  # fmt: skip


def in_use(settings: Settings, row: Mapping[str, Any]) -> Settings:
    """The settings that judge this row; what is not given for small samples stays (rules.md, section 9)."""
    sample_size = row["sample_size"] if row["sample_size"] is not None else 0
    if not sample_size < settings.small_sample:
        return settings
    changed = {}
    for name in REPLACED:
        small = getattr(settings, f"small_{name}")
        if small is not None:
            changed[name] = small
    return replace(settings, **changed)
