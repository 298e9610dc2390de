"""Reading outcomes by where they lie: rows that follow one another are read as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.model import Extent, Outcomes
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


Arrange = Callable[[NDArray[np.int32], NDArray[np.uint8], NDArray[np.float64]], Outcomes]


def by_day(days: NDArray[np.int32], code: NDArray[np.uint8], pnl_r: NDArray[np.float64]) -> Outcomes:
    """Nearly every table keeps them so."""
    if not (np.diff(days) > 0).all():
        # The first two only order several outcomes of one day, which a table without a primary key can hold.
        order = np.lexsort((pnl_r, code, days))
        days, code, pnl_r = days[order], code[order], pnl_r[order]
    return Outcomes(days, code, pnl_r)


def read_span(
    connection: duckdb.DuckDBPyConnection, query: str, span: Mapping[int, Extent], arrange: Arrange = by_day
) -> dict[int, Outcomes]:
    """Neighbours in one query, which gets first and last row, and yields row, day, pnl_r and code."""
    first, last = min(extent.first for extent in span.values()), max(extent.last for extent in span.values())
    columns = connection.execute(query, [first, last]).fetchnumpy()
    row, days, code = (np.asarray(columns[name]) for name in ("row", "day", "code"))
    pnl_r = doubles(columns["pnl_r"])
    if not (np.diff(row) > 0).all():
        order = np.argsort(row)
        row, days, code, pnl_r = row[order], days[order], code[order], pnl_r[order]
    starts = np.searchsorted(row, [extent.first for extent in span.values()]).tolist()
    ends = np.searchsorted(row, [extent.last for extent in span.values()], side="right").tolist()
    edges = zip(span, starts, ends, strict=True)
    # Copied, so that what was read in vain does not stay in memory.
    return {i: arrange(days[s:e].copy(), code[s:e].copy(), pnl_r[s:e].copy()) for i, s, e in edges}
