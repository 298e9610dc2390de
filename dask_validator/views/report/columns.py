"""The columns of the table of promoted strategies: where there is no room for all, the least important give way.

What gives way is in the row that opens, and in the CSV.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

NAME, NARROW_NAME, NARROW = 194, 130, 560  # pixels of the first column; of tables narrower than that


class Column(NamedTuple):
    """One column; `below` is the width of the table, in pixels, from which on there is room for it."""

    name: str
    kind: str  # CSS class
    field: str  # of `tables.Listed`
    width: int  # pixels; 0: what is left
    below: int = 0


def columns(shown: Collection[str], unit: str) -> Sequence[Column]:
    """Those with a value in some row, in their order."""
    there = [column for column in _columns(unit) if column.field in shown]
    used, below = 0, {}
    for column in sorted(there, key=lambda column: _BY_IMPORTANCE.index(column.field)):
        used += column.width
        name = NARROW_NAME if used + NARROW_NAME < NARROW else NAME
        below[column.field] = used + name if column.width else 0
    return [column._replace(below=below[column.field]) for column in there]


_BY_IMPORTANCE = (
    *("strategy_id", "oos_exp_r", "valid", "oos_trades", "adjusted_p", "z", "luck_bound", "stepm_p", "twins"),
    *("symbols", "sides", "session", "filter_type", "season", "cumulative", "rr_target"),
    *("p_value", "sample_size", "expectancy_r"),
)


def _columns(unit: str) -> Sequence[Column]:
    return (
        Column("strategy", "", "strategy_id", 0),
        Column("symbol", "", "symbols", 84),
        Column("side", "", "sides", 70),
        Column("session", "", "session", 96),
        Column("filter", "", "filter_type", 104),
        Column("RR", "n", "rr_target", 40),
        Column("trades", "n", "sample_size", 58),
        Column(f"{unit}, all trades", "n", "expectancy_r", 62),
        Column(f"{unit}, test windows", "n", "oos_exp_r", 70),
        Column(f"{unit}, cumulative", "n", "cumulative", 80),
        Column("test trades", "n", "oos_trades", 58),
        Column("positive windows", "n", "valid", 72),
        Column("p", "n", "p_value", 74),
        Column("adjusted p", "n", "adjusted_p", 84),
        Column("z", "n", "z", 50),
        Column("luck, at most", "n", "luck_bound", 66),
        Column("step-down p", "n", "stepm_p", 74),
        Column("twins", "n", "twins", 48),
        Column("season", "", "season", 100),
    )
