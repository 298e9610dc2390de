"""The values that travel between the parts; plain, immutable, cheap to pickle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dask_validator.filters.conditions import Filter

EPOCH = date(1970, 1, 1)
R = "R"  # the unit of results, where nothing else is said: multiples of what was risked
TRADE_LOG = "TRADE_LOG"  # the entry_model of strategies whose trades were imported


class Status(StrEnum):
    """What is written to `validation_status`."""

    PASSED = "PASSED"
    REJECTED = "REJECTED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class SeasonSplit(NamedTuple):
    """Winter and summer of one strategy: counts, mean R per trade (4 decimals), verdict."""

    winter_n: int | None = None
    winter_avg_r: float | None = None
    summer_n: int | None = None
    summer_avg_r: float | None = None
    verdict: str | None = None


class Strategy(NamedTuple):
    """One waiting row of `experimental_strategies`, as far as the rules read it."""

    strategy_id: str
    orb_label: str | None
    orb_minutes: int | None
    rr_target: float | None
    confirm_bars: int | None
    entry_model: str | None
    filter_type: str | None
    filter_params: str | None
    sample_size: int | None
    expectancy_r: float | None
    win_rate: float | None
    sharpe_ratio: float | None
    max_drawdown_r: float | None
    median_risk_points: float | None
    avg_risk_points: float | None
    yearly_results: str | None
    p_value: float | None
    is_canonical: bool | None
    missing: str  # columns that promotion needs and that are NULL, comma-separated
    dst_winter_n: int | None
    dst_winter_avg_r: float | None
    dst_summer_n: int | None
    dst_summer_avg_r: float | None
    dst_verdict: str | None
    fingerprint: int = 0  # of the whole row: another one means that something in the row has changed
    mean_result: float | None = None  # of a trade log, over wins and losses, not rounded
    mean_cost: float | None = None  # of a round trip of it, in the unit of its results; None where none is given
    log_refused: str | None = None  # why it cannot be used
    log_remark: str | None = None  # what every note on it says
    sharpe_ann: float | None = None
    is_gated: bool = True  # the gates of eras and holdout are for it
    stop_multiplier: float | None = None  # of the distance to the stop; None: 1
    mode: str | None = None  # in the words of the user's rules

    @property
    def stored_split(self) -> SeasonSplit | None:
        """The split that the row has already, if it has one."""
        if self.dst_verdict is None:
            return None
        return SeasonSplit(
            self.dst_winter_n, self.dst_winter_avg_r, self.dst_summer_n, self.dst_summer_avg_r, self.dst_verdict
        )

    @property
    def is_trade_log(self) -> bool:
        """Whether its trades were imported: nothing is known of the days on which it did not trade."""
        return self.entry_model == TRADE_LOG

    @property
    def outcome_key(self) -> OutcomeKey:
        """Strategies with equal keys share their outcomes; a trade log shares with nobody."""
        plan = (self.orb_minutes, self.orb_label, self.entry_model, self.rr_target, self.confirm_bars)
        stop = self.stop_multiplier
        tight = stop if stop is not None and stop < 1 else 1.0
        return OutcomeKey(*plan, self.strategy_id if self.is_trade_log else None, tight)


Session = tuple[int | None, str]  # orb_minutes and label: outcomes of one session share their days


class OutcomeKey(NamedTuple):
    """What, besides the instrument, selects a strategy's outcomes."""

    orb_minutes: int | None
    orb_label: str | None
    entry_model: str | None
    rr_target: float | None
    confirm_bars: int | None
    strategy_id: str | None = None  # of a trade log
    stop: float = 1.0  # below 1, of the distance to the stop: then outcomes are replayed with it

    @property
    def is_tight(self) -> bool:
        """Whether outcomes are replayed."""
        return self.stop < 1

    @property
    def tightest(self) -> OutcomeKey:
        """One that stands for all tight stops of this key."""
        return self._replace(stop=0.0)

    @property
    def stored(self) -> OutcomeKey:
        """The key of the outcomes as they lie in their source."""
        return self._replace(stop=1.0) if self.is_tight else self

    @property
    def session(self) -> Session:
        """Keys of one session share their days."""
        return self.orb_minutes, str(self.orb_label)


PLAN = OutcomeKey._fields[:5]  # what strategies of the users' own tables are keyed by


class Extent(NamedTuple):
    """Where the outcomes of one key lie in their source."""

    first: int
    last: int
    outcomes: int

    @property
    def is_alone(self) -> bool:
        """Whether no other row lies between the first and the last."""
        return self.outcomes == self.last - self.first + 1


