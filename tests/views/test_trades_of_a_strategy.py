"""`result.trades(id)`: the trades that a run has counted, read again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dask_validator import InputError, RunConfig, validate, validate_trades
from dask_validator.run.taken import Known, taken
from dask_validator.views.promoted import trades_frame
from dask_validator.views.result import RunResult
from tests.reference.walkforward import expectancy, trades
from tests.support.tiny import change, tiny_database
from tests.support.trade_logs import log

ROW = ("window_start", "window_end", "test_n", "test_exp_r", "test_wr")


def ran(database: Path, **flags: Any) -> RunResult:
    """A dry run of it."""
    return validate(database, "MGC", RunConfig(dry_run=True, **flags), workers=1, progress=False)


def windows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Its test windows that have trades, added up in plain Python."""
    found = []
    for _, part in frame[frame["window"].notna()].groupby("window"):
        outcomes = [(row.trading_day.date(), row.counts_as, row.result) for row in part.itertuples()]
        traded = trades(outcomes)
        first = part.iloc[0]
        wr = round(len(traded.wins) / len(traded.both), 4)
        bounds = (first["window_start"].date().isoformat(), first["window_end"].date().isoformat())
        found.append((*bounds, len(traded.both), expectancy(traded), wr))
    return found


def expected(result: RunResult, strategy_id: str) -> list[tuple[Any, ...]]:
    """Those of the run."""
    frame = result.windows.query("strategy_id == @strategy_id and test_n > 0")
    dates = [pd.to_datetime(frame[name]).dt.strftime("%Y-%m-%d") for name in ROW[:2]]
    return list(zip(*(column.tolist() for column in (*dates, *(frame[name] for name in ROW[2:]))), strict=True))


@pytest.mark.parametrize("flags", [{}, {"wf_window_trades": 25, "wf_train_trades": 60}, {"wf_last_day": "2023-06-30"}])
def test_windows_add_up(small: Path, flags: dict[str, Any]) -> None:
    """Wins and losses, grouped by test window, come to exactly the windows of the run, with any kind of filter."""
    result = ran(small, **flags)
    walked = result.strategies[result.strategies["n_total_windows"] > 0]["strategy_id"]
    some = [*walked[::9], *walked[walked.str.endswith(("_W", "_S"))][:3], *walked[walked.str.contains("NODBL")][:2]]

    known = dict(zip(result.verdicts.ids, result.verdicts.walked, strict=True))
    found = dict(taken(result.order, Known({strategy_id: known[strategy_id] for strategy_id in some})))
    assert len(found) > 8
    for strategy_id, of_one in found.items():
        assert windows(trades_frame(of_one, {})) == expected(result, strategy_id)


def test_scratches_are_there_and_count_nowhere(tmp_path: Path) -> None:
    """All outcomes of the days that the filter takes are rows; what is no win or loss adds nothing."""
    result = ran(tiny_database(tmp_path / "tiny.duckdb"))
    frame = result.trades("MGC_GOOD")
    scratch = frame[frame["counts_as"] == "scratch"]
    total = 0.0
    for row in frame.itertuples():
        total += 0.0 if row.counts_as == "scratch" else row.result
        assert row.cumulative == total

    assert len(scratch) > 100
    assert scratch["window"].isna().all()
    assert scratch["window_start"].isna().all()
    assert len(frame) == result.verdicts.walked[0].outcomes  # type: ignore[union-attr]


def test_a_tight_stop_is_replayed(tmp_path: Path) -> None:
    """Results are those that the run has judged, not those that are stored."""
    touched: dict[str, Any] = {"mae_r": 0.8, "entry_price": 100.0, "stop_price": 98.0}
    database = tiny_database(
        tmp_path / "tight.duckdb",
        [{"stop_multiplier": 0.75}],
        outcomes={"TRUE": {**touched, "mae_r": 0.1}, "day(trading_day) = 3": touched},
        extra={"experimental_strategies": "stop_multiplier DOUBLE"},
    )
    result = ran(database)
    frame = result.trades("MGC_GOOD")
    stopped = frame[frame["trading_day"].dt.day == 3]

    assert set(stopped["result"]) == {-0.75}
    assert set(stopped["counts_as"]) == {"loss"}
    assert windows(frame) == expected(result, "MGC_GOOD")


def test_imported_trades(tmp_path: Path) -> None:
    """Several trades a day stay apart, in the order of their exits, with what the log says of each."""
    table = log(2, side="long", symbol="ES")
    result = validate_trades(table, workers=1, progress=False, unit="r", timezone="UTC", dry_run=True)
    frame = result.trades("S1")
    own = table[table["strategy_id"] == "S1"]

    assert frame["result"].tolist() == own["r"].tolist()
    assert frame["exit_time"].tolist() == own["exit_time"].tolist()
    assert set(frame["side"]) == {"long"}
    assert set(frame["symbol"]) == {"ES"}
    assert frame["trading_day"].duplicated().any()
    assert windows(frame) == expected(result, "S1")


def test_without_walkforward(tmp_path: Path) -> None:
    """A run that looked at no window has none to say."""
    frame = ran(tiny_database(tmp_path / "tiny.duckdb"), no_walkforward=True).trades("MGC_GOOD")

    assert frame["window"].isna().all()
    assert len(frame) > 600


@pytest.mark.parametrize(
    "changed",
    [
        "UPDATE orb_outcomes SET pnl_r = 9.0 WHERE year(trading_day) = 2023 AND outcome = 'win'",
        "DELETE FROM orb_outcomes WHERE trading_day < '2021-02-01'",
        "UPDATE daily_features SET orb_0900_size = 1.0 WHERE month(trading_day) = 6",
        "UPDATE experimental_strategies SET filter_type = 'NO_FILTER'",
    ],
)
def test_other_trades_than_those_of_the_run(tmp_path: Path, changed: str) -> None:
    """Where outcomes, features or the row have changed so that the run would have seen others, that is said."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    result = ran(database)
    assert not result.trades("MGC_GOOD").empty
    change(database, changed)

    with pytest.raises(InputError, match="no longer those of the run"):
        result.trades("MGC_GOOD")


def test_changes_that_no_window_shows(tmp_path: Path) -> None:
    """Of a committed run its hash of the outcomes tells also what has changed before the first test window."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    result = validate(database, "MGC", RunConfig(wf_output=tmp_path / "wf.jsonl"), workers=1, progress=False)
    assert not result.trades("MGC_GOOD").empty
    change(database, "UPDATE orb_outcomes SET pnl_r = 9.0 WHERE trading_day < '2021-06-01' AND outcome = 'win'")

    with pytest.raises(InputError, match="no longer those of the run"):
        result.trades("MGC_GOOD")


def test_what_has_no_trades(tmp_path: Path) -> None:
    """Unknown names, rows that are gone and outcomes that nobody can use are one clear line each."""
    rows = [{}, {"strategy_id": "MGC_BAD", "rr_target": 2.0}, {"strategy_id": "MGC_GONE", "rr_target": 2.5}]
    bad = {"rr_target = 2.0 AND outcome = 'win'": {"pnl_r": math.nan}}
    database = tiny_database(tmp_path / "tiny.duckdb", rows, outcomes=bad)
    result = ran(database)
    change(database, "DELETE FROM experimental_strategies WHERE strategy_id = 'MGC_GONE'")

    for strategy_id, said in {
        "MGC_GOO": "not in this run; known are 'MGC_GOOD'",
        "MGC_BAD": "without a usable pnl_r",
        "MGC_GONE": "no longer there",
    }.items():
        with pytest.raises(InputError, match=said):
            result.trades(strategy_id)
