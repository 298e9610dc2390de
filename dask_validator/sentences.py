"""What is said of a run's numbers, worded once for terminal, notebook, report and live page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def discoveries(fdr: Mapping[str, int]) -> tuple[str, str]:
    """What the p-values say after correction, of all and of those that passed.

    Runs of earlier versions have counted both directions together.
    """
    if "earning" not in fdr:
        differ = "have a mean R that differs from zero significantly (BH, two-sided, 5 %)"
        return (
            f"{fdr['significant']:,} of {fdr['tested']:,} {differ}",
            f"{fdr['passed_significant']:,} of them passed in this run",
        )
    return (
        f"{fdr['earning']:,} of {fdr['tested']:,} earn significantly (BH, one-sided, 5 %); "
        f"{fdr['losing']:,} lose significantly",
        f"{fdr['passed_earning']:,} of those that earn passed in this run",
    )


def unknown_filters(summary: Mapping[str, Any]) -> str:
    """A doubt about some of the promotions, empty where there is none; runs of earlier versions have counted none."""
    count = (summary.get("walkforward") or {}).get("passed_on_unknown_filters", 0)
    return f"{count:,} of {summary['passed']:,} passed on unknown filters, taken as every day" if count else ""
