"""What is said of a run's numbers, worded once for terminal, notebook, report and live page."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from dask_validator.wording.harmless import plain

SAME_TRADES = (
    "Nothing is trained here, and nothing was kept aside: the test windows hold trades that the strategies were chosen "
    "by. Phases 2 to 4 look at the whole history, and so did whoever made the backtest. To pass says that a strategy "
    "earned in most windows of its own backtest; out of sample are only days after the last one in the data. The "
    "p-values use mostly the same trades: a pass that is significant as well is two readings of one record, not two "
    "independent reasons."
)
MOST_COLUMNS = 20  # that are named
RESIDUE = 0.25  # in |Sharpe| * n * eps: equal R leaves more than 1; a million trades that differ by 0.0001 R, 0.01


def listed(names: Sequence[str], most: int) -> str:
    """At most so many of them, and how many more there are."""
    hidden = len(names) - most
    return ", ".join(names[:most]) + (f" and {hidden:,} more" if hidden > 0 else "")


def of_them(count: int, one: str, more: str) -> str:
    """So many, in the right number: 1 task, 2 tasks."""
    return f"{count:,} {one if count == 1 else more}"


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


def p_text(p_value: float | None) -> str:
    """A p-value as it is shown everywhere; empty where there is none."""
    if p_value is None:
        return ""
    return "<1e-6" if p_value < 1e-6 else f"{p_value:.6f}"  # adjusted ones are stored with six decimals


def taken_back(run_id: str) -> str:
    """What is to be known first of a run that was undone."""
    return f"Run {run_id} was undone: its verdicts were taken back and no longer stand in the database"


def screened(waiting: int, to_compute: int, only_seasons: int) -> str:
    """How many of the strategies go on after phases 1-5, and what for."""
    kinds = {"walk forward": to_compute - only_seasons, "go on only for their seasons": only_seasons}
    goes_on = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    return f"Screened {of_them(waiting, 'strategy', 'strategies')}: {goes_on or 'none goes on'}"


def unknown_filters(summary: Mapping[str, Any]) -> str:
    """A doubt about some of the promotions, empty where there is none; runs of earlier versions have counted none."""
    count = (summary.get("walkforward") or {}).get("passed_on_unknown_filters", 0)
    return f"{count:,} of {summary['passed']:,} passed on unknown filters, taken as every day" if count else ""


def not_judged(summary: Mapping[str, Any]) -> str:
    """A phase of which nothing was asked, empty where there is none."""
    count = summary.get("cost_stress_not_judged", 0)
    return f"cost stress: not judged, no costs given ({of_them(count, 'strategy', 'strategies')})" if count else ""


def unit_of(summary: Mapping[str, Any]) -> str:
    """The unit of the results of trades."""
    return str(summary.get("unit", "R"))


def shown_sharpe(trades: int, sharpe: float | None) -> float | None:
    """A Sharpe ratio per trade to show: None also where the deviation is but what rounding has left of equal R.

    A mean of n values is off by up to n units of the last place, and so is each deviation from it.
    """
    if sharpe is None or abs(sharpe) * trades * sys.float_info.epsilon > RESIDUE:
        return None
    return sharpe


def unset_defaults(defaults: Mapping[str, str]) -> list[str]:
    """A sentence for columns of a setup that the user's table fills in, whatever the strategy is: none without any."""
    if not defaults:
        return []
    named = plain(listed([f"{name} ({default})" for name, default in defaults.items()], MOST_COLUMNS))
    return [f"no rule says what new setups have in {named}: the table's default decides; say it in [promotion]"]
