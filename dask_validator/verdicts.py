"""From one strategy's row to its verdict: what to ask of a worker, and what the answer means.

The order is that of rules.md, section 1: screening first, then what walk-forward, season split and promotion need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import NamedTuple

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Answer, Gate, Request, SeasonSplit, SplitRule, Status, Strategy, Verdict
from dask_validator.rules import notes
from dask_validator.rules.costs import Costs
from dask_validator.rules.fdr import Correction
from dask_validator.rules.filters import SESSIONS, is_known, resolve
from dask_validator.rules.promotion import computed_columns, split_columns
from dask_validator.rules.screening import Screening, screen
from dask_validator.rules.seasons import known_split, split_rule


class Survivor(NamedTuple):
    """What is kept of a strategy that passed phases 1-5."""

    screening: Screening
    filter_type: str
    p_value: float | None  # None: not part of the false discovery correction
    missing: str  # columns that promotion needs and that are NULL, comma-separated
    every_day: bool  # walk-forward takes every day, because the filter is unknown


class Candidate(NamedTuple):
    """A strategy that its row alone does not decide."""

    strategy_id: str
    screened: Survivor | Gate  # the gate is the one of phases 1-5 that rejected it: then only its split is open
    split: SeasonSplit | SplitRule  # known without looking at outcomes, or how to compute it
    keeps_split: bool  # the known split is the stored one
    fingerprint: int  # of the strategy's row


def consider(
    strategy: Strategy, config: RunConfig, costs: Costs, atr_by_year: Mapping[int, float]
) -> Verdict | Candidate:
    """Screen one strategy; a verdict when that decides it."""
    strategy_id = strategy.strategy_id
    if strategy.is_canonical is False:
        return Verdict(strategy_id, Status.SKIPPED, notes.ALIAS)
    try:
        screening = screen(strategy, config.screen_rules, costs, atr_by_year)
    except UnusableStrategy as error:
        return _failed(strategy_id, str(error))
    except Exception as error:  # as in a task: one strategy must not end the run
        return _failed(strategy_id, f"unexpected {type(error).__name__}: {error}")
    split, keeps_split = split_of(strategy), strategy.dst_verdict is not None
    if (gate := screening.rejected_by) is not None:
        if isinstance(split, SplitRule):
            return Candidate(strategy_id, gate, split, keeps_split, strategy.fingerprint)
        return _screened_out(strategy_id, gate, split, keeps_split)
    if (reason := unusable(strategy, config)) is not None:
        return _failed(strategy_id, reason)
    if isinstance(split, str):
        return _failed(strategy_id, split)
    every_day = unknown_filter(strategy, config) is not None
    survivor = Survivor(screening, str(strategy.filter_type), corrected_p_value(strategy), strategy.missing, every_day)
    return Candidate(strategy_id, survivor, split, keeps_split, strategy.fingerprint)


def split_of(strategy: Strategy) -> SeasonSplit | SplitRule | str:
    """The split, how to compute it, or why it cannot be computed."""
    known = known_split(strategy)
    if known is not None:
        return known
    try:
        return split_rule(strategy.filter_type, strategy.filter_params)
    except UnusableStrategy as error:
        return str(error)


def unusable(strategy: Strategy, config: RunConfig) -> str | None:
    """Why nobody can walk forward with the strategy, if so."""
    if strategy.filter_type is None:
        return "filter_type is NULL: it is unknown which days the strategy trades"
    if strategy.orb_label not in SESSIONS:
        known = ", ".join(sorted(SESSIONS))
        return f"orb_label {strategy.orb_label!r} is no known session; known: {known}"
    try:
        resolve(strategy.filter_type, config.strict_filters)
    except UnusableStrategy as error:
        return str(error)
    return None


def unknown_filter(strategy: Strategy, config: RunConfig) -> str | None:
    """The filter in whose place walk-forward takes every day, if it does."""
    name = strategy.filter_type
    if name is None or config.no_walkforward or config.strict_filters or is_known(name, strict=False):
        return None
    return name


def corrected_p_value(strategy: Strategy) -> float | None:
    """The p-value, if the strategy is part of the false discovery correction."""
    p_value = strategy.p_value
    return p_value if strategy.is_canonical and p_value is not None and not math.isnan(p_value) else None


def request(candidate: Candidate, config: RunConfig) -> Request | None:
    """What a worker has to compute for the candidate; None when nothing."""
    survivor = candidate.screened if isinstance(candidate.screened, Survivor) else None
    walkforward = survivor is not None and not config.no_walkforward
    rule = candidate.split if isinstance(candidate.split, SplitRule) else None
    if not walkforward and rule is None:
        return None
    filter_type = survivor.filter_type if survivor else None
    return Request(candidate.strategy_id, filter_type, walkforward, rule, candidate.fingerprint)


def decide(
    candidate: Candidate, answer: Answer | None, correction: Correction, not_null: Set[str] = frozenset()
) -> Verdict:
    """The verdict on one candidate.

    Parameters
    ----------
    answer
        None when no worker was asked.
    not_null
        Columns that the user's `validated_setups` declares NOT NULL.
    """
    split = candidate.split if isinstance(candidate.split, SeasonSplit) else None
    if answer is not None and answer.split is not None:
        split = answer.split
    if isinstance(candidate.screened, Gate):
        known = split or (answer and (answer.split_error or answer.lost)) or SeasonSplit()
        return _screened_out(candidate.strategy_id, candidate.screened, known, candidate.keeps_split)
    verdict = _decide_survivor(candidate, candidate.screened, split, answer, correction)
    if verdict.status is not Status.PASSED:
        return verdict
    columns = computed_columns(verdict) | split_columns(verdict.split)
    missing = [candidate.screened.missing] if candidate.screened.missing else []
    missing += [name for name, value in columns.items() if value is None and name in not_null]
    return _failed(candidate.strategy_id, notes.missing(missing)) if missing else verdict


def _decide_survivor(
    candidate: Candidate, survivor: Survivor, split: SeasonSplit | None, answer: Answer | None, correction: Correction
) -> Verdict:
    strategy_id, screening = candidate.strategy_id, survivor.screening
    if answer and (error := answer.lost or answer.error or answer.split_error):
        return _failed(strategy_id, error)
    walkforward = answer.walkforward if answer else None
    doubt = notes.every_day(survivor.filter_type) if survivor.every_day else ""
    if walkforward and (gate := walkforward.failed):
        rejected = Verdict(strategy_id, Status.REJECTED, doubt, gate, split, candidate.keeps_split, walkforward)
        return rejected._replace(every_day=survivor.every_day)
    return Verdict(
        strategy_id,
        Status.PASSED,
        "; ".join(filter(None, [*screening.warnings, doubt])) or notes.PASSED,
        None,
        split,
        candidate.keeps_split,
        walkforward,
        screening.years_tested,
        screening.all_years_positive,
        screening.regime_waivers,
        None if survivor.p_value is None else correction.of(survivor.p_value),
        survivor.every_day,
        survivor.p_value is not None and correction.earns(survivor.p_value),
    )


def _screened_out(strategy_id: str, gate: Gate, split: SeasonSplit | str, keeps_split: bool) -> Verdict:
    """Stays rejected even when its season split cannot be computed: then five NULLs and the reason."""
    if isinstance(split, str):
        return Verdict(strategy_id, Status.REJECTED, notes.no_split(split), gate, SeasonSplit())
    return Verdict(strategy_id, Status.REJECTED, "", gate, split, keeps_split)


def _failed(strategy_id: str, reason: str) -> Verdict:
    return Verdict(strategy_id, Status.FAILED, reason)
