"""The trades that strategies take, read again from the database: by the filters and flags of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import UnusableStrategy
from dask_validator.model import UNKNOWN, OutcomeKey, Request, Walked
from dask_validator.promoted.trades import Trades, trades_of
from dask_validator.rules.candidates import request_of, unusable_days
from dask_validator.sources.trade_log import read_told
from dask_validator.store.connection import read
from dask_validator.store.filter_days import Reading, vocabulary_of
from dask_validator.store.results import read_outcomes_hashes
from dask_validator.store.selection import Selection
from dask_validator.system.same_file import identity
from dask_validator.work.piece import Group, GroupDays, Piece
from dask_validator.work.walkforward import rules_of
from dask_validator.work.work import filters_of

if TYPE_CHECKING:
    from dask_validator.filters.vocabulary import Vocabulary
    from dask_validator.rules.verdicts import Verdicts
    from dask_validator.run.order import Order
    from dask_validator.store.reader import Facts

AT_ONCE = 256  # outcome keys that are in memory together
GONE = "its row is no longer there"
CHANGED = "its outcomes, its row, or the days of its filter are no longer those of the run"


def piece_of(order: Order, groups: Sequence[Group], reading: Reading) -> Piece:
    """These groups, to be read in this process or another one of this machine."""
    source = order.database.source
    part = source.part(order.instrument, [None] * len(groups), identity(str(source.path)))
    sessions = order.database.read_session_days(order.instrument, filters_of(groups), reading)
    return Piece(tuple(groups), sessions, part, order.costs)


class Known(NamedTuple):
    """What a run knows of its trades; other ones are not those of the run."""

    walked: Mapping[str, Walked | None]  # by `strategy_id`, what walk-forward made of them, as far as it looked
    hashes: Mapping[str, int] = MappingProxyType({})  # of the outcomes of its key, of a run that is committed

    @classmethod
    def of(cls, order: Order, verdicts: Verdicts, positions: Iterable[int], run_id: str | None) -> Known:
        """These strategies, in a run that is committed under that name, or in none."""
        walked = {verdicts.ids[i]: verdicts.walked[i] for i in positions}
        if run_id is None:
            return cls(walked)
        path = order.database.path
        return cls(walked, read(path, lambda connection: read_outcomes_hashes(connection, run_id, list(walked))))


def taken(order: Order, known: Known) -> Iterator[tuple[str, Trades | str]]:
    """The trades of each strategy that is known, in no order; a text says why there are none to be had.

    Raises
    ------
    InputError
        The database cannot be read.
    """
    with order.database.kept_open():
        facts = order.database.read_facts(order.instrument)
        reading = Reading(
            vocabulary_of(order.config, facts.catalogue), facts.catalogue, order.costs, order.config.seasons
        )
        requests, unusable = _requests(order, facts, reading.vocabulary, known.walked)
        yield from unusable.items()
        hashes = _hashes(order) if known.hashes else {}
        groups = [Group(key, tuple(of_key)) for key, of_key in requests.items()]
        for first in range(0, len(groups), AT_ONCE):
            for group, days in piece_of(order, groups[first : first + AT_ONCE], reading).read():
                now = hashes.get(group.key.stored)
                for request in group.requests:
                    is_same = known.hashes.get(request.strategy_id) in (None, now)
                    yield request.strategy_id, _of_run(order, request, days, known) if is_same else CHANGED


def _requests(
    order: Order, facts: Facts, vocabulary: Vocabulary, ids: Iterable[str]
) -> tuple[dict[OutcomeKey, list[Request]], dict[str, str]]:
    """By key, what picks the days of each strategy; by `strategy_id`, why nobody knows them."""
    requests: dict[OutcomeKey, list[Request]] = {}
    unusable = dict.fromkeys(ids, GONE)
    named = replace(order.database, selection=Selection("all", tuple(unusable)))
    with closing(named.read_waiting(order.instrument, facts.catalogue)) as rows:
        for row in chain.from_iterable(rows):
            if (reason := unusable_days(row, vocabulary, replays=facts.replays_stops)) is not None:
                unusable[row.strategy_id] = reason
                continue
            del unusable[row.strategy_id]
            request = request_of(row, order.config, vocabulary, None, walkforward=True)
            requests.setdefault(row.outcome_key, []).append(request)
    return requests, unusable


def _hashes(order: Order) -> Mapping[OutcomeKey, int]:
    """Of the outcomes of each key as they are now."""
    source, instrument = order.database.source, order.instrument
    return read(order.database.path, lambda connection: source.survey(connection, instrument)).hashes


def _of_run(order: Order, request: Request, days: GroupDays, known: Known) -> Trades | str:
    usual, of_small = rules_of(order.config)
    rules, windows = of_small if request.is_small else usual, not order.config.no_walkforward
    try:
        [selecting] = request.filters()
        mask = days.taken(request.strategy_id, selecting)
        trades = trades_of(days.outcomes, mask, rules, windows=windows)
    except UnusableStrategy as error:
        return str(error)
    then = known.walked.get(request.strategy_id)
    return trades if then is None or _same(trades.walked, then) else CHANGED


def _same(now: Walked, then: Walked) -> bool:
    """As far as the run has kept it."""
    if then.trade_days == UNKNOWN or then.outcomes == UNKNOWN:
        now = now._replace(trade_days=then.trade_days, first_day=then.first_day, last_day=then.last_day)
        now = now._replace(outcomes=then.outcomes)
    names = now.windows.dtype.names or ()
    columns = ((now.windows[name], then.windows[name]) for name in names)
    return now._replace(windows=then.windows) == then and all(np.array_equal(*of, equal_nan=True) for of in columns)


def told(order: Order, strategy_id: str, trades: Trades) -> dict[str, NDArray[Any]]:
    """What an imported log says of each trade beside its result, side, symbol, entry and exit time; else nothing."""
    columns = read(order.database.path, lambda connection: read_told(connection, strategy_id))
    return {name: column[trades.rows] for name, column in columns.items()}
