"""Reading outcomes by where they lie: rows that follow one another are read as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb
import numpy as np

from dask_validator.model import Excursions, Extent, Outcomes
from dask_validator.store.fetched import doubles

MOST_BETWEEN, MOST_AT_ONCE = 50_000, 1_000_000  # rows: read in vain rather than with another query; in one query


def spans(extents: Mapping[int, Extent]) -> Iterator[dict[int, Extent]]:
    """Cut where more rows lie in between than are worth another query."""
    span: dict[int, Extent] = {}
    first = end = 0
    for i, extent in sorted(extents.items(), key=lambda item: item[1].first):
        if span and (extent.first - end > MOST_BETWEEN or extent.last - first > MOST_AT_ONCE):
            yield span
            span = {}
        first = first if span else extent.first
        span[i], end = extent, extent.last
    if span:
        yield span


Arrange = Callable[[Outcomes], Outcomes]


def as_outcomes(columns: Mapping[str, Any]) -> Outcomes:
    """What a query of outcomes has yielded, in its order."""
    excursions = None
    if "mae_r" in columns:
        excursions = Excursions(*(doubles(columns[name]) for name in Excursions._fields))
    return Outcomes(np.asarray(columns["day"]), np.asarray(columns["code"]), doubles(columns["pnl_r"]), excursions)


def by_day(outcomes: Outcomes) -> Outcomes:
    """Nearly every table keeps them so."""
    if (np.diff(outcomes.days) > 0).all():
        return outcomes
    # The first two only order several outcomes of one day, which a table without a primary key can hold.
    return outcomes.take(np.lexsort((outcomes.pnl_r, outcomes.code, outcomes.days)))


def read_span(
    connection: duckdb.DuckDBPyConnection, query: str, span: Mapping[int, Extent], arrange: Arrange = by_day
) -> dict[int, Outcomes]:
    """Neighbours in one query, which gets first and last row, and yields row, day, pnl_r and code."""
    first, last = min(extent.first for extent in span.values()), max(extent.last for extent in span.values())
    columns = connection.execute(query, [first, last]).fetchnumpy()
    row, outcomes = np.asarray(columns["row"]), as_outcomes(columns)
    if not (np.diff(row) > 0).all():
        order = np.argsort(row)
        row, outcomes = row[order], outcomes.take(order)
    starts = np.searchsorted(row, [extent.first for extent in span.values()]).tolist()
    ends = np.searchsorted(row, [extent.last for extent in span.values()], side="right").tolist()
    edges = zip(span, starts, ends, strict=True)
    # Taken, and not cut out, so that what was read in vain does not stay in memory.
    return {i: arrange(outcomes.take(np.arange(start, end))) for i, start, end in edges}