class Outlook(NamedTuple):
    """What one look at all outcomes of an instrument tells."""

    fingerprint: str  # equal as long as none of them changes
    extents: Mapping[OutcomeKey, Extent]  # a key that is not in it may have outcomes all the same
    hashes: Mapping[OutcomeKey, int]  # of the outcomes of each key, 64 bits; for tight stops under `tightest`


class Judged(NamedTuple):
    """One gate applied to one strategy: what was seen, what was needed, whether it held."""

    phase: int
    name: str
    observed: float | None  # None where it is unknown
    threshold: float
    passed: bool
    reason: str = ""  # why it did not hold

    @property
    def unknown(self) -> bool:
        """Whether it holds because nobody knows the number."""
        return self.passed and self.observed is None


OTHER, WIN, LOSS = 0, 1, 2  # codes in Outcomes.code; OTHER is scratch, early_exit and the like


class Excursions(NamedTuple):
    """How far trades went against whoever held them; arrays of shape (n_outcomes,), NaN where the table has NULL."""

    mae_r: NDArray[np.float64]  # R-multiples, costs included
    entry_price: NDArray[np.float64]
    stop_price: NDArray[np.float64]


class Outcomes(NamedTuple):
    """Outcomes of one key in `trading_day` order; arrays of shape (n_outcomes,)."""

    days: NDArray[np.int32]  # days since 1970-01-01
    code: NDArray[np.uint8]  # WIN, LOSS or OTHER
    pnl_r: NDArray[np.float64]  # R-multiples; NaN where the table has NULL
    excursions: Excursions | None = None  # where a tighter stop is replayed

    def take(self, rows: NDArray[np.int64]) -> Outcomes:
        """The outcomes at these positions, in this order."""
        excursions = self.excursions and Excursions(*(column[rows] for column in self.excursions))
        return Outcomes(self.days[rows], self.code[rows], self.pnl_r[rows], excursions)

    def where(self, mask: NDArray[np.bool_]) -> Outcomes:
        """The outcomes that the mask of shape (n_outcomes,) selects, without their excursions."""
        taken = np.flatnonzero(mask)  # once, not for each of the arrays
        return Outcomes(self.days[taken], self.code[taken], self.pnl_r[taken])


class WindowResult(NamedTuple):
    """One test window `[window_start, window_end)`; numbers are R, 4 decimals, None without trades."""

    window_start: str
    window_end: str
    test_n: int
    test_exp_r: float | None
    test_wr: float | None
    test_sharpe: float | None
    test_pass: bool
    is_exp_r: float | None = None  # R in the training before it, where that is asked for


# Test windows as columns, without any threshold: what a worker answers. Days since 1970-01-01.
WINDOW_TABLE = np.dtype(
    [
        ("start", np.int32),
        ("end", np.int32),
        ("test_n", np.int32),
        ("test_exp_r", np.float64),  # NaN without trades
        ("test_wr", np.float64),
        ("test_sharpe", np.float64),  # NaN where undefined
        ("is_exp_r", np.float64),  # NaN unless asked for, and without enough training
    ]
)


_DAYS = (date.min - EPOCH).days, (date.max - EPOCH).days


def check_days(days: Iterable[int]) -> None:
    """Raise ValueError for days since 1970-01-01 that no calendar has."""
    if strange := [day for day in days if not _DAYS[0] <= day <= _DAYS[1]]:
        raise ValueError(f"day {strange[0]}")


def check_windows(tables: Sequence[NDArray[np.void]]) -> None:
    """Raise ValueError for windows of days that no calendar has, or with less than no trade: somebody has made them."""
    for name, least, most in (("start", *_DAYS), ("end", *_DAYS), ("test_n", 0, np.iinfo(np.int32).max)):
        numbers = np.concatenate([np.empty(0, dtype=np.int32), *(table[name] for table in tables)])
        if numbers.size and not (numbers.min() >= least and numbers.max() <= most):
            raise ValueError(f"windows with {name} = {numbers.min()} or {numbers.max()}")


UNKNOWN = -1  # in place of a count
NOWHERE = -1  # in place of a test window


class Walked(NamedTuple):
    """The facts of one strategy's walk-forward, whatever the thresholds are."""

    outcomes: int  # on days that the strategy takes, or UNKNOWN
    windows: NDArray[np.void]  # shape (n_windows,), dtype WINDOW_TABLE, in time order
    trade_days: int = UNKNOWN  # days with an outcome
    first_day: int = 0  # of them, since 1970-01-01
    last_day: int = 0


