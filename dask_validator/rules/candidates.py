"""From the rows of strategies to what is decided at once, and to the questions that decide the rest.

The order is that of rules.md, section 1: screening first, then what walk-forward, season split and promotion need.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.filters.conditions import Filter
from dask_validator.filters.look_ahead import look_ahead
from dask_validator.filters.vocabulary import Vocabulary
from dask_validator.model import Excursions, OutcomeKey, Request, SeasonSplit, SplitRule, Status, Strategy
from dask_validator.rules import notes
from dask_validator.rules.costs import NO_COSTS
from dask_validator.rules.counting import CODE, counted
from dask_validator.rules.gates import GATES, HELD, POSITION, Terms
from dask_validator.rules.judging import whys
from dask_validator.rules.promotion import mode_of, not_promotable
from dask_validator.rules.screening import Market, Screened, screen, warnings
from dask_validator.rules.seasons import known_split, split_filter, split_rule
from dask_validator.rules.sessions import SESSIONS
from dask_validator.rules.yearly import Years

STRESS = POSITION["stressed_expectancy_r"]


class Survivor(NamedTuple):
    """What is kept of a strategy that passed phases 1-5."""

    missing: str  # columns that promotion needs and that are NULL, comma-separated
    every_day: bool  # walk-forward takes every day, because the filter is unknown
    doubts: str  # what the note says about the filter
    years: Years
    warnings: Sequence[str]
    remarks: Sequence[str]  # what its note says whatever becomes of it
    mode: str | None = None  # what its setup is for, as the rules name it; None: the ordinary


@dataclass
class Candidates:
    """Every waiting strategy after phases 1-5, one position each; what is not decided has a question or survives.

    Attributes
    ----------
    status
        None while nothing has decided it; who is REJECTED may still have a question.
    observed, gate
        Chunks of shape (n, n_gates) and (n,), as `screening.Screened` has them.
    reasons, remarks
        Why the gate rejects, and what the note says beside that.
    splits
        The season split, how to compute it, or why it cannot be computed.
    questions
        By outcome key, what workers have to compute.
    asked
        Positions of the strategies that have a question, ascending.
    ungated
        Positions of those that the gates of eras and holdout are not for.
    doomed
        By position, why those FAILED that the holdout does not reject.
    """

    terms: Terms
    market: Market
    vocabulary: Vocabulary
    ids: list[str] = field(default_factory=list)
    status: list[Status | None] = field(default_factory=list)
    observed: list[NDArray[np.float64]] = field(default_factory=list)
    gate: list[NDArray[np.int8]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    splits: list[SeasonSplit | SplitRule | str | None] = field(default_factory=list)
    keeps_split: list[bool] = field(default_factory=list)
    p_values: list[float | None] = field(default_factory=list)  # as far as they are corrected for each other
    survivors: dict[int, Survivor] = field(default_factory=dict)
    questions: dict[OutcomeKey, list[Request]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)  # filters that nobody knows, of all strategies
    ungated: set[int] = field(default_factory=set)
    doomed: dict[int, str] = field(default_factory=dict)

    def add(self, rows: Sequence[Strategy]) -> None:
        """Screen these rows too."""
        self._count_unknown(rows)
        aliases = [row for row in rows if row.is_canonical is False]
        self._append(aliases, Status.SKIPPED, [None] * len(aliases), notes.ALIAS)
        self.observed.append(np.full((len(aliases), len(GATES)), np.nan))
        self.gate.append(np.full(len(aliases), HELD, dtype=np.int8))
        self.reasons += [""] * len(aliases)
        canonical = [row for row in rows if row.is_canonical is not False]
        self.take(canonical, screen(canonical, self.terms, self.market))

    def counts(self) -> dict[str, Any]:
        """What is decided so far, counted; a strategy whose season split is open may be rejected already."""
        codes = np.array([-1 if status is None else CODE[status] for status in self.status], dtype=np.int8)
        return counted(codes, np.concatenate(self.gate), self.terms)

    def failures(self) -> list[tuple[str, str]]:
        """`strategy_id` and reason of all that FAILED."""
        failed = (i for i, status in enumerate(self.status) if status is Status.FAILED)
        return [(self.ids[i], self.remarks[i]) for i in failed]

    def _count_unknown(self, rows: Sequence[Strategy]) -> None:
        of_name = attrgetter("filter_type", "filter_params") if self.vocabulary.by_params else attrgetter("filter_type")
        alike = {of_name(row): row for row in rows}
        unknown = {of for of, row in alike.items() if _is_unknown(row, self.vocabulary)}
        self.unknown.update(str(row.filter_type) for row in rows if of_name(row) in unknown)

    def take(self, rows: Sequence[Strategy], screened: Screened) -> None:
        """Rows that are no aliases, after phases 1-5.

        Most are rejected by their own row and have their season split: only the others are looked at one by one.
        """
        config, start = self.terms.config, len(self.ids)
        splits = [split_of(row, config.seasons) for row in rows]
        closer = screened.gate == HELD
        closer[list(screened.unusable)] = True
        closer |= np.array([not isinstance(split, SeasonSplit) for split in splits], dtype=np.bool_)
        closer |= np.array([row.is_trade_log or row.log_remark is not None for row in rows], dtype=np.bool_)
        closer |= config.holdout_from is not None or self.market.costs == NO_COSTS
        self._append(rows, Status.REJECTED, splits)
        for position in np.flatnonzero(closer).tolist():
            self._consider(start + position, rows[position], position, screened)
        self.observed.append(screened.observed)
        self.gate.append(screened.gate)
        self.reasons += whys(screened.gate, screened.observed, self.terms, partial(screened.texts, config=config))

    def _consider(self, i: int, row: Strategy, position: int, screened: Screened) -> None:
        if (reason := refused(row, self.market)) is not None:
            screened.gate[position] = HELD
            return self._fail(i, row, reason)
        held_out = self._held_out(row, position, screened)
        unreadable = screened.unusable.get(position)
        unknown = screened.gate[position] == POSITION["holdout_filter"]
        if unknown or (unreadable is None and screened.gate[position] != HELD):
            return self._reject(i, row, int(screened.gate[position]), held_out)
        screened.gate[position] = HELD
        split = self.splits[i]
        error = unreadable or self._unusable(row) or (split if isinstance(split, str) else None)
        if error is not None:
            return self._fail(i, row, error, held_out)
        years = screened.years[position]
        self.survivors[i] = Survivor(
            row.missing,
            unknown_filter(row, self.terms.config, self.vocabulary) is not None and self.vocabulary.unknown == "all",
            doubts(row, self.terms.config, self.vocabulary),
            years,
            warnings(screened.observed[position, POSITION["sample_size"]], years, self.market.atr_by_year),
            notes.of_log(row, stressed=True),
            mode_of(row, self.terms.config.promotion),
        )
        self.status[i] = None
        return self._ask(i, row, held_out, walkforward=not self.terms.config.no_walkforward)

    def _unusable(self, row: Strategy) -> str | None:
        return unusable(row, self.terms.config, self.vocabulary, replays=self.market.replays_stops)

    def _held_out(self, row: Strategy, position: int, screened: Screened) -> Filter | None:
        """The days of its holdout, where that is to be judged; nobody can say which those of an unknown filter are."""
        if self.terms.config.holdout_from is None or not row.is_gated:
            return None
        fallen = screened.gate[position] == POSITION["era_exp_r"]
        if fallen or unusable_days(row, self.vocabulary, replays=self.market.replays_stops) is not None:
            return None
        if _is_unknown(row, self.vocabulary):
            screened.observed[position, POSITION["holdout_filter"]] = 0
            screened.gate[position] = POSITION["holdout_filter"]
            return None
        screened.observed[position, POSITION["holdout_filter"]] = 1
        return self.vocabulary.chosen(str(row.filter_type), row.filter_params).filter

    def _reject(self, i: int, row: Strategy, gate: int, held_out: Filter | None) -> None:
        """Stays rejected even when its season split cannot be computed: then five NULLs and the reason."""
        remarks = list(notes.of_log(row, stressed=GATES[gate].phase > GATES[STRESS].phase))
        if isinstance(split := self.splits[i], str):
            remarks, self.splits[i] = [notes.no_split(split)], SeasonSplit()
        self.remarks[i] = "; ".join(remarks)
        self._ask(i, row, held_out)

    def _fail(self, i: int, row: Strategy, error: str, held_out: Filter | None = None) -> None:
        """FAILED, unless the holdout rejects it before."""
        if held_out is None:
            self.status[i], self.splits[i], self.remarks[i] = Status.FAILED, None, error
            return
        self.status[i], self.doomed[i] = None, error
        if isinstance(self.splits[i], str):
            self.splits[i] = SeasonSplit()
        self._ask(i, row, held_out)

    def _ask(self, i: int, row: Strategy, held_out: Filter | None, *, walkforward: bool = False) -> None:
        """What only workers can say of it, if there is anything."""
        rule = split if isinstance(split := self.splits[i], SplitRule) else None
        if walkforward or rule is not None or held_out is not None:
            question = request_of(row, self.terms.config, self.vocabulary, rule, walkforward=walkforward)
            self.questions.setdefault(row.outcome_key, []).append(question._replace(holdout=held_out))
            self.asked.append(i)

    def _append(
        self,
        rows: Sequence[Strategy],
        status: Status,
        splits: Sequence[SeasonSplit | SplitRule | str | None],
        remark: str = "",
    ) -> None:
        self.ungated.update(i for i, row in enumerate(rows, len(self.ids)) if not row.is_gated)
        self.ids += [row.strategy_id for row in rows]
        self.status += [status] * len(rows)
        self.remarks += [remark] * len(rows)
        self.splits += splits
        self.keeps_split += [row.dst_verdict is not None for row in rows]
        self.p_values += [corrected_p_value(row) for row in rows]


def refused(row: Strategy, market: Market) -> str | None:
    """Why nothing can be said of a strategy, whatever its numbers are."""
    if market.costs == NO_COSTS and not row.is_trade_log:
        return notes.NO_INSTRUMENT_COSTS
    return row.log_refused


def split_of(strategy: Strategy, zones: Mapping[str, str]) -> SeasonSplit | SplitRule | str:
    """The split, how to compute it, or why it cannot be computed."""
    known = known_split(strategy, zones)
    if known is not None:
        return known
    try:
        return split_rule(strategy.filter_type, strategy.filter_params)
    except UnusableStrategy as error:
        return str(error)


def request_of(
    row: Strategy, config: RunConfig, vocabulary: Vocabulary, split: SplitRule | None, *, walkforward: bool
) -> Request:
    """What workers are asked about a strategy, but its holdout."""
    return Request(
        row.strategy_id,
        vocabulary.chosen(str(row.filter_type), row.filter_params).filter if walkforward else None,
        None if split is None else split_filter(split, vocabulary),
        row.fingerprint,
        is_small=config.is_small(row.sample_size),
    )


def unusable(strategy: Strategy, config: RunConfig, vocabulary: Vocabulary, *, replays: bool) -> str | None:
    """Why nobody can walk forward with the strategy, or promote it, if so.

    Parameters
    ----------
    replays
        Whether outcomes can be replayed under a tighter stop.
    """
    return unusable_days(strategy, vocabulary, replays=replays) or not_promotable(strategy, config.promotion)


def unusable_days(strategy: Strategy, vocabulary: Vocabulary, *, replays: bool) -> str | None:
    """Why nobody can say what the strategy's trades are, if so."""
    if strategy.filter_type is None:
        return "filter_type is NULL: it is unknown which days the strategy trades"
    label = strategy.orb_label
    if label not in SESSIONS and label not in vocabulary.sessions and not strategy.is_trade_log:
        return f"orb_label {label!r} is no known session; known: {', '.join(sorted(SESSIONS | vocabulary.sessions))}"
    chosen = vocabulary.chosen(strategy.filter_type, strategy.filter_params)
    if chosen.failed:
        return notes.unknown(strategy.filter_type, chosen.unknown)
    return _unusable_stop(strategy.stop_multiplier, replays=replays)


