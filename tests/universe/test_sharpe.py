"""How far a Sharpe ratio can be trusted: published values, to the digits given (statistics, section 14)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import kurtosis, norm, skew

from dask_validator.universe import panel
from dask_validator.universe.sharpe import (
    Moments,
    backtest_years,
    deflated,
    deflated_t,
    expected_maximum,
    moments,
    probabilistic,
    track_record,
)
from tests.support.panels import dense

NORMAL, FUND, SKEWED = (0.0, 3.0), (-2.448, 10.164), (-3.0, 10.0)


def of(sharpe: float, trades: float = 24, shape: tuple[float, float] = NORMAL) -> Moments:
    """One strategy with this ratio per period, skewness and kurtosis."""
    return Moments(*(np.array([value]) for value in (trades, sharpe, 1.0, *shape)))


def to_digits(value: float, text: str) -> None:
    """Equal to as many digits as are given."""
    assert f"{value:.{len(text.partition('.')[2])}f}" == text


@pytest.mark.parametrize(("shape", "published"), [(FUND, "0.9132343069"), (NORMAL, "0.9815912")])
def test_published_probabilistic_ratios(shape: tuple[float, float], published: str) -> None:
    """PSR of a fund with 24 monthly returns, which skewness and kurtosis make less sure."""
    to_digits(*probabilistic(of(1.585 / math.sqrt(12), 24, shape)), published)  # type: ignore[call-arg, misc]


@pytest.mark.parametrize(
    ("trials", "published"), [(10, "1.5745983"), (100, "2.5306029"), (1000, "3.2551215"), (1e6, "4.8678600")]
)
def test_published_expected_maxima(trials: float, published: str) -> None:
    """E_N for ten trials to a million."""
    to_digits(expected_maximum(trials), published)


@pytest.mark.parametrize(
    ("trials", "shape", "published"),
    [(100, SKEWED, "0.9003968344"), (46, SKEWED, "0.9505017"), (88, NORMAL, "0.9504908")],
)
def test_published_deflated_ratios(trials: int, shape: tuple[float, float], published: str) -> None:
    """DSR of an annual ratio of 2.5 in 1,250 days, trials with a variance of 1/2 a year."""
    spread = math.sqrt(0.5 / 250)

    to_digits(spread * expected_maximum(100), "0.113172")
    to_digits(float(deflated(of(2.5 / math.sqrt(250), 1250, shape), trials, spread)[0]), published)


@pytest.mark.parametrize(
    ("per_year", "sharpe", "benchmark", "shape", "published"),
    [
        (250, 2, 1, NORMAL, "2.7311878"),
        (52, 2, 1, NORMAL, "2.8288336"),
        (12, 2, 1, NORMAL, "3.23980"),  # 1/12 + 7/6 z^2 is 3.2398007; the source has 3.2397997
        (12, 2, 1, (-0.72, 5.78), "4.9912582"),
        (12, 3, 2.5, (-0.72, 5.78), "27.3529202"),
    ],
)
def test_published_track_records(
    per_year: int, sharpe: float, benchmark: float, shape: tuple[float, float], published: str
) -> None:
    """MinTRL at 95 %, in years, for days, weeks and months."""
    root = math.sqrt(per_year)

    to_digits(float(track_record(of(sharpe / root, 24, shape), benchmark / root)[0]) / per_year, published)


def test_published_track_record_in_days() -> None:
    """The first of these in observations."""
    to_digits(float(track_record(of(2 / math.sqrt(250)), 1 / math.sqrt(250))[0]), "682.797")


def test_a_track_record_of_that_length_is_just_sure_enough() -> None:
    """PSR after MinTRL trades is 1 - alpha."""
    ratio = of(0.1, 24, FUND)
    long_enough = ratio._replace(trades=track_record(ratio, 0.02, alpha=0.01))

    assert probabilistic(long_enough, 0.02) == pytest.approx(0.99, rel=1e-12)


@pytest.mark.parametrize(
    ("trials", "published"), [(45, "4.9980870"), (10, "2.47936"), (100, "6.40395"), (1000, "10.59582")]
)
def test_published_backtest_lengths(trials: int, published: str) -> None:
    """MinBTL for a ratio of 1; half of it would take four times as long."""
    to_digits(backtest_years(trials, 1.0), published)
    assert backtest_years(trials, 0.5) == pytest.approx(4 * backtest_years(trials, 1.0))


def test_deflated_by_deviates() -> None:
    """`dsr_t` is PSR's deviate at 0 less E_N: both are published for this fund and ten trials."""
    fund = of(1.585 / math.sqrt(12), 24, FUND)

    assert deflated_t(fund, 10) == pytest.approx(norm.cdf(norm.ppf(0.9132343069) - 1.5745983), abs=1e-7)


