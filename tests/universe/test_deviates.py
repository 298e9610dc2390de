"""Normal deviates of t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from dask_validator.universe.deviates import normal


def of(value: float, trades: int) -> float:
    """The deviate of one t."""
    return float(normal(np.array([value]), np.array([trades]))[0])


def test_wallace() -> None:
    """Wallace's approximation to six digits, and how near it is to the exact deviate."""
    assert round(of(3, 30), 6) == 2.775890
    assert round(of(4.5, 100), 6) == 4.281535
    assert round(float(norm.isf(t.sf(3, 29))), 6) == 2.776238


@pytest.mark.parametrize("trades", [2, 30, 1_000])
def test_odd(trades: int) -> None:
    """A loss is as far from zero as the same gain, and nothing is zero."""
    assert of(-2.5, trades) == -of(2.5, trades)
    assert of(0.0, trades) == 0.0


def test_few_trades_are_no_strong_evidence() -> None:
    """With 30 trades a large t is less rare than with 1,000, hence its deviate smaller: else few trades rule maxima."""
    assert of(4.0, 30) < of(4.0, 1_000) < 4.0
