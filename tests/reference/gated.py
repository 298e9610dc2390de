"""Which rows the eras and the holdout judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .settings import Settings


def is_gated(row: Mapping[str, Any], settings: Settings) -> bool:
    """Whether phases 9 and 10 apply to the row (rules.md, section 9)."""
    only = settings.gates_only
    if only is None:
        return True
    if row[only.not_null] is None or row["created_at"] is None:
        return False
    return bool(row["created_at"] > only.created_after)
