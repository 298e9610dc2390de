"""Trades of strategies, twins and correlations as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.model import LOSS, NOWHERE, OTHER, WIN

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from dask_validator.promoted.trades import Trades

_TEXTS = ("counts_as", "side", "symbol")
COUNTS_AS = {WIN: "win", LOSS: "loss", OTHER: "scratch"}


def trades_frame(trades: Trades, told: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """One row a trade, as `RunResult.trades` says; `told` are further columns."""
    import pandas as pd

    outcomes = trades.outcomes
    names = np.array([COUNTS_AS[code] for code in sorted(COUNTS_AS)], dtype=object)
    columns = {
        "trading_day": _dates(outcomes.days),
        "result": outcomes.pnl_r,
        "counts_as": names[outcomes.code],
        "cumulative": trades.cumulative,
        "window": pd.array((trades.window + 1).tolist(), dtype="Int64"),
        "window_start": _of_window(trades, "start"),
        "window_end": _of_window(trades, "end"),
        **told,
    }
    frame = pd.DataFrame(columns).astype({name: "string" for name in _TEXTS if name in columns})
    return frame.assign(window=frame["window"].mask(trades.window == NOWHERE))


def _of_window(trades: Trades, name: str) -> NDArray[np.datetime64]:
    dates = np.full(trades.window.size, "NaT", dtype="datetime64[s]")
    counted = trades.window != NOWHERE
    dates[counted] = _dates(trades.walked.windows[name][trades.window[counted]])
    return dates


def _dates(days: NDArray[np.int32]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]").astype("datetime64[s]")
