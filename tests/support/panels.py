"""Panels of strategies by day: of a database, and written out by hand."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, vstack

from dask_validator.config import RunConfig
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.run.instruments import costs_of
from dask_validator.sources.chosen import source_of
from dask_validator.store.database import Database
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.store.selection import CANONICAL
from dask_validator.system.same_file import identity
from dask_validator.universe.calendars import Observed, joined
from dask_validator.universe.cells import Taken, cut
from dask_validator.universe.panel import panel
from dask_validator.universe.payoffs import payoffs
from dask_validator.work.observing import Look, Observing, observed
from dask_validator.work.piece import Group
from dask_validator.work.work import Where, filters_of


def dense(rows: ArrayLike) -> Any:
    """A panel whose strategies trade every day, days that pay nothing included."""
    values = np.asarray(rows, dtype=np.float64)
    strategies, days = values.shape
    starts = np.arange(strategies + 1) * days
    return csr_matrix((values.ravel(), np.tile(np.arange(days), strategies), starts), shape=values.shape)


class Universe(NamedTuple):
    """All canonical strategies of a database, in order of strategy_id."""

    observed: Observed
    panel: Any  # csr_matrix of shape (n_strategies, n_days)


def universe_of(path: Path, instrument: str) -> Universe:
    """Read a database as a calibration does, without a cluster."""
    database, rules = Database(path, source_of(path), CANONICAL), RunConfig().window_rules
    with database.kept_open():
        facts, config = database.read_facts(instrument), RunConfig()
        reading = Reading(vocabulary_of(config, facts.catalogue), facts.catalogue, costs_of(instrument), config.seasons)
        groups = _groups(database, instrument, reading)
        sessions = database.read_session_days(instrument, filters_of(groups), reading)
        where = Where({}, sessions, database.source, instrument, identity(str(path)), KNOWN_COSTS[instrument])
        days = database.read_days(instrument)
        sums, rows = [], []
        for task in Observing(where, rules, days, with_panel=False).tasks(groups, 1, carried=False):
            for group, of_group in task.piece.read():
                ids = [look.strategy_id for look in group.requests]
                masks = [of_group.taken(look.strategy_id, look.filter) for look in group.requests]
                paid = payoffs(of_group.outcomes, days)
                of_key = cut(of_group.outcomes, days, [Taken(mask, mask) for mask in masks], rules)
                sums.append(observed(ids, of_key, paid))
                rows.append(panel(of_key.rows(), paid.pay))
    together = joined(sums)
    by_id = np.argsort(np.array(together.ids, dtype=object), kind="stable")
    return Universe(together.of(by_id), vstack(rows, format="csr")[by_id])


def _groups(database: Database, instrument: str, reading: Reading) -> list[Group]:
    by_key: dict[Any, list[Look]] = {}
    for row in chain.from_iterable(database.read_waiting(instrument, reading.catalogue)):
        selecting = reading.vocabulary.chosen(str(row.filter_type), row.filter_params).filter
        by_key.setdefault(row.outcome_key, []).append(Look(row.strategy_id, selecting, None, row.sample_size))
    return [Group(key, tuple(looks)) for key, looks in by_key.items()]
