"""Who is promoted under many settings: the gates of `verdicts` on columns, without an order and without words.

A strategy is promoted when every gate that is on holds and nothing makes it FAILED; the latter no threshold changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import RunConfig
from dask_validator.filters.vocabulary import Vocabulary
from dask_validator.model import Answer, Status
from dask_validator.rules.candidates import Candidates
from dask_validator.rules.fdr import Correction
from dask_validator.rules.gates import GATES, HELD, OF_HOLDOUT, OF_UNIVERSE, OF_WINDOWS, POSITION
from dask_validator.rules.holdout import holdout_numbers
from dask_validator.rules.judging import first_failing
from dask_validator.rules.of_all import ASKED, OfAll
from dask_validator.rules.promotion import can_be_null
from dask_validator.rules.screening import Market, Screened
from dask_validator.rules.sieve import Let
from dask_validator.rules.verdicts import decide
from dask_validator.rules.window_gates import observe
from dask_validator.rules.yearly import NO_YEARS

_WINDOWED = [*OF_WINDOWS, POSITION["wfe"]]


class Case(NamedTuple):
    """What promotions depend on beside strategies and settings."""

    market: Market
    vocabulary: Vocabulary
    correction: Correction
    not_null: frozenset[str]  # columns that the user's `validated_setups` declares NOT NULL


def questions_about(let: Let, config: RunConfig, case: Case) -> Candidates:
    """What must be known of these strategies, in their order; the setting is any of those with the same facts."""
    candidates = Candidates(case.market.terms(config), case.market, case.vocabulary)
    count = len(let.rows)
    held = np.full(count, HELD, dtype=np.int8)
    years = dict.fromkeys(range(count), NO_YEARS)  # which no question depends on
    candidates.take(let.rows, Screened(let.observed.copy(), held, years, {}, {}))
    return candidates


def promotions(
    let: Let,
    settings: Sequence[RunConfig],
    candidates: Candidates,
    answers: Mapping[str, Answer],
    case: Case,
    of_all: Sequence[OfAll],
) -> NDArray[np.bool_]:
    """Whether each setting promotes each strategy, shape (n_settings, n_strategies).

    Parameters
    ----------
    let
        Who is let through by phases 1-5, by the same settings.
    candidates, answers
        Of the same strategies; all were asked what `questions_about` says.
    of_all
        The facts of phase 7, by setting.
    """
    if case.not_null & can_be_null(settings[0].promotion):  # what a setup lacks then depends on more than gates
        decided = (_decided(let, config, answers, case, of) for config, of in zip(settings, of_all, strict=True))
        return np.array(list(decided), dtype=np.bool_).reshape(len(settings), len(let.rows))
    judged = _Judged(let, candidates, answers, case.market)
    found = [judged.promoted(config, of) for config, of in zip(settings, of_all, strict=True)]
    return let.through & np.array(found, dtype=np.bool_).reshape(len(settings), len(let.rows))


def _decided(
    let: Let, config: RunConfig, answers: Mapping[str, Answer], case: Case, of_all: OfAll
) -> NDArray[np.bool_]:
    """As a run does it, with every word."""
    candidates = Candidates(case.market.terms(config), case.market, case.vocabulary)
    candidates.add(let.rows)
    asked = {candidates.ids[i]: answers[candidates.ids[i]] for i in candidates.asked}
    verdicts = decide(candidates, asked, case.correction, case.not_null, of_all)
    passed = {verdicts.ids[i] for i in verdicts.of(Status.PASSED)}
    return np.array([row.strategy_id in passed for row in let.rows], dtype=np.bool_)


class _Judged:
    """Strategies with what is known of them, under settings with the same facts."""

    def __init__(self, let: Let, candidates: Candidates, answers: Mapping[str, Answer], market: Market) -> None:
        self._market = market
        self._ids = candidates.ids
        self._observed = np.asfortranarray(let.observed)  # judging goes by columns
        asked = {i: answers[self._ids[i]] for i in candidates.asked}
        failed = {i for i, answer in asked.items() if answer.has_failed}
        sound = [i for i, of in candidates.survivors.items() if not of.missing and i not in failed]
        self._sound = np.zeros(len(let.rows), dtype=np.bool_)
        self._sound[sound] = True
        known = {i: asked[i] for i in sound if i in asked}
        self._walked = {i: walked for i, of in known.items() if (walked := of.walkforward) is not None}
        self._holdouts = {i: holdout for i, of in known.items() if (holdout := of.holdout) is not None}
        self._known: dict[Hashable, NDArray[np.float64]] = {}

    def promoted(self, config: RunConfig, of_all: OfAll) -> NDArray[np.bool_]:
        """By all gates behind phase 5, shape (n_strategies,)."""
        observed, gates = self._observed, [*OF_HOLDOUT, *OF_UNIVERSE]
        observed[:, OF_HOLDOUT] = self._once(config.holdout_min_trades, lambda: self._held_out(config))
        if not config.no_walkforward:
            gates += OF_WINDOWS
            valid = config.window_trades, config.of_small_samples.window_trades
            observed[:, _WINDOWED] = self._once(valid, lambda: self._windows(config))
        if of_all.columns:
            observed[:, [POSITION[name] for name in ASKED]] = self._once(id(of_all), lambda: self._of_all(of_all))
        holding: NDArray[np.bool_] = first_failing(observed, self._market.terms(config), gates) == HELD
        return self._sound & holding

    def _once(self, key: Hashable, compute: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def _held_out(self, config: RunConfig) -> NDArray[np.float64]:
        seen = np.full((len(self._ids), len(OF_HOLDOUT)), np.nan)
        for i, holdout in self._holdouts.items():
            numbers = holdout_numbers(holdout, float(self._observed[i, POSITION["expectancy_r"]]), config)
            seen[i] = [numbers[GATES[position].name] for position in OF_HOLDOUT]
        return seen

    def _windows(self, config: RunConfig) -> NDArray[np.float64]:
        seen = self._observed.copy()
        seen[:, _WINDOWED] = np.nan
        observe(list(self._walked.values()), config, seen, list(self._walked))
        return seen[:, _WINDOWED]

    def _of_all(self, of_all: OfAll) -> NDArray[np.float64]:
        about = of_all.about(self._ids)
        return np.column_stack([about[name] for name in ASKED])
