"""A comparison as a table: a row for each strategy with another verdict, and for each that one run alone has judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dask_validator.explanation.comparison import COLUMNS, Comparison, as_row, verdicts_of


def rows_of(found: Comparison) -> Iterator[list[Any]]:
    """By COLUMNS; None where a strategy has no such value."""
    yield from map(as_row, found.changed)
    yield from _alone(found)


def _alone(found: Comparison) -> Iterator[list[Any]]:
    for when, side in (("before", found.only_before), ("after", found.only_after)):
        for strategy_id, verdict, phase, gate in verdicts_of(side):
            known: dict[str, Any] = {"strategy_id": strategy_id, "kind": f"only_{when}", when: verdict}
            known |= {f"{when}_phase": phase, f"{when}_gate": gate}
            yield [known.get(name) for name in COLUMNS]
