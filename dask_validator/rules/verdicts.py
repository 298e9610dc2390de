"""What answers mean: the verdicts of a run, as columns, judged by the register of gates."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, MutableMapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import ALPHA, RunConfig
from dask_validator.model import Answer, Discovery, Judged, SeasonSplit, Status, Verdict, Walked
from dask_validator.rules import notes
from dask_validator.rules.candidates import Candidates, Survivor
from dask_validator.rules.counting import CODE, STATUSES, counted
from dask_validator.rules.fdr import Correction
from dask_validator.rules.gates import GATES, HELD, NOT_CALIBRATED, OF_HOLDOUT, OF_UNIVERSE, OF_WINDOWS, POSITION, Terms
from dask_validator.rules.holdout import holdout_numbers, holdout_word
from dask_validator.rules.judging import first_failing, judged, whys
from dask_validator.rules.of_all import ASKED, NOTHING, SHOWN, TESTS, WEAK, OfAll
from dask_validator.rules.promotion import Forward, Standing, pathway, ruled_columns, setup_columns
from dask_validator.rules.window_gates import least_trades, observe, result_of


@dataclass(frozen=True, eq=False, repr=False)
class Verdicts(Sequence[Verdict]):
    """The verdicts of a run in order of `strategy_id`; as a sequence, one Verdict each, made when asked for.

    Attributes
    ----------
    status
        Positions in STATUSES, shape (n,).
    gate
        Position in the register of the gate that rejected, else HELD; shape (n,).
    observed
        What every gate saw, shape (n, n_gates); NaN where that is unknown or was not looked at.
    reasons, remarks
        Why the gate rejects, and what the note says beside that.
    walked
        The facts of walk-forward; None for a strategy that did not come so far.
    p_value, adjusted_p
        Two-sided, of the strategies that are corrected for each other, else NaN; the latter to 6 decimals.
    significant, earns
        Whether it is a discovery, two-sided, and whether it earns significantly, one-sided.
    standings
        By position, of those that passed.
    every_day
        Positions of those whose walk-forward took every day, because the filter is unknown.
    shown
        What null worlds say beside what gates observe: `of_all.SHOWN` by name, shape (n,); empty without worlds.
    ungated
        Positions of those that the gates over all strategies do not apply to.
    holdout
        By position, what the holdout says, in a word.
    """

    terms: Terms
    ids: Sequence[str]
    status: NDArray[np.int8]
    gate: NDArray[np.int8]
    observed: NDArray[np.float64]
    reasons: Sequence[str]
    remarks: Sequence[str]
    splits: Sequence[SeasonSplit | None]
    keeps_split: NDArray[np.bool_]
    walked: Sequence[Walked | None]
    p_value: NDArray[np.float64]
    adjusted_p: NDArray[np.float64]
    significant: NDArray[np.bool_]
    earns: NDArray[np.bool_]
    standings: dict[int, Standing] = field(default_factory=dict)
    every_day: Set[int] = frozenset()
    shown: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    ungated: Set[int] = frozenset()
    holdout: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> list[Verdict]: ...
    def __getitem__(self, index: int | slice) -> Verdict | list[Verdict]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        facts, failed, standing = self.walked[i], self.judged(i), self.standings.get(i)
        in_windows = failed if self.gate[i] in OF_WINDOWS else None
        return Verdict(
            self.ids[i],
            STATUSES[self.status[i]],
            self.note(i),
            failed,
            self.splits[i],
            bool(self.keeps_split[i]),
            None if facts is None else result_of(facts, in_windows, self.config_of(i).window_trades),
            standing.years_tested if standing else None,
            standing.all_years_positive if standing else None,
            standing.regime_waivers if standing else (),
            self.discovery(i) if standing else None,
            i in self.every_day,
            standing is not None and bool(self.earns[i]),
        )

    def discovery(self, i: int) -> Discovery | None:
        """What the false discovery correction says; None without a p-value, or for an unknown `is_canonical`."""
        if np.isnan(self.adjusted_p[i]):
            return None
        return Discovery(bool(self.significant[i]), float(self.adjusted_p[i]))

    def of_all(self, i: int) -> OfAll:
        """What phase 7 saw of one strategy."""
        if not self.shown and np.isnan(self.observed[i, OF_UNIVERSE]).all():
            return NOTHING
        columns = {GATES[position].name: self.observed[i : i + 1, position] for position in OF_UNIVERSE}
        return OfAll(self.ids[i : i + 1], columns | {name: column[i : i + 1] for name, column in self.shown.items()})

    def judged(self, i: int) -> Judged | None:
        """The gate that rejected."""
        if self.gate[i] == HELD:
            return None
        return judged(int(self.gate[i]), self.observed[i], self.terms, self.reasons[i])

    def note(self, i: int) -> str:
        """What `validation_notes` says; a rejection starts with `Phase N:`."""
        if self.gate[i] == HELD:
            return self.remarks[i]
        return notes.rejection(GATES[self.gate[i]].phase, self.reasons[i], self.remarks[i])

    def by_id(self) -> dict[str, Status]:
        """Every strategy's status."""
        return {strategy_id: STATUSES[code] for strategy_id, code in zip(self.ids, self.status, strict=True)}

    def find(self, strategy_id: str) -> int | None:
        """Its position."""
        i = bisect_left(self.ids, strategy_id)
        return i if i < len(self) and self.ids[i] == strategy_id else None

    def config_of(self, i: int) -> RunConfig:
        """The settings of one strategy, by its number of trades."""
        return self.terms.config.of(float(self.observed[i, POSITION["sample_size"]]))

    @property
    def window_trades(self) -> NDArray[np.int64]:
        """Trades that make a test window valid, shape (n,)."""
        return least_trades(self.observed[:, POSITION["sample_size"]], self.terms.config)

    @property
    def pathways(self) -> list[str | None]:
        """How the evidence of each is weighed; None of an alias, and where nothing was decided."""
        asked = np.isin(self.status, [CODE[Status.PASSED], CODE[Status.REJECTED]])
        asked[list(self.ungated)] = False
        ways = [pathway(self.terms.config, asked=known) for known in (False, True)]
        return [ways[known] for known in asked.tolist()]

    def computed(self, i: int) -> dict[str, object]:
        """Column -> value, of what a run computes for the setup of a strategy that passed."""
        forward = _forward(self.walked[i], self.observed[i])
        return setup_columns(self.standings[i], self.discovery(i), self.splits[i], forward)

    def ruled(self, i: int) -> dict[str, object]:
        """Column -> value, of what the rules say about that setup."""
        return ruled_columns(self.standings[i].mode, self.computed(i)["oos_exp_r"], self.terms.config.promotion)

    def windowed(self) -> list[tuple[int, Walked]]:
        """Positions and facts of the strategies that walk-forward has judged."""
        return [(i, facts) for i, facts in enumerate(self.walked) if facts is not None]

    @property
    def writes_split(self) -> NDArray[np.bool_]:
        """Whether the season split is news to the row, shape (n,)."""
        return np.array([split is not None for split in self.splits], dtype=np.bool_) & ~self.keeps_split

    def of(self, status: Status) -> list[int]:
        """Positions of the strategies with that status."""
        return np.flatnonzero(self.status == CODE[status]).tolist()

    def failures(self) -> list[tuple[str, str]]:
        """`strategy_id` and reason of all that FAILED."""
        return [(self.ids[i], self.remarks[i]) for i in self.of(Status.FAILED)]

    def counts(self) -> dict[str, Any]:
        """`rows = passed + rejected + skipped + failed`, and the rejections by phase."""
        return counted(self.status, self.gate, self.terms)