def test_deflating_by_deviates_is_fair_to_short_histories() -> None:
    """Equal evidence of 30 and of 2,000 trades is deflated equally, which the published form does not do."""
    short, long = (of(ratio, 3 + 2 / ratio**2) for ratio in (0.3, 0.03))
    # With normal moments the deviate is ratio * sqrt(T - 1) / sqrt(1 + ratio^2 / 2).
    long = long._replace(trades=1 + (short.trades - 1) * (short.sharpe / long.sharpe * long.spread / short.spread) ** 2)

    assert probabilistic(short) == pytest.approx(probabilistic(long))
    assert deflated_t(short, 50) == pytest.approx(deflated_t(long, 50))
    assert deflated(short, 50, 0.1)[0] > 10 * deflated(long, 50, 0.1)[0]


def test_what_is_not_defined_is_nan() -> None:
    """Two trades, no spread, a negative variance, a ratio not above the benchmark, a single trial."""
    one_sided = of(0.5, 24, (5.0, 1.0))  # 1 - 5/2 < 0: no sample has such moments, rounding comes close

    for undefined in (of(0.5, 2), of(0.5)._replace(sd=np.array([0.0])), one_sided):
        assert np.isnan([*probabilistic(undefined), *track_record(undefined), *deflated_t(undefined, 10)]).all()
    assert not np.isnan(probabilistic(of(0.5, 3))).any()
    assert np.isnan([*track_record(of(0.5), 0.5), *track_record(of(-0.1))]).all()
    assert math.isnan(expected_maximum(1.99))
    assert not math.isnan(expected_maximum(2))
    assert np.isnan(deflated_t(of(0.5), 1)).all()


def test_moments_equal_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row by row, over parts: a day that pays 0 is a trade, a day without a trade is none."""
    monkeypatch.setattr(panel, "AT_ONCE", 3)
    rng = np.random.default_rng(5)
    rows = [rng.integers(-1, 3, size).astype(np.float64) * 10_000 for size in (40, 3, 17, 90, 5, 8, 60)]
    starts = np.cumsum([0, *(row.size for row in rows)])
    days = np.concatenate([np.sort(rng.choice(100, row.size, replace=False)) for row in rows])

    found = moments(csr_matrix((np.concatenate(rows), days, starts), shape=(len(rows), 100)))

    assert found.trades.tolist() == [row.size for row in rows]
    assert found.mean == pytest.approx([row.mean() / 10_000 for row in rows], rel=1e-12)
    assert found.sd == pytest.approx([row.std() / 10_000 for row in rows], rel=1e-12)
    assert found.skewness == pytest.approx([skew(row) for row in rows], rel=1e-9, abs=1e-12)
    assert found.kurtosis == pytest.approx([kurtosis(row, fisher=False) for row in rows], rel=1e-9)


def test_rows_without_moments() -> None:
    """No trade at all, and 997 trades that pay the same third of an R, whose deviation is exactly 0."""
    nothing = csr_matrix((1, 997))

    assert moments(nothing).trades.tolist() == [0]
    assert np.isnan(probabilistic(moments(nothing))).all()
    constant = moments(dense(np.full((1, 997), 3_333)))
    assert constant.sd.tolist() == [0]
    assert np.isnan([*constant.sharpe, *probabilistic(constant)]).all()
    assert moments(csr_matrix((0, 5))).trades.shape == (0,)
