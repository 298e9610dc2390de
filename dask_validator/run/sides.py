"""A run that is still in memory, as it is compared with others."""

from __future__ import annotations

from dask_validator.rules.differences import Side, side_of
from dask_validator.run.instruments import kept_costs
from dask_validator.run.outcome import Outcome
from dask_validator.store.sides import with_hashes


def side_now(outcome: Outcome) -> Side:
    """With what it was made of, as long as that is still there."""
    side, order, seen = side_of(outcome.verdicts), outcome.order, outcome.seen
    side = side._replace(costs=order.costs if order else kept_costs(outcome.summary))
    if order is None or seen is None or order.database.file_state() != seen.file:
        return side
    return with_hashes(order.database.path, side, seen)