def _unusable_stop(multiplier: float | None, *, replays: bool) -> str | None:
    """NULL is 1, and a wider stop changes no outcome."""
    if multiplier is None or multiplier >= 1:
        return None
    if not multiplier > 0:
        return f"stop_multiplier is {multiplier:g}; needed a number above 0, or NULL"
    needed = f"columns {', '.join(Excursions._fields)} of outcomes"
    return None if replays else f"stop_multiplier is {multiplier:g}: to replay tight stops takes {needed}"


def _is_unknown(strategy: Strategy, vocabulary: Vocabulary) -> bool:
    name = strategy.filter_type
    return name is not None and bool(vocabulary.chosen(name, strategy.filter_params).unknown)


def unknown_filter(strategy: Strategy, config: RunConfig, vocabulary: Vocabulary) -> str | None:
    """The filter in whose place walk-forward takes every day, or none, if it does."""
    takes_others = vocabulary.unknown != "fail" and not config.no_walkforward
    return strategy.filter_type if takes_others and _is_unknown(strategy, vocabulary) else None


def doubts(strategy: Strategy, config: RunConfig, vocabulary: Vocabulary) -> str:
    """What the note says about the filter of a strategy that walks forward."""
    chosen = vocabulary.chosen(str(strategy.filter_type), strategy.filter_params)
    if (name := unknown_filter(strategy, config, vocabulary)) is not None:
        return notes.other_days(name, chosen.unknown if vocabulary.by_params else "", vocabulary.unknown)
    if config.no_walkforward:
        return ""
    label, touch = str(strategy.orb_label), config.touch_entry_models
    return notes.look_ahead(look_ahead(vocabulary, chosen.filter, label, strategy.entry_model, touch))


def corrected_p_value(strategy: Strategy) -> float | None:
    """The p-value, if the strategy is part of the false discovery correction."""
    p_value = strategy.p_value
    return p_value if strategy.is_canonical and p_value is not None and not math.isnan(p_value) else None
