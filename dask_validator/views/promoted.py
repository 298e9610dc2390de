"""Trades of strategies, twins and correlations as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.errors import InputError
from dask_validator.model import LOSS, NOWHERE, OTHER, WIN
from dask_validator.promoted.correlation import correlation

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from dask_validator.model import Outcomes
    from dask_validator.promoted.trades import Trades
    from dask_validator.promoted.twins import Twins

MOST_CORRELATED = 3_000  # strategies: 72 MB
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


def twins_frame(groups: Sequence[Twins]) -> pd.DataFrame:
    """One row a group, as `RunResult.twins` says."""
    import pandas as pd

    rows = [
        (number, len(of.members), of.representative, of.trades, list(of.members)) for number, of in enumerate(groups, 1)
    ]
    frame = pd.DataFrame(rows, columns=["group", "size", "representative", "trades", "members"])
    return frame.astype({"group": "int64", "size": "int64", "trades": "int64"})


def correlation_frame(counted: Mapping[str, Outcomes], days: NDArray[np.int32]) -> pd.DataFrame:
    """Rows and columns by `strategy_id`, as `RunResult.correlation` says. Raises InputError for too many."""
    import pandas as pd

    if len(counted) > MOST_CORRELATED:
        raise InputError(
            f"correlation() got {len(counted):,} strategies; needed at most {MOST_CORRELATED:,} (strategy_ids=)"
        )
    ids = list(counted)
    return pd.DataFrame(correlation(list(counted.values()), days), index=ids, columns=ids)


def _of_window(trades: Trades, name: str) -> NDArray[np.datetime64]:
    dates = np.full(trades.window.size, "NaT", dtype="datetime64[s]")
    counted = trades.window != NOWHERE
    dates[counted] = _dates(trades.walked.windows[name][trades.window[counted]])
    return dates


def _dates(days: NDArray[np.int32]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]").astype("datetime64[s]")
