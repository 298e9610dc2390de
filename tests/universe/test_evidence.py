"""What the data say of each strategy, and what the nulls take from it, by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from dask_validator.config import RunConfig
from dask_validator.universe import evidence as module
from dask_validator.universe.calendars import Calendar, Observed, Segments, Sums
from dask_validator.universe.evidence import Evidence, Rows, evidence, follow, stitched
from tests.reference.null_worlds import wallace

NOTHING = np.zeros(0, dtype=np.int64)
NO_PARTS, NO_SUMS = Segments(NOTHING, NOTHING, NOTHING), np.zeros((0, 1))
U, C, L = range(3)  # nulls


def observed(trades: Sequence[Sequence[int]]) -> Observed:
    """Strategies that take these trades, in units."""
    return Observed(
        [str(number) for number in range(len(trades))],
        Calendar(np.array([len(of) for of in trades], dtype=np.int64), NO_PARTS, NO_PARTS),
        Sums(np.array([[float(sum(of))] for of in trades]).reshape(-1, 1), NO_SUMS, NO_SUMS),
        np.array([float(sum(unit * unit for unit in of)) for of in trades]),
        np.zeros(0),
    )


def in_windows(*windows: Sequence[int]) -> Observed:
    """One strategy that takes these trades in its test windows, and none besides."""
    labels = np.arange(len(windows))
    parts = Segments(labels * 0, labels, np.array([len(of) for of in windows]))
    total, squares = ([float(sum(unit**power for unit in of)) for of in windows] for power in (1, 2))
    plain = observed([[unit for of in windows for unit in of]])
    return plain._replace(
        calendar=plain.calendar._replace(windows=parts),
        sums=plain.sums._replace(windows=np.array(total).reshape(-1, 1)),
        window_squares=np.array(squares),
    )


def with_t(t: float, trades: int = 4) -> list[int]:
    """Half of the trades pay d less and half d more than the mean, so that their t is this, nearly."""
    spread = 100_000
    mean = round(t * spread / math.sqrt(trades - 1))
    return [mean - spread, mean + spread] * (trades // 2)


def of(*trades: Sequence[int], min_sample: int = 0) -> Evidence:
    """Their evidence."""
    return evidence(observed(trades), min_sample)


def test_deviate() -> None:
    """Wallace's deviate of Student's t, unknown below the least sample and where all trades pay the same."""
    found = of(with_t(1.5), with_t(1.5, 6), [700] * 6, [700], min_sample=5)

    assert found.z[1] == pytest.approx(wallace(1.5, 6), abs=1e-4)
    assert np.isnan(found.z[[0, 2, 3]]).all()


def test_deviate_of_the_test_windows() -> None:
    """Only windows with enough trades count, of however few trades in all; two equal trades have no deviate."""
    config = RunConfig(wf_min_trades=3)
    first, few, last = with_t(1.5), [70_000, -900], with_t(0.2)

    assert stitched(in_windows(first, few, last), config).tolist() == [of([*first, *last]).z[0]]
    assert np.isnan(stitched(in_windows([700] * 3), config)).all()
    assert np.isnan(stitched(in_windows(few), config)).all()
    assert np.isnan(stitched(in_windows(first), RunConfig(no_walkforward=True))).all()


def test_sure_losers() -> None:
    """Null c: four trades lose for sure below -0.808 (the mean by t, the best strategy's shift by the deviate)."""
    found = of(with_t(-0.80), with_t(-0.82), with_t(-0.90), with_t(-1.1), with_t(0.9))

    assert (found.mus[C] < 0).tolist() == [False, True, True, True, False]
    assert (found.shifts[C] < 0).tolist() == [False, False, False, True, False]
    assert found.shifts[C][3] == found.z[3]
    assert not found.mus[U].any()
    assert not found.shifts[U].any()


def test_all_losers() -> None:
    """Null l: whoever loses goes on losing as it did; nobody goes on gaining."""
    found = of(with_t(-0.1), with_t(0.1), [-3, -4, -4])

    assert found.mus[L].tolist() == [sum(with_t(-0.1)) / 4, 0.0, -11 / 3]
    assert found.shifts[L].tolist() == [found.z[0], 0.0, found.z[2]]


def test_few_trades_prove_nothing() -> None:
    """Below three trades ln ln n is no number, and without variance there is no t: null c takes nothing."""
    found = of([-90_000], [-90_000, -90_001], [-90_000] * 8)

    assert not found.mus[C].any()
    assert not found.shifts[C].any()
    assert found.mus[L].tolist() == [-90_000, -90_000.5, -90_000]


def test_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who is above the 5 % point alone can be rejected; of too many, the strongest are followed world by world."""
    trades = [with_t(t, 400) for t in (1.6, 1.7, 2.5, 2.1)] + [[9]]

    assert of(*trades).candidates.tolist() == [False, True, True, True, False]
    monkeypatch.setattr(module, "MOST_CANDIDATES", 2)
    assert of(*trades).candidates.tolist() == [False, False, True, True, False]


def rows(sample_size: float, expectancy_r: float) -> Rows:
    """What one row says."""
    columns = dict.fromkeys(Rows._fields, np.array([np.nan]))
    return Rows(**columns | {"sample_size": np.array([sample_size]), "expectancy_r": np.array([expectancy_r])})


@pytest.mark.parametrize(
    ("sample_size", "expectancy_r", "follows"),
    [
        (4, 0.5, True),
        (4, 0.5009, True),
        (4, 0.4991, True),
        (4, 0.5011, False),
        (4, np.nan, False),
        (5, 0.5, False),
        (np.nan, 0.5, False),
    ],
)
def test_whose_numbers_follow(sample_size: float, expectancy_r: float, follows: bool) -> None:
    """As many trades as are stored, and a mean within 0.001 R."""
    assert follow(observed([[10_000, -5_000, 0, 15_000]]), rows(sample_size, expectancy_r)).tolist() == [follows]


def test_nothing_follows_from_nothing() -> None:
    """No trades are no strategy, whatever the row says."""
    assert follow(observed([[]]), rows(0, 0.0)).tolist() == [False]
