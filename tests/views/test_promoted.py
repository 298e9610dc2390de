"""`twins`, `correlation` and `plot_equity` of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_validator import InputError, RunConfig, validate
from dask_validator.views import promoted
from dask_validator.views.result import RunResult
from tests.support.tiny import change, tiny_database

# The first two trade the same days, as no size is below 2; the third has other days, the fourth another target.
ROWS = [
    {"strategy_id": "A", "filter_type": "NO_FILTER", "filter_params": None},
    {"strategy_id": "B", "filter_type": "ORB_G2", "filter_params": '{"type": "orb_size", "min_size": 2.0}'},
    {"strategy_id": "C"},
    {"strategy_id": "D", "filter_type": "NO_FILTER", "filter_params": None, "rr_target": 2.0},
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four strategies, all good."""
    worse = {"rr_target = 2.0 AND outcome = 'win' AND day(trading_day) < 9": {"pnl_r": 0.7}}
    return tiny_database(tmp_path_factory.mktemp("promoted") / "tiny.duckdb", ROWS, outcomes=worse)


@pytest.fixture
def result(database: Path) -> RunResult:
    """A dry run that passes all of them."""
    found = validate(database, "MGC", RunConfig(dry_run=True), workers=1, progress=False)
    assert found.summary["passed"] == len(ROWS)
    return found


def test_twins(result: RunResult) -> None:
    """Who wins and loses the same on the same days is one result, whatever filter says which days; others are alone."""
    frame = result.twins()

    assert frame["members"].tolist() == [["A", "B"], ["C"], ["D"]]
    assert frame["representative"].tolist() == ["A", "C", "D"]
    assert frame["size"].tolist() == [2, 1, 1]
    assert frame["trades"].tolist() == [(result.trades(name)["counts_as"] != "scratch").sum() for name in "ACD"]


def test_correlation(result: RunResult) -> None:
    """By day, of one strategy for each group of twins unless others are named; as pandas computes it."""
    frame = result.correlation()
    by_day = {
        name: result.trades(name).query("counts_as != 'scratch'").groupby("trading_day")["result"].sum()
        for name in ("A", "C", "D")
    }
    days = result.trades("A")["trading_day"].unique()  # of the tiny database, all
    a, c = (by_day[name].reindex(days, fill_value=0.0) for name in ("A", "C"))

    assert frame.index.tolist() == frame.columns.tolist() == ["A", "C", "D"]
    assert frame.loc["A", "C"] == pytest.approx(a.corr(c))
    assert 0 < frame.loc["A", "D"] < 1
    assert result.correlation(["A", "B"]).loc["A", "B"] == pytest.approx(1)
    with pytest.raises(InputError, match="got 'X', which this run did not promote"):
        result.correlation(["A", "X"])


def test_too_many_to_correlate(result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix that would not fit is refused with what to do."""
    monkeypatch.setattr(promoted, "MOST_CORRELATED", 2)
    with pytest.raises(InputError, match=r"got 3 strategies; needed at most 2 \(strategy_ids=\)"):
        result.correlation()


def test_equity(result: RunResult) -> None:
    """Each win and loss is a point of the line, test windows are shaded, and the title says how it ends."""
    plot = result.plot_equity("C")
    frame = result.trades("C").query("counts_as != 'scratch'")
    *shades, line, _ = plot.renderers
    points: dict[str, Any] = line.data_source.data
    left = np.concatenate([shade.data_source.data["left"] for shade in shades])
    windows = result.windows.query("strategy_id == 'C'")

    assert points["total"].tolist() == frame["cumulative"].tolist()
    assert points["day"].astype("datetime64[s]").tolist() == frame["trading_day"].dt.to_pydatetime().tolist()
    assert sorted(left.astype("datetime64[s]").tolist()) == sorted(windows["window_start"].dt.to_pydatetime().tolist())
    total = frame["result"].sum()
    assert plot.title.text.text.startswith(f"C: {total:+,.1f} R in {len(frame)} trades, deepest fall ")


def test_twins_of_other_trades(database: Path, result: RunResult) -> None:
    """Where outcomes have changed since the run nothing is told of twins, but that."""
    change(database, "UPDATE orb_outcomes SET pnl_r = 3 WHERE rr_target = 2.0 AND outcome = 'win'")
    with pytest.raises(InputError, match=r"1 of 4 promoted strategies .* 'D': .* no longer those of the run; validate"):
        result.twins()
