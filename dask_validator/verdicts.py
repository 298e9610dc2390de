"""From one strategy's row to its verdict: what to ask of a worker, and what the answer means.

The order is that of the rules, section 1: screening first, then what walk-forward, season split and promotion need.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

from dask_validator.config import RunConfig
from dask_validator.errors import UnusableStrategy
from dask_validator.model import Answer, Gate, Request, SeasonSplit, SplitRule, Status, Strategy, Verdict
from dask_validator.rules import notes
from dask_validator.rules.costs import Costs
from dask_validator.rules.fdr import Discovery
from dask_validator.rules.filters import SESSIONS, resolve
from dask_validator.rules.promotion import computed_columns, split_columns
from dask_validator.rules.screening import Screening, screen
from dask_validator.rules.seasons import known_split, split_rule


class Candidate(NamedTuple):
    """A waiting strategy after screening."""

    strategy: Strategy
    screening: Screening | None = None  # None: an alias, or one that cannot be screened
    error: str | None = None  # why the strategy cannot be validated
    split: SeasonSplit | None = None  # known without looking at outcomes
    split_rule: SplitRule | None = None  # how to compute it otherwise
    split_error: str | None = None  # why it cannot be computed

    @property
    def rejected_by(self) -> Gate | None:
        """The gate of phases 1-5 that did not hold."""
        return self.screening.rejected_by if self.screening else None

    @property
    def survives(self) -> bool:
        """Whether the strategy goes on to walk-forward or promotion."""
        return self.screening is not None and self.error is None and self.rejected_by is None


def consider(strategy: Strategy, config: RunConfig, costs: Costs, atr_by_year: Mapping[int, float]) -> Candidate:
    """Screen one strategy and find out what its season split needs."""
    if strategy.is_canonical is False:
        return Candidate(strategy)
    try:
        screening = screen(strategy, config.screen_rules, costs, atr_by_year)
    except UnusableStrategy as error:
        return Candidate(strategy, error=str(error))
    except Exception as error:  # as in a task: one strategy must not end the run
        return Candidate(strategy, error=f"unexpected {type(error).__name__}: {error}")
    candidate = _with_split(Candidate(strategy, screening))
    return candidate._replace(error=_unusable(candidate, config)) if candidate.survives else candidate


def _with_split(candidate: Candidate) -> Candidate:
    strategy = candidate.strategy
    split = known_split(strategy)
    if split is not None:
        return candidate._replace(split=split)
    try:
        return candidate._replace(split_rule=split_rule(strategy.filter_type, strategy.filter_params))
    except UnusableStrategy as error:
        return candidate._replace(split_error=str(error))


def _unusable(candidate: Candidate, config: RunConfig) -> str | None:
    """Why a strategy that survived screening cannot go on, if so."""
    if candidate.strategy.filter_type is None:
        return "filter_type is NULL: it is unknown which days the strategy trades"
    if candidate.strategy.orb_label not in SESSIONS:
        known = ", ".join(sorted(SESSIONS))
        return f"orb_label {candidate.strategy.orb_label!r} is no known session; known: {known}"
    try:
        resolve(candidate.strategy.filter_type, config.strict_filters)
    except UnusableStrategy as error:
        return str(error)
    return candidate.split_error


def request(candidate: Candidate, config: RunConfig) -> Request | None:
    """What a worker has to compute for the candidate; None when nothing."""
    walkforward = candidate.survives and not config.no_walkforward
    if candidate.error is not None or not (walkforward or candidate.split_rule):
        return None
    strategy = candidate.strategy
    return Request(strategy.strategy_id, strategy.filter_type, walkforward, candidate.split_rule)


def decide(
    candidate: Candidate, answer: Answer | None, discovery: Discovery | None = None, not_null: Set[str] = frozenset()
) -> Verdict:
    """The verdict on one strategy.

    Parameters
    ----------
    answer
        None when no worker was asked.
    discovery
        None without a p-value.
    not_null
        Columns that the user's `validated_setups` declares NOT NULL.
    """
    strategy_id = candidate.strategy.strategy_id
    if candidate.error is not None:
        return Verdict(strategy_id, Status.FAILED, None, candidate.error)
    if candidate.screening is None:
        return Verdict(strategy_id, Status.SKIPPED, None, notes.ALIAS)
    if candidate.rejected_by is not None:
        return _rejected_in_screening(candidate, candidate.rejected_by, answer)
    verdict = _decide_survivor(candidate, candidate.screening, answer)
    if verdict.status is not Status.PASSED:
        return verdict
    columns = computed_columns(verdict, discovery) | split_columns(verdict.split)
    missing = [candidate.strategy.missing] if candidate.strategy.missing else []
    missing += [name for name, value in columns.items() if value is None and name in not_null]
    return Verdict(strategy_id, Status.FAILED, None, notes.missing(missing)) if missing else verdict


def _rejected_in_screening(candidate: Candidate, gate: Gate, answer: Answer | None) -> Verdict:
    """Stays rejected even when its season split cannot be computed: then five NULLs and the reason."""
    split_error = candidate.split_error or (answer.split_error if answer else None)
    split = candidate.split or (answer.split if answer else None) or SeasonSplit()
    note = notes.rejection(gate) + (f"; no season split: {split_error}" if split_error else "")
    return Verdict(candidate.strategy.strategy_id, Status.REJECTED, gate.phase, note, gate, split=split)


def _decide_survivor(candidate: Candidate, screening: Screening, answer: Answer | None) -> Verdict:
    strategy_id = candidate.strategy.strategy_id
    if answer and (error := answer.error or answer.split_error):
        return Verdict(strategy_id, Status.FAILED, None, error)
    walkforward = answer.walkforward if answer else None
    split = candidate.split or (answer.split if answer else None)
    if walkforward and walkforward.failed:
        gate = walkforward.failed
        note = notes.rejection(gate)
        return Verdict(strategy_id, Status.REJECTED, gate.phase, note, gate, walkforward, split)
    return Verdict(
        strategy_id,
        Status.PASSED,
        None,
        "; ".join(screening.warnings) or notes.PASSED,
        walkforward=walkforward,
        split=split,
        years_tested=screening.years_tested,
        all_years_positive=screening.all_years_positive,
        regime_waivers=screening.regime_waivers,
    )