def decide(
    candidates: Candidates,
    answers: MutableMapping[str, Answer],
    correction: Correction,
    not_null: Set[str] = frozenset(),
    of_all: OfAll = NOTHING,
) -> Verdicts:
    """All verdicts; a strategy whose question has no answer has none. The answers are given up, for memory's sake.

    Parameters
    ----------
    not_null
        Columns that the user's `validated_setups` declares NOT NULL.
    of_all
        The facts of phase 7.
    """
    made = _Made(candidates, correction, of_all)
    made.judge_holdouts(answers)
    for position in candidates.asked:
        if (answer := answers.pop(candidates.ids[position], None)) is None:
            made.unanswered.add(position)
        else:
            made.hear(position, answer)
    made.judge_windows()
    made.judge_against_all()
    for position, survivor in candidates.survivors.items():
        if made.status[position] is None and position not in made.unanswered:
            made.promote(position, survivor, not_null)
    return made.verdicts()


class _Made:
    """Verdicts in the making, in the order of the candidates."""

    def __init__(self, candidates: Candidates, correction: Correction, of_all: OfAll) -> None:
        self._of = candidates
        about = of_all.about(candidates.ids) if of_all.columns else {}
        shown = {name: about[name] for name in SHOWN if name in about}
        self._shown = {} if all(np.isnan(column).all() for column in shown.values()) else shown
        self.status, self.remarks = list(candidates.status), list(candidates.remarks)
        self._reasons = list(candidates.reasons)
        self._observed = _joined(candidates.observed, (0, len(GATES)), np.float64)
        for name in ASKED if about else ():
            self._observed[:, POSITION[name]] = about[name]
        self._gate = _joined(candidates.gate, (0,), np.int8)
        self._splits = [split if isinstance(split, SeasonSplit) else None for split in candidates.splits]
        self._p_value = np.array(candidates.p_values, dtype=np.float64)
        self._significant, self._adjusted_p = self._corrected(correction, about)
        self._families = self._tested(correction, about)
        self._earns = correction.earns(self._p_value, self._observed[:, POSITION["expectancy_r"]])
        self._walked: dict[int, Walked] = {}
        self._standings: dict[int, Standing] = {}
        self.unanswered: set[int] = set()
        self.ungated = candidates.ungated
        self.holdout: dict[int, str] = {}

    def _corrected(
        self, correction: Correction, about: Mapping[str, NDArray[np.float64]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Discoveries, judged unrounded, and adjusted p to 6 decimals, but that of no correction as it is."""
        config = self._of.terms.config
        if not config.says_how_to_correct or "fdr_p" not in about:
            adjusted, alpha = correction.adjusted_of(self._p_value), ALPHA
        else:
            adjusted, alpha = about["fdr_p"], config.alpha
            if config.fdr_method == "raw":
                return adjusted < alpha, adjusted
        return adjusted < alpha, np.array([round(value, 6) for value in adjusted.tolist()], dtype=np.float64)

    def _tested(self, correction: Correction, about: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """How many strategies each one's p-value is corrected for; NaN where it is not among them."""
        if self._of.terms.config.says_how_to_correct and "fdr_p" in about:
            return about[TESTS]
        return np.where(np.isnan(self._p_value), np.nan, correction.tested)

    def judge_holdouts(self, answers: Mapping[str, Answer]) -> None:
        """Phase 9, which comes before those on a strategy's own numbers."""
        terms, ids = self._of.terms, self._of.ids
        asked = ((p, answers[ids[p]].holdout) for p in self._of.asked if ids[p] in answers)
        found = {position: holdout for position, holdout in asked if holdout is not None}
        for position, holdout in found.items():
            expectancy_r = float(self._observed[position, POSITION["expectancy_r"]])
            for name, number in holdout_numbers(holdout, expectancy_r, terms.config).items():
                self._observed[position, POSITION[name]] = number
            self.holdout[position] = holdout_word(holdout, expectancy_r, terms.config)
        rows = list(found)
        self._judge(rows, OF_HOLDOUT)

    def _judge(self, rows: Sequence[int], positions: Sequence[int]) -> None:
        """By these gates; whom one of them rejects is rejected, whatever was said before."""
        gates = first_failing(self._observed[rows], self._of.terms, positions)
        fallen = [*compress(rows, gates != HELD)]
        self._gate[fallen] = gates[gates != HELD]
        reasons = whys(
            self._gate[fallen],
            self._observed[fallen],
            self._of.terms,
            lambda row: {"unknown": self._unknown(fallen[row])},
        )
        for position, reason in zip(fallen, reasons, strict=True):
            self.status[position], self._reasons[position] = Status.REJECTED, reason
            if (survivor := self._of.survivors.get(position)) is not None:
                self.remarks[position] = self._doubt(survivor)

    def hear(self, position: int, answer: Answer) -> None:
        """What a worker has answered; a rejected strategy stays rejected, whatever became of its season split."""
        if self._gate[position] != HELD:
            self._splits[position] = answer.split or self._splits[position] or SeasonSplit()
            if error := answer.split_error or answer.lost:
                self.remarks[position] = notes.no_split(error)
        elif position in self._of.doomed:
            self._fail(position, self._of.doomed[position])
        else:
            if error := answer.lost or answer.error or answer.split_error:
                self._fail(position, error)
                return
            self._splits[position] = answer.split or self._splits[position]
            if answer.walkforward is not None and not self._of.terms.config.no_walkforward:
                self._walked[position] = answer.walkforward

    def _fail(self, position: int, reason: str) -> None:
        self.status[position], self.remarks[position] = Status.FAILED, reason
        self._splits[position] = None
        self._walked.pop(position, None)
        self._observed[position, OF_WINDOWS] = np.nan

    def _discovery(self, position: int) -> Discovery | None:
        known = not np.isnan(self._adjusted_p[position])
        return Discovery(bool(self._significant[position]), self._adjusted_p[position]) if known else None

    def judge_windows(self) -> None:
        """Phase 6."""
        rows = list(self._walked)
        observe(list(self._walked.values()), self._of.terms.config, self._observed, rows)
        self._judge(rows, OF_WINDOWS)

    def judge_against_all(self) -> None:
        """Phase 7: of those that all other phases let through."""
        rows = [p for p in self._of.survivors if self.status[p] is None and p not in self.unanswered]
        self._judge(rows, OF_UNIVERSE)

    def _unknown(self, position: int) -> str:
        """Why a gate of phase 7 has no number of a strategy."""
        calibrated = "z" in self._shown and not np.isnan(self._shown["z"][position])
        return WEAK if calibrated and GATES[self._gate[position]].name == "stepm_p" else NOT_CALIBRATED

    def _doubt(self, survivor: Survivor) -> str:
        return "; ".join(filter(None, [survivor.doubts, *survivor.remarks]))

    def promote(self, position: int, survivor: Survivor, not_null: Set[str]) -> None:
        """It passed all gates; what a setup needs may be missing."""
        years = survivor.years
        waived = tuple(year.year for year in years.waived)
        family = None if np.isnan(self._families[position]) else int(self._families[position])
        config = self._of.terms.config
        way = pathway(config, asked=family is not None or position not in self.ungated)
        standing = Standing(
            years.tested,
            years.all_positive,
            waived,
            years.largest_share,
            survivor.mode,
            family,
            way,
            self.holdout.get(position),
        )
        forward = _forward(self._walked.get(position), self._observed[position])
        columns = setup_columns(standing, self._discovery(position), self._splits[position], forward)
        columns |= ruled_columns(survivor.mode, columns["oos_exp_r"], config.promotion)
        missing = [survivor.missing] if survivor.missing else []
        missing += [name for name, value in columns.items() if value is None and name in not_null]
        if missing:
            self._fail(position, notes.missing(missing))
            return
        self.status[position], self._standings[position] = Status.PASSED, standing
        self.remarks[position] = "; ".join(filter(None, [*survivor.warnings, self._doubt(survivor)])) or notes.PASSED

    def verdicts(self) -> Verdicts:
        """In order of strategy_id, without those that have no answer."""
        ids = self._of.ids
        order = sorted(set(range(len(ids))) - self.unanswered, key=ids.__getitem__)
        place = {position: new for new, position in enumerate(order)}
        every_day = (p for p, survivor in self._of.survivors.items() if survivor.every_day)
        judged_ones = {*self._walked, *self._standings}
        return Verdicts(
            self._of.terms,
            [ids[i] for i in order],
            np.array([CODE[self.status[i] or Status.FAILED] for i in order], dtype=np.int8),
            self._gate[order],
            self._observed[order],
            [self._reasons[i] for i in order],
            [self.remarks[i] for i in order],
            [self._splits[i] for i in order],
            np.array([self._of.keeps_split[i] for i in order], dtype=np.bool_),
            [self._walked.get(i) for i in order],
            self._p_value[order],
            self._adjusted_p[order],
            self._significant[order],
            self._earns[order],
            {place[i]: standing for i, standing in self._standings.items()},
            {place[i] for i in every_day if i in judged_ones},
            {name: column[order] for name, column in self._shown.items()},
            {place[i] for i in self.ungated if i in place},
            {place[i]: word for i, word in self.holdout.items() if i in place},
        )


def _forward(walked: Walked | None, observed: NDArray[np.float64]) -> Forward | None:
    """What a setup says of walk-forward, by the numbers of all gates."""
    if walked is None:
        return None
    exp_r = float(observed[POSITION["agg_oos_exp_r"]])
    wfe = float(observed[POSITION["wfe"]])
    return Forward(int(observed[POSITION["valid_windows"]]), exp_r, None if math.isnan(wfe) else wfe, walked)


def _joined(chunks: Sequence[NDArray[Any]], empty: tuple[int, ...], kind: type) -> NDArray[Any]:
    return np.concatenate(chunks) if chunks else np.empty(empty, dtype=kind)


def provisional(answers: Sequence[Answer], terms: Terms) -> dict[str, int]:
    """How many walk-forwards among the answers pass, and how many phase 6 rejects: to be shown while others compute."""
    walked = [answer.walkforward for answer in answers if answer.walkforward is not None and not answer.has_failed]
    observed = np.full((len(walked), len(GATES)), np.nan)
    observe(walked, terms.config, observed, range(len(walked)))
    rejected = int((first_failing(observed, terms, OF_WINDOWS) != HELD).sum())
    return {"passed": len(walked) - rejected, "rejected": rejected}
