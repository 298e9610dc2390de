"""`result.strategies`, `.promoted` and `.windows`: what they say is what was judged, in columns with types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from dask_validator import validate, validate_trades
from dask_validator.model import window_results
from dask_validator.rules.gates import GATES, POSITION
from dask_validator.views.result import RunResult
from tests.support.tiny import change, tiny_database

ROWS: list[dict[str, Any]] = [
    {"p_value": 0.001, "rr_target": 2.5, "filter_type": "ORB_G4", "stop_multiplier": 1.0},
    {"strategy_id": "MGC_FELL", "sample_size": 3},
    {"strategy_id": "MGC_ALIAS", "is_canonical": False, "filter_params": None},
]


def dry(path: Path) -> RunResult:
    """Serial, nothing written."""
    return validate(path, workers=1, dry_run=True, progress=False)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One that passes, one that falls, one alias."""
    extra = {"experimental_strategies": "stop_multiplier DOUBLE"}
    return tiny_database(tmp_path / "tiny.duckdb", ROWS, extra=extra)


def test_a_row_says_what_the_strategy_trades(database: Path) -> None:
    """Session, filter and the rest stand beside the verdict, as the strategy's own row has them."""
    frame = dry(database).strategies.set_index("strategy_id")
    own = ["instrument", "session", "orb_minutes", "rr_target", "confirm_bars", "entry_model", "filter"]

    assert frame.loc["MGC_GOOD", own].tolist() == ["MGC", "0900", 5, 2.5, 1, "E1", "ORB_G4"]
    assert frame.loc["MGC_GOOD", "stop_multiplier"] == 1.0
    assert frame.loc["MGC_ALIAS", "filter_params"] is pd.NA
    assert frame.loc["MGC_FELL", ["verdict", "phase", "gate"]].tolist() == ["REJECTED", 1, "sample_size"]


def test_what_passed_is_a_frame_of_its_own(database: Path) -> None:
    """One row per promoted strategy, with p, adjusted p and test windows."""
    result = dry(database)
    [row] = result.promoted.to_dict("records")

    assert (row["strategy_id"], row["p_value"], row["earns"]) == ("MGC_GOOD", 0.001, True)
    assert row["n_total_windows"] == len(result.windows) > 0


def test_dates_are_dates_and_counts_whole(database: Path) -> None:
    """A frame can be sorted by day and summed up without a cast, also where nothing was found."""
    result = dry(database)
    change(database, "UPDATE experimental_strategies SET validation_status = 'PASSED'")
    for found in (result, dry(database)):
        kinds = found.strategies.dtypes.astype(str).to_dict()

        assert {kinds[name] for name in ("first_trade_day", "last_trade_day")} == {"datetime64[s]"}
        assert {kinds[gate.name] for gate in GATES if gate.whole and gate.name in kinds} == {"Int64"}
        assert {kinds[name] for name in ("session", "filter", "gate", "symbol")} == {"string"}
        assert {str(found.windows[name].dtype) for name in ("window_start", "window_end")} == {"datetime64[s]"}
    assert result.promoted["last_trade_day"][0] > pd.Timestamp("2020-01-01")


def test_every_number_is_the_one_that_was_judged(small: Path) -> None:
    """Columns named after gates have what the gates saw, and windows what each strategy's verdict says of them."""
    result = dry(small)
    frame, verdicts = result.strategies, result.verdicts
    rounded = {"pct_positive", "agg_oos_exp_r"}  # as the JSONL has them

    for name in {gate.name for gate in GATES} & set(frame) - rounded:
        seen = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        np.testing.assert_array_equal(seen, verdicts.observed[:, POSITION[name]], err_msg=name)
    wanted = [
        (verdicts.ids[i], *window[:7])
        for i, facts in verdicts.windowed()
        for window in window_results(facts.windows, verdicts.terms.config.window_trades)
    ]
    told = result.windows.assign(**{name: result.windows[name].dt.strftime("%Y-%m-%d") for name in DAYS})
    assert [tuple(None if pd.isna(value) else value for value in row) for row in told.itertuples(index=False)] == wanted


DAYS = ("window_start", "window_end")


def test_imported_strategies_say_symbols_and_sides() -> None:
    """Of an imported strategy nobody is shown the placeholders that stand in its row for a session and a filter."""
    trades = pd.DataFrame(
        {
            "strategy_id": "S",
            "exit_time": pd.date_range("2020-01-02", periods=60, freq="D"),
            "r": [1.0, -0.5] * 30,
            "side": ["long", "short", "long"] * 20,
            "symbol": "ES",
        }
    )
    [row] = validate_trades(trades, progress=False).strategies.to_dict("records")

    assert (row["symbol"], row["side"], row["sample_size"]) == ("ES", "long, short", 60)
    assert all(pd.isna(row[name]) for name in ("session", "filter", "entry_model", "orb_minutes"))
    assert row["p_value"] > 0


def test_verdicts_are_there_while_somebody_holds_the_database(database: Path) -> None:
    """Who has opened the database for writing since still sees all that was judged, and is told what is lacking."""
    result = dry(database)
    with duckdb.connect(str(database)), pytest.warns(UserWarning, match="held by another connection"):
        frame = result.strategies

    assert frame["verdict"].tolist() == ["SKIPPED", "REJECTED", "PASSED"]
    assert frame["session"].isna().all()
