"""The gates of phases 1 to 6 made of sums, each at its edge, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dask_validator.config import RunConfig
from dask_validator.rules.costs import KNOWN_COSTS, Friction
from dask_validator.rules.gates import Terms
from dask_validator.universe.calendars import Calendar, Segments, Sums
from dask_validator.universe.gates import Circumstances, dormant_years, passing

MGC = KNOWN_COSTS["MGC"]
Part = tuple[int, int, float]  # year or window, trades, units
OPEN = {"min_sample": 0, "stress_multiplier": 1.0, "no_walkforward": True}
WALKS = OPEN | {"no_walkforward": False, "wf_min_trades": 2, "wf_min_windows": 1, "wf_min_pct_positive": 0.0}


def segments(parts: Sequence[Part]) -> Segments:
    """Of one strategy."""
    return Segments(
        np.zeros(len(parts), dtype=np.int64),
        np.array([label for label, _, _ in parts], dtype=np.int64),
        np.array([trades for _, trades, _ in parts], dtype=np.int64),
    )


def column(values: Sequence[float]) -> np.ndarray:
    """In one world."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def passes(
    years: Sequence[Part],
    windows: Sequence[Part] = (),
    *,
    waives: bool = False,
    dormant: Sequence[int] = (),
    moments: dict[str, float] | None = None,
    **flags: Any,
) -> bool:
    """Whether one strategy passes, which risks 100 dollars a trade."""
    calendar = Calendar(np.array([sum(part[1] for part in years)]), segments(years), segments(windows))
    sums = Sums(
        column([sum(part[2] for part in years)]), column([of[2] for of in years]), column([of[2] for of in windows])
    )
    observed = {name: column([value]) for name, value in (moments or {}).items()}
    beside = Circumstances(MGC, Friction(np.array([100.0]), np.array([np.nan])), frozenset(dormant))
    return bool(passing(calendar, sums, Terms(RunConfig(**OPEN | flags), waives), beside, observed)[0, 0])


def test_trades() -> None:
    """Phase 1: as many as are needed, no fewer."""
    assert passes([(2020, 30, 100)], min_sample=30)
    assert not passes([(2020, 29, 100)], min_sample=30)


def test_half_a_unit_is_no_gain() -> None:
    """Phases 2 and 3: a mean is positive where it rounds to 0.0001 R or more; exactly half a unit does not."""
    assert passes([(2020, 4, 3)])
    assert not passes([(2020, 4, 2)])
    assert passes([(2020, 3, 2)])
    assert not passes([(2019, 4, 2), (2020, 4, 9)], min_years_positive_pct=1.0)
    assert passes([(2019, 4, 3), (2020, 4, 9)], min_years_positive_pct=1.0)


def test_share_of_years() -> None:
    """Phase 3 without waivers: as many years as are needed, of those with trades enough that are not excluded."""
    years = [(2018, 5, -40), (2019, 5, 90), (2020, 5, 90), (2021, 1, -9)]
    assert passes(years, min_years_positive_pct=0.5)
    assert not passes(years, min_years_positive_pct=0.51)
    assert passes(years, min_years_positive_pct=2 / 3, min_trades_per_year=2)
    assert passes(years, min_years_positive_pct=1.0, min_trades_per_year=2, exclude_years=(2018,))
    assert not passes(years, min_years_positive_pct=0.0, min_trades_per_year=6)


def test_waived_years() -> None:
    """Phase 3 with waivers: a losing year is forgiven if it was quiet and had five trades at most, one must be won."""
    quiet = {"waives": True, "dormant": (2018, 2020)}
    assert passes([(2018, 5, -40), (2019, 9, 90)], **quiet)
    assert not passes([(2018, 6, -40), (2019, 9, 90)], **quiet)
    assert not passes([(2019, 5, -40), (2020, 9, 90)], **quiet)
    assert not passes([(2018, 5, -40), (2019, 9, 90)], waives=False, dormant=(2018,))
    assert not passes([(2018, 3, 1), (2020, 3, 2)], **quiet)  # positive as a whole, none of them by itself
    assert not passes([(2019, 5, -40), (2020, 9, 90)], waives=True, min_years_positive_pct=0.0)


def test_dormant_years() -> None:
    """A year is quiet below an ATR of 20; one that nobody knows is not."""
    assert dormant_years({2018: 19.99, 2019: 20.0}) == {2018}


@pytest.mark.parametrize("trades", [1, 7])
def test_stressed_costs(trades: int) -> None:
    """Phase 4: what a trade earns must be more than the extra costs, which are 840 units of 100 dollars at risk."""
    assert not passes([(2020, trades, 840 * trades)], stress_multiplier=2.0)
    assert passes([(2020, trades, 840 * trades + 1)], stress_multiplier=2.0)


def test_quality() -> None:
    """Phase 5: what is unknown passes no gate that is on, and any that is off."""
    gain = [(2020, 4, 900)]
    assert passes(gain, moments={"sharpe_ratio": 0.2, "win_rate": 0.5}, min_sharpe=0.2, min_win_rate=0.5)
    assert not passes(gain, moments={"sharpe_ratio": 0.19, "win_rate": 0.5}, min_sharpe=0.2, min_win_rate=0.5)
    assert not passes(gain, moments={"sharpe_ratio": 0.2, "win_rate": 0.49}, min_sharpe=0.2, min_win_rate=0.5)
    assert not passes(gain, moments={"sharpe_ratio": np.nan}, min_sharpe=-9.0)
    assert passes(gain, moments={"sharpe_ratio": np.nan, "win_rate": np.nan})


def test_valid_windows() -> None:
    """Phase 6: windows with trades enough, and as many as are needed; without any there is no share."""
    gain = [(2020, 9, 900)]
    assert passes(gain, [(0, 2, 5), (1, 1, -99)], **WALKS)
    assert not passes(gain, [(0, 2, 5), (1, 1, 99)], **WALKS | {"wf_min_windows": 2})
    assert not passes(gain, [(0, 1, 99)], **WALKS)
    assert not passes(gain, [], **WALKS)
    assert passes(gain, [], **WALKS | {"no_walkforward": True})


def test_positive_windows() -> None:
    """Phase 6: the share of valid windows that gain half a unit a trade at least, of all valid ones."""
    gain = [(2020, 9, 900)]
    assert passes(gain, [(0, 2, 9), (1, 2, -1)], **WALKS | {"wf_min_pct_positive": 0.5})
    assert not passes(gain, [(0, 2, 9), (1, 2, 1)], **WALKS | {"wf_min_pct_positive": 0.51})
    assert passes(gain, [(0, 2, 9), (1, 2, 2)], **WALKS | {"wf_min_pct_positive": 1.0})


def test_sum_of_windows() -> None:
    """Phase 6: the valid windows must gain as a whole, however little; others have no say."""
    gain = [(2020, 9, 900)]
    assert passes(gain, [(0, 2, 9), (1, 2, -8), (2, 1, -50)], **WALKS)
    assert not passes(gain, [(0, 2, 9), (1, 2, -9), (2, 1, 50)], **WALKS)
