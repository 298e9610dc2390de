"""Of the strategies that a report lists: who are twins, what they came to over time, and what filters of the table say.

Twins share their curve, which is thinned: the numbers beside it are of all trades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dask_validator.config import flag
from dask_validator.model import Status
from dask_validator.promoted.equity import Equity, equity
from dask_validator.promoted.trades import Trades
from dask_validator.promoted.twins import Twins, twins
from dask_validator.rules.sensitivity import sensitivities
from dask_validator.rules.verdicts import Verdicts
from dask_validator.views.report.distributions import round_step
from dask_validator.views.report.tables import Listed

PARTS = 160  # of the time from the first trade to the last: a curve has a value at the end of each
STEPS = 2_000  # a curve is drawn in so many steps of its height, or up to twice as many
FEW = 3  # chips that need no lid


class Promoted(NamedTuple):
    """What was promoted, as far as it is listed.

    Attributes
    ----------
    groups
        Of twins, the largest first; those without a twin are groups of one.
    curves
        Of each group; None without a win or a loss.
    group
        By `strategy_id`, the position of its group.
    lost
        By `strategy_id`, why there are no trades to be shown.
    """

    groups: Sequence[Twins] = ()
    curves: Sequence[Equity | None] = ()
    group: Mapping[str, int] = {}
    lost: Mapping[str, str] = {}

    @property
    def with_twins(self) -> Sequence[Twins]:
        """Groups of more than one."""
        return [group for group in self.groups if len(group.members) > 1]

    def members(self, strategy_id: str) -> Sequence[str]:
        """The group of a strategy, empty where its trades are not known."""
        return self.groups[self.group[strategy_id]].members if strategy_id in self.group else ()


def promoted(taken: Iterable[tuple[str, Trades | str]]) -> Promoted:
    """From the trades of each, or why there are none."""
    lost: dict[str, str] = {}
    known: dict[str, Trades] = {}
    for strategy_id, trades in taken:
        if isinstance(trades, str):
            lost[strategy_id] = trades
        else:
            known[strategy_id] = trades
    groups = twins((strategy_id, trades.counted) for strategy_id, trades in known.items())
    curves = [equity(known[group.representative], PARTS) for group in groups]
    return Promoted(groups, curves, {name: i for i, group in enumerate(groups) for name in group.members}, lost)


def compact(curve: Equity | None) -> dict[str, Any] | None:
    """As the page gets it: differences from value to value, in whole steps."""
    if curve is None:
        return None
    step = round_step(float(np.ptp(np.append(curve.values, 0.0))) / STEPS)
    steps = np.rint(curve.values / step).astype(np.int64)
    found = {"first": curve.first, "last": curve.last, "step": step, "values": np.diff(steps, prepend=0).tolist()}
    return {**found, "total": round(curve.total, 4), "fall": round(curve.fall, 4)}


class Facet(NamedTuple):
    """One thing by which rows can be picked: its chips, each with the number of its rows."""

    title: str
    chips: Sequence[tuple[str, int]]
    of_row: Sequence[Sequence[int]]  # by row, the positions of its chips

    @property
    def has_lid(self) -> bool:
        """Whether its chips are too many to lie open."""
        return len(self.chips) > FEW


def facets(listed: Sequence[Listed], found: Promoted, threads: Sequence[Thread]) -> list[Facet]:
    """Those that tell rows apart."""
    sessions = [row.session.rpartition(" ") for row in listed]
    falls: dict[str, list[str]] = {}
    for thread in threads:
        for strategy_id in thread.fallen:
            falls.setdefault(strategy_id, []).append(f"{thread.flag} {thread.tightened:g}")
    columns: dict[str, list[Sequence[str]]] = {
        "Session": [[label] if label else [] for label, _, _ in sessions],
        "Opening range": [[minutes] if label else [] for label, _, minutes in sessions],
        "Filter": [[row.filter_type] if row.filter_type else [] for row in listed],
        "Symbol": [row.symbols.split(", ") if row.symbols else [] for row in listed],
        "Side": [row.sides.split(", ") if row.sides else [] for row in listed],
        "Significance": [_significance(row) for row in listed],
        "Twins": [_twins(row.strategy_id, found) for row in listed],
        "Hangs by a thread": [falls.get(row.strategy_id, []) for row in listed],
    }
    made = (_facet(title, column) for title, column in columns.items())
    return [facet for facet in made if any(count < len(listed) for _, count in facet.chips)]


def _significance(row: Listed) -> Sequence[str]:
    if row.adjusted_p is None:
        return []
    return ["significant" if row.significant else "not significant"]


FIRST_OF_TWINS = "one of each group"


def _twins(strategy_id: str, found: Promoted) -> Sequence[str]:
    members = found.members(strategy_id)
    if not found.with_twins or not members:
        return []
    first = [FIRST_OF_TWINS] if members[0] == strategy_id else []
    return [*first, "has twins" if len(members) > 1 else "has none"]


def _facet(title: str, column: Sequence[Sequence[str]]) -> Facet:
    counts = Counter(value for values in column for value in values)
    names = sorted(counts, key=lambda name: (_minutes(name), name))
    place = {name: i for i, name in enumerate(names)}
    return Facet(title, [(name, counts[name]) for name in names], [[place[value] for value in row] for row in column])


def _minutes(name: str) -> int:
    """So that 5m comes before 15m."""
    return int(name[:-1]) if name.endswith("m") and name[:-1].isdecimal() else 0


def with_twins(listed: Sequence[Listed], found: Promoted) -> list[Listed]:
    """The rows, each with the number of its twins where it has some."""
    return [
        row._replace(twins=len(found.members(row.strategy_id)) - 1 or None) if found.group else row for row in listed
    ]


class Thread(NamedTuple):
    """A flag, and the promotions that hang by it.

    Attributes
    ----------
    flag
        As on the command line.
    value, tightened
        As it is, and a tenth tighter.
    fallen
        Promoted strategies that fall then.
    points
        Value and promotions, at least, from half the value to half as much again.
    """

    flag: str
    value: float
    tightened: float
    fallen: Sequence[str]
    points: Sequence[tuple[float, int]]


def threads(verdicts: Verdicts) -> list[Thread]:
    """Of each flag that can be tightened, the one by which most promotions hang first."""
    return [
        Thread(
            flag(one.flag),
            one.value,
            one.tightened,
            [verdicts.ids[i] for i in one.fallen.tolist()],
            [(point.value, point.promoted) for point in one.curve],
        )
        for one in (sensitivities(verdicts) if len(verdicts.of(Status.PASSED)) else [])
        if one.tightened is not None
    ]