class WalkforwardResult(NamedTuple):
    """One strategy's walk-forward, judged; `failed` is the gate that rejected it, None when it passed."""

    n_total_windows: int
    n_valid_windows: int
    n_positive_windows: int
    pct_positive: float
    agg_oos_exp_r: float
    total_oos_trades: int
    failed: Judged | None
    windows: tuple[WindowResult, ...]  # in time order
    window_imbalance_ratio: float | None
    window_imbalanced: bool

    @property
    def passed(self) -> bool:
        """True when no gate rejected the strategy."""
        return self.failed is None


def window_results(table: NDArray[np.void], min_trades: int) -> tuple[WindowResult, ...]:
    """Each window of a table of dtype WINDOW_TABLE, and whether it is valid and positive."""
    return tuple(_window(row, min_trades) for row in table.tolist())


def _window(row: tuple[int, int, int, float, float, float, float], min_trades: int) -> WindowResult:
    start, end, n, exp_r, wr, sharpe, is_exp_r = row
    trained = _known(is_exp_r)
    if n == 0:
        return WindowResult(_iso(start), _iso(end), 0, None, None, None, False, trained)
    return WindowResult(_iso(start), _iso(end), n, exp_r, wr, _known(sharpe), n >= min_trades and exp_r > 0, trained)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@lru_cache(maxsize=10_000)
def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()


class SplitRule(NamedTuple):
    """Which days a season split counts: ORB size in `[min_size, max_size)`, weekdays not skipped."""

    min_size: float | None
    max_size: float | None
    skip_days: tuple[float, ...]


class Holdout(NamedTuple):
    """Wins and losses on or after the first day of the holdout."""

    trades: int
    exp_r: float | None  # mean R per trade, unrounded; None without trades


class Request(NamedTuple):
    """What a worker is asked about one strategy."""

    strategy_id: str
    filter: Filter | None  # the days of its walk-forward
    split: Filter | None  # the days of its season split
    fingerprint: int = 0  # of the strategy's row
    holdout: Filter | None = None  # the days of its holdout
    is_small: bool = False  # the rules of small samples hold for it

    @property
    def asked(self) -> int:
        """The question as bits: walk-forward, season split, holdout."""
        return (self.filter is not None) + 2 * (self.split is not None) + 4 * (self.holdout is not None)

    def also(self, other: Request | None) -> Request:
        """What this one asks, and what the other one asks about the same strategy."""
        if other is None:
            return self
        return self._replace(
            filter=other.filter if self.filter is None else self.filter,
            split=other.split if self.split is None else self.split,
            holdout=other.holdout if self.holdout is None else self.holdout,
        )

    def filters(self) -> Iterator[Filter]:
        """What picks the days that matter to it."""
        yield from (selecting for selecting in (self.split, self.filter, self.holdout) if selecting is not None)


class Answer(NamedTuple):
    """What a worker says of one strategy; `error` and `split_error` are None when all went well."""

    strategy_id: str
    walkforward: Walked | None
    split: SeasonSplit | None
    error: str | None
    split_error: str | None
    seconds: float
    fingerprint: int = 0  # of the strategy's row when it was asked about
    lost: str | None = None  # why there is no answer at all: whoever computed it died, or never came back
    asked: int = 0  # what the question was, as `Request.asked` says
    holdout: Holdout | None = None

    @property
    def has_failed(self) -> bool:
        """Whether something in it could not be computed."""
        return bool(self.lost or self.error or self.split_error)


class TaskTiming(NamedTuple):
    """One task as the worker measured it: epoch seconds, wall and CPU seconds, who ran it."""

    started: float
    wall_s: float
    cpu_s: float
    worker: str
    strategies: int


class Discovery(NamedTuple):
    """What the false discovery correction says of one strategy."""

    significant: bool
    adjusted_p: float  # 6 decimals


class Verdict(NamedTuple):
    """What a run decided about one strategy, and all the numbers behind it."""

    strategy_id: str
    status: Status
    note: str = ""
    gate: Judged | None = None  # the one that rejected the strategy
    split: SeasonSplit | None = None
    keeps_split: bool = False  # the split is the stored one
    walkforward: WalkforwardResult | None = None
    years_tested: int | None = None
    all_years_positive: bool | None = None
    regime_waivers: tuple[int, ...] = ()
    discovery: Discovery | None = None  # None without a p-value, or for an unknown `is_canonical`
    every_day: bool = False  # walk-forward took every day, because the filter is unknown
    earns: bool = False  # significantly, by the one-sided p-value after correction

    @property
    def phase(self) -> int | None:
        """The phase that rejected the strategy."""
        return self.gate.phase if self.gate else None

    @property
    def reached_phase_7(self) -> bool:
        """Whether all phases on its own numbers let it through; what comes after them is judged over all."""
        return self.status is Status.PASSED or self.phase in (7, 8)
