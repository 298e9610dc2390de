"""The companion statistics of two recorded databases, one of pure noise: the prototype's answers to their digits."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import pytest

from dask_validator.config import RunConfig
from dask_validator.universe import effective_number
from dask_validator.universe.discoveries import discoveries, share_without_edge
from dask_validator.universe.evidence import evidence
from dask_validator.universe.overfitting import block_sums, overfitting
from dask_validator.universe.sharpe import moments
from tests.recorded import SHARED, build_database
from tests.support.panels import universe_of


class Recorded(NamedTuple):
    """The tested strategies of one database, and what is recorded of it."""

    z: Any
    panel: Any
    trades: Any
    total: Any
    answers: dict[str, Any]


@pytest.fixture(scope="module", params=["noise", "edges"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Made once for all of these tests."""
    folder = SHARED / "golden-luck" / request.param
    if not folder.exists():
        pytest.skip(f"the recorded inputs golden-luck/{folder.name} are not beside the repository")
    path = tmp_path_factory.mktemp(folder.name) / "source.duckdb"
    build_database(folder, path)
    observed, panel = universe_of(path, "MGC")
    z = evidence(observed, RunConfig().min_sample).z
    tested = np.flatnonzero(~np.isnan(z))
    answers = json.loads((folder / "answers.json").read_text())
    of = observed.of(tested)
    return Recorded(z[tested], panel[tested], of.calendar.trades, of.sums.total[:, 0], answers)


def test_the_tested_are_those_recorded(recorded: Recorded) -> None:
    """As many strategies have a deviate, and their moments are those of the sums that the worlds use."""
    found = moments(recorded.panel)

    assert recorded.z.size == recorded.answers["tested"] == recorded.answers["n_eff"]["tried"]
    assert found.trades.tolist() == recorded.trades.tolist()
    assert found.mean == pytest.approx(recorded.total / recorded.trades / 10_000, rel=1e-12)


def test_effective_numbers(recorded: Recorded) -> None:
    """Four ways to count how many independent strategies there are."""
    maxima = np.full(1000, recorded.answers["stepm"]["critical"])  # whose quantile this is
    ways = {
        "tried": recorded.z.size,
        "eigen": round(effective_number.by_eigenvalues(recorded.panel), 1),
        "average": round(effective_number.by_average(recorded.panel), 1),
        "leader": effective_number.leaders(recorded.panel),
        "max": round(effective_number.independent_tests(maxima, recorded.z.size), 1),
    }

    assert ways == recorded.answers["n_eff"]


def test_overfitting(recorded: Recorded) -> None:
    """Picking the best by Sharpe ratio: of noise it is overfit half of the time."""
    found = overfitting(block_sums(recorded.panel))

    assert found.probability is not None
    assert round(found.probability, 4) == recorded.answers["pbo"]["value"]
    assert found.rank.size == recorded.answers["pbo"]["splits"]


def test_discoveries(recorded: Recorded) -> None:
    """One-sided, two-sided, valid for any dependence, and the share without an edge."""
    found, two_sided = discoveries(recorded.z), share_without_edge(_two_sided(recorded.z))

    assert two_sided is not None
    assert recorded.answers["bh"] == {
        "two_sided": found.differing,
        "two_sided_losing": found.losing,
        "one_sided": found.earning,
        "by_one_sided": found.earning_by,
        "pi0_two": round(two_sided, 4),
        "pi0_one": found.without_edge,
    }


def _two_sided(z: Any) -> Any:
    from scipy.stats import norm

    return 2 * norm.sf(np.abs(z))
